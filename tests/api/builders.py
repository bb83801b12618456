"""Objects that are valid as they are; a test states only what it changes."""

from __future__ import annotations

from typing import Any

from prism_operator.api.meta import Json


def a_stack(name: str = "stack", **spec: Any) -> Json:
    return _an_object("PrismStack", name, spec)


def a_pattern(name: str = "pattern", **spec: Any) -> Json:
    return _an_object("PrismPattern", name, {"pattern": "keyvalue", "backend": "memstore", **spec})


def a_backend(name: str = "backend", **spec: Any) -> Json:
    return _an_object("PrismBackend", name, {"type": "cache", "provider": "memstore", **spec})


def a_namespace(name: str = "tenant", **spec: Any) -> Json:
    proxy = {"proxyRef": {"name": "stack-proxy"}}
    return _an_object("PrismNamespace", name, {"namespaceId": "tenant", **proxy, **spec})


def a_stack_with_scaling(**autoscaling: Any) -> Json:
    return a_stack(proxy={"autoscaling": autoscaling})


def a_stack_with_election(**election: Any) -> Json:
    return a_stack(admin={"leaderElection": election})


def _an_object(kind: str, name: str, spec: Json) -> Json:
    metadata = {"name": name, "namespace": "default"}
    return {
        "apiVersion": "prism.io/v1alpha1",
        "kind": kind,
        "metadata": metadata,
        "spec": spec,
    }
