"""What kube-controller-manager does, as of Kubernetes 1.37."""
