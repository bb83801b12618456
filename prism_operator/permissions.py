"""What the operator does in a cluster, which is exactly what it may do there.

The check at start and the RBAC manifests are both made from this table. A verb that the code no
longer uses leaves it; nothing here is a wildcard, ``bind`` or ``escalate``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from prism_operator.api.meta import (
    CONFIG_MAP,
    DEPLOYMENT,
    EVENT,
    HORIZONTAL_POD_AUTOSCALER,
    LEASE,
    NODE,
    POD_DISRUPTION_BUDGET,
    POD_MONITOR,
    PRISM_BACKEND,
    PRISM_NAMESPACE,
    PRISM_PATTERN,
    PRISM_RESOURCES,
    PRISM_STACK,
    ROLE,
    ROLE_BINDING,
    SCALED_OBJECT,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    TRIGGER_AUTHENTICATION,
    VALIDATING_WEBHOOK_CONFIGURATION,
    Resource,
)
from prism_operator.runtime.certificates import CONFIGURATION_NAME, SECRET_NAME


@dataclass(frozen=True, slots=True)
class Grant:
    """Verbs on a resource, on one of its subresources, or only on the object called ``name``.

    Without an ``optional`` one the operator runs, and says in conditions what it cannot tell.
    """

    resource: Resource
    verbs: tuple[str, ...]
    subresource: str = ""
    name: str = ""
    optional: bool = False


# "get": after a write that met another object than was expected, that one is looked at.
_WATCHED: Final = ("get", "list", "watch")
_OWNED: Final = (*_WATCHED, "create", "patch", "delete")

GRANTS: Final = (
    Grant(PRISM_STACK, _WATCHED),
    *(Grant(resource, _OWNED) for resource in (PRISM_PATTERN, PRISM_BACKEND, PRISM_NAMESPACE)),
    *(Grant(resource, ("patch",), "status") for resource in PRISM_RESOURCES),
    # Owner references with blockOwnerDeletion ask for it where the admission plugin
    # OwnerReferencesPermissionEnforcement is on.
    *(Grant(resource, ("update",), "finalizers") for resource in (PRISM_STACK, PRISM_PATTERN)),
    *(
        Grant(resource, _OWNED)
        for resource in (
            DEPLOYMENT,
            SERVICE,
            SERVICE_ACCOUNT,
            CONFIG_MAP,
            ROLE,
            ROLE_BINDING,
            POD_DISRUPTION_BUDGET,
            HORIZONTAL_POD_AUTOSCALER,
        )
    ),
    # These kinds are there only where KEDA and the Prometheus operator are.
    *(
        Grant(resource, _OWNED, optional=True)
        for resource in (SCALED_OBJECT, TRIGGER_AUTHENTICATION, POD_MONITOR)
    ),
    # Fetched by name where an object refers to one; never listed or watched.
    Grant(SECRET, ("get",), optional=True),
    Grant(EVENT, ("create", "patch")),
    # Given to admins by the Roles we make, and nobody may give what he has not.
    Grant(LEASE, ("get", "create", "update")),
    Grant(NODE, ("list", "watch"), optional=True),
)

# What keeping the webhook's certificate takes: cluster-wide, and in the operator's namespace.
WEBHOOK_TRUST_GRANTS: Final = (
    Grant(VALIDATING_WEBHOOK_CONFIGURATION, ("get", "patch"), name=CONFIGURATION_NAME),
)
WEBHOOK_CERTIFICATE_GRANTS: Final = (
    Grant(SECRET, ("create",)),
    Grant(SECRET, ("get", "update"), name=SECRET_NAME),
)


def hash_key_grants(secret_name: str) -> tuple[Grant, ...]:
    """What making and reading the operator's own key takes, in its namespace."""
    return (
        Grant(SECRET, ("create",), optional=True),
        Grant(SECRET, ("get",), name=secret_name, optional=True),
    )


def election_grants(lease_name: str, *, sees_others: bool = False) -> tuple[Grant, ...]:
    """What electing the leader takes, in the Lease's namespace.

    Create cannot be limited to a name: the API server does not know it by then. A named shard
    looks at the Leases of the others, to know which are dead.
    """
    own = (Grant(LEASE, ("create",)), Grant(LEASE, ("get", "update"), name=lease_name))
    return (*own, Grant(LEASE, ("get",))) if sees_others else own
