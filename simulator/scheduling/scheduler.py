"""The scheduler as a component: one waiting pod after another, the most important first.

Of nodes with the same score the one with the lowest name is taken, where the real scheduler draws
one at random.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from prism_operator.api.meta import NODE, POD, Json, ref_of, uid_of
from prism_operator.ports import Reason
from simulator.cluster.api import ApiWorld
from simulator.cluster.pods import Pods
from simulator.controllers.objects import is_active, is_deleting, is_terminal, labels_of, node_of
from simulator.controllers.world import Change, RefusedError
from simulator.scheduling.cache import SchedulerCache
from simulator.scheduling.decision import Evaluation, Sampler
from simulator.scheduling.hints import NodeChange, PodChange, may_help
from simulator.scheduling.nodes import Cluster, NodeInfo
from simulator.scheduling.pods import PodInfo, parse_pod
from simulator.scheduling.preemption import Candidate, preempt
from simulator.scheduling.queue import SchedulingQueue, Waiting


@dataclass(frozen=True, slots=True)
class Attempt:
    """One search for a node: what was looked at, what came of it, and where room was made."""

    pod: PodInfo
    cluster: Cluster
    evaluation: Evaluation
    room: Candidate | None = None


class Scheduler:
    """Binds waiting pods. ``step`` is called when something changed, and when it says so.

    ``draw`` gives a number below another: with which node the search for room begins.
    ``on_attempt`` hears of every search, once its outcome is written.
    """

    def __init__(self, world: ApiWorld, draw: Callable[[int], int]) -> None:
        self._world, self._pods, self._draw = world, Pods(world), draw
        self._cache, self._queue = SchedulerCache(world), SchedulingQueue()
        self._sampler = Sampler()
        self.on_attempt: Callable[[Attempt], None] = lambda _: None

    def changed(self, change: Change) -> bool:
        """Takes note of a change; whether there is a pod to be tried."""
        self._cache.changed(change)
        if change.ref.resource == NODE:
            if self._queue.has_unschedulable:
                old, new = (
                    None if node is None else NodeInfo.parse(node)
                    for node in (change.old, change.new)
                )
                self._move(NodeChange(old, new))
        elif change.ref.resource == POD:
            self._pod_changed(change)
        return self._queue.is_ready

    def step(self) -> int | None:
        """Binds what can be bound, and says of the rest why it cannot; when to look again."""
        due = self._queue.flush(self._world.unix_us())
        while (free_at := self._world.free_at()) is None and (
            waiting := self._queue.pop(self._world.unix_us())
        ) is not None:
            pod = self._pods.get(waiting.ref, waiting.uid)
            if pod is not None and is_active(pod) and not node_of(pod):
                self._schedule(pod, waiting)
                due = self._queue.flush(self._world.unix_us())
        if free_at is None or not self._queue.is_ready:
            return due
        return free_at if due is None else min(due, free_at)

    def snapshot(self) -> Cluster:
        """The cluster as it is, to decide from; not to be changed."""
        return self._cache.cluster()

    def waiting(self, uid: str) -> Waiting | None:
        """A pod as it stands in the queue, if it does."""
        return self._queue.find(uid)

    def _pod_changed(self, change: Change) -> None:
        old, new, latest = change.old, change.new, change.latest
        if new is not None and is_active(new) and not node_of(new):
            if old is None or uid_of(old) != uid_of(new) or _is_updated(old, new):
                priority = new["spec"].get("priority") or 0
                self._queue.add(change.ref, uid_of(new), priority, self._world.unix_us())
            return
        self._queue.remove(uid_of(latest))
        if self._queue.has_unschedulable:
            before = parse_pod(old) if old is not None and _holds_a_node(old) else None
            after = self._cache.parse(new) if new is not None and _holds_a_node(new) else None
            if before is not None or after is not None:
                self._move(PodChange(before, after))

    def _move(self, change: NodeChange | PodChange) -> None:
        def helps(waiting: Waiting) -> bool:
            obj = self._pods.get(waiting.ref, waiting.uid)
            return obj is None or may_help(
                self._cache.parse(obj), waiting.rejecters, change, self._cache.labels_of
            )

        self._queue.move(helps)

    def _schedule(self, obj: Json, waiting: Waiting) -> None:
        cluster, pod = self._cache.cluster(), self._cache.parse(obj)
        evaluation = self._sampler.evaluate(pod, cluster, promised=_nominated(pod))
        best = evaluation.best
        if best is None:
            # First, so that what making room changes counts for the pod.
            self._queue.failed(waiting, _rejecters(evaluation), self._world.unix_us())
            room = self._refuse(obj, pod, evaluation, cluster)
            self.on_attempt(Attempt(pod, cluster, evaluation, room))
            return
        if not self._pods.bind(obj, best.name):
            return
        message = f"Successfully assigned {pod.namespace}/{pod.name} to {best.name}"
        self._world.event(obj, "Normal", "Scheduled", message)
        self.on_attempt(Attempt(pod, cluster, evaluation))

    def _refuse(
        self, obj: Json, pod: PodInfo, evaluation: Evaluation, cluster: Cluster
    ) -> Candidate | None:
        message = why_unschedulable(evaluation, cluster)
        self._pods.set_condition(
            obj, "PodScheduled", "False", reason="Unschedulable", message=message
        )
        self._world.event(obj, "Warning", "FailedScheduling", message)
        if leaving(pod, cluster):
            return None
        candidate = preempt(
            pod, cluster, evaluation.filters, evaluation.rejections, draw=self._draw
        )
        if candidate is not None:
            self._make_room(obj, candidate)
            self._break_promises(pod, candidate, cluster)
        return candidate

    def _make_room(self, obj: Json, candidate: Candidate) -> None:
        """Deletes the victims; the pod is bound in a later step, once they have gone."""
        name = candidate.node.name
        for victim in candidate.victims:
            message = f"Preempted by pod {uid_of(obj)} on node {name}"
            self._world.event(victim.obj, "Normal", "Preempted", message)
            try:
                self._world.delete(ref_of(victim.obj), victim.uid)
            except RefusedError as refused:
                if refused.reason is not Reason.NOT_FOUND:
                    raise
        self._nominate(obj, name)

    def _break_promises(self, pod: PodInfo, candidate: Candidate, cluster: Cluster) -> None:
        """Less important pods that were promised the node look for another."""
        for other in cluster.nominated.get(candidate.node.name, ()):
            if other.priority < pod.priority:
                self._nominate(other.obj, "")

    def _nominate(self, pod: Json, node: str) -> None:
        current = self._pods.get(ref_of(pod), uid_of(pod))
        if current is not None:
            status = {**(current.get("status") or {}), "nominatedNodeName": node}
            if not node:
                del status["nominatedNodeName"]
            self._pods.set_status(current, status)


def why_unschedulable(evaluation: Evaluation, cluster: Cluster) -> str:
    """The message of a FailedScheduling Event, as the real scheduler words it."""
    if not cluster.nodes:
        return "no nodes available to schedule pods"
    conflict = evaluation.filters.conflict
    if conflict is not None:
        counts = Counter({reason: len(cluster.nodes) for reason in conflict.reasons})
    else:
        counts = Counter(r for why in evaluation.rejections.values() for r in why.reasons)
    parts = sorted(f"{count} {reason}" for reason, count in counts.items())
    return f"0/{len(cluster.nodes)} nodes are available: {', '.join(parts)}."


def _is_updated(old: Json, new: Json) -> bool:
    """Whether a waiting pod asks for something else now; its status does not count."""
    return bool(old["spec"] != new["spec"] or labels_of(old) != labels_of(new))


def _holds_a_node(pod: Json) -> bool:
    return bool(node_of(pod)) and not is_terminal(pod)


def _nominated(pod: PodInfo) -> str:
    return str((pod.obj.get("status") or {}).get("nominatedNodeName") or "")


def _rejecters(evaluation: Evaluation) -> frozenset[str]:
    """The plugins that kept a pod from the nodes; a pod that names its nodes has one more."""
    rejecters = {why.plugin for why in evaluation.rejections.values()}
    if evaluation.filters.named is not None:
        rejecters.add("NodeAffinity")
    return frozenset(rejecters)


def leaving(pod: PodInfo, cluster: Cluster) -> list[PodInfo]:
    """Victims of an earlier preemption that are still leaving the node the pod is to go to."""
    nominated = _nominated(pod)
    return [
        other
        for node in cluster.nodes
        if node.name == nominated
        for other in node.pods
        if other.priority < pod.priority and is_deleting(other.obj)
    ]
