"""Provisions namespaces on proxies: ``ports.ControlPlane`` over gRPC."""
