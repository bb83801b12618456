"""What kube-scheduler does."""
