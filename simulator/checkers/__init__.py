"""Independent judges of the simulated world."""
