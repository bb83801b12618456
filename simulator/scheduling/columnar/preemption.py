"""Which pods have to go so that a more important one fits, over columns.

Decides as ``simulator.scheduling.preemption`` does; a test holds it to that. What making room on a
node would come to is kept by class of pods until the node, or a budget of its pods, changes.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prism_operator.api.meta import Json
from simulator.scheduling.columnar import columns as col
from simulator.scheduling.columnar import kernels
from simulator.scheduling.columnar.columns import PodColumns, Table
from simulator.scheduling.columnar.scheduler import ColumnarScheduler
from simulator.scheduling.preemption import LATEST, disruptions_allowed, is_covered


class Room(NamedTuple):
    """The node to make room on, and the pods that have to leave it, most important first."""

    node: int
    victims: tuple[int, ...]
    violations: int  # of PodDisruptionBudgets


class _Importance(NamedTuple):
    """Sort key on a node: the most important first, then who started first."""

    negative_priority: int
    started_ns: int
    name: str
    pod: int


class ColumnarPreemption:
    """Single pods on the nodes of a scheduler, and what their budgets allow.

    Pods that are to be victims have to come and go here, which binds and unbinds them there too.
    """

    def __init__(self, scheduler: ColumnarScheduler, *, compiled: bool = True) -> None:
        self._scheduler, self._cluster = scheduler, scheduler.cluster
        self._preempt = kernels.preempt_compiled if compiled else kernels.preempt
        self._nodes: dict[int, int] = {}
        self._leaving: set[int] = set()
        self._names: list[str] = []
        self._free: list[int] = []
        self._on_node: dict[int, list[_Importance]] = {}
        self._keys: dict[int, _Importance] = {}
        self._width = 1  # the most pods that any node had
        self._fitted = 0, 0, 0
        self._budgets: list[Json] = []
        self._sets: dict[tuple[int, ...], int] = {(): 0}
        self._covering: list[tuple[int, ...]] = [()]
        self._set_of_class: dict[int, int] = {}
        self._disrupted: set[str] = set()  # the names of pods that some budget has been charged for
        self._rows: dict[int, int] = {}
        self._tables = {name: Table(np.int64) for name in (*_BY_NODE, *_BY_POD)}
        self._outcomes = np.zeros((0, col.OUTCOME_ROWS, 0), np.int64)
        self._fixed: dict[str, NDArray[Any]] = {}
        self._pods: PodColumns | None = None
        self.set_budgets(())

    def add_pod(self, pod: int, node: int, name: str, *, started_ns: int | None = None) -> int:
        """A pod of a class is on a node from now on; its number."""
        number = self._free.pop() if self._free else len(self._names)
        if number == len(self._names):
            self._names.append("")
        started = LATEST if started_ns is None else started_ns
        priority = self._cluster.classes[pod].pod.priority
        self._names[number], self._nodes[number] = name, node
        self._keys[number] = _Importance(-priority, started, name, number)
        insort(self._on_node.setdefault(node, []), self._keys[number])
        self._fit()
        self._array("pod_class")[number] = pod
        self._array("started")[number] = started
        self._array("budget_set")[number] = self._set_of(number)
        self._write(node)
        self._scheduler.bind(pod, node)
        return number

    def remove_pod(self, number: int) -> None:
        """A pod has left its node."""
        self._remove([number], self._nodes[number])

    def mark_leaving(self, number: int) -> None:
        """A pod is being deleted; it takes room until it is removed."""
        if number not in self._leaving:
            self._leaving.add(number)
            pod = int(self._array("pod_class")[number])
            self._scheduler.mark_leaving(pod, self._nodes[number])

    def remove_node(self, node: int) -> None:
        """A node has gone, with all pods that were on it."""
        for key in list(self._on_node.pop(node, ())):
            self._free.append(key.pod)
            self._leaving.discard(key.pod)
            del self._nodes[key.pod], self._keys[key.pod]
        self._fit()
        self._array("on_node_count")[node] = 0
        self._scheduler.remove_node(node)

    def set_budgets(self, budgets: Sequence[Json]) -> None:
        """What the PodDisruptionBudgets say now."""
        self._budgets = list(budgets)
        self._sets, self._covering, self._set_of_class = {(): 0}, [()], {}
        self._disrupted = {
            name
            for budget in budgets
            for name in (budget.get("status") or {}).get("disruptedPods") or ()
        }
        for number in self._nodes:
            self._array("budget_set")[number] = self._set_of(number)
        # Versions never come back, so that no outcome of other budgets is taken for one of these.
        self._outcomes[:, col.AT_VERSION] = 0
        self._fixed = {
            "disruptions_allowed": np.array([*map(disruptions_allowed, budgets)], np.int64),
            "budget_version": np.zeros(len(budgets), np.int64),
            "budget_changes": np.zeros(1, np.int64),
        }
        self._pods = None

    def allow(self, budget: int, disruptions: int) -> None:
        """A budget, by its place in ``set_budgets``, allows so many evictions now."""
        allowed, most = self._fixed["disruptions_allowed"], self._array("on_node").shape[1]
        # More than fit on a node make no difference.
        if min(allowed[budget], most) != min(disruptions, most):
            self._fixed["budget_version"][budget] += 1
            self._fixed["budget_changes"][0] += 1
        allowed[budget] = disruptions

    def disruptions_allowed(self, budget: int) -> int:
        """How many evictions a budget allows now."""
        return int(self._fixed["disruptions_allowed"][budget])

    def preempt(self, pod: int, *, draw: int = 0, nomination: int = -1) -> Room | None:
        """The best node to make room on; None when that helps nowhere or the pod may not.

        The pod fits nowhere now. ``draw`` says with which node the search begins; ``nomination``
        is the pod's own.
        """
        if not self._cluster.classes[pod].pod.may_preempt or self._waits_for_room(pod, nomination):
            return None
        row = self._rows.setdefault(pod, len(self._rows))
        c, t = self._cluster.columns(), self._columns()
        node = int(self._preempt(c, t, pod, row, self._cluster.order, draw, nomination))
        if node < 0:
            return None
        first, last = int(t.outcomes[row, col.FIRST, node]), int(t.on_node_count[node])
        victims = t.on_node[node, first:last][t.is_victim[first:last]]
        violations = int(t.outcomes[row, col.VIOLATIONS, node])
        return Room(node, tuple(victims.tolist()), violations)

    def evict(self, room: Room) -> None:
        """The victims are gone at once, and what their budgets allow is less."""
        for victim in room.victims:
            for budget in self._budgets_of(victim):
                self.allow(budget, max(0, self.disruptions_allowed(budget) - 1))
        self._remove(room.victims, room.node)

    def _remove(self, pods: Sequence[int], node: int) -> None:
        classes = self._array("pod_class")[list(pods)].tolist()
        leaving = [number in self._leaving for number in pods]
        self._cluster.count_out(classes, node, leaving)
        for number in pods:
            del self._nodes[number]
            self._leaving.discard(number)
            self._on_node[node].remove(self._keys.pop(number))
            self._free.append(number)
        self._write(node)

    def _waits_for_room(self, pod: int, nomination: int) -> bool:
        """Whether victims of an earlier preemption are still leaving the node promised to it."""
        if nomination < 0:
            return False
        node = int(self._cluster.columns().nominations[nomination, 1]) - 1
        mine = -self._cluster.classes[pod].pod.priority
        return any(
            key.pod in self._leaving and key.negative_priority > mine
            for key in self._on_node.get(node, ())
        )

    def _budgets_of(self, number: int) -> tuple[int, ...]:
        return self._covering[int(self._array("budget_set")[number])]

    def _set_of(self, number: int) -> int:
        kind, name = int(self._array("pod_class")[number]), self._names[number]
        if kind in self._set_of_class and name not in self._disrupted:
            return self._set_of_class[kind]
        pod = self._cluster.classes[kind].pod
        covering = tuple(
            index for index, budget in enumerate(self._budgets) if is_covered(budget, pod, name)
        )
        if covering not in self._sets:
            self._sets[covering] = len(self._sets)
            self._covering.append(covering)
            self._pods = None
        if name not in self._disrupted:
            self._set_of_class[kind] = self._sets[covering]
        return self._sets[covering]

    def _write(self, node: int) -> None:
        keys = self._on_node[node]
        self._width = max(self._width, len(keys))
        self._fit()
        self._tables["on_node"].array[node, : len(keys)] = [key.pod for key in keys]
        self._array("on_node_count")[node] = len(keys)

    def _array(self, name: str) -> NDArray[Any]:
        array = self._tables[name].array
        return array if name == "on_node" else array[0]

    def _fit(self) -> None:
        nodes, pods = len(self._cluster.nodes), len(self._names)
        if self._fitted == (nodes, pods, self._width):
            return
        self._fitted = nodes, pods, self._width
        grown = self._tables["on_node"].fit(nodes, self._width)
        for name, size in (
            *((name, nodes) for name in _BY_NODE if name != "on_node"),
            *((name, pods) for name in _BY_POD),
        ):
            grown |= self._tables[name].fit(1, size)
        if grown:
            self._pods = None

    def _columns(self) -> PodColumns:
        self._fit()
        nodes = self._tables["on_node"].array.shape[0]
        if self._outcomes.shape[0] < len(self._rows) or self._outcomes.shape[2] < nodes:
            shape = max(4, 2 * len(self._rows)), col.OUTCOME_ROWS, nodes
            self._outcomes = np.zeros(shape, np.int64)
            self._pods = None
        if self._pods is None:
            width = self._tables["on_node"].array.shape[1]
            sets = self._covering
            self._pods = PodColumns(
                **{name: self._array(name) for name in (*_BY_NODE, *_BY_POD)},
                **self._fixed,
                sets_first=np.cumsum([0, *map(len, sets)], dtype=np.int64),
                sets=np.array([budget for budgets in sets for budget in budgets], np.int64),
                outcomes=self._outcomes,
                is_protected=np.zeros(width, np.bool_),
                is_victim=np.zeros(width, np.bool_),
                charged_end=np.zeros(width, np.int64),
                free=np.zeros(64, np.int64),
            )
        return self._pods


_BY_NODE: Final = ("on_node", "on_node_count", "potential")
_BY_POD: Final = ("pod_class", "started", "budget_set")
