"""Who has a namespace's id on a proxy: of two objects that want it, the older one."""

from __future__ import annotations

from typing import TypeAlias

from prism_operator.api.meta import PRISM_NAMESPACE, SERVICE, Json, Ref, ref_of, uid_of
from prism_operator.planning.observed import Snapshot

Claim: TypeAlias = tuple[Ref, str]


def claim_of(namespace: Json) -> Claim:
    """The proxy's Service, and the id that the PrismNamespace wants there."""
    spec = namespace["spec"]
    proxy = spec["proxyRef"]
    own = namespace["metadata"].get("namespace", "")
    return Ref(SERVICE, proxy.get("namespace") or own, proxy["name"]), spec["namespaceId"]


def holder_of(namespace: Json, cluster: Snapshot) -> Json | None:
    """The oldest other PrismNamespace with the same claim that is older than this one."""
    claim, age, own = claim_of(namespace), _age(namespace), ref_of(namespace)
    older = [
        other
        for other in cluster.list(PRISM_NAMESPACE)
        if ref_of(other) != own and claim_of(other) == claim and _age(other) < age
    ]
    return min(older, key=_age, default=None)


def _age(namespace: Json) -> tuple[str, str]:
    # What is not stored yet is the youngest; one second may see several.
    created = namespace["metadata"].get("creationTimestamp") or "9999"
    return created, uid_of(namespace)
