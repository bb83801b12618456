"""Rollouts keep to maxSurge."""

from __future__ import annotations

from collections.abc import Iterable

from prism_operator.api.meta import DEPLOYMENT, REPLICA_SET, Json, Ref
from simulator.cluster.api import Cache
from simulator.controllers.world import Change
from simulator.kernel import Us


class NoMoreThanSurge:
    """Whoever gives a ReplicaSet more replicas stays within the Deployment's maxSurge.

    All ReplicaSets of the Deployment count together. Only growth is judged: after a user has
    scaled down, the sizes are still the old ones for a moment.
    """

    name = "surge"

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def changed(self, change: Change, now_us: Us) -> Iterable[str]:
        """See ``Checker``."""
        del now_us
        if change.ref.resource != REPLICA_SET or change.new is None:
            return
        before = change.old["spec"]["replicas"] if change.old else 0
        if change.new["spec"]["replicas"] <= before:
            return
        for owner in change.new["metadata"].get("ownerReferences") or ():
            deployment = self._cache.get(Ref(DEPLOYMENT, change.ref.namespace, owner["name"]))
            if deployment is None or deployment["metadata"]["uid"] != owner["uid"]:
                continue
            sets = self._cache.controlled_by(owner["uid"], REPLICA_SET)
            size = sum(rs["spec"]["replicas"] for rs in sets)
            limit = deployment["spec"]["replicas"] + _surge(deployment)
            if size > limit:
                yield f"{change.ref}: its Deployment's ReplicaSets add up to {size}, over {limit}"

    def rested(self, now_us: Us) -> Iterable[str]:
        """See ``Checker``."""
        del now_us
        return ()


def _surge(deployment: Json) -> int:
    rolling = deployment["spec"]["strategy"].get("rollingUpdate") or {}
    value = rolling.get("maxSurge", 0)
    if isinstance(value, int):
        return value
    percent, replicas = int(value.removesuffix("%")), int(deployment["spec"]["replicas"])
    return -(-percent * replicas // 100)
