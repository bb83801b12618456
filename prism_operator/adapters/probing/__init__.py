"""Health checks of backends: one thread with an event loop, one module for each protocol."""
