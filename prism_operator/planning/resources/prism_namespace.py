"""The PrismNamespace of one tenant namespace of a stack."""

from __future__ import annotations

from typing import Final

from prism_operator.api.meta import PRISM_NAMESPACE, Json
from prism_operator.api.stack import PrismStack, StackNamespace
from prism_operator.planning.labels import stack_labels
from prism_operator.planning.names import proxy_name

_SHARED: Final = frozenset(
    str(field.alias) for name, field in StackNamespace.model_fields.items() if name != "name"
)


def build_prism_namespace(stack: PrismStack, namespace: StackNamespace, given: Json) -> Json:
    """The PrismNamespace, on the stack's own proxy unless ``given``, its entry, says otherwise."""
    spec = {key: value for key, value in given.items() if key in _SHARED}
    if namespace.proxy_ref is None:
        spec["proxyRef"] = {"name": proxy_name(stack.name), "namespace": stack.namespace}
    return {
        "apiVersion": PRISM_NAMESPACE.api_version,
        "kind": PRISM_NAMESPACE.kind,
        "metadata": {
            "name": namespace.name,
            "namespace": stack.namespace,
            "labels": stack_labels(stack.name),
        },
        "spec": spec,
    }
