"""Nodes and classes of pods, kept in columns as they come and go."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, TypeAlias

import numpy as np
import orjson
from numpy.typing import DTypeLike, NDArray

from prism_operator.api.meta import Json
from simulator.scheduling.columnar import columns as col
from simulator.scheduling.columnar import kernels
from simulator.scheduling.columnar.columns import Columns, Flags, Ints, Table
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
from simulator.scheduling.pods import HOSTNAME, REGION, ZONE, HostPort, PodInfo, PodTerm, Spread
from simulator.scheduling.scores import IMAGE_MOST, IMAGES_LEAST
from simulator.scheduling.selectors import Selector
from simulator.scheduling.spreading import default_spread, includes, logarithm

Unbind: TypeAlias = Callable[[Columns, Ints, Flags, int], None]
CountEffects: TypeAlias = Callable[[Columns, int, int, int, int, bool], None]


@dataclass(slots=True)
class _Domains:
    """The values of a topology key, numbered; numbers of values that no node has are used again."""

    numbers: dict[str, int] = field(default_factory=dict)
    nodes: dict[str, int] = field(default_factory=dict)
    free: list[int] = field(default_factory=list)

    @property
    def size(self) -> int:
        return len(self.numbers) + len(self.free)

    def number(self, value: str | None) -> int:
        return -1 if value is None else self.numbers[value]

    def enter(self, value: str) -> None:
        if value not in self.numbers:
            self.numbers[value] = self.free.pop() if self.free else len(self.numbers)
            self.nodes[value] = 0
        self.nodes[value] += 1

    def leave(self, value: str) -> None:
        self.nodes[value] -= 1
        if not self.nodes[value]:
            del self.nodes[value]
            self.free.append(self.numbers.pop(value))


@dataclass(frozen=True, slots=True)
class _Counter:
    """What a counter counts: the weight of a pod of another class."""

    key: int
    mask: int
    weight: Callable[[PodInfo], int]
    trial_weight: Callable[[PodInfo], int]
    spares_leaving: bool = False


@dataclass(slots=True)
class PodClass:
    """A class of pods, and the counters it looks at."""

    pod: PodInfo
    shape: int
    placement: int
    images: int
    named: frozenset[str] | None
    needs_keys: int = col.ALL_NODES
    suits_itself: bool = False
    uses: list[list[tuple[int, int, int, int]]] = field(
        default_factory=lambda: [[] for _ in range(col.USES)]
    )

    @property
    def row(self) -> tuple[int, int, int, int, int, int]:
        """As the kernels read it."""
        return (
            self.shape,
            self.placement,
            self.images,
            self.pod.priority,
            self.needs_keys,
            int(self.suits_itself),
        )


class ColumnarCluster:
    """The scheduler's cache: nodes by slot, pods by class.

    Namespaces, Services and owners are as in ``Cluster``; they have to be there before a class is
    registered whose pods they select. ``unbind`` and ``count_effects`` are the kernels' rules,
    compiled or not.
    """

    def __init__(
        self,
        *,
        namespaces: Mapping[str, Mapping[str, str]] | None = None,
        services: Mapping[str, Sequence[Mapping[str, str]]] | None = None,
        owners: Mapping[tuple[str, str, str], Selector] | None = None,
        unbind: Unbind = kernels.unbind,
        count_effects: CountEffects = kernels.count_effects,
    ) -> None:
        self.context = Cluster((), namespaces or {}, services or {}, owners or {})
        self.nodes: list[NodeInfo | None] = []
        self.slots: dict[str, int] = {}
        self.classes: list[PodClass] = []
        self._unbind, self._count_effects = unbind, count_effects
        self._free: list[int] = []
        self._free_nominations = [0]
        self._names: list[str] = []  # sorted; of all nodes that ever were
        self._zones: dict[tuple[str, str], dict[int, None]] = {}
        self._topology: dict[str, _Domains] = {}
        self._resources: dict[str, int] = {"cpu": col.CPU, "memory": col.MEMORY}
        self._shapes: dict[Hashable, int] = {}
        self._shape_ports: list[tuple[HostPort, ...]] = []
        self._ports: dict[HostPort, int] = {}
        self._placements: dict[Hashable, int] = {}
        self._placed: list[PodInfo] = []  # one pod for each placement
        self._masks: dict[Hashable, int] = {None: col.ALL_NODES}
        self._mask_rules: list[Callable[[NodeInfo], bool]] = [lambda _: True]
        self._image_sets: dict[tuple[str, ...], int] = {(): 0}
        self._image_rows: dict[str, int] = {}
        self._counters: list[_Counter] = []
        self._counter_first: list[int] = []
        self._lazy_counters: set[tuple[str, int, int]] = set()
        self._effects: list[dict[int, tuple[int, int]]] = []
        self._sociable: list[int] = []  # the classes with affinity of any kind to pods
        self._tables = {name: Table(dtype) for name, dtype in _TABLES.items()}
        self._vectors: dict[str, NDArray[Any]] = {}  # made anew when classes or counters change
        self._columns: Columns | None = None
        self._order: Ints | None = None
        self._fit()

    # Nodes.

    def add_node(self, obj: Json) -> int:
        """A node has come; its slot. Slots of nodes that have gone are used again."""
        node = NodeInfo.parse(obj)
        if node.name in self.slots:
            raise ValueError(f"node {node.name} is there already; update it instead")
        slot = self._free.pop() if self._free else len(self.nodes)
        if slot == len(self.nodes):
            self.nodes.append(None)
        self.slots[node.name] = slot
        self._zones.setdefault(_zone(node), {})[slot] = None
        self._enter(node, slot)
        self._rank(node.name, slot)
        return slot

    def remove_node(self, slot: int) -> None:
        """A node has gone, with all pods that were on it."""
        node = self._node(slot)
        for pod, count, leaves in self._pods_on(slot):
            self.count_out([pod] * count, slot, [leaves] * count)
        for row in np.flatnonzero(self._array("nominations")[:, 1] == slot + 1):
            self.withdraw(int(row))
        self._leave(node, slot)
        self._leave_zone(node, slot)
        del self.slots[node.name]
        self._free.append(slot)

    def update_node(self, slot: int, obj: Json) -> None:
        """A node has other labels, taints or room, or is cordoned; its pods stay."""
        old, node = self._node(slot), NodeInfo.parse(obj)
        if old.name != node.name:
            raise ValueError(f"node {old.name} cannot become {node.name}; remove it, add the other")
        pods = self._pods_on(slot)
        self._recount(slot, pods, -1)
        self._leave(old, slot)
        if _zone(old) != _zone(node):
            self._leave_zone(old, slot)
            self._zones.setdefault(_zone(node), {})[slot] = None
        self._enter(node, slot)
        self._recount(slot, pods, +1)

    @property
    def order(self) -> Ints:
        """The slots as the scheduler looks at them: one of each zone in turn (``node_tree.go``)."""
        if self._order is None:
            zones = [np.fromiter(members, np.int64) for members in self._zones.values()]
            turns = [np.arange(len(members)) for members in zones]
            of_zone = [np.full(len(members), index) for index, members in enumerate(zones)]
            if zones:
                ranked = np.lexsort((np.concatenate(of_zone), np.concatenate(turns)))
                self._order = np.concatenate(zones)[ranked]
            else:
                self._order = np.zeros(0, np.int64)
        return self._order

    def _node(self, slot: int) -> NodeInfo:
        node = self.nodes[slot] if 0 <= slot < len(self.nodes) else None
        if node is None:
            raise ValueError(f"there is no node in slot {slot}")
        return node

    def _enter(self, node: NodeInfo, slot: int) -> None:
        self.nodes[slot] = node
        for resource in node.allocatable:
            self._resource(resource)
        for image in node.images:
            self._image_rows.setdefault(image, len(self._image_rows))
        for key, domains in self._topology.items():
            if key in node.labels:
                domains.enter(node.labels[key])
        self._fit()
        for resource, row in self._resources.items():
            self._array("allocatable")[row, slot] = node.allocatable.get(resource, 0)
        self._array("pods_most")[0, slot] = node.allocatable.get("pods", 0)
        for image, size in node.images.items():
            self._array("image_sizes")[self._image_rows[image], slot] = size
            self._array("has_image")[self._image_rows[image], slot] = True
        self._array("domains")[col.ITSELF, slot] = slot
        for row, (key, domains) in enumerate(self._topology.items(), 1):
            self._array("domains")[row, slot] = domains.number(node.labels.get(key))
        for row, pod in enumerate(self._placed):
            self._place(row, pod, node, slot)
        for row, rule in enumerate(self._mask_rules):
            self._array("masks")[row, slot] = rule(node)
        self._count_presence(slot, +1)
        self._node_changed(slot)

    def _leave(self, node: NodeInfo, slot: int) -> None:
        self._count_presence(slot, -1)
        for key, domains in self._topology.items():
            if key in node.labels:
                domains.leave(node.labels[key])
        self._array("domains")[:, slot] = -1
        for name in ("allowed", "masks", "images", "image_sizes", "has_image"):
            self._array(name)[:, slot] = 0
        self.nodes[slot] = None
        self._node_changed(slot)

    def _leave_zone(self, node: NodeInfo, slot: int) -> None:
        members = self._zones[_zone(node)]
        del members[slot]
        if not members:
            del self._zones[_zone(node)]

    def _node_changed(self, slot: int) -> None:
        self._array("version")[0, slot] += 1
        self._order = None
        self._columns = None

    def _rank(self, name: str, slot: int) -> None:
        """Ranks by name: of nodes with equal scores the lowest name is taken."""
        place = bisect_left(self._names, name)
        ranks = self._array("rank")
        if place == len(self._names) or self._names[place] != name:
            ranks[ranks >= place] += 1
            self._names.insert(place, name)
        ranks[0, slot] = place

    def _place(self, row: int, pod: PodInfo, node: NodeInfo, slot: int) -> None:
        self._array("allowed")[row, slot] = not (
            is_cordoned(pod, node)
            or (pod.node_name and pod.node_name != node.name)
            or (node.taints and is_repelled(pod, node))
            or not wants(pod, node)
        )
        disliked = disliked_taints(node, soft_tolerations(pod)) if node.taints else 0
        self._array("disliked")[row, slot] = disliked
        self._array("preferred")[row, slot] = preference(pod, node)

    def _present(self) -> Iterable[tuple[NodeInfo, int]]:
        return ((node, slot) for slot, node in enumerate(self.nodes) if node is not None)

    # Pods.

    def count_out(self, pods: Sequence[int], slot: int, leaving: Sequence[bool]) -> None:
        """Pods, given by their classes, are no longer on a node; which were being deleted."""
        counts = np.array(pods, np.int64), np.array(leaving, np.bool_)
        self._unbind(self.columns(), *counts, slot)

    def is_on(self, pod: int, slot: int, *, leaving: bool) -> bool:
        """Whether a pod of a class is on a node, and whether it is being deleted."""
        leave = self._array("leaving")[pod, slot]
        return bool(leave if leaving else self._array("bound")[pod, slot] - leave)

    def mark_leaving(self, pod: int, slot: int) -> None:
        """A pod of a class on a node is being deleted: spread no longer counts it."""
        c = self.columns()
        c.leaving[pod, slot] += 1
        self._count_effects(c, pod, slot, -1, col.WEIGHT, False)
        self._count_effects(c, pod, slot, +1, col.WEIGHT, True)

    def nominate(self, pod: int, slot: int) -> int:
        """Promises room on a node to a pod; the number of the promise."""
        if not self._free_nominations:
            rows = len(self._array("nominations"))
            self._tables["nominations"].fit(2 * rows, 2)
            self._free_nominations.extend(range(2 * rows - 1, rows - 1, -1))
            self._columns = None
        nomination = self._free_nominations.pop()
        self._array("nominations")[nomination] = pod + 1, slot + 1
        self._array("nominated")[0, slot] += 1
        self._array("version")[0, slot] += 1
        return nomination

    def withdraw(self, nomination: int) -> None:
        """A promise no longer holds."""
        _, slot = self._array("nominations")[nomination]
        self._array("nominations")[nomination] = 0
        self._free_nominations.append(nomination)
        self._array("nominated")[0, slot - 1] -= 1
        self._array("version")[0, slot - 1] += 1

    def _pods_on(self, slot: int) -> list[tuple[int, int, bool]]:
        """Classes on a node: how many stay and how many leave."""
        bound, leaving = self._array("bound")[:, slot], self._array("leaving")[:, slot]
        return [
            (int(pod), count, leaves)
            for pod in np.flatnonzero(bound)
            for count, leaves in (
                (int(bound[pod] - leaving[pod]), False),
                (int(leaving[pod]), True),
            )
            if count
        ]

    def _recount(self, slot: int, pods: Sequence[tuple[int, int, bool]], sign: int) -> None:
        c = self.columns()
        for pod, count, leaves in pods:
            for _ in range(count):
                self._count_effects(c, pod, slot, sign, col.WEIGHT, leaves)

    # Classes.

    def register(self, pod: PodInfo) -> int:
        """A class of pods that are all as this one; its number."""
        number = len(self.classes)
        images = tuple(sorted(pod.images))
        kind = PodClass(
            pod,
            shape=self._shape(pod),
            placement=self._placement(pod),
            images=self._image_sets.setdefault(images, len(self._image_sets)),
            named=named_nodes(pod),
        )
        self.classes.append(kind)
        self._effects.append({})
        self._fit()
        for counter, spec in enumerate(self._counters):
            self._add_effect(counter, spec, number)
        self._spread(kind)
        self._affinity(kind, number)
        self._changed()
        return number

    def _shape(self, pod: PodInfo) -> int:
        needed = {r: v for r, v in pod.requests.items() if v > 0}
        balances = bool(pod.requests.get("cpu") or pod.requests.get("memory"))
        key = tuple(sorted(needed.items())), pod.scored_requests, balances, pod.ports
        if key not in self._shapes:
            row = self._shapes[key] = len(self._shapes)
            self._shape_ports.append(pod.ports)
            for port in pod.ports:
                self._ports.setdefault(port, len(self._ports))
            for resource in needed:
                self._resource(resource)
            self._fit()
            for resource, value in needed.items():
                self._array("requests")[row, self._resources[resource]] = value
            self._array("scored_requests")[row, :] = pod.scored_requests
            self._array("is_balanced")[0, row] = balances
        return self._shapes[key]

    def _placement(self, pod: PodInfo) -> int:
        key = _placement_key(pod)
        if key not in self._placements:
            row = self._placements[key] = len(self._placements)
            self._placed.append(pod)
            self._fit()
            for node, slot in self._present():
                self._place(row, pod, node, slot)
        return self._placements[key]

    def _resource(self, resource: str) -> None:
        if resource != "pods" and resource not in self._resources:
            row = self._resources[resource] = len(self._resources)
            self._fit()
            for node, slot in self._present():
                value = node.allocatable.get(resource, 0)
                self._array("allocatable")[row, slot] = value

    def _topology_key(self, key: str) -> int:
        if key not in self._topology:
            domains = self._topology[key] = _Domains()
            for node, _ in self._present():
                if key in node.labels:
                    domains.enter(node.labels[key])
            self._fit()
            row = self._array("domains")[len(self._topology)]
            row[:] = -1
            for node, slot in self._present():
                row[slot] = domains.number(node.labels.get(key))
        return list(self._topology).index(key) + 1

    def _mask(self, key: Hashable, rule: Callable[[NodeInfo], bool]) -> int:
        if key not in self._masks:
            row = self._masks[key] = len(self._masks)
            self._mask_rules.append(rule)
            self._fit()
            for node, slot in self._present():
                self._array("masks")[row, slot] = rule(node)
        return self._masks[key]

    # What a class looks at.

    def _spread(self, kind: PodClass) -> None:
        pod = kind.pod
        for constraint in pod.spread:
            counter = self._spread_counter(kind, constraint, pod.spread)
            itself = constraint.selector.matches(pod.labels)
            kind.uses[col.HARD].append(
                (counter, constraint.max_skew, constraint.min_domains, int(itself))
            )
        soft = pod.preferred_spread if pod.has_spread else default_spread(pod, self.context)
        needed = soft if pod.has_spread else ()
        if needed:
            kind.needs_keys = self._keys_mask(needed)
        for constraint in soft:
            key = self._topology_key(constraint.key)
            by_node = constraint.key == HOSTNAME
            if by_node:
                counter = self._add_counter(_counts_spread(pod, constraint, col.ITSELF, 0))
            else:
                counter = self._spread_counter(kind, constraint, needed)
            kind.uses[col.SOFT].append((counter, constraint.max_skew - 1, int(by_node), key))

    def _spread_counter(
        self, kind: PodClass, constraint: Spread, together: Sequence[Spread]
    ) -> int:
        pod = kind.pod
        keys = tuple(sorted({other.key for other in together}))
        policy = constraint.honours_affinity, constraint.honours_taints
        mask = self._mask(
            (kind.placement if any(policy) else None, policy, keys),
            lambda node: (
                all(key in node.labels for key in keys) and includes(pod, constraint, node)
            ),
        )
        key = self._topology_key(constraint.key)
        return self._add_counter(_counts_spread(pod, constraint, key, mask))

    def _keys_mask(self, constraints: Sequence[Spread]) -> int:
        keys = tuple(sorted({constraint.key for constraint in constraints}))
        return self._mask(
            (None, (False, False), keys), lambda node: all(key in node.labels for key in keys)
        )

    def _affinity(self, kind: PodClass, number: int) -> None:
        pod = kind.pod
        if pod.affinity:
            kind.suits_itself = all(self._means(term, pod) for term in pod.affinity)
            for term in pod.affinity:
                kind.uses[col.WANTED].append(self._use(term.key, self._counts_wanted(pod)))
        for term in pod.anti_affinity:
            kind.uses[col.REPELLED].append(self._use(term.key, self._counts_meant(term)))
        if pod.has_affinity:
            self._sociable.append(number)
        for other in range(number + 1) if pod.has_affinity else self._sociable:
            self._meets(other, number)
            if other != number:
                self._meets(number, other)

    def _meets(self, other: int, number: int) -> None:
        """Makes the counters by which one class's pods on nodes matter to another's."""
        theirs, mine = self.classes[other].pod, self.classes[number].pod
        for term in theirs.anti_affinity:
            if self._means(term, mine):
                self._lazy_use(col.REPELLED, number, term.key)
        for key, _ in self._attractions(mine, theirs):
            self._lazy_use(col.ATTRACTED, number, key)

    def _attractions(self, mine: PodInfo, theirs: PodInfo) -> Iterable[tuple[str, int]]:
        """By topology key, how much one pod is attracted by another that is on a node."""
        for term in mine.preferred_affinity:
            if self._means(term, theirs):
                yield term.key, term.weight
        for term in mine.preferred_anti_affinity:
            if self._means(term, theirs):
                yield term.key, -term.weight
        for term in theirs.affinity:
            if self._means(term, mine):
                yield term.key, 1
        for term in theirs.preferred_affinity:
            if self._means(term, mine):
                yield term.key, term.weight
        for term in theirs.preferred_anti_affinity:
            if self._means(term, mine):
                yield term.key, -term.weight

    def _lazy_use(self, use: int, number: int, key: str) -> None:
        name = key, use, number
        if name in self._lazy_counters:
            return
        mine = self.classes[number].pod

        def repels(theirs: PodInfo) -> int:
            return sum(t.key == key and self._means(t, mine) for t in theirs.anti_affinity)

        def attracts(theirs: PodInfo) -> int:
            return sum(w for k, w in self._attractions(mine, theirs) if k == key)

        weight = repels if use == col.REPELLED else attracts
        self._lazy_counters.add(name)
        self.classes[number].uses[use].append(self._use(key, weight))

    def _use(self, key: str, weight: Callable[[PodInfo], int]) -> tuple[int, int, int, int]:
        spec = _Counter(self._topology_key(key), col.ALL_NODES, weight, weight)
        return self._add_counter(spec), 0, 0, 0

    def _counts_wanted(self, pod: PodInfo) -> Callable[[PodInfo], int]:
        return lambda other: int(all(self._means(term, other) for term in pod.affinity))

    def _counts_meant(self, term: PodTerm) -> Callable[[PodInfo], int]:
        return lambda other: int(self._means(term, other))

    def _means(self, term: PodTerm, pod: PodInfo) -> bool:
        return term.matches(pod, self.context.labels_of(pod.namespace))

    # Counters.

    def _add_counter(self, spec: _Counter) -> int:
        counter = len(self._counters)
        self._counters.append(spec)
        self._fit()
        for number in range(len(self.classes)):
            self._add_effect(counter, spec, number)
        self._fill(counter, spec)
        self._changed()
        return counter

    def _add_effect(self, counter: int, spec: _Counter, number: int) -> None:
        pod = self.classes[number].pod
        weight, trial = spec.weight(pod), spec.trial_weight(pod)
        if weight or trial:
            self._effects[number][counter] = weight, trial

    def _fill(self, counter: int, spec: _Counter) -> None:
        """Counts what is on the nodes already."""
        domain = self._array("domains")[spec.key]
        counted = self._array("masks")[spec.mask] & (domain >= 0)
        places = self._counter_first[counter] + domain[counted]
        counts, present = self._array("counts")[0], self._array("present")[0]
        np.add.at(present, places, 1)
        for number, effects in enumerate(self._effects):
            weight, _ = effects.get(counter, (0, 0))
            if weight:
                pods = self._array("bound")[number]
                if spec.spares_leaving:
                    pods = pods - self._array("leaving")[number]
                np.add.at(counts, places, weight * pods[counted])
                self._array("counter_total")[0, counter] += weight * pods[counted].sum()

    def _count_presence(self, slot: int, sign: int) -> None:
        c = self.columns()
        domain = c.domains[c.counter_key, slot]
        counted = (domain >= 0) & c.masks[c.counter_mask, slot]
        c.present[(c.counter_first + domain)[counted]] += sign

    # Columns.

    def columns(self) -> Columns:
        """The tables as they are now. Valid until nodes or classes change."""
        if self._columns is None:
            if not self._vectors:
                self._vectors = self._class_vectors()
            self._score_images()
            values = {name: self._array(name) for name in _TABLES}
            for name in _FLAT:
                values[name] = values[name][0]
            for name in ("image_sizes", "has_image"):
                del values[name]
            for name in ("disliked", "preferred"):
                values[f"is_{name}"] = np.asarray(values[name].any(axis=1))
            values["is_everywhere"] = np.asarray(
                (values["domains"][:, self.order] >= 0).all(axis=1)
            )
            values["logarithms"] = _logarithms(max(100, feasible_wanted(len(self.slots))) + 4)
            self._columns = Columns(**values, **self._vectors)
        return self._columns

    def _array(self, name: str) -> NDArray[Any]:
        return self._tables[name].array

    def _changed(self) -> None:
        self._vectors = {}
        self._columns = None

    def _fit(self) -> None:
        """Makes room for all nodes, classes and counters."""
        nodes, keys = len(self.nodes), len(self._topology) + 1
        rows = {
            "resources": len(self._resources),
            "keys": keys,
            "ports": len(self._ports),
            "shapes": len(self._shapes),
            "placements": len(self._placements),
            "masks": len(self._masks),
            "images": len(self._image_sets),
            "single": len(self._image_rows),
            "classes": len(self.classes),
            "one": 1,
        }
        grown = False
        for name, axis in _BY_NODE.items():
            grown |= self._tables[name].fit(rows[axis], nodes)
        grown |= self._tables["requests"].fit(rows["shapes"], rows["resources"])
        grown |= self._tables["scored_requests"].fit(rows["shapes"], 2)
        grown |= self._tables["is_balanced"].fit(1, rows["shapes"])
        grown |= self._tables["nominations"].fit(1, 2)
        grown |= self._fit_counters(nodes, keys)
        if grown:
            self._columns = None

    def _fit_counters(self, nodes: int, keys: int) -> bool:
        """Gives each counter its part of ``counts`` and ``present``, one number for each domain."""
        grown = self._tables["domain_limit"].fit(1, keys)
        grown |= self._tables["counter_total"].fit(1, len(self._counters))
        limits = self._array("domain_limit")[0]
        before = limits.copy()
        sizes = [nodes, *(domains.size for domains in self._topology.values())]
        for key, size in enumerate(sizes):
            if size > limits[key]:
                limits[key] = max(4, 2 * size)
        firsts, end = list[int](), 0
        if (limits == before).all() and self._counter_first:
            firsts = self._counter_first
            last = self._counters[len(firsts) - 1]
            end = firsts[-1] + int(limits[last.key])
        moved = self._counter_first if firsts is not self._counter_first else []
        for spec in self._counters[len(firsts) :]:
            firsts.append(end)
            end += int(limits[spec.key])
        if moved:
            for name in ("counts", "present"):
                old = self._array(name)[0]
                self._tables[name] = Table(_TABLES[name], 1, end)
                for spec, was, first in zip(self._counters, moved, firsts, strict=False):
                    size = int(before[spec.key])
                    self._array(name)[0, first : first + size] = old[was : was + size]
            self._changed()
        self._counter_first = firsts
        for name in ("counts", "present"):
            grown |= self._tables[name].fit(1, end)
        return grown | self._tables["stamps"].fit(keys, int(limits.max()) + 1)

    def _class_vectors(self) -> dict[str, NDArray[Any]]:
        """What is known of shapes, classes and counters, as the kernels read it."""
        uses = [use for kind in self.classes for by_use in kind.uses for use in by_use]
        lengths = [len(by_use) for kind in self.classes for by_use in kind.uses]
        ends = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        uses_first = np.zeros((len(self.classes), col.USES + 1), np.int64)
        for use in range(col.USES + 1):
            uses_first[:, use] = ends[use :: col.USES][: len(self.classes)]
        effects = [
            (counter, *weights, self._counters[counter].spares_leaving)
            for by_counter in self._effects
            for counter, weights in by_counter.items()
        ]
        taken = [[self._ports[port] for port in ports] for ports in self._shape_ports]
        conflicts = [
            sorted({n for p, n in self._ports.items() if any(p.conflicts(q) for q in ports)})
            for ports in self._shape_ports
        ]
        return {
            "ports_first": _firsts(taken),
            "ports_taken": np.array([port for ports in taken for port in ports], np.int64),
            "conflicts_first": _firsts(conflicts),
            "conflicts": np.array([port for ports in conflicts for port in ports], np.int64),
            "counter_key": np.array([spec.key for spec in self._counters], np.int64),
            "counter_mask": np.array([spec.mask for spec in self._counters], np.int64),
            "counter_first": np.array(self._counter_first, np.int64),
            "classes": np.array([kind.row for kind in self.classes], np.int64).reshape(
                -1, col.CLASS_COLUMNS
            ),
            "uses_first": uses_first,
            "uses": np.array([(*use, 0) for use in uses], np.int64).reshape(-1, 5),
            "effects_first": _firsts(self._effects),
            "effects": np.array(effects, np.int64).reshape(-1, 4),
        }

    def _score_images(self) -> None:
        """ImageLocality, which a node more or less changes for all (``scores.image_locality``)."""
        nodes = len(self.slots)
        for images, row in self._image_sets.items():
            known = [self._image_rows[image] for image in images if image in self._image_rows]
            if not known or not nodes:
                continue
            total = np.zeros(self._array("images").shape[1], np.int64)
            for image in known:
                share = int(self._array("has_image")[image].sum()) / nodes
                total += (self._array("image_sizes")[image] * share).astype(np.int64)
            most = IMAGE_MOST * len(images)
            within = np.minimum(np.maximum(total, IMAGES_LEAST), most)
            self._array("images")[row] = 100 * (within - IMAGES_LEAST) // (most - IMAGES_LEAST)


@lru_cache(maxsize=4)
def _logarithms(size: int) -> NDArray[np.float64]:
    return np.array([0.0, *(logarithm(number) for number in range(1, size))])


def _counts_spread(pod: PodInfo, constraint: Spread, key: int, mask: int) -> _Counter:
    selector = constraint.selector

    def trial(other: PodInfo) -> int:
        return int(other.namespace == pod.namespace and selector.matches(other.labels))

    def weight(other: PodInfo) -> int:
        return 0 if selector.is_empty else trial(other)

    return _Counter(key, mask, weight, trial, spares_leaving=True)


def _placement_key(pod: PodInfo) -> Hashable:
    """What of a pod says to which nodes it can and wants to go, whatever is on them."""
    spec = pod.obj["spec"]
    node_affinity = (spec.get("affinity") or {}).get("nodeAffinity")
    parts = [spec.get("nodeName"), spec.get("nodeSelector"), spec.get("tolerations"), node_affinity]
    return orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)


def _zone(node: NodeInfo) -> tuple[str, str]:
    return node.labels.get(REGION, ""), node.labels.get(ZONE, "")


def _firsts(parts: Sequence[Sized]) -> Ints:
    """Where each part begins when all are put one after another, and where the last ends."""
    return np.cumsum([0, *(len(part) for part in parts)], dtype=np.int64)


# The tables by what their first axis is; the second is the node.
_BY_NODE: Final = {
    "allocatable": "resources",
    "used": "resources",
    "scored": "resources",
    "pods_most": "one",
    "pods_used": "one",
    "version": "one",
    "rank": "one",
    "nominated": "one",
    "domains": "keys",
    "ports": "ports",
    "own": "shapes",
    "own_version": "shapes",
    "allowed": "placements",
    "disliked": "placements",
    "preferred": "placements",
    "masks": "masks",
    "images": "images",
    "image_sizes": "single",
    "has_image": "single",
    "bound": "classes",
    "leaving": "classes",
    "found": "one",
    "totals": "one",
    "raw": "one",
}
_OTHERS: Final = (
    "requests",
    "scored_requests",
    "is_balanced",
    "nominations",
    "domain_limit",
    "counter_total",
    "counts",
    "present",
    "stamps",
)
_DTYPES: Final[Mapping[str, DTypeLike]] = {
    **dict.fromkeys(("allowed", "masks", "has_image", "is_balanced"), np.bool_),
    **dict.fromkeys(("own", "own_version", "bound", "leaving", "disliked", "preferred"), np.int32),
    **dict.fromkeys(("counts", "present"), np.int32),
    "images": np.int16,
    "image_sizes": np.float64,
}
_TABLES: Final = {name: _DTYPES.get(name, np.int64) for name in (*_BY_NODE, *_OTHERS)}
# Tables of one row.
_FLAT: Final = (
    *(name for name, axis in _BY_NODE.items() if axis == "one"),
    "is_balanced",
    "domain_limit",
    "counter_total",
    "counts",
    "present",
)
