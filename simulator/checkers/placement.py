"""Pods are bound to where they may be: room, taints, node affinity and hard spread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal

from prism_operator.api.meta import NODE, POD, Json, ReadOnlyJson, Ref
from simulator.apiserver.quantity import value_of
from simulator.checkers.selecting import (
    chosen_by_affinity,
    matches_labels,
    tolerates,
    untolerated,
)
from simulator.cluster.api import Cache
from simulator.controllers.world import Change
from simulator.kernel import Us

_HARD = ("NoSchedule", "NoExecute")
_UNSCHEDULABLE = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


class _AtBinding:
    """Judges a pod in the instant in which it gets a node."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def changed(self, change: Change, now_us: Us) -> Iterable[str]:
        """See ``Checker``."""
        del now_us
        pod = change.new
        if change.ref.resource != POD or pod is None or not _node_name(pod):
            return ()
        if change.old is not None and _node_name(change.old):
            return ()
        node = self._cache.get(Ref(NODE, "", _node_name(pod)))
        # A pod that was made with its node went past the scheduler.
        return () if node is None or change.old is None else self._bound(change.ref, pod, node)

    def rested(self, now_us: Us) -> Iterable[str]:
        """See ``Checker``."""
        del now_us
        return ()

    def _bound(self, ref: Ref, pod: Json, node: Json) -> Iterable[str]:
        raise NotImplementedError


class WithinAllocatable(_AtBinding):
    """The pods of a node ask for no more than it has to give."""

    name = "within-allocatable"

    def __init__(self, cache: Cache) -> None:
        super().__init__(cache)
        self._asked: dict[str, dict[str, Decimal]] = {}  # by node

    def changed(self, change: Change, now_us: Us) -> Iterable[str]:
        """See ``Checker``."""
        old, new = change.old, change.new
        if change.ref.resource != POD:
            return ()
        if _takes_room(old) != _takes_room(new) or (old and new and old["spec"] != new["spec"]):
            self._count(old, Decimal(-1))
            self._count(new, Decimal(1))
        return super().changed(change, now_us)

    def _count(self, pod: Json | None, by: Decimal) -> None:
        if pod is None or not _takes_room(pod):
            return
        asked = self._asked.setdefault(_node_name(pod), {})
        for resource, quantity in {"pods": Decimal(1), **requests_of(pod)}.items():
            asked[resource] = asked.get(resource, Decimal()) + by * quantity

    def _bound(self, ref: Ref, pod: Json, node: Json) -> Iterator[str]:
        name = node["metadata"]["name"]
        for resource, quantity in {"pods": Decimal(1), **requests_of(pod)}.items():
            asked = self._asked[name][resource]
            there = value_of(str(node["status"]["allocatable"].get(resource, "0")))
            if quantity and asked > there:
                yield f"{ref} was bound to {name}, where {asked} {resource} are asked of {there}"


class WhereTolerated(_AtBinding):
    """No pod is bound to a node that is cordoned, tainted against it or outside its affinity."""

    name = "where-tolerated"

    def _bound(self, ref: Ref, pod: Json, node: Json) -> Iterator[str]:
        name, spec = node["metadata"]["name"], node["spec"]
        if spec.get("unschedulable") and not tolerates(pod, _UNSCHEDULABLE):
            yield f"{ref} was bound to {name}, which is cordoned"
        for taint in untolerated(pod, node, _HARD):
            yield f"{ref} was bound to {name} despite its taint {taint['key']}:{taint['effect']}"
        if not chosen_by_affinity(pod, node):
            yield f"{ref} was bound to {name}, which its node affinity does not allow"


