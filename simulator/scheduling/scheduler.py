"""The scheduler as a component: one waiting pod after another, the most important first.

Of nodes with the same score the one with the lowest name is taken, where the real scheduler draws
one at random.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from prism_operator.api.meta import (
    NAMESPACE,
    NODE,
    POD,
    POD_DISRUPTION_BUDGET,
    REPLICA_SET,
    SERVICE,
    Json,
    ref_of,
    uid_of,
)
from prism_operator.ports import Reason
from simulator.cluster.api import ApiWorld
from simulator.cluster.pods import Pods
from simulator.controllers.objects import (
    created_ns,
    is_deleting,
    is_terminal,
    labels_of,
    node_of,
)
from simulator.controllers.world import Change, RefusedError
from simulator.scheduling.decision import Evaluation, Sampler
from simulator.scheduling.nodes import Cluster, NodeInfo, zone_order
from simulator.scheduling.pods import PodInfo, parse_pod
from simulator.scheduling.preemption import Candidate, preempt
from simulator.scheduling.selectors import compile_selector


class Scheduler:
    """Binds waiting pods. ``step`` is called when something changed."""

    def __init__(self, world: ApiWorld) -> None:
        self._world, self._pods = world, Pods(world)
        self._sampler = Sampler()
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
        world = self._world
        nodes = [NodeInfo.parse(node, self._running_on(node)) for node in world.list(NODE)]
        services: dict[str, list[Mapping[str, str]]] = {}
        for service in world.list(SERVICE):
            if service["spec"].get("selector") is not None:
                namespace = service["metadata"]["namespace"]
                services.setdefault(namespace, []).append(service["spec"]["selector"])
        owners = {
            (
                owner["metadata"]["namespace"],
                f"{REPLICA_SET.api_version}/{REPLICA_SET.kind}",
                owner["metadata"]["name"],
            ): compile_selector(owner["spec"].get("selector"))
            for owner in world.list(REPLICA_SET)
        }
        return Cluster(
            nodes=zone_order(nodes),
            namespaces={n["metadata"]["name"]: labels_of(n) for n in world.list(NAMESPACE)},
            services=services,
            owners=owners,
            budgets=world.list(POD_DISRUPTION_BUDGET),
        )

    def _running_on(self, node: Json) -> list[PodInfo]:
        pods = self._pods.on(node["metadata"]["name"])
        return [parse_pod(pod) for pod in pods if not is_terminal(pod)]

    def _schedule(self, obj: Json, cluster: Cluster) -> None:
        pod = parse_pod(obj)
        evaluation = self._sampler.evaluate(pod, cluster)
        best = evaluation.best
        if best is None:
            self._refuse(obj, pod, evaluation, cluster)
            return
        if not self._pods.bind(obj, best.name):
            return
        best.add(pod)
        message = f"Successfully assigned {pod.namespace}/{pod.name} to {best.name}"
        self._world.event(obj, "Normal", "Scheduled", message)

    def _refuse(self, obj: Json, pod: PodInfo, evaluation: Evaluation, cluster: Cluster) -> None:
        message = why_unschedulable(evaluation, cluster)
        self._pods.set_condition(
            obj, "PodScheduled", "False", reason="Unschedulable", message=message
        )
        self._world.event(obj, "Warning", "FailedScheduling", message)
        if _waits_for_room(pod, cluster):
            return
        candidate = preempt(pod, cluster, evaluation.filters, evaluation.rejections)
        if candidate is not None:
            self._make_room(obj, candidate)

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
        current = self._world.get(ref_of(obj))
        if current is not None:
            status = {**(current.get("status") or {}), "nominatedNodeName": name}
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


def _waits_for_room(pod: PodInfo, cluster: Cluster) -> bool:
    """Whether victims of an earlier preemption are still leaving the node it was to go to."""
    nominated = (pod.obj.get("status") or {}).get("nominatedNodeName")
    return any(
        node.name == nominated
        and any(other.priority < pod.priority and is_deleting(other.obj) for other in node.pods)
        for node in cluster.nodes
    )


def _queue_order(pod: Json) -> tuple[int, int, str, str]:
    meta = pod["metadata"]
    return -(pod["spec"].get("priority") or 0), created_ns(pod), meta["namespace"], meta["name"]
