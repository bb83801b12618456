"""How much a pod should go to each node that it can go to: the profile's scores and weights.

After ``pkg/scheduler/framework/plugins``; integers and floats divide where the plugins divide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from simulator.scheduling.affinity import affinity_scores
from simulator.scheduling.nodes import Cluster, NodeInfo
from simulator.scheduling.placement import disliked_taints, preference, soft_tolerations
from simulator.scheduling.pods import PodInfo
from simulator.scheduling.spreading import spread_scores

WEIGHTS: Final[Mapping[str, int]] = {
    "TaintToleration": 3,
    "NodeAffinity": 2,
    "NodeResourcesFit": 1,
    "PodTopologySpread": 2,
    "InterPodAffinity": 2,
    "NodeResourcesBalancedAllocation": 1,
    "ImageLocality": 1,
}
_MIB: Final = 2**20
IMAGES_LEAST, IMAGE_MOST = 23 * _MIB, 1000 * _MIB


def score_nodes(
    pod: PodInfo, cluster: Cluster, feasible: Sequence[NodeInfo]
) -> dict[str, list[int]]:
    """Weighted scores by plugin, one for each feasible node. A plugin without opinion is absent."""
    tolerations = soft_tolerations(pod)
    images = cluster.image_counts(pod.images)
    raw: dict[str, list[int] | None] = {
        "TaintToleration": _reversed([disliked_taints(node, tolerations) for node in feasible]),
        "NodeAffinity": None
        if pod.preferred_nodes is None
        else _normalized([preference(pod, node) for node in feasible]),
        "NodeResourcesFit": [least_allocated(pod, node) for node in feasible],
        "PodTopologySpread": spread_scores(pod, cluster, feasible),
        "InterPodAffinity": affinity_scores(pod, cluster, feasible),
        "NodeResourcesBalancedAllocation": [balanced(pod, node) for node in feasible]
        if pod.requests.get("cpu") or pod.requests.get("memory")
        else None,
        "ImageLocality": [
            image_locality(pod, node, images, len(cluster.nodes)) for node in feasible
        ],
    }
    return {
        plugin: [WEIGHTS[plugin] * score for score in scores]
        for plugin, scores in raw.items()
        if scores is not None
    }


def least_allocated(pod: PodInfo, node: NodeInfo) -> int:
    """How empty a node would be with the pod, 0 to 100, cpu and memory alike."""
    cpu, memory = pod.scored_requests
    scores = [
        _emptiness(used + wanted, capacity)
        for capacity, used, wanted in (
            (node.allocatable.get("cpu", 0), node.scored_cpu, cpu),
            (node.allocatable.get("memory", 0), node.scored_memory, memory),
        )
        if capacity
    ]
    return sum(scores) // len(scores) if scores else 0


def balanced(pod: PodInfo, node: NodeInfo) -> int:
    """Whether the pod brings cpu and memory closer together, 0 to 100; 75 leaves them."""
    capacities = [(r, c) for r in ("cpu", "memory") if (c := node.allocatable.get(r, 0))]
    before = [(node.requested.get(r, 0), c) for r, c in capacities]
    after = [
        (used + pod.requests.get(r, 0), c)
        for (used, c), (r, _) in zip(before, capacities, strict=True)
    ]
    # Go divides towards zero; a pod can never make it worse by more than 50.
    return 50 + (50 + _balance(after) - _balance(before)) // 2


def image_locality(pod: PodInfo, node: NodeInfo, on_nodes: Mapping[str, int], nodes: int) -> int:
    """How much of the pod's images a node has, weighed by how common they are, 0 to 100."""
    total = sum(
        int(float(node.images[image]) * (on_nodes[image] / nodes))
        for image in pod.images
        if image in node.images
    )
    most = IMAGE_MOST * len(pod.images)
    within = min(max(total, IMAGES_LEAST), most)
    return 100 * (within - IMAGES_LEAST) // (most - IMAGES_LEAST)


def _emptiness(used: int, capacity: int) -> int:
    return 0 if used > capacity else (capacity - used) * 100 // capacity


def _balance(uses: Sequence[tuple[int, int]]) -> int:
    fractions = [min(used / capacity, 1.0) for used, capacity in uses]
    deviation = abs((fractions[0] - fractions[1]) / 2) if len(fractions) == 2 else 0.0
    return int((1 - deviation) * 100.0)


def _normalized(scores: Sequence[int]) -> list[int]:
    most = max(scores, default=0)
    return [100 * score // most for score in scores] if most else list(scores)


def _reversed(scores: Sequence[int]) -> list[int]:
    most = max(scores, default=0)
    return [100 - 100 * score // most for score in scores] if most else [100] * len(scores)
