"""What the operator would do to a cluster, worked out in memory: nothing here writes anywhere."""
