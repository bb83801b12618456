"""KEDA for real: its programs, real servers to scale by, and the simulator beside them."""
