"""Why a node is as it is: what is on it, who keeps, drains or removes it, which budget refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from prism_operator.api.meta import NODE, Json, ref_of
from simulator.cluster.autoscaler import Keep
from simulator.cluster.eviction import Refusal, budgets_of, refusal_of
from simulator.controllers.objects import is_deleting, is_terminal, is_true, phase
from simulator.controllers.world import Change
from simulator.explaining.amounts import shown
from simulator.explaining.answers import WhatIf
from simulator.explaining.instants import told
from simulator.explaining.onwards import run_on
from simulator.explaining.placements import taint_text
from simulator.explaining.subjects import Subjects
from simulator.explaining.what_frees import budget_name, keep_text, would_go, would_let_go
from simulator.kernel import SECOND_US, Us
from simulator.run import Simulation
from simulator.scheduling.nodes import NodeInfo
from simulator.scheduling.pods import ZONE, PodInfo

_WRITES = ("created", "changed", "deleted")


@dataclass(frozen=True, slots=True)
class PodOnNode:
    """A pod on a node, and whether the eviction API would let it go now."""

    pod: str
    phase: str
    priority: int
    cpu: str
    memory: str
    eviction: str
    budgets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Happening:
    """What happened to a node, how often in a row, and when first and last."""

    what: str
    times: int
    at_s: float
    last_s: float


@dataclass(frozen=True, slots=True)
class NodeExplanation:
    """A node at one instant. Times are seconds since the start of the run."""

    node: str
    pool: str
    zone: str
    at_s: float
    outcome: str
    kept: str
    taints: tuple[str, ...]
    requested: dict[str, str]
    pods: tuple[PodOnNode, ...]
    happened: tuple[Happening, ...]
    later: str
    what_if: tuple[WhatIf, ...]


class Told:
    """A sink for the event log that keeps what is no write, to be given to the simulation."""

    def __init__(self) -> None:
        self.lines: list[tuple[float, str]] = []

    def write(self, line: str, /) -> None:
        """One line of the log."""
        entry = json.loads(line)
        if entry["what"] not in _WRITES:
            self.lines.append((float(entry["at"]), f"{entry['what']} {entry['object']}"))


class NodeQuestion:
    """To be made before the run begins. ``log`` is what the simulation writes its log to."""

    def __init__(self, simulation: Simulation, log: Told) -> None:
        self._simulation, self._log = simulation, log
        self._subjects = Subjects(simulation, NODE)
        self._cordoned_at: dict[str, Us] = {}
        simulation.cache.on_change(self._changed)

    def answer(self, name: str, at_us: Us) -> NodeExplanation:
        """Runs to the instant and explains the node of that name.

        Raises:
            BadInputError: There is no such node then.
        """
        simulation = self._simulation
        simulation.run_until(at_us / SECOND_US)
        obj = self._subjects.find(name, "--node")
        name = obj["metadata"]["name"]
        node = next(n for n in simulation.scheduler.snapshot().nodes if n.name == name)
        pods = simulation.cache.pods_on(name)
        refusals = [(pod, self._refusal(pod)) for pod in pods if not is_terminal(pod)]
        kept = self._kept(name)
        return NodeExplanation(
            name,
            node.labels.get("pool", ""),
            node.labels.get(ZONE, ""),
            at_us / SECOND_US,
            self._outcome(obj, node),
            _kept_text(kept, simulation.scenario.cluster.nodes.provisioner),
            tuple(map(taint_text, node.taints)),
            {
                resource: f"{shown(resource, node.requested.get(resource, 0))} of "
                f"{shown(resource, amount)}"
                for resource, amount in node.allocatable.items()
                if resource in ("cpu", "memory")
            },
            tuple(_pod_on_node(info, _of(refusals, info)) for info in node.pods),
            tuple(self._happened(name)),
            # The changes are tried before the run goes on.
            what_if=tuple(self._what_if(node, kept, refusals)),
            later=self._later(name),
        )

    def _changed(self, change: Change) -> None:
        if change.ref.resource != NODE:
            return
        is_cordoned = bool(change.latest["spec"].get("unschedulable"))
        if is_cordoned:
            self._cordoned_at.setdefault(change.ref.name, self._simulation.kernel.now_us)
        else:
            self._cordoned_at.pop(change.ref.name, None)

    def _outcome(self, obj: Json, node: NodeInfo) -> str:
        simulation, parts = self._simulation, []
        parts.append("ready" if is_true(obj, "Ready") else "not ready")
        if node.is_unschedulable:
            parts.append(f"cordoned since {told(self._cordoned_at.get(node.name, 0))}")
        draining = simulation.infrastructure.drains.ends_at(node.name)
        if draining is not None:
            ends_us, *_ = draining
            until = "" if ends_us is None else f", given up at {told(ends_us)}"
            parts.append(f"being drained{until}")
        instance = simulation.infrastructure.supply.instances.get(node.name)
        if instance is not None and instance.is_going:
            parts.append("on its way out")
        return ", ".join([*parts, _pods_text(len(node.pods))])

    def _kept(self, name: str) -> Keep | None:
        scaler = self._simulation.infrastructure.node_scaler
        return (
            Keep("fixed", "nobody removes nodes here") if scaler is None else scaler.why_kept(name)
        )

    def _refusal(self, pod: Json) -> Refusal | None:
        return refusal_of(pod, budgets_of(self._simulation.infrastructure.world, pod))

    def _happened(self, name: str) -> Iterator[Happening]:
        """What the log tells of the node; what came several times in a row is one."""
        row: list[tuple[float, str]] = []
        for at_s, what in (entry for entry in self._log.lines if _names(entry[1], name)):
            if row and row[-1][1] != what:
                yield _in_a_row(row)
                row = []
            row.append((at_s, what))
        if row:
            yield _in_a_row(row)

    def _what_if(
        self,
        node: NodeInfo,
        kept: Keep | None,
        refusals: Sequence[tuple[Json, Refusal | None]],
    ) -> Iterator[WhatIf]:
        told_of = set[tuple[str, ...]]()
        for pod, refusal in refusals:
            names = () if refusal is None else tuple(map(budget_name, refusal.budgets))
            if refusal is not None and names not in told_of:
                told_of.add(names)
                yield from would_let_go(pod, refusal)
        infrastructure = self._simulation.infrastructure
        if infrastructure.node_scaler is not None and kept is not None:
            cluster = self._simulation.scheduler.snapshot()
            yield from would_go(infrastructure.node_scaler, node, cluster, kept)

    def _later(self, name: str) -> str:
        """Lets the run go on: whether the node is emptied, opened again or removed, and when."""
        simulation, began_us = self._simulation, self._simulation.kernel.now_us
        was_open = name not in self._cordoned_at
        had_pods = bool(simulation.cache.pods_on(name))
        found: list[tuple[Us, str]] = []

        def look(_: Change) -> None:
            if found:
                return
            there = any(node["metadata"]["name"] == name for node in simulation.cache.list(NODE))
            if not there:
                found.append((simulation.kernel.now_us, "it is removed"))
            elif had_pods and not simulation.cache.pods_on(name):
                found.append((simulation.kernel.now_us, "its last pod is gone"))
            elif was_open and name in self._cordoned_at:
                found.append((simulation.kernel.now_us, "it is cordoned"))
            elif not was_open and name not in self._cordoned_at:
                found.append((simulation.kernel.now_us, "it is opened again"))

        simulation.cache.on_change(look)
        run_on(simulation, lambda: bool(found))
        if not found:
            left = _pods_text(len(simulation.cache.pods_on(name)))
            return f"it stays until the end of the run, then with {left}"
        at_us, what = found[0]
        return f"{what} at {told(at_us)}, {told(at_us - began_us)} later"


def _pods_text(count: int) -> str:
    return f"{count or 'no'} pod{'' if count == 1 else 's'} on it"


def _pod_on_node(info: PodInfo, refusal: Refusal | None) -> PodOnNode:
    cpu, memory = (shown(r, info.requests.get(r, 0)) for r in ("cpu", "memory"))
    if is_deleting(info.obj):
        eviction = "it is leaving"
    else:
        eviction = "would be let go" if refusal is None else f"refused: {refusal.message}"
    budgets = () if refusal is None else tuple(map(budget_name, refusal.budgets))
    name = f"{info.namespace}/{info.name}"
    return PodOnNode(name, phase(info.obj), info.priority, cpu, memory, eviction, budgets)


def _of(refusals: Sequence[tuple[Json, Refusal | None]], info: PodInfo) -> Refusal | None:
    return next((refusal for pod, refusal in refusals if ref_of(pod) == ref_of(info.obj)), None)


def _kept_text(kept: Keep | None, provisioner: str) -> str:
    who = {"clusterAutoscaler": "cluster-autoscaler", "karpenter": "Karpenter"}.get(provisioner)
    if who is None or kept is None:
        return "nobody removes nodes here" if who is None else f"{who} removes it at its next look"
    return f"{who} leaves it ({kept.rule}): {keep_text(kept)}"


def _in_a_row(row: Sequence[tuple[float, str]]) -> Happening:
    return Happening(row[0][1], len(row), row[0][0], row[-1][0])


def _names(text: str, node: str) -> bool:
    """Whether a line of the log names this node, not one whose name begins like it."""
    return node in text.replace(":", " ").split()
