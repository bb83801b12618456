"""The only importers of Kubernetes clients: the ports, over HTTP."""
