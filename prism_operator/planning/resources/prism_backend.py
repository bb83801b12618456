"""The PrismBackend of one backend of a stack."""

from __future__ import annotations

from prism_operator.api.meta import PRISM_BACKEND, Json
from prism_operator.api.stack import PrismStack, StackBackend
from prism_operator.planning.labels import stack_labels


def build_prism_backend(stack: PrismStack, backend: StackBackend, given: Json) -> Json:
    """The PrismBackend; ``given`` is the backend's entry in the stack as the user wrote it."""
    spec: Json = {"type": backend.type, "provider": backend.effective_provider}
    if backend.connection_string is not None:
        spec["connection"] = {"url": backend.connection_string}
    elif backend.secret_ref is not None:
        spec["connection"] = {"secretRef": given["secretRef"]}
    for field in ("tls", "healthCheck"):
        if given.get(field) is not None:
            spec[field] = given[field]
    return {
        "apiVersion": PRISM_BACKEND.api_version,
        "kind": PRISM_BACKEND.kind,
        "metadata": {
            "name": backend.name,
            "namespace": stack.namespace,
            "labels": stack_labels(stack.name),
        },
        "spec": spec,
    }
