"""A scenario on a real control plane, and where its decisions differ from the simulated ones."""
