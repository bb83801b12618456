"""Whether a change of the cluster may let a pod in that was rejected before (queueing hints).

After ``EventsToRegister`` of the profile's plugins in Kubernetes 1.37: a plugin is asked about its
own events only, and only where it rejected the pod.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from simulator.scheduling.nodes import NodeInfo
from simulator.scheduling.placement import is_cordoned, is_repelled, wants
from simulator.scheduling.pods import PodInfo, PodTerm
from simulator.scheduling.selectors import Labels


@dataclass(frozen=True, slots=True)
class NodeChange:
    """A node before and after; None when it is new, or gone."""

    old: NodeInfo | None
    new: NodeInfo | None


@dataclass(frozen=True, slots=True)
class PodChange:
    """A pod on a node before and after; None when it has come to the node, or has left it."""

    old: PodInfo | None
    new: PodInfo | None


NamespaceLabels: TypeAlias = Callable[[str], Labels]


def may_help(
    pod: PodInfo,
    rejecters: frozenset[str],
    change: NodeChange | PodChange,
    labels_of: NamespaceLabels,
) -> bool:
    """Whether any plugin that rejected a pod thinks a change worth another attempt.

    Where there was no node to reject it, any change is.
    """
    if not rejecters:
        return True
    if isinstance(change, NodeChange):
        return any(_NODE_HINTS[plugin](pod, change) for plugin in rejecters & _NODE_HINTS.keys())
    return any(
        _POD_HINTS[plugin](pod, change, labels_of) for plugin in rejecters & _POD_HINTS.keys()
    )


def _becomes(
    met: Callable[[PodInfo, NodeInfo], bool],
) -> Callable[[PodInfo, NodeChange], bool]:
    """Worth while where a node meets a condition that it did not meet before."""

    def hint(pod: PodInfo, change: NodeChange) -> bool:
        if change.new is None or not met(pod, change.new):
            return False
        return change.old is None or not met(pod, change.old)

    return hint


def _has_room(pod: PodInfo, change: NodeChange) -> bool:
    old, new = change.old, change.new
    if new is None:
        return False
    needed = {"pods": 1, **{r: v for r, v in pod.requests.items() if v > 0}}
    if any(value > new.allocatable.get(resource, 0) for resource, value in needed.items()):
        return False
    return old is None or any(
        new.allocatable.get(resource, 0) > old.allocatable.get(resource, 0) for resource in needed
    )


def _is_new(_: PodInfo, change: NodeChange) -> bool:
    return change.old is None


def _changes_domains(pod: PodInfo, change: NodeChange) -> bool:
    """Spread: a node with the keys comes or goes, or has other values of them."""
    keys = [constraint.key for constraint in pod.spread]
    before, after = (
        tuple(node.labels.get(key) for key in keys) if node is not None else None
        for node in (change.old, change.new)
    )
    has_keys = [values for values in (before, after) if values is not None and None not in values]
    if not has_keys:
        return False
    taints = [node.taints if node is not None else () for node in (change.old, change.new)]
    return before != after or taints[0] != taints[1]


def _changes_keys(pod: PodInfo, change: NodeChange) -> bool:
    """Affinity: a node comes with a key of the pod's terms, or has another value of one."""
    if change.new is None:
        return False
    terms = (*pod.affinity, *pod.anti_affinity)
    if change.old is None:
        return not pod.affinity or any(term.key in change.new.labels for term in terms)
    before, after = change.old.labels, change.new.labels
    if any(before.get(term.key) != after.get(term.key) for term in terms):
        return True
    return not terms and before != after  # other pods' terms may mean it


def _leaves_room(pod: PodInfo, change: PodChange, _: NamespaceLabels) -> bool:
    if change.old is None:
        return False
    if change.new is None:
        return True
    return any(
        change.new.requests.get(resource, 0) < change.old.requests.get(resource, 0)
        for resource in pod.requests
    )


def _leaves_ports(pod: PodInfo, change: PodChange, _: NamespaceLabels) -> bool:
    if change.old is None or change.new is not None:
        return False
    return any(mine.conflicts(theirs) for mine in pod.ports for theirs in change.old.ports)


def _changes_spread(pod: PodInfo, change: PodChange, _: NamespaceLabels) -> bool:
    def counts(other: PodInfo | None) -> list[bool]:
        if other is None or other.namespace != pod.namespace:
            return [False] * len(pod.spread)
        return [constraint.selector.matches(other.labels) for constraint in pod.spread]

    before, after = counts(change.old), counts(change.new)
    if change.old is not None and change.new is not None:
        return before != after
    return any(before) or any(after)


def _changes_neighbours(pod: PodInfo, change: PodChange, labels_of: NamespaceLabels) -> bool:
    def means(terms: tuple[PodTerm, ...], other: PodInfo | None) -> bool:
        return other is not None and all(
            term.matches(other, labels_of(other.namespace)) for term in terms
        )

    def repels(one: PodInfo, other: PodInfo) -> bool:
        return any(term.matches(other, labels_of(other.namespace)) for term in one.anti_affinity)

    old, new = change.old, change.new
    joins = bool(pod.affinity) and means(pod.affinity, new) and not means(pod.affinity, old)
    kept_away = old is not None and (repels(pod, old) or repels(old, pod))
    keeps_away = new is not None and (repels(pod, new) or repels(new, pod))
    return joins or (kept_away and not keeps_away)


_NODE_HINTS: Final[Mapping[str, Callable[[PodInfo, NodeChange], bool]]] = {
    "NodeUnschedulable": _becomes(lambda pod, node: not is_cordoned(pod, node)),
    "NodeName": _is_new,
    "TaintToleration": _becomes(lambda pod, node: not is_repelled(pod, node)),
    "NodeAffinity": _becomes(wants),
    "PreFilter": _becomes(wants),
    "NodePorts": _is_new,
    "NodeResourcesFit": _has_room,
    "PodTopologySpread": _changes_domains,
    "InterPodAffinity": _changes_keys,
}
_POD_HINTS: Final[Mapping[str, Callable[[PodInfo, PodChange, NamespaceLabels], bool]]] = {
    "NodePorts": _leaves_ports,
    "NodeResourcesFit": _leaves_room,
    "PodTopologySpread": _changes_spread,
    "InterPodAffinity": _changes_neighbours,
}
