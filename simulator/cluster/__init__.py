"""Nodes, pods and their kubelets."""
