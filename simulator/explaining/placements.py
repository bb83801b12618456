"""Why a filter rejected a node, in the numbers and names that the scheduler does not tell."""

from __future__ import annotations

from simulator.explaining.amounts import shown
from simulator.scheduling.affinity import AFFINITY, EXISTING
from simulator.scheduling.filters import Filters, Rejection
from simulator.scheduling.nodes import NodeInfo
from simulator.scheduling.placement import is_tolerated
from simulator.scheduling.pods import PodInfo


def detail(filters: Filters, node: NodeInfo, rejection: Rejection) -> str:
    """What of the pod and the node does not go together; empty where there is no more to say."""
    pod = filters.pod
    match rejection.plugin:
        case "NodeResourcesFit":
            return _too_full(pod, node)
        case "TaintToleration":
            return "taint " + ", ".join(taint_text(t) for t in untolerated(pod, node))
        case "NodeAffinity":
            return _wrong_node(pod, node)
        case "PodTopologySpread":
            return _skewed(filters, node)
        case "InterPodAffinity":
            return _neighbours(filters, node, rejection.reasons[0])
        case "NodePorts":
            taken = [mine for mine in pod.ports if any(mine.conflicts(p) for p in node.ports)]
            return "taken: " + ", ".join(f"{port.protocol} {port.port}" for port in taken)
        case "PreFilter":
            return "the pod's required affinity names other nodes"
        case _:
            return ""


def untolerated(pod: PodInfo, node: NodeInfo) -> list[dict[str, str]]:
    """The taints of a node that keep a pod away."""
    return [
        taint
        for taint in node.taints
        if taint["effect"] != "PreferNoSchedule" and not is_tolerated(taint, pod.tolerations)
    ]


def taint_text(taint: dict[str, str]) -> str:
    """As kubectl writes a taint: ``dedicated=batch:NoSchedule``."""
    value = taint.get("value")
    return f"{taint['key']}{'=' + value if value else ''}:{taint['effect']}"


def _too_full(pod: PodInfo, node: NodeInfo) -> str:
    parts = []
    if len(node.pods) + 1 > node.allocatable.get("pods", 0):
        parts.append(f"{len(node.pods)} pods of {node.allocatable.get('pods', 0)}")
    for resource, wanted in sorted(pod.requests.items()):
        free = node.free(resource)
        if wanted > 0 and free < wanted:
            of = shown(resource, node.allocatable.get(resource, 0))
            has = shown(resource, max(free, 0))
            parts.append(f"{resource} {shown(resource, wanted)} requested, {has} of {of} free")
    return "; ".join(parts)


def _wrong_node(pod: PodInfo, node: NodeInfo) -> str:
    wrong = [f"{key}={value}" for key, value in pod.node_selector if node.labels.get(key) != value]
    return f"nodeSelector {', '.join(wrong)}" if wrong else "required node affinity"


def _skewed(filters: Filters, node: NodeInfo) -> str:
    spread = filters.spread
    if spread is None:
        return ""
    for index, constraint in enumerate(filters.pod.spread):
        domain = node.labels.get(constraint.key)
        if domain is None:
            return f"no label {constraint.key}"
        skew = spread.skew(index, node)
        if skew > constraint.max_skew:
            counts = ", ".join(f"{d} {n}" for d, n in sorted(spread.counts[index].items()))
            return (
                f"one more in {domain} would be {skew} more than the fewest, maxSkew "
                f"{constraint.max_skew}; {constraint.key}: {counts}"
            )
    return ""


def _neighbours(filters: Filters, node: NodeInfo, reason: str) -> str:
    neighbours, pod, cluster = filters.neighbours, filters.pod, filters.neighbours.cluster
    if reason == AFFINITY:
        missing = [
            term.key
            for term in pod.affinity
            if not neighbours.wanted[term.key, node.labels.get(term.key, "")]
        ]
        return f"no such pod in the same {', '.join(missing)}"
    found = []
    for there in cluster.nodes:
        for other in there.pods:
            of_other, of_pod = cluster.labels_of(other.namespace), cluster.labels_of(pod.namespace)
            terms = (
                [term for term in other.anti_affinity if term.matches(pod, of_pod)]
                if reason == EXISTING
                else [term for term in pod.anti_affinity if term.matches(other, of_other)]
            )
            for term in terms:
                value = node.labels.get(term.key)
                if value is not None and there.labels.get(term.key) == value:
                    found.append((other, term.key))
    keys = sorted({key for _, key in found})
    names = sorted({f"{other.namespace}/{other.name}" for other, _ in found})
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return f"{', '.join(names[:2])}{more} in the same {', '.join(keys)}"