class HardSpread(_AtBinding):
    """A pod with ``whenUnsatisfiable: DoNotSchedule`` is bound only where its skew is kept."""

    name = "hard-spread"

    def __init__(self, cache: Cache) -> None:
        super().__init__(cache)
        # Bound pods that neither end nor have ended: how many by namespace and labels, and node.
        self._living: dict[tuple[str, frozenset[tuple[str, str]]], dict[str, int]] = {}
        # The labels of the nodes that count, by name, for everybody who asks alike.
        self._counted: dict[str, dict[str, dict[str, str]]] = {}

    def changed(self, change: Change, now_us: Us) -> Iterable[str]:
        """See ``Checker``. Judges by what was there before this pod."""
        if change.ref.resource == NODE and _shape(change.old) != _shape(change.new):
            self._counted.clear()
        if change.ref.resource != POD:
            return ()
        violations = list(super().changed(change, now_us))
        for obj, by in ((change.old, -1), (change.new, 1)):
            if obj is None or not _takes_room(obj) or "deletionTimestamp" in obj["metadata"]:
                continue
            labels = frozenset((obj["metadata"].get("labels") or {}).items())
            nodes = self._living.setdefault((change.ref.namespace, labels), {})
            nodes[_node_name(obj)] = nodes.get(_node_name(obj), 0) + by
        return violations

    def _bound(self, ref: Ref, pod: Json, node: Json) -> Iterator[str]:
        hard = [
            constraint
            for constraint in pod["spec"].get("topologySpreadConstraints") or ()
            if constraint["whenUnsatisfiable"] == "DoNotSchedule"
        ]
        keys = [constraint["topologyKey"] for constraint in hard]
        for constraint in hard:
            key, most = constraint["topologyKey"], constraint["maxSkew"]
            mine = (node["metadata"].get("labels") or {}).get(key)
            counts = self._counts(ref, pod, constraint, keys)
            if mine is None:
                yield f"{ref} was bound to a node without {key}"
                continue
            least = min(counts.values(), default=0)
            if len(counts) < (constraint.get("minDomains") or 1):
                least = 0
            labels = pod["metadata"].get("labels") or {}
            skew = counts.get(mine, 0) + _selects(constraint, pod, labels) - least
            if skew > most:
                yield f"{ref} was bound to {key}={mine}: skew {skew}, at most {most} is allowed"

    def _counts(
        self, ref: Ref, pod: Json, constraint: ReadOnlyJson, keys: list[str]
    ) -> dict[str, int]:
        """How many pods that count are in each domain that counts."""
        nodes = self._counting(pod, constraint, keys)
        key = constraint["topologyKey"]
        counts = {labels[key]: 0 for labels in nodes.values()}
        for (namespace, labels), on in self._living.items():
            if namespace == ref.namespace and _selects(constraint, pod, dict(labels)):
                for name, number in on.items():
                    if name in nodes:
                        counts[nodes[name][key]] += number
        return counts

    def _counting(
        self, pod: Json, constraint: ReadOnlyJson, keys: list[str]
    ) -> dict[str, dict[str, str]]:
        spec = pod["spec"]
        honors_affinity = constraint.get("nodeAffinityPolicy", "Honor") == "Honor"
        honors_taints = constraint.get("nodeTaintsPolicy", "Ignore") == "Honor"
        asks = (
            spec.get("nodeSelector"),
            (spec.get("affinity") or {}).get("nodeAffinity"),
            spec.get("tolerations") if honors_taints else None,
            keys,
            honors_affinity,
            honors_taints,
        )
        if repr(asks) not in self._counted:
            self._counted[repr(asks)] = {
                node["metadata"]["name"]: labels
                for node in self._cache.list(NODE)
                if all(key in (labels := node["metadata"].get("labels") or {}) for key in keys)
                and (not honors_affinity or chosen_by_affinity(pod, node))
                and (not honors_taints or not list(untolerated(pod, node, _HARD)))
            }
        return self._counted[repr(asks)]


def _selects(constraint: ReadOnlyJson, pod: Json, labels: dict[str, str]) -> bool:
    own = pod["metadata"].get("labels") or {}
    selector = constraint.get("labelSelector")
    if selector is None or not matches_labels(selector, labels):
        return False
    alike = (key for key in constraint.get("matchLabelKeys") or () if key in own)
    return all(labels.get(key) == own[key] for key in alike)


def requests_of(pod: ReadOnlyJson) -> dict[str, Decimal]:
    """What a pod asks of its node: its containers together, or more while one prepares it."""
    spec = pod["spec"]
    most: dict[str, Decimal] = {}
    beside: dict[str, Decimal] = {}
    for container in spec.get("initContainers") or ():
        asked = _requests(container)
        if container.get("restartPolicy") == "Always":
            beside = _merged(beside, asked, Decimal.__add__)
            most = _merged(most, beside, max)
        else:
            most = _merged(most, _merged(beside, asked, Decimal.__add__), max)
    together = beside
    for container in spec["containers"]:
        together = _merged(together, _requests(container), Decimal.__add__)
    overhead = {k: value_of(str(v)) for k, v in (spec.get("overhead") or {}).items()}
    return _merged(_merged(most, together, max), overhead, Decimal.__add__)


def _requests(container: ReadOnlyJson) -> dict[str, Decimal]:
    asked = (container.get("resources") or {}).get("requests") or {}
    return {resource: value_of(str(quantity)) for resource, quantity in asked.items()}


def _merged(
    one: dict[str, Decimal],
    other: dict[str, Decimal],
    by: Callable[[Decimal, Decimal], Decimal],
) -> dict[str, Decimal]:
    none = Decimal()
    return {key: by(one.get(key, none), other.get(key, none)) for key in {**one, **other}}


def _shape(node: ReadOnlyJson | None) -> object:
    if node is None:
        return None
    return node["metadata"].get("labels"), node["spec"].get("taints")


def _node_name(pod: ReadOnlyJson) -> str:
    name: str = pod["spec"].get("nodeName") or ""
    return name


def _takes_room(pod: ReadOnlyJson | None) -> bool:
    """Whether a pod is on a node and has not ended; one that is only ending still does."""
    over = ("Succeeded", "Failed")
    return bool(pod and _node_name(pod)) and (pod or {}).get("status", {}).get("phase") not in over
