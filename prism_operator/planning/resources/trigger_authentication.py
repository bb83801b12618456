"""KEDA's TriggerAuthentication, made from a Secret."""

from __future__ import annotations

from collections.abc import Sequence

from prism_operator.api.meta import TRIGGER_AUTHENTICATION, Json


def build_trigger_authentication(
    name: str, namespace: str, labels: Json, secret: str, keys: Sequence[str]
) -> Json:
    """A TriggerAuthentication with one parameter for every key of the Secret."""
    return {
        "apiVersion": TRIGGER_AUTHENTICATION.api_version,
        "kind": TRIGGER_AUTHENTICATION.kind,
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
        "spec": {
            "secretTargetRef": [
                {"parameter": key, "name": secret, "key": key} for key in sorted(keys)
            ]
        },
    }
