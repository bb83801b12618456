"""Which nodes a pod can go to, and why not to the others: the profile's filters in their order.

Reasons are in the real scheduler's words. After ``pkg/scheduler/framework/plugins``.
"""

from __future__ import annotations

from dataclasses import dataclass

from simulator.scheduling import affinity
from simulator.scheduling.affinity import Neighbours
from simulator.scheduling.nodes import Cluster, NodeInfo
from simulator.scheduling.placement import is_cordoned, is_repelled, named_nodes, wants
from simulator.scheduling.pods import PodInfo
from simulator.scheduling.spreading import HardSpread


@dataclass(frozen=True, slots=True)
class Rejection:
    """Which filter keeps a pod from a node, and why.

    ``can_be_helped`` says whether fewer pods on the node could change that.
    """

    plugin: str
    reasons: tuple[str, ...]
    can_be_helped: bool = False


# Left out before any filter, since the pod's affinity names other nodes.
NOT_NAMED = Rejection("PreFilter", ())

_CONFLICT = Rejection("NodeAffinity", ("pod affinity terms conflict",))
_UNSCHEDULABLE = Rejection("NodeUnschedulable", ("node(s) were unschedulable",))
_OTHER_NAME = Rejection("NodeName", ("node(s) didn't match the requested node name",))
_TAINTED = Rejection("TaintToleration", ("node(s) had untolerated taint(s)",))
_WRONG_NODE = Rejection("NodeAffinity", ("node(s) didn't match Pod's node affinity/selector",))
_NO_PORTS = Rejection(
    "NodePorts",
    ("node(s) didn't have free ports for the requested pod ports",),
    can_be_helped=True,
)
_SPREAD = "node(s) didn't match pod topology spread constraints"
_SKEWED = Rejection("PodTopologySpread", (_SPREAD,), can_be_helped=True)
_NO_KEY = Rejection("PodTopologySpread", (f"{_SPREAD} (missing required label)",))
_NEIGHBOURS = {
    reason: Rejection("InterPodAffinity", (reason,), reason != affinity.AFFINITY)
    for reason in (affinity.AFFINITY, affinity.ANTI_AFFINITY, affinity.EXISTING)
}


@dataclass(slots=True)
class Filters:
    """The filters for one pod, with what they counted in the cluster.

    ``conflict`` rejects every node; ``named`` are the only nodes looked at, None means all.
    """

    pod: PodInfo
    conflict: Rejection | None
    named: frozenset[str] | None
    spread: HardSpread | None
    neighbours: Neighbours

    @classmethod
    def of(cls, pod: PodInfo, cluster: Cluster) -> Filters:
        """Counts what the filters need to know of the whole cluster."""
        named = named_nodes(pod)
        conflict = _CONFLICT if named is not None and not named else None
        return cls(pod, conflict, named, HardSpread.of(pod, cluster), Neighbours.of(pod, cluster))

    def rejection(self, node: NodeInfo) -> Rejection | None:
        """Why the pod cannot go to a node; None when it can."""
        if self.conflict is not None:
            return self.conflict
        if self.named is not None and node.name not in self.named:
            return NOT_NAMED
        return self.check(node)

    def check(self, node: NodeInfo) -> Rejection | None:
        """The filters proper. The first that objects says so.

        A node that preemption has promised to others has to do with and without those that are
        not less important (``RunFilterPluginsWithNominatedPods``).
        """
        promised = [
            other
            for other in self.neighbours.cluster.nominated.get(node.name, ())
            if other.priority >= self.pod.priority and other.uid != self.pod.uid
        ]
        if promised:
            trial, fuller = self.copy(), node.copy()
            for other in promised:
                fuller.add(other)
                trial.change(other, fuller, +1)
            rejection = trial._check(fuller)
            if rejection is not None:
                return rejection
        return self._check(node)

    def _check(self, node: NodeInfo) -> Rejection | None:
        pod = self.pod
        if is_cordoned(pod, node):
            return _UNSCHEDULABLE
        if pod.node_name and pod.node_name != node.name:
            return _OTHER_NAME
        if node.taints and is_repelled(pod, node):
            return _TAINTED
        if not wants(pod, node):
            return _WRONG_NODE
        if pod.ports and any(mine.conflicts(taken) for mine in pod.ports for taken in node.ports):
            return _NO_PORTS
        return _too_full(pod, node) or self._by_others(node)

    def change(self, other: PodInfo, node: NodeInfo, sign: int) -> None:
        """Counts a pod on a node in or out, as if it came or went."""
        if self.spread is not None:
            self.spread.change(other, node, sign)
        self.neighbours.change(other, node, sign)

    def copy(self) -> Filters:
        """Other filters, that can be changed."""
        spread = self.spread.copy() if self.spread is not None else None
        return Filters(self.pod, self.conflict, self.named, spread, self.neighbours.copy())

    def _by_others(self, node: NodeInfo) -> Rejection | None:
        if self.spread is not None:
            lacks_key = self.spread.lacks_key(node)
            if lacks_key is not None:
                return _NO_KEY if lacks_key else _SKEWED
        reason = self.neighbours.rejection(node)
        return None if reason is None else _NEIGHBOURS[reason]


def _too_full(pod: PodInfo, node: NodeInfo) -> Rejection | None:
    reasons = []
    can_be_helped = True
    if len(node.pods) + 1 > node.allocatable.get("pods", 0):
        reasons.append("Too many pods")
    for resource, wanted in sorted(pod.requests.items(), key=_resource_order):
        if wanted > 0 and wanted > node.free(resource):
            reasons.append(f"Insufficient {resource}")
            can_be_helped &= wanted <= node.allocatable.get(resource, 0)
    return Rejection("NodeResourcesFit", tuple(reasons), can_be_helped) if reasons else None


def _resource_order(item: tuple[str, int]) -> tuple[int, str]:
    known = ("cpu", "memory", "ephemeral-storage")
    return (known.index(item[0]) if item[0] in known else len(known), item[0])
