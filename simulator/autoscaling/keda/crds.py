"""KEDA's kinds as its API objects: free-form, as far as the simulator needs to store them."""

from __future__ import annotations

from prism_operator.api.meta import (
    CUSTOM_RESOURCE_DEFINITION,
    SCALED_OBJECT,
    TRIGGER_AUTHENTICATION,
    Json,
    Resource,
)


def keda_crds() -> tuple[Json, ...]:
    """The CustomResourceDefinitions of ScaledObject and TriggerAuthentication."""
    return tuple(map(free_form_crd, (SCALED_OBJECT, TRIGGER_AUTHENTICATION)))


def free_form_crd(resource: Resource) -> Json:
    """A namespaced kind with a status subresource that stores whatever it is given."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    properties = {"spec": anything, "status": anything}
    return {
        "apiVersion": CUSTOM_RESOURCE_DEFINITION.api_version,
        "kind": CUSTOM_RESOURCE_DEFINITION.kind,
        "metadata": {"name": f"{resource.plural}.{resource.group}"},
        "spec": {
            "group": resource.group,
            "scope": "Namespaced",
            "names": {
                "kind": resource.kind,
                "plural": resource.plural,
                "singular": resource.kind.lower(),
                "listKind": f"{resource.kind}List",
            },
            "versions": [
                {
                    "name": resource.version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
                    "subresources": {"status": {}},
                }
            ],
        },
    }
