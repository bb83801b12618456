"""Topology spread: hard constraints as a filter, soft ones and the system's default as a score.

After ``plugins/podtopologyspread``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Final

from simulator.scheduling.nodes import Cluster, NodeInfo
from simulator.scheduling.placement import is_repelled, wants
from simulator.scheduling.pods import HOSTNAME, ZONE, PodInfo, Spread
from simulator.scheduling.selectors import Selector, is_equal

_SYSTEM_DEFAULTS: Final = ((HOSTNAME, 3), (ZONE, 5))
_MANY: Final = 2**31 - 1


def counted(node: NodeInfo, selector: Selector, namespace: str) -> int:
    """The pods on a node that a constraint counts; an empty selector counts none."""
    if selector.is_empty:
        return 0
    return sum(
        pod.namespace == namespace and not pod.is_deleting and selector.matches(pod.labels)
        for pod in node.pods
    )


def includes(pod: PodInfo, constraint: Spread, node: NodeInfo) -> bool:
    """Whether a node counts for a constraint: where the pod could not go may be left out."""
    if constraint.honours_affinity and not wants(pod, node):
        return False
    return not (constraint.honours_taints and is_repelled(pod, node))


class _Fewest:
    """The two domains with the fewest pods, as the plugin tracks them (``criticalPaths``).

    Tracking two is exact for one change at a time and is what the plugin does; with more it may
    differ from the true minimum, and so do we.
    """

    __slots__ = ("counts", "domains")

    def __init__(self) -> None:
        self.domains = ["", ""]
        self.counts = [_MANY, _MANY]

    def update(self, domain: str, count: int) -> None:
        domains, counts = self.domains, self.counts
        if domain in domains:
            counts[domains.index(domain)] = count
            if counts[0] > counts[1]:
                domains.reverse()
                counts.reverse()
        elif count < counts[0]:
            self.domains, self.counts = [domain, domains[0]], [count, counts[0]]
        elif count < counts[1]:
            domains[1], counts[1] = domain, count

    def copy(self) -> _Fewest:
        other = _Fewest()
        other.domains, other.counts = list(self.domains), list(self.counts)
        return other


@dataclass(slots=True)
class HardSpread:
    """The hard constraints of a pod and what is in their domains."""

    pod: PodInfo
    counts: list[dict[str, int]]
    fewest: list[_Fewest] = field(default_factory=list)

    @classmethod
    def of(cls, pod: PodInfo, cluster: Cluster) -> HardSpread | None:
        """Counts the domains; None for a pod without hard constraints."""
        if not pod.spread:
            return None
        state = cls(pod, [{} for _ in pod.spread], [_Fewest() for _ in pod.spread])
        for node in cluster.nodes:
            if not _has_keys(node, pod.spread):
                continue
            for constraint, counts in zip(pod.spread, state.counts, strict=True):
                if includes(pod, constraint, node):
                    domain = node.labels[constraint.key]
                    count = counted(node, constraint.selector, pod.namespace)
                    counts[domain] = counts.get(domain, 0) + count
        for counts, fewest in zip(state.counts, state.fewest, strict=True):
            for domain, count in counts.items():
                fewest.update(domain, count)
        return state

    def lacks_key(self, node: NodeInfo) -> bool | None:
        """Why a node is rejected: True for want of a label, False for skew; None when it is not.

        The first constraint that is not met says so.
        """
        for index, constraint in enumerate(self.pod.spread):
            if constraint.key not in node.labels:
                return True
            if self.skew(index, node) > constraint.max_skew:
                return False
        return None

    def skew(self, index: int, node: NodeInfo) -> int:
        """How many more than the fewest a node's domain would have, by one of the constraints."""
        constraint, counts = self.pod.spread[index], self.counts[index]
        few = self.fewest[index].counts[0] if len(counts) >= constraint.min_domains else 0
        itself = constraint.selector.matches(self.pod.labels)
        return counts.get(node.labels[constraint.key], 0) + itself - few

    def change(self, other: PodInfo, node: NodeInfo, sign: int) -> None:
        """Counts a pod in or out (preemption tries what it would change)."""
        pod = self.pod
        if other.namespace != pod.namespace or not _has_keys(node, pod.spread):
            return
        for index, constraint in enumerate(pod.spread):
            if constraint.selector.matches(other.labels) and includes(pod, constraint, node):
                domain, counts = node.labels[constraint.key], self.counts[index]
                counts[domain] = counts.get(domain, 0) + sign
                self.fewest[index].update(domain, counts[domain])

    def copy(self) -> HardSpread:
        """Another one that can be changed."""
        return HardSpread(
            self.pod, [dict(c) for c in self.counts], [few.copy() for few in self.fewest]
        )


