"""Affinity and anti-affinity between pods, as a filter and as a score.

After ``plugins/interpodaffinity``. A pair of topology key and value is a domain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from simulator.scheduling.nodes import Cluster, NodeInfo
from simulator.scheduling.pods import PodInfo, PodTerm
from simulator.scheduling.selectors import Labels

Domain: TypeAlias = tuple[str, str]

AFFINITY = "node(s) didn't match pod affinity rules"
ANTI_AFFINITY = "node(s) didn't match pod anti-affinity rules"
EXISTING = "node(s) didn't satisfy existing pods anti-affinity rules"


@dataclass(slots=True)
class Neighbours:
    """How many pods each domain holds that a pod's required terms, or their own, are about."""

    pod: PodInfo
    cluster: Cluster
    wanted: Counter[Domain]
    unwanted: Counter[Domain]
    unwilling: Counter[Domain]  # whose own anti-affinity means the pod

    @classmethod
    def of(cls, pod: PodInfo, cluster: Cluster) -> Neighbours:
        """Counts all pods of the cluster."""
        state = cls(pod, cluster, Counter(), Counter(), Counter())
        has_terms = bool(pod.affinity or pod.anti_affinity)
        for node in cluster.nodes:
            for other in node.pods:
                if has_terms or other.anti_affinity:
                    state.change(other, node, +1)
        return state

    def rejection(self, node: NodeInfo) -> str | None:
        """Why a pod cannot go to a node, or None. The first rule that is not met says so."""
        if self.pod.affinity and not self._is_wanted(node):
            return AFFINITY
        if any(
            self.unwanted[term.key, node.labels[term.key]] > 0
            for term in self.pod.anti_affinity
            if term.key in node.labels
        ):
            return ANTI_AFFINITY
        if self.unwilling and any(self.unwilling[domain] > 0 for domain in node.labels.items()):
            return EXISTING
        return None

    def change(self, other: PodInfo, node: NodeInfo, sign: int) -> None:
        """Counts a pod in or out."""
        pod, cluster = self.pod, self.cluster
        of_pod, of_other = cluster.labels_of(pod.namespace), cluster.labels_of(other.namespace)
        for term in other.anti_affinity:
            if term.matches(pod, of_pod):
                _count(self.unwilling, term, node, sign)
        # Only a pod that all terms mean counts for any of them.
        if pod.affinity and all(term.matches(other, of_other) for term in pod.affinity):
            for term in pod.affinity:
                _count(self.wanted, term, node, sign)
        for term in pod.anti_affinity:
            if term.matches(other, of_other):
                _count(self.unwanted, term, node, sign)

    def copy(self) -> Neighbours:
        """Another one that can be changed."""
        return Neighbours(
            self.pod,
            self.cluster,
            Counter(self.wanted),
            Counter(self.unwanted),
            Counter(self.unwilling),
        )

    def _is_wanted(self, node: NodeInfo) -> bool:
        terms, labels = self.pod.affinity, node.labels
        if any(term.key not in labels for term in terms):
            return False
        if all(self.wanted[term.key, labels[term.key]] > 0 for term in terms):
            return True
        # The first of a group that wants to be together may go anywhere.
        own = self.cluster.labels_of(self.pod.namespace)
        return not any(self.wanted.values()) and all(term.matches(self.pod, own) for term in terms)


def affinity_scores(
    pod: PodInfo, cluster: Cluster, feasible: Sequence[NodeInfo]
) -> list[int] | None:
    """How much pods want to be on each feasible node, 0 to 100; None when no term means any."""
    domains: dict[Domain, int] = {}
    has_terms = bool(pod.preferred_affinity or pod.preferred_anti_affinity)
    of_pod = cluster.labels_of(pod.namespace)
    for node in cluster.nodes:
        if not node.labels:
            continue
        for other in node.pods:
            if has_terms:
                of_other = cluster.labels_of(other.namespace)
                _weigh(domains, pod.preferred_affinity, other, of_other, node, +1)
                _weigh(domains, pod.preferred_anti_affinity, other, of_other, node, -1)
            if other.has_affinity:
                _weigh(domains, other.affinity, pod, of_pod, node, +1, each=1)
                _weigh(domains, other.preferred_affinity, pod, of_pod, node, +1)
                _weigh(domains, other.preferred_anti_affinity, pod, of_pod, node, -1)
    if not domains:
        return None
    raw = [sum(domains.get(domain, 0) for domain in node.labels.items()) for node in feasible]
    least, most = min(raw), max(raw)
    if most == least:
        return [0] * len(raw)
    return [int(100.0 * ((score - least) / (most - least))) for score in raw]


def _weigh(
    domains: dict[Domain, int],
    terms: Iterable[PodTerm],
    pod: PodInfo,
    namespace_labels: Labels,
    node: NodeInfo,
    sign: int,
    *,
    each: int | None = None,
) -> None:
    for term in terms:
        value = node.labels.get(term.key)
        if value is not None and term.matches(pod, namespace_labels):
            weight = term.weight if each is None else each
            domains[term.key, value] = domains.get((term.key, value), 0) + sign * weight


def _count(counter: Counter[Domain], term: PodTerm, node: NodeInfo, sign: int) -> None:
    value = node.labels.get(term.key)
    if value is not None:
        counter[term.key, value] += sign
