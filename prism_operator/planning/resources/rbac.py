"""What lets the admin elect its leader: a Role for one Lease, and its binding."""

from __future__ import annotations

from prism_operator.api.meta import LEASE, ROLE, ROLE_BINDING, SERVICE_ACCOUNT, Json
from prism_operator.planning.labels import Labels


def build_election_role(name: str, namespace: str, labels: Labels, lease: str) -> Json:
    """The Role. Create cannot be limited to a name: the API server does not know it by then."""
    leases = {"apiGroups": [LEASE.group], "resources": [LEASE.plural]}
    return {
        "apiVersion": ROLE.api_version,
        "kind": ROLE.kind,
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
        "rules": [
            {**leases, "verbs": ["create"]},
            {**leases, "resourceNames": [lease], "verbs": ["get", "update"]},
        ],
    }


def build_election_role_binding(
    name: str, namespace: str, labels: Labels, service_account: str
) -> Json:
    """Binds the Role of the same name to the admin's ServiceAccount."""
    return {
        "apiVersion": ROLE_BINDING.api_version,
        "kind": ROLE_BINDING.kind,
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
        "roleRef": {"apiGroup": ROLE.group, "kind": ROLE.kind, "name": name},
        "subjects": [
            {"kind": SERVICE_ACCOUNT.kind, "name": service_account, "namespace": namespace}
        ],
    }
