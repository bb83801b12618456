"""Scenarios of what is in a cluster, and for a cluster what is in a scenario."""
