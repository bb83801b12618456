"""Autoscalers keep to their bounds."""

from __future__ import annotations

from collections.abc import Iterable

from prism_operator.api.meta import (
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    SCALED_OBJECT,
    Json,
    ReadOnlyJson,
    Resource,
)
from simulator.cluster.api import Cache
from simulator.controllers.world import Change
from simulator.kernel import Us


class ReplicasWithinBounds:
    """What an autoscaler writes to a scale is between its bounds; KEDA's also zero, or idle.

    The writer is read off managedFields. What a user or the operator writes is not judged.
    """

    name = "replicas-within-bounds"

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def changed(self, change: Change, now_us: Us) -> Iterable[str]:
        """See ``Checker``."""
        del now_us
        old, new = change.old, change.new
        if change.ref.resource != DEPLOYMENT or old is None or new is None:
            return
        replicas = new["spec"]["replicas"]
        if replicas == old["spec"]["replicas"] or not _was_scaled(new):
            return
        for hpa in self._of(HORIZONTAL_POD_AUTOSCALER, new):
            least, most = hpa["spec"].get("minReplicas", 1), hpa["spec"]["maxReplicas"]
            beside = {r for so in self._of(SCALED_OBJECT, new) for r in _from_keda(so)}
            if not least <= replicas <= most and replicas not in beside:
                yield f"{change.ref} was scaled to {replicas}, its bounds are {least} and {most}"

    def rested(self, now_us: Us) -> Iterable[str]:
        """See ``Checker``."""
        del now_us
        return ()

    def _of(self, resource: Resource, deployment: ReadOnlyJson) -> list[Json]:
        meta = deployment["metadata"]
        return [
            scaler
            for scaler in self._cache.list(resource, meta["namespace"])
            if scaler["spec"]["scaleTargetRef"]["name"] == meta["name"]
        ]


def _was_scaled(deployment: ReadOnlyJson) -> bool:
    """Whether an autoscaler has the last word about the replicas."""
    return any(
        entry.get("subresource") == "scale"
        and entry["manager"] in ("kube-controller-manager", "keda-operator")
        and "f:replicas" in (entry.get("fieldsV1") or {}).get("f:spec", {})
        for entry in deployment["metadata"].get("managedFields") or ()
    )


def _from_keda(scaled: ReadOnlyJson) -> Iterable[int]:
    spec = scaled["spec"]
    if not spec.get("minReplicaCount"):
        yield 0
    if spec.get("idleReplicaCount") is not None:
        yield spec["idleReplicaCount"]