def spread_scores(pod: PodInfo, cluster: Cluster, feasible: Sequence[NodeInfo]) -> list[int] | None:
    """How well each feasible node keeps the soft constraints, 0 to 100; None without any."""
    constraints = pod.preferred_spread if pod.has_spread else default_spread(pod, cluster)
    if not constraints:
        return None
    # The system's own constraints also serve nodes that lack a zone.
    needs_keys = pod.has_spread
    eligible = [not needs_keys or _has_keys(node, constraints) for node in feasible]
    counts = _soft_counts(pod, cluster, constraints, feasible, eligible, needs_keys=needs_keys)
    sizes = [
        sum(eligible) if constraint.key == HOSTNAME else len(of_domain)
        for constraint, of_domain in zip(constraints, counts, strict=True)
    ]
    weights = [logarithm(size + 2) for size in sizes]
    raw = [
        _raw(pod, node, constraints, counts, weights) if counts_too else None
        for node, counts_too in zip(feasible, eligible, strict=True)
    ]
    return _normalized(raw)


def default_spread(pod: PodInfo, cluster: Cluster) -> tuple[Spread, ...]:
    """The system's default constraints, selecting what the pod's Services and owner select."""
    labels: dict[str, str] = {}
    for selector in cluster.services.get(pod.namespace, ()):
        if all(pod.labels.get(key) == value for key, value in selector.items()):
            labels.update(selector)
    chosen = Selector(tuple(is_equal(key, value) for key, value in labels.items()))
    if pod.owner is not None:
        owner = cluster.owners.get((pod.namespace, *pod.owner))
        if owner is not None and not owner.nothing:
            chosen = chosen.plus(owner.requirements)
    if chosen.is_empty:
        return ()
    return tuple(Spread(key, max_skew, chosen) for key, max_skew in _SYSTEM_DEFAULTS)


def _soft_counts(
    pod: PodInfo,
    cluster: Cluster,
    constraints: Sequence[Spread],
    feasible: Sequence[NodeInfo],
    eligible: Sequence[bool],
    *,
    needs_keys: bool,
) -> list[dict[str, int]]:
    """The pods in each domain that a feasible node is in; all nodes' pods count."""
    counts: list[dict[str, int]] = [{} for _ in constraints]
    for constraint, of_domain in zip(constraints, counts, strict=True):
        if constraint.key != HOSTNAME:  # counted node by node
            for node, counts_too in zip(feasible, eligible, strict=True):
                if counts_too:
                    of_domain[node.labels.get(constraint.key, "")] = 0
    for node in cluster.nodes:
        if needs_keys and not _has_keys(node, constraints):
            continue
        for constraint, of_domain in zip(constraints, counts, strict=True):
            domain = node.labels.get(constraint.key, "")
            if domain in of_domain and includes(pod, constraint, node):
                of_domain[domain] += counted(node, constraint.selector, pod.namespace)
    return counts


def _raw(
    pod: PodInfo,
    node: NodeInfo,
    constraints: Sequence[Spread],
    counts: Sequence[dict[str, int]],
    weights: Sequence[float],
) -> int:
    score = 0.0
    for constraint, of_domain, weight in zip(constraints, counts, weights, strict=True):
        domain = node.labels.get(constraint.key)
        if domain is None:
            continue
        if constraint.key == HOSTNAME:
            count = counted(node, constraint.selector, pod.namespace)
        else:
            count = of_domain[domain]
        score += count * weight + (constraint.max_skew - 1)
    return _round(score)


def _normalized(raw: Sequence[int | None]) -> list[int]:
    known = [score for score in raw if score is not None]
    most, least = max(known, default=0), min(known, default=0)
    if most == 0:
        return [0 if score is None else 100 for score in raw]
    return [0 if score is None else 100 * (most + least - score) // most for score in raw]


def _has_keys(node: NodeInfo, constraints: Sequence[Spread]) -> bool:
    return all(constraint.key in node.labels for constraint in constraints)


def _round(value: float) -> int:
    """Half away from zero, as Go rounds; scores are never negative."""
    whole = math.floor(value)
    return whole + (value - whole >= 0.5)


@lru_cache(maxsize=16384)
def logarithm(number: int) -> float:
    """The natural logarithm, the same on every machine: libm's differ in the last bit."""
    return float(Decimal(number).ln())
