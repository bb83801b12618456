"""Fits parameters of a scenario to a cluster, and tests them on what they were not fitted to."""
