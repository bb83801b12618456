"""The simulator from Python: what notebooks and users' own tests call, by way of ``simulator``."""
