"""The scheduler: filter, score, choose, explain. One pod after another.

Scores by LeastAllocated alone; of equal nodes the one with the lowest name is taken, where the real
scheduler draws one at random.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from prism_operator.api.meta import NODE, POD, Json
from simulator.cluster.api import ApiWorld
from simulator.cluster.pods import Pods
from simulator.controllers.objects import created_ns, is_terminal, node_of
from simulator.controllers.world import Change
from simulator.scheduling.filters import Cluster, NodeInfo, rejection, requests


class Scheduler:
    """Binds waiting pods. ``step`` is called when something changed."""

    def __init__(self, world: ApiWorld) -> None:
        self._world, self._pods = world, Pods(world)
        self._dirty = False

    def changed(self, change: Change) -> bool:
        """Whether a change can make a waiting pod fit: a pod or node that is new, other or gone."""
        if change.ref.resource == NODE:
            self._dirty = True
        elif change.ref.resource == POD:
            waits = change.new is not None and not node_of(change.new)
            left = change.new is None or is_terminal(change.new)
            if (waits and change.old is None) or left:
                self._dirty = True
        return self._dirty

    def step(self) -> None:
        """Binds what can be bound, and says of the rest why it cannot."""
        if not self._dirty:
            return
        self._dirty = False
        waiting = sorted(self._pods.waiting(), key=_queue_order)
        if not waiting:
            return
        cluster = self._cluster()
        for pod in waiting:
            self._schedule(pod, cluster)

    def _cluster(self) -> Cluster:
        infos = []
        for node in self._world.list(NODE):
            info = NodeInfo(node)
            for pod in self._pods.on(info.name):
                if not is_terminal(pod):
                    info.add(pod)
            infos.append(info)
        return Cluster(infos)

    def _schedule(self, pod: Json, cluster: Cluster) -> None:
        rejections = {info.name: rejection(pod, info, cluster) for info in cluster.nodes}
        fitting = [info for info in cluster.nodes if not rejections[info.name]]
        name = pod["metadata"]["name"]
        if not fitting:
            message = why_unschedulable(list(rejections.values()))
            self._pods.set_condition(
                pod, "PodScheduled", "False", reason="Unschedulable", message=message
            )
            self._world.event(pod, "Warning", "FailedScheduling", message)
            return
        best = min(fitting, key=lambda info: (-least_allocated(pod, info), info.name))
        if not self._pods.bind(pod, best.name):
            return
        cluster.place(pod, best)
        message = f"Successfully assigned {pod['metadata']['namespace']}/{name} to {best.name}"
        self._world.event(pod, "Normal", "Scheduled", message)


def least_allocated(pod: Json, info: NodeInfo) -> int:
    """How empty a node would be with the pod, 0 to 100, cpu and memory alike."""
    asked, scores = requests(pod), []
    for resource in ("cpu", "memory"):
        capacity = info.allocatable(resource)
        used = info.requested.get(resource, 0) + asked.get(resource, 0)
        if capacity:
            scores.append(max(0, capacity - used) * 100 // capacity)
    return sum(scores) // len(scores) if scores else 0


def why_unschedulable(rejections: Sequence[Sequence[str]]) -> str:
    """The message of a FailedScheduling Event, as the real scheduler words it."""
    if not rejections:
        return "no nodes available to schedule pods"
    counts = Counter(reason for reasons in rejections for reason in reasons)
    parts = sorted(f"{count} {reason}" for reason, count in counts.items())
    size = len(rejections)
    return f"0/{size} nodes are available: {', '.join(parts)}."


def _queue_order(pod: Json) -> tuple[int, int, str, str]:
    meta = pod["metadata"]
    return -(pod["spec"].get("priority") or 0), created_ns(pod), meta["namespace"], meta["name"]
