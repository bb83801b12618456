"""One builder for each Kubernetes object the operator makes."""
