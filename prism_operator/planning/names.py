"""Names that derive from a stack's or pattern's own, and the annotations we read and write."""

from __future__ import annotations

from typing import Final

from prism_operator.api.meta import ReadOnlyJson

APPLIED_ANNOTATION: Final = "prism.io/applied"
"""On every object we make: a hash of what we last wanted of it, so that a dropped field shows."""
ADOPT_ANNOTATION: Final = "prism.io/adopt"
"""``"true"`` on a foreign object of the right name hands it to us."""
PAUSED_ANNOTATION: Final = "prism.io/paused"
"""``"true"`` stops writes to the object and its children."""
PROVISIONED_ON_ANNOTATION: Final = "prism.io/provisioned-on"
"""On a PrismNamespace, beside our finalizer: the proxy's Service that knows of it."""
CONFIG_HASH_ANNOTATION: Final = "prism.io/config-hash"
"""In the pod template: rolls the pods when, and only when, the configuration changes."""
SECRET_HASH_ANNOTATION: Final = "prism.io/secret-hash"  # noqa: S105 - a name, no secret
"""In the pod template: rolls the pods when a used key of the backend's Secret changes."""
TLS_HASH_ANNOTATION: Final = "prism.io/tls-hash"
"""In the pod template: rolls the pods when the mounted TLS Secret changes."""
POD_HASHES: Final = (CONFIG_HASH_ANNOTATION, SECRET_HASH_ANNOTATION, TLS_HASH_ANNOTATION)


def proxy_name(stack: str) -> str:
    """Of the proxy's Deployment and Service."""
    return f"{stack}-proxy"


def admin_name(stack: str) -> str:
    """Of the admin's Deployment, Service and ServiceAccount."""
    return f"{stack}-admin"


def admin_election_name(stack: str) -> str:
    """Of the Role and RoleBinding that let the admin elect its leader."""
    return f"{stack}-admin-leader-election"


def admin_lease_name(stack: str) -> str:
    """Of the Lease the admins elect their leader with."""
    return f"{stack}-admin-leader"


def config_map_name(pattern: str) -> str:
    """Of the ConfigMap with a pattern's configuration."""
    return f"{pattern}-config"


def is_paused(obj: ReadOnlyJson) -> bool:
    """Whether the object's annotation pauses it and its children."""
    annotations = obj["metadata"].get("annotations") or {}
    return bool(annotations.get(PAUSED_ANNOTATION) == "true")
