"""Which nodes a pod asks for: selectors, affinity to nodes, taints.

After the plugins ``nodeaffinity``, ``nodeunschedulable`` and ``tainttoleration``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from prism_operator.api.meta import Json
from simulator.controllers.nodelifecycle import tolerates
from simulator.scheduling.nodes import NodeInfo
from simulator.scheduling.pods import PodInfo

_CORDON: Final[Json] = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


def wants(pod: PodInfo, node: NodeInfo) -> bool:
    """Whether a node has what nodeSelector and required node affinity ask for."""
    labels = node.labels
    if any(labels.get(key) != value for key, value in pod.node_selector):
        return False
    terms = pod.node_terms
    return terms is None or any(term.matches(node.name, labels) for term in terms)


def named_nodes(pod: PodInfo) -> frozenset[str] | None:
    """The nodes that required affinity names, when each of its terms names some; else None."""
    names: frozenset[str] = frozenset()
    for term in pod.node_terms or ():
        if term.names is None:
            return None
        names |= term.names
    return names if pod.node_terms else None


def preference(pod: PodInfo, node: NodeInfo) -> int:
    """The weight of all preferred node affinity that a node meets."""
    terms = pod.preferred_nodes or ()
    return sum(weight for term, weight in terms if term.matches(node.name, node.labels))


def is_tolerated(taint: Json, tolerations: Iterable[Json]) -> bool:
    """Whether any toleration fits a taint."""
    return any(tolerates(toleration, taint) for toleration in tolerations)


def is_repelled(pod: PodInfo, node: NodeInfo) -> bool:
    """Whether a taint keeps a pod away from a node."""
    return any(
        taint["effect"] != "PreferNoSchedule" and not is_tolerated(taint, pod.tolerations)
        for taint in node.taints
    )


def is_cordoned(pod: PodInfo, node: NodeInfo) -> bool:
    """Whether a node is cordoned, and the pod does not tolerate that."""
    return node.is_unschedulable and not is_tolerated(_CORDON, pod.tolerations)


def soft_tolerations(pod: PodInfo) -> Sequence[Json]:
    """The tolerations that count for PreferNoSchedule."""
    return [t for t in pod.tolerations if t.get("effect", "") in ("", "PreferNoSchedule")]


def disliked_taints(node: NodeInfo, tolerations: Sequence[Json]) -> int:
    """How many taints of a node ask pods with these tolerations to stay away, if they can."""
    return sum(
        taint["effect"] == "PreferNoSchedule" and not is_tolerated(taint, tolerations)
        for taint in node.taints
    )
