"""Pods as the simulator's parts see them. The one place that knows how they are kept.

Here every pod is an object of the API server. Whoever needs hundreds of thousands of them replaces
this class by one that keeps columns and makes an object only when somebody reads it.
"""

from __future__ import annotations

from collections.abc import Sequence

from prism_operator.api.meta import Json, Ref, ref_of, uid_of
from prism_operator.ports import Reason
from simulator.cluster.api import ApiWorld
from simulator.controllers.objects import is_active, replace_condition, timestamp, with_status
from simulator.controllers.world import RefusedError


class Pods:
    """The pods of the cluster, read and written under one component's name."""

    def __init__(self, world: ApiWorld) -> None:
        self._world = world

    def get(self, ref: Ref, uid: str) -> Json | None:
        """The pod at ``ref``, if it is still the one with this uid."""
        pod = self._world.get(ref)
        return pod if pod is not None and uid_of(pod) == uid else None

    def on(self, node: str) -> Sequence[Json]:
        """The pods bound to a node, sorted by reference."""
        return self._world.cache.pods_on(node)

    def waiting(self) -> Sequence[Json]:
        """The pods that want a node, sorted by reference."""
        return [pod for pod in self._world.cache.pods_on("") if is_active(pod)]

    def bind(self, pod: Json, node: str) -> bool:
        """Binds a pod to a node; False when the pod is gone or bound already."""
        try:
            self._world.bind(pod, node)
        except RefusedError as refused:
            if refused.reason in (Reason.NOT_FOUND, Reason.CONFLICT):
                return False
            raise
        return True

    def set_status(self, pod: Json, status: Json) -> None:
        """Writes a pod's status; nothing happens when the pod is gone."""
        try:
            self._world.update(with_status(pod, status), "status")
        except RefusedError as refused:
            if refused.reason is not Reason.NOT_FOUND:
                raise

    def set_condition(self, pod: Json, type_: str, truth: str, **more: str) -> None:
        """Writes one condition of a pod, unless it says so already."""
        status = pod.get("status") or {}
        new = pod_condition(type_, truth, self._world.unix_us(), **more)
        for before in status.get("conditions") or ():
            if before["type"] == type_ and before["status"] == truth:
                new["lastTransitionTime"] = before["lastTransitionTime"]
                if new == before:
                    return
        conditions = replace_condition(status.get("conditions") or (), new)
        self.set_status(pod, {**status, "conditions": conditions})

    def remove(self, pod: Json) -> None:
        """Takes a pod whose containers have ended off the API server."""
        try:
            self._world.delete_within(ref_of(pod), uid_of(pod), grace_s=0)
        except RefusedError as refused:
            if refused.reason is not Reason.NOT_FOUND:
                raise


def pod_condition(type_: str, truth: str, unix_us: int, **more: str) -> Json:
    """A condition in a pod's status."""
    return {"type": type_, "status": truth, "lastTransitionTime": timestamp(unix_us), **more}
