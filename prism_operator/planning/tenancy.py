"""Who has a namespace's id on a proxy: of two objects that want it, the older one."""

from __future__ import annotations

from typing import Final, TypeAlias

from prism_operator.api.meta import PRISM_NAMESPACE, SERVICE, Json, Ref, ref_of, uid_of
from prism_operator.planning.names import PROVISIONED_ON_ANNOTATION
from prism_operator.planning.observed import Snapshot
from prism_operator.planning.proxies import proxy_of, stack_of
from prism_operator.planning.secret_data import ObstacleError

Claim: TypeAlias = tuple[Ref, str]

FINALIZER: Final = "prism.io/provisioned"
EXPIRED: Final = "Expired"


def claim_of(namespace: Json) -> Claim:
    """The proxy's Service, and the id that the PrismNamespace wants there."""
    return proxy_of(namespace), namespace["spec"]["namespaceId"]


def holder_of(namespace: Json, cluster: Snapshot) -> Json | None:
    """The oldest other PrismNamespace with the same claim that is older than this one.

    A claim counts only of whom the proxy's stack lets in, and until it expires.
    """
    claim, age, own = claim_of(namespace), _age(namespace), ref_of(namespace)
    older = [
        other
        for other in cluster.list(PRISM_NAMESPACE)
        if ref_of(other) != own
        and claim_of(other) == claim
        and _age(other) < age
        and _counts(other, cluster)
    ]
    return min(older, key=_age, default=None)


def place_of(namespace: Json) -> Ref | None:
    """The proxy that the namespace is, or may be, provisioned on; None when on none.

    It is written down, in one write with the finalizer, before the first call that brings it there.
    """
    metadata = namespace["metadata"]
    if FINALIZER not in (metadata.get("finalizers") or ()):
        return None
    written = (metadata.get("annotations") or {}).get(PROVISIONED_ON_ANNOTATION, "")
    where, _, name = written.partition("/")
    # Whoever took the annotation away cannot make us forget.
    return Ref(SERVICE, where, name) if where and name else proxy_of(namespace)


def is_kept_by_another(namespace: Json, place: Ref, cluster: Snapshot) -> bool:
    """Whether another object, that stays, is provisioned under the same id on the same proxy."""
    own, wanted = ref_of(namespace), namespace["spec"]["namespaceId"]
    return any(
        ref_of(other) != own
        and other["spec"]["namespaceId"] == wanted
        and place_of(other) == place
        and not other["metadata"].get("deletionTimestamp")
        for other in cluster.list(PRISM_NAMESPACE)
    )


def _counts(namespace: Json, cluster: Snapshot) -> bool:
    if place_of(namespace) is not None:
        return True
    if (namespace.get("status") or {}).get("phase") == EXPIRED:
        return False
    try:
        stack_of(namespace, cluster)
    except ObstacleError as obstacle:
        return obstacle.reason != "ProxyNotAllowed"
    return True


def _age(namespace: Json) -> tuple[str, str]:
    # What is not stored yet is the youngest; one second may see several.
    created = namespace["metadata"].get("creationTimestamp") or "9999"
    return created, uid_of(namespace)
