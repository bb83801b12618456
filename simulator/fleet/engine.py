"""Days of thousands of nodes in seconds: groups of pods that are alike, in columns.

For what the engine of scenarios is too exact: there every object is stored as the API server would.
Here a fleet has Deployments without rollouts, HPAs on CPU, consumers scaled by KEDA on lag, the
scheduler over columns, and nodes that are taken back. What both can play comes out alike.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from pyarrow import csv

from prism_operator.api.meta import Json
from simulator.fleet import kernel
from simulator.kernel import HOUR_US, SECOND_US, Us
from simulator.randomness import Streams
from simulator.scheduling.columnar import ColumnarScheduler
from simulator.scheduling.decision import feasible_wanted
from simulator.scheduling.selectors import Selector, compile_selector

_LOG_ROWS = 1 << 16
WHAT = ("bound", "ready", "deleted", "gone", "scaled", "added", "removed")


@dataclass(frozen=True, slots=True)
class Policies:
    """One policy of percent for each direction, and how long a scale down is held back."""

    up_percent: int = 100
    up_period_us: Us = 15 * SECOND_US
    down_percent: int = 100
    down_period_us: Us = 15 * SECOND_US
    down_stabilization_us: Us = 300 * SECOND_US


@dataclass(frozen=True, slots=True)
class Group:
    """Pods that are alike, of one ReplicaSet, with their load by knots from the start.

    ``scaler`` cpu: ``target`` is percent of what a pod requests, ``load`` thousandths of a core for
    all. ``lag``: messages a pod, and messages a second; a consumer does ``rate`` and commits
    every ``commit_us``. ``eager``: all of them stop when one comes or goes. ``behavior`` is that of
    the HPA; without one, the controller's own limits hold.
    """

    name: str
    template: Json
    replicas: int
    scaler: str = "fixed"
    least: int = 1
    most: int = 1
    target: int = 1
    request_m: int = 100
    limit_m: int = 1000
    load: Sequence[float] = (0.0,)
    partitions: int = 1
    rate: float = 1.0
    eager: bool = False
    commit_us: Us = 5 * SECOND_US
    behavior: Policies | None = None


@dataclass(frozen=True, slots=True)
class NodeLoss:
    """A node is taken back ``notice_us`` after it was told; another comes ``boot_us`` later."""

    at_us: Us
    node: str
    notice_us: Us = 120 * SECOND_US
    boot_us: Us = 60 * SECOND_US


@dataclass(frozen=True, slots=True)
class Times:
    """How long things take; the defaults are those of scenarios."""

    react_us: Us = 5_000
    create_us: Us = 2_500_000
    become_ready_us: Us = SECOND_US
    stop_us: Us = SECOND_US
    scrape_us: Us = 15 * SECOND_US
    sync_us: Us = 15 * SECOND_US
    poll_us: Us = 30 * SECOND_US
    cooldown_us: Us = 300 * SECOND_US
    stabilize_us: Us = 300 * SECOND_US
    rebalance_us: Us = 3 * SECOND_US
    retry_us: Us = 5 * SECOND_US  # an eviction that a budget refused
    knot_us: Us = HOUR_US

    @property
    def timings(self) -> kernel.Timings:
        """For the kernel."""
        return kernel.Timings(
            self.react_us, self.create_us, self.become_ready_us, self.stop_us, self.scrape_us,
            self.sync_us, self.poll_us, self.cooldown_us, self.rebalance_us, self.knot_us,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class FleetSpec:
    """A fleet and what befalls it. ``churn``: the share of pods that is replaced, at any time."""

    nodes: Sequence[Json]
    groups: Sequence[Group]
    duration_us: Us
    losses: Sequence[NodeLoss] = ()
    price_per_h: Mapping[str, float] = field(default_factory=dict)  # by node
    churn: float = 0.0
    seed: int = 0
    times: Times = Times()
    pods_most: int | None = None


@dataclass(frozen=True, slots=True)
class Numbers:
    """What became of each group: means and extremes over the whole time."""

    replicas: float
    ready: float
    lag_most: float
    scalings: int


@dataclass(frozen=True, slots=True)
class FleetResult:
    """What a run came to; ``log_hash`` is the same for the same run, wherever it is made."""

    groups: Mapping[str, Numbers]
    cost: float
    events: int
    lines: int
    bound: int
    waiting: int
    log_hash: str


class FleetSimulation:
    """One run of a fleet. ``log`` takes CSV: time_us, what, group, pod, node, value."""

    def __init__(
        self, spec: FleetSpec, *, log: BinaryIO | None = None, compiled: bool = True
    ) -> None:
        self.spec, self._sink, self._compiled = spec, log, compiled
        self._scheduler = ColumnarScheduler(compiled=compiled, owners=dict(_owners(spec.groups)))
        self._slots = {n["metadata"]["name"]: self._scheduler.add_node(n) for n in spec.nodes}
        self._names = {slot: name for name, slot in self._slots.items()}
        self._objects = {n["metadata"]["name"]: n for n in spec.nodes}
        classes = [self._scheduler.register(group.template) for group in spec.groups]
        self._timings = spec.times.timings
        self.arrays = _arrays(spec, classes)
        self._hash, self._lines, self._bound = hashlib.sha256(), 0, 0
        self._cost = 0.0
        self._since = dict.fromkeys(self._slots, 0)
        self._ordinals = itertools.count()
        self._stops: list[tuple[Us, int, Callable[[NodeLoss, Us], None], NodeLoss]] = []
        for loss in spec.losses:
            self._at(loss.at_us, self._told, loss)

    def fill(self, until_us: Us = 30 * SECOND_US) -> None:
        """Its first seconds, in which all pods that are wanted come."""
        self._begin()
        self._go_on(until_us)

    def run(self) -> FleetResult:
        """Runs it to its end."""
        if not self.arrays.numbers[kernel.EVENTS]:
            self._begin()
        while self._stops:
            at_us, _, step, loss = heapq.heappop(self._stops)
            if at_us >= self.spec.duration_us:
                break
            self._go_on(at_us)
            step(loss, at_us)
        self._go_on(self.spec.duration_us)
        self._flush()
        self._call(kernel.finish, self.arrays, self._timings, self.spec.duration_us)
        groups, flows = self.arrays.groups, self.arrays.flows
        for name in sorted(self._since):
            self._pay(name, self.spec.duration_us)
        return FleetResult(
            groups={
                group.name: Numbers(
                    float(flows[i, kernel.POD_US] / self.spec.duration_us),
                    float(flows[i, kernel.READY_US] / self.spec.duration_us),
                    float(flows[i, kernel.LAG_MOST]),
                    int(groups[i, kernel.SCALINGS]),
                )
                for i, group in enumerate(self.spec.groups)
            },
            cost=self._cost,
            events=int(self.arrays.numbers[kernel.EVENTS]),
            lines=self._lines,
            bound=self._bound,
            waiting=int((self.arrays.pods[:, kernel.STATE] == kernel.WAITING).sum()),
            log_hash=self._hash.hexdigest()[:12],
        )

    def _begin(self) -> None:
        self._call(kernel.begin, self.arrays, self._timings)

    def _call(self, function: Any, *arguments: Any) -> Any:
        return (function if self._compiled else function.py_func)(*arguments)

    def _go_on(self, until_us: Us) -> None:
        order = self._scheduler.cluster.order
        room = self.arrays.pods.shape[0]  # no event has more to tell
        arguments = (
            self.arrays,
            self._scheduler.cluster.columns(),
            self._timings,
            order,
            feasible_wanted(len(order)),
            until_us,
            room,
        )
        while not self._call(kernel.advance, *arguments):
            self._flush()

    # Nodes

    def _at(self, at_us: Us, step: Callable[[NodeLoss, Us], None], loss: NodeLoss) -> None:
        heapq.heappush(self._stops, (at_us, next(self._ordinals), step, loss))

    def _told(self, loss: NodeLoss, now_us: Us) -> None:
        old = self._objects[loss.node]
        cordoned = {**old, "spec": {**old.get("spec", {}), "unschedulable": True}}
        self._scheduler.update_node(self._slots[loss.node], cordoned)
        self._at(now_us + loss.notice_us, self._taken, loss)
        self._drain(loss, now_us)

    def _drain(self, loss: NodeLoss, now_us: Us) -> None:
        again_us = now_us + self.spec.times.retry_us
        if self._take_out(self._slots[loss.node], now_us, spare=True) and (
            again_us < loss.at_us + loss.notice_us
        ):
            self._at(again_us, self._drain, loss)

    def _taken(self, loss: NodeLoss, now_us: Us) -> None:
        slot = self._slots.pop(loss.node)
        self._take_out(slot, now_us, spare=False)
        self._scheduler.remove_node(slot)
        self._tell(now_us, kernel.REMOVED, slot)
        self._pay(loss.node, now_us)
        self._since[loss.node] = now_us  # its successor is paid for from its launch
        self._at(now_us + loss.boot_us, self._booted, loss)

    def _booted(self, loss: NodeLoss, now_us: Us) -> None:
        slot = self._slots[loss.node] = self._scheduler.add_node(self._objects[loss.node])
        if self._names.get(slot) != loss.node:
            self._flush()  # what is told so far is of the node that had this slot before
            self._names[slot] = loss.node
        self._tell(now_us, kernel.ADDED, slot)
        if self.arrays.on_node.shape[0] <= slot:
            self.arrays = self.arrays._replace(on_node=np.zeros(2 * slot + 2, np.int64))
        kernel.place_soon(self.arrays, now_us, self._timings.react)

    def _take_out(self, slot: int, now_us: Us, *, spare: bool) -> int:
        pods = np.flatnonzero(self.arrays.node == slot)
        columns = self._scheduler.cluster.columns()
        arguments = self.arrays, columns, self._timings, pods, now_us, spare
        return int(self._call(kernel.take_out, *arguments))

    def _pay(self, name: str, until_us: Us) -> None:
        hours = (until_us - self._since[name]) / HOUR_US
        self._cost += hours * self.spec.price_per_h.get(name, 0.0)

    # The log

    def _tell(self, at_us: Us, what: int, node: int) -> None:
        kernel.tell(self.arrays, at_us, what, -1, -1, node, 0)

    def _flush(self) -> None:
        n = self.arrays.numbers
        rows = self.arrays.log[: n[kernel.LOGGED]]
        self._hash.update(rows.tobytes())
        self._lines += len(rows)
        self._bound += int((rows[:, 1] == kernel.BOUND).sum())
        if self._sink is not None and len(rows):
            columns = [pa.array(rows[:, i]) for i in range(kernel.LOG_COLUMNS)]
            groups = [group.name for group in self.spec.groups]
            nodes = [self._names.get(slot, "") for slot in range(max(self._names) + 1)]
            for i, names in ((1, WHAT), (2, groups), (4, nodes)):
                known = pa.array(rows[:, i], mask=rows[:, i] < 0)  # below 0: of none
                columns[i] = pa.DictionaryArray.from_arrays(known, pa.array(names)).cast("string")
            names = ["time_us", "what", "group", "pod", "node", "value"]
            options = csv.WriteOptions(include_header=self._lines == len(rows))
            csv.write_csv(pa.table(columns, names), self._sink, options)
        n[kernel.LOGGED] = 0


def _owners(groups: Sequence[Group]) -> Mapping[tuple[str, str, str], Selector]:
    owners: dict[tuple[str, str, str], Selector] = {}
    for group in groups:
        meta = group.template["metadata"]
        for owner in meta.get("ownerReferences") or ():
            key = meta["namespace"], f"{owner['apiVersion']}/{owner['kind']}", owner["name"]
            owners[key] = compile_selector({"matchLabels": meta["labels"]})
    return owners


def _pods_most(spec: FleetSpec) -> int:
    if spec.pods_most is not None:
        return spec.pods_most
    # Half as many again as there may be at once: pods that leave keep their slots for a while.
    return 3 * sum(max(group.most, group.replicas) for group in spec.groups) // 2 + 64


def _arrays(spec: FleetSpec, classes: Sequence[int]) -> kernel.Fleet:
    size, most, streams = len(spec.groups), _pods_most(spec), Streams(spec.seed)
    groups, flows, load = _of_groups(spec, classes)
    pods = np.zeros((most, kernel.POD_COLUMNS), np.int64)
    numbers = np.zeros(kernel.NUMBERS, np.int64)
    numbers[kernel.FREE_TOP], numbers[kernel.NEXT_PLACE] = most, kernel.NEVER
    numbers[kernel.NEXT_SCRAPE] = spec.times.scrape_us
    scaled = [i for i, group in enumerate(spec.groups) if group.scaler != "fixed"]
    polled = [i for i in scaled if spec.groups[i].scaler == "lag"]

    def turns(what: str, members: Sequence[int], period_us: Us) -> kernel.Ints:
        # As ``Streams.phase`` has it: the first look is somewhere in the second period.
        draws = (
            (period_us + streams.stream(what, spec.groups[i].name).randrange(period_us), i)
            for i in members
        )
        return np.array(sorted(draws), np.int64).reshape(-1, 2)

    policies = [group.behavior for group in spec.groups if group.behavior is not None]
    windows = [policy.down_stabilization_us for policy in policies]
    longest_window_us = max([spec.times.stabilize_us, *windows])
    longest_period_us = max((max(p.up_period_us, p.down_period_us) for p in policies), default=0)
    looks = turns("hpa", scaled, spec.times.sync_us)
    polls = turns("keda", polled, spec.times.poll_us)
    numbers[kernel.NEXT_LOOK] = looks[0, 0] if len(looks) else kernel.NEVER
    numbers[kernel.NEXT_POLL] = polls[0, 0] if len(polls) else kernel.NEVER
    return kernel.Fleet(
        groups=groups,
        flows=flows,
        load=load,
        recommended=np.zeros((size, _remembered(spec, longest_window_us), 2), np.int64),
        rescales=np.zeros((size, _remembered(spec, longest_period_us), 2), np.int64),
        pods=pods,
        node=np.full(most, -1, np.int64),
        free=np.arange(most, dtype=np.int64),
        steps=np.zeros((3, most, 3), np.int64),
        queue=np.zeros((most, 2), np.int64),
        churn=_churn(spec, streams),
        looks=looks,
        polls=polls,
        failed=np.zeros(max(classes) + 1, np.int64),
        on_node=np.zeros(2 * len(spec.nodes) + 2, np.int64),
        numbers=numbers,
        log=np.zeros((_LOG_ROWS + most, kernel.LOG_COLUMNS), np.int64),
    )


def _remembered(spec: FleetSpec, within_us: Us) -> int:
    """How many looks of an HPA fall into a time, at most."""
    return within_us // spec.times.sync_us + 2


def _of_groups(
    spec: FleetSpec, classes: Sequence[int]
) -> tuple[kernel.Ints, kernel.Floats, kernel.Floats]:
    kinds = {"fixed": kernel.FIXED, "cpu": kernel.CPU, "lag": kernel.LAG}
    groups = np.zeros((len(spec.groups), kernel.GROUP_COLUMNS), np.int64)
    flows = np.zeros((len(spec.groups), kernel.FLOW_COLUMNS))
    load = np.zeros((len(spec.groups), max(len(group.load) for group in spec.groups)))
    for i, group in enumerate(spec.groups):
        row = groups[i]
        row[kernel.KIND], row[kernel.CLASS] = kinds[group.scaler], classes[i]
        row[kernel.LEAST], row[kernel.MOST] = group.least, group.most
        row[kernel.TARGET], row[kernel.DESIRED] = group.target, group.replicas
        row[kernel.COMMIT_US] = group.commit_us
        row[kernel.REQUEST_M], row[kernel.LIMIT_M] = group.request_m, group.limit_m
        row[kernel.PARTITIONS], row[kernel.EAGER] = group.partitions, group.eager
        row[kernel.WINDOW_US] = spec.times.stabilize_us
        if (behavior := group.behavior) is not None:
            # With behavior, what is exactly as old as the window is not in it.
            row[kernel.WINDOW_US] = behavior.down_stabilization_us - 1
            row[kernel.UP_PERCENT], row[kernel.UP_US] = behavior.up_percent, behavior.up_period_us
            row[kernel.DOWN_PERCENT] = behavior.down_percent
            row[kernel.DOWN_US] = behavior.down_period_us
        row[[kernel.HEAD, kernel.USAGE_M, kernel.LAST_ACTIVE]] = -1
        flows[i, kernel.RATE] = group.rate
        load[i, : len(group.load)] = group.load
        load[i, len(group.load) :] = group.load[-1]
    return groups, flows, load


def _churn(spec: FleetSpec, streams: Streams) -> kernel.Ints:
    """Which slots lose their pods, and when: one of the pods that were there at first."""
    used = sum(group.replicas for group in spec.groups)
    count, draw = (
        round(spec.churn * used),
        np.random.default_rng(streams.stream("churn").getrandbits(64)),
    )
    first = _pods_most(spec) - 1  # slots are taken from the top of the stack
    slots = first - draw.permutation(count) % max(1, used)
    moments = np.sort(draw.integers(0, spec.duration_us, count))
    return np.stack([moments, slots], axis=1).astype(np.int64)
