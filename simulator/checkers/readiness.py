"""Ready means ready."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prism_operator.api.meta import (
    DEPLOYMENT,
    POD,
    PRISM_PATTERN,
    PRISM_STACK,
    REPLICA_SET,
    Json,
    ReadOnlyJson,
    Ref,
)
from simulator.cluster.api import Cache
from simulator.controllers.world import Change
from simulator.kernel import SECOND_US, Us

_WATCHED = {r.kind: r for r in (PRISM_STACK, PRISM_PATTERN, DEPLOYMENT, REPLICA_SET, POD)}


class ReadyIsTrue:
    """A stack or pattern that says Ready of its newest generation has all its pods ready.

    The operator is granted a moment to notice that a pod is not ready any more; while none is at
    work, nobody can.
    """

    name = "ready-is-true"
    MOMENT_US = 5 * SECOND_US

    def __init__(self, cache: Cache, operator_works: Callable[[], bool]) -> None:
        self._cache, self._operator_works = cache, operator_works
        self._wrong_since: dict[Ref, Us] = {}
        self._dirty: set[Ref] = set()

    def changed(self, change: Change, now_us: Us) -> Iterable[str]:
        """See ``Checker``."""
        del now_us
        if change.ref.resource in _WATCHED.values():
            for obj in (change.old, change.new):
                if obj is not None:
                    self._mark(change.ref, obj)
        return ()

    def rested(self, now_us: Us) -> Iterable[str]:
        """See ``Checker``."""
        for ref in sorted(self._dirty):
            self._look(ref, now_us)
        self._dirty.clear()
        if not self._operator_works():
            self._wrong_since = dict.fromkeys(self._wrong_since, now_us)
        for ref, since in sorted(self._wrong_since.items()):
            if now_us - since > self.MOMENT_US:
                del self._wrong_since[ref]
                self._dirty.add(ref)
                yield f"{ref} says Ready, but not all its pods were since {since / SECOND_US:.3f} s"

    def _mark(self, ref: Ref, obj: ReadOnlyJson) -> None:
        """Remembers which stacks and patterns an object counts for."""
        if ref.resource in (PRISM_STACK, PRISM_PATTERN):
            self._dirty.add(ref)
        for owner in obj["metadata"].get("ownerReferences") or ():
            resource = _WATCHED.get(owner["kind"]) if owner.get("controller") else None
            if resource is not None:
                above = Ref(resource, ref.namespace, owner["name"])
                self._mark(above, self._cache.get(above) or {"metadata": {}})

    def _look(self, ref: Ref, now_us: Us) -> None:
        obj = self._cache.get(ref)
        if obj is not None and _says_ready(obj) and not self._has_ready_pods(obj):
            self._wrong_since.setdefault(ref, now_us)
        else:
            self._wrong_since.pop(ref, None)

    def _has_ready_pods(self, owner: ReadOnlyJson) -> bool:
        uid = owner["metadata"]["uid"]
        deployments = self._cache.controlled_by(uid, DEPLOYMENT)
        children = self._cache.controlled_by(uid, PRISM_PATTERN)
        return all(map(self._rolled_out, deployments)) and all(map(self._has_ready_pods, children))

    def _rolled_out(self, deployment: ReadOnlyJson) -> bool:
        ready = 0
        for rs in self._cache.controlled_by(deployment["metadata"]["uid"], REPLICA_SET):
            pods = self._cache.controlled_by(rs["metadata"]["uid"], POD)
            ready += sum(map(_says_ready, pods))
        wanted: int = deployment["spec"]["replicas"]
        return ready >= wanted


def _says_ready(obj: Json | ReadOnlyJson) -> bool:
    status, meta = obj.get("status") or {}, obj["metadata"]
    observed = status.get("observedGeneration")
    if obj["kind"] != "Pod" and observed is not None and observed != meta.get("generation"):
        return False
    conditions = status.get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
