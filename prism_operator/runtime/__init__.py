"""The controller loop without I/O: a thread pumps it in production, the simulator steps it."""
