"""One scheduling decision: filter, score, choose, explain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simulator.scheduling.filters import Filters, Rejection
from simulator.scheduling.nodes import Cluster, NodeInfo
from simulator.scheduling.pods import PodInfo
from simulator.scheduling.scores import score_nodes

# From pkg/scheduler/schedule_one.go.
_SEARCH_ALL_BELOW = 100
_FEASIBLE_MIN = 100


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Nodes a pod can go to with their weighted scores by plugin, and why not to the others.

    Only nodes that were looked at are in it.
    """

    feasible: tuple[NodeInfo, ...]
    scores: dict[str, list[int]]
    rejections: dict[str, Rejection]
    filters: Filters

    @property
    def totals(self) -> list[int]:
        """The sum of all plugins' scores, for each feasible node."""
        return [sum(scores) for scores in zip(*self.scores.values(), strict=True)]

    @property
    def best(self) -> NodeInfo | None:
        """The node with the highest total, of equal ones that of the lowest name."""
        pairs = zip(self.totals, self.feasible, strict=True)
        ranked = min(pairs, key=lambda pair: (-pair[0], pair[1].name), default=None)
        return None if ranked is None else ranked[1]

    @property
    def evaluated(self) -> int:
        """How many nodes were looked at."""
        return len(self.feasible) + len(self.rejections)


def evaluate(pod: PodInfo, cluster: Cluster) -> Evaluation:
    """Looks at every node."""
    filters = Filters.of(pod, cluster)
    feasible, rejections = [], {}
    for node in cluster.nodes:
        rejection = filters.rejection(node)
        if rejection is None:
            feasible.append(node)
        else:
            rejections[node.name] = rejection
    return _scored(pod, cluster, filters, feasible, rejections)


@dataclass(slots=True)
class Sampler:
    """Looks at nodes from where it stopped last, until enough are feasible.

    After ``findNodesThatPassFilters`` in ``pkg/scheduler/schedule_one.go``, with one worker.
    """

    start: int = 0

    def evaluate(self, pod: PodInfo, cluster: Cluster, *, promised: str = "") -> Evaluation:
        """Looks at as many nodes as the real scheduler would.

        The node that preemption has ``promised`` to the pod comes first, and is enough.
        """
        filters = Filters.of(pod, cluster)
        if filters.conflict is not None:
            return Evaluation((), {}, {}, filters)
        nodes: Sequence[NodeInfo] = cluster.nodes
        if promised:
            fitting = [n for n in nodes if n.name == promised and filters.rejection(n) is None]
            if fitting:
                return _scored(pod, cluster, filters, fitting, {})
        if filters.named is not None:
            nodes = [node for node in nodes if node.name in filters.named]
        wanted = feasible_wanted(len(nodes))
        feasible, rejections = list[NodeInfo](), dict[str, Rejection]()
        for offset in range(len(nodes)):
            node = nodes[(self.start + offset) % len(nodes)]
            rejection = filters.check(node)
            if rejection is not None:
                rejections[node.name] = rejection
            elif len(feasible) == wanted:
                break  # one too many: neither feasible nor looked at
            else:
                feasible.append(node)
        looked_at = len(feasible) + len(rejections)
        self.start = (self.start + looked_at) % max(1, len(cluster.nodes))
        return _scored(pod, cluster, filters, feasible, rejections)


def feasible_wanted(nodes: int) -> int:
    """How many feasible nodes are enough (``numFeasibleNodesToFind``)."""
    if nodes < _SEARCH_ALL_BELOW:
        return nodes
    percent = max(5, 50 - nodes // 125)
    return max(_FEASIBLE_MIN, nodes * percent // 100)


def _scored(
    pod: PodInfo,
    cluster: Cluster,
    filters: Filters,
    feasible: list[NodeInfo],
    rejections: dict[str, Rejection],
) -> Evaluation:
    scores = score_nodes(pod, cluster, feasible) if feasible else {}
    return Evaluation(tuple(feasible), scores, rejections, filters)
