"""The ServiceAccount of the admin."""

from __future__ import annotations

from prism_operator.api.meta import SERVICE_ACCOUNT, Json
from prism_operator.planning.labels import Labels


def build_service_account(name: str, namespace: str, labels: Labels) -> Json:
    """The ServiceAccount; its token is mounted only where a pod template asks for it."""
    return {
        "apiVersion": SERVICE_ACCOUNT.api_version,
        "kind": SERVICE_ACCOUNT.kind,
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
        "automountServiceAccountToken": False,
    }
