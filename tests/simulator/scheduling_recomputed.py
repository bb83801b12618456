"""Scheduling decisions counted anew from all pods each time, in numpy: slow, but not for an hour.

It keeps no counter and no score from one decision to the next, only what each node and class of
pods looks like. Written apart from the columnar scheduler; tested equal to the one over objects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.scheduling.decision import feasible_wanted
from simulator.scheduling.nodes import Cluster, NodeInfo
from simulator.scheduling.placement import (
    disliked_taints,
    is_cordoned,
    is_repelled,
    named_nodes,
    preference,
    soft_tolerations,
    wants,
)
from simulator.scheduling.pods import HOSTNAME, PodInfo, PodTerm, Spread
from simulator.scheduling.selectors import Selector
from simulator.scheduling.spreading import default_spread, logarithm

Array = NDArray[Any]
RESOURCES = ("cpu", "memory", "ephemeral-storage", "example.com/gpu")


class Recomputed:
    """Nodes in columns by name, and how many pods of each class are on each."""

    def __init__(self, nodes: int, classes: int, **context: Any) -> None:
        self.context = Cluster((), **context)
        self.pods: list[PodInfo] = []
        self.nodes: list[NodeInfo | None] = [None] * nodes
        self.columns: dict[str, int] = {}
        self.start = 0
        self.bound, self.leaving = (np.zeros((classes, nodes), np.int64) for _ in range(2))
        self.static = {
            name: np.zeros((classes, nodes), np.int64)
            for name in ("allowed", "wants", "bears", "preferred", "disliked")
        }
        self.room = {r: np.zeros(nodes, np.int64) for r in (*RESOURCES, "pods")}
        self.labels: dict[str, list[str | None]] = {}

    def put_node(self, node: NodeInfo) -> None:
        if node.name not in self.columns:
            self.columns[node.name] = self.nodes.index(None)
        column = self.columns[node.name]
        self.nodes[column] = node
        for resource, room in self.room.items():
            room[column] = node.allocatable.get(resource, 0)
        for key in node.labels:
            self.labels.setdefault(key, [None] * len(self.nodes))
        for key, values in self.labels.items():
            values[column] = node.labels.get(key)
        for number, pod in enumerate(self.pods):
            self._look(number, pod, column, node)

    def remove_node(self, name: str) -> None:
        column = self.columns.pop(name)
        self.nodes[column] = None
        self.bound[:, column] = self.leaving[:, column] = 0
        for values in self.labels.values():
            values[column] = None
        for table in self.static.values():
            table[:, column] = 0

    def register(self, pod: PodInfo) -> None:
        self.pods.append(pod)
        for name, column in self.columns.items():
            node = self.nodes[column]
            assert node is not None, name
            self._look(len(self.pods) - 1, pod, column, node)

    def _look(self, number: int, pod: PodInfo, column: int, node: NodeInfo) -> None:
        table = self.static
        likes, bears = wants(pod, node), not is_repelled(pod, node)
        table["wants"][number, column] = likes
        table["bears"][number, column] = bears
        table["allowed"][number, column] = likes and bears and not is_cordoned(pod, node)
        table["preferred"][number, column] = preference(pod, node)
        table["disliked"][number, column] = disliked_taints(node, soft_tolerations(pod))

    def decide(self, number: int, order: Sequence[str]) -> tuple[dict[str, int], int]:
        """The feasible nodes that are looked at with their totals; how many are looked at."""
        pod = self.pods[number]
        named = named_nodes(pod)
        names = [name for name in order if named is None or name in named]
        if not names:
            return {}, 0
        start = self.start % len(names)
        turned = np.array([self.columns[name] for name in names[start:] + names[:start]])
        passing = np.flatnonzero(self._fits(number, pod)[turned])
        wanted = feasible_wanted(len(names))
        looked_at = len(names) if len(passing) <= wanted else int(passing[wanted])
        self.start = (self.start + looked_at) % len(order)
        chosen = turned[passing[:wanted]]
        if not len(chosen):
            return {}, looked_at
        totals = self._totals(number, pod, chosen).tolist()
        found = [self.nodes[column] for column in chosen]
        return {n.name: t for n, t in zip(found, totals, strict=True) if n}, looked_at

    def _fits(self, number: int, pod: PodInfo) -> Array:
        fits = self.static["allowed"][number] > 0
        fits &= self.bound.sum(axis=0) + 1 <= self.room["pods"]
        for resource, value in pod.requests.items():
            if value:
                used = self._sum([other.requests.get(resource, 0) for other in self.pods])
                fits &= value <= self.room[resource] - used
        blocks = [any(a.conflicts(b) for a in pod.ports for b in o.ports) for o in self.pods]
        fits &= self._sum(blocks) == 0
        for constraint in pod.spread:
            fits &= self._keeps_skew(number, pod, constraint)
        return fits & self._suits(pod)

    def _keeps_skew(self, number: int, pod: PodInfo, constraint: Spread) -> Array:
        codes, _ = self._codes(constraint.key)
        counts, counted = self._spread_counts(number, pod, constraint, pod.spread)
        domains = np.unique(codes[counted])
        few = counts[domains].min() if len(domains) else 0
        if len(domains) < constraint.min_domains:
            few = 0
        itself = constraint.selector.matches(pod.labels)
        return (codes >= 0) & (counts[codes] + itself - few <= constraint.max_skew)

    def _spread_counts(
        self, number: int, pod: PodInfo, constraint: Spread, together: Sequence[Spread]
    ) -> tuple[Array, Array]:
        """Pods by domain, and the nodes that count."""
        counted = np.array([node is not None for node in self.nodes])
        for other in together:
            counted &= self._codes(other.key)[0] >= 0
        if constraint.honours_affinity:
            counted &= self.static["wants"][number] > 0
        if constraint.honours_taints:
            counted &= self.static["bears"][number] > 0
        codes, values = self._codes(constraint.key)
        pods = self._selected(pod, constraint.selector)
        return np.bincount(codes[counted] + 1, pods[counted], values + 1)[1:], counted

    def _selected(self, pod: PodInfo, selector: Selector) -> Array:
        chosen = [
            not selector.is_empty and o.namespace == pod.namespace and selector.matches(o.labels)
            for o in self.pods
        ]
        return self._sum(chosen) - self._sum(chosen, self.leaving)

    def _suits(self, pod: PodInfo) -> Array:
        fits = np.ones(len(self.nodes), np.bool_)
        company = [all(self._means(t, other) for t in pod.affinity) for other in self.pods]
        together = [self._by_domain(term.key, company) for term in pod.affinity]
        has_keys = [self._codes(term.key)[0] >= 0 for term in pod.affinity]
        alone = not any(counts.any() for counts in together)
        if not (alone and all(self._means(term, pod) for term in pod.affinity)):
            for counts in together:
                fits &= counts > 0
        for has_key in has_keys:
            fits &= has_key
        for term in pod.anti_affinity:
            fits &= self._by_domain(term.key, [self._means(term, o) for o in self.pods]) == 0
        for number, other in enumerate(self.pods):
            for term in other.anti_affinity:
                if self._means(term, pod):
                    only = [index == number for index in range(len(self.pods))]
                    fits &= self._by_domain(term.key, only) == 0
        return fits

    def _totals(self, number: int, pod: PodInfo, chosen: Array) -> Array:
        total = self._emptiness(pod, chosen) + self._images(pod, chosen)
        disliked, preferred = (self.static[t][number, chosen] for t in ("disliked", "preferred"))
        total += 300 - 3 * (100 * disliked // max(1, disliked.max()))
        total += 2 * (100 * preferred // max(1, preferred.max()))
        total += 2 * self._spread_score(number, pod, chosen)
        attraction = self._attraction(pod)[chosen]
        width = attraction.max() - attraction.min()
        if width:
            total += 2 * (100.0 * ((attraction - attraction.min()) / width)).astype(np.int64)
        return total

    def _emptiness(self, pod: PodInfo, chosen: Array) -> Array:
        scores, before, after = [], [], []
        for index, resource in enumerate(("cpu", "memory")):
            most = self.room[resource][chosen]
            asked = self._sum([o.scored_requests[index] for o in self.pods])[chosen]
            asked += pod.scored_requests[index]
            scores.append(np.where(asked > most, 0, (most - asked) * 100 // most))
            used = self._sum([o.requests.get(resource, 0) for o in self.pods])[chosen]
            before.append(np.minimum(used / most, 1.0))
            after.append(np.minimum((used + pod.requests.get(resource, 0)) / most, 1.0))
        total = (scores[0] + scores[1]) // 2
        if pod.requests.get("cpu") or pod.requests.get("memory"):
            was, will = (
                ((1 - abs((f[0] - f[1]) / 2)) * 100.0).astype(np.int64) for f in (before, after)
            )
            total += 50 + (50 + will - was) // 2
        return total

    def _images(self, pod: PodInfo, chosen: Array) -> Array:
        total = np.zeros(len(chosen), np.int64)
        for image in pod.images:
            sizes = [None if n is None else n.images.get(image) for n in self.nodes]
            share = sum(size is not None for size in sizes) / len(self.columns)
            total += [int(float(sizes[column] or 0) * share) for column in chosen]
        least, most = 23 * 2**20, 1000 * 2**20 * len(pod.images)
        return 100 * (np.clip(total, least, most) - least) // (most - least)

    def _spread_score(self, number: int, pod: PodInfo, chosen: Array) -> Array:
        soft = pod.preferred_spread if pod.has_spread else default_spread(pod, self.context)
        result = np.zeros(len(chosen), np.int64)
        if not soft:
            return result
        needed = soft if pod.has_spread else ()
        serves = np.ones(len(chosen), np.bool_)
        for constraint in needed:
            serves &= self._codes(constraint.key)[0][chosen] >= 0
        served = chosen[serves]
        if not len(served):
            return result
        score = np.zeros(len(served))
        for constraint in soft:
            codes = self._codes(constraint.key)[0][served]
            if constraint.key == HOSTNAME:
                size = len(served)
                counts = self._selected(pod, constraint.selector)[served]
            else:
                size = len(np.unique(codes))
                by_domain, _ = self._spread_counts(number, pod, constraint, needed)
                counts = by_domain[codes]
            part = counts * logarithm(size + 2) + (constraint.max_skew - 1)
            score += np.where(codes >= 0, part, 0.0)
        whole = np.floor(score).astype(np.int64)
        whole += score - whole >= 0.5
        most, least = whole.max(), whole.min()
        result[serves] = 100 if most == 0 else 100 * (most + least - whole) // most
        return result

    def _attraction(self, pod: PodInfo) -> Array:
        score = np.zeros(len(self.nodes), np.int64)
        for terms, sign in ((pod.preferred_affinity, 1), (pod.preferred_anti_affinity, -1)):
            for term in terms:
                meant = [sign * term.weight * self._means(term, o) for o in self.pods]
                score += self._by_domain(term.key, meant)
        for number, other in enumerate(self.pods):
            theirs = [
                *((term, 1) for term in other.affinity),
                *((term, term.weight) for term in other.preferred_affinity),
                *((term, -term.weight) for term in other.preferred_anti_affinity),
            ]
            for term, weight in theirs:
                if self._means(term, pod):
                    only = [weight * (index == number) for index in range(len(self.pods))]
                    score += self._by_domain(term.key, only)
        return score

    def _by_domain(self, key: str, weights: Sequence[int]) -> Array:
        """For each node, the weight of all pods in its domain."""
        codes, values = self._codes(key)
        sums = np.bincount(codes + 1, self._sum(weights), values + 1)[1:]
        return np.where(codes >= 0, sums[codes], 0).astype(np.int64)

    def _sum(self, weights: Sequence[int], pods: Array | None = None) -> Array:
        """For each node, the weight of the pods on it."""
        counts = self.bound if pods is None else pods
        total = np.zeros(len(self.nodes), np.int64)
        for number, weight in enumerate(weights):
            if weight:
                total += weight * counts[number]
        return total

    def _codes(self, key: str) -> tuple[Array, int]:
        """The domain of each node, −1 without; how many there are at least one of."""
        numbers: dict[str, int] = {}
        values: Mapping[str, list[str | None]] = self.labels
        codes = [
            -1 if value is None else numbers.setdefault(value, len(numbers))
            for value in values.get(key, [None] * len(self.nodes))
        ]
        return np.array(codes), max(1, len(numbers))

    def _means(self, term: PodTerm, pod: PodInfo) -> bool:
        return term.matches(pod, self.context.labels_of(pod.namespace))
