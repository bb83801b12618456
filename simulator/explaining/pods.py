"""Why a pod is on its node, or on none: filters, scores, preemption, and what would change it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from prism_operator.api.meta import POD, Json, Ref, ref_of, uid_of
from simulator.controllers.objects import node_of, phase
from simulator.explaining.answers import WhatIf
from simulator.explaining.instants import told
from simulator.explaining.onwards import run_on
from simulator.explaining.placements import detail
from simulator.explaining.subjects import Subjects, called
from simulator.explaining.what_places import elsewhere, somewhere
from simulator.kernel import SECOND_US, Us
from simulator.run import Simulation
from simulator.scheduling.decision import Evaluation, evaluate
from simulator.scheduling.pods import ZONE, PodInfo, parse_pod
from simulator.scheduling.preemption import Candidate, preempt, room_on
from simulator.scheduling.scheduler import Attempt, leaving, why_unschedulable
from simulator.scheduling.scores import WEIGHTS


@dataclass(frozen=True, slots=True)
class NodeVerdict:
    """What the scheduler made of one node: rejected by a filter, or scored by every plugin.

    ``scores`` are weighted; a plugin without opinion is absent.
    """

    node: str
    pool: str
    zone: str
    rejected_by: str | None = None
    reasons: tuple[str, ...] = ()
    detail: str = ""
    scores: dict[str, int] = field(default_factory=dict)
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Room:
    """The pods that would have to leave a node, and the budgets that this would break."""

    node: str
    victims: tuple[str, ...]
    budgets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preemption:
    """Where room was made, or why none was; ``options`` are the nodes where it could be."""

    outcome: str
    node: str | None = None
    victims: tuple[str, ...] = ()
    options: tuple[Room, ...] = ()


@dataclass(frozen=True, slots=True)
class PodExplanation:
    """One pod at one instant. Times are seconds since the start of the run."""

    pod: str
    at_s: float
    outcome: str
    node: str | None
    decided_at_s: float
    attempts: int
    nodes: tuple[NodeVerdict, ...]
    nodes_not_looked_at: int
    weights: dict[str, int]
    preemption: Preemption | None
    later: str
    what_if: tuple[WhatIf, ...]


@dataclass(slots=True)
class _Watched:
    """The searches for a node for one pod: the last, the last that made room, and how many."""

    last: Attempt
    at_us: Us
    count: int = 1
    made_room: tuple[Us, Candidate] | None = None


class PodQuestion:
    """To be made before the run begins: it takes notes of every search for a node."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._subjects = Subjects(simulation, POD)
        self._watched: dict[str, _Watched] = {}
        simulation.scheduler.on_attempt = self._note

    def answer(self, name: str, at_us: Us) -> PodExplanation:
        """Runs to the instant and explains the pod of that name.

        Raises:
            BadInputError: There is no such pod then.
        """
        self._simulation.run_until(at_us / SECOND_US)
        pod = self._subjects.find(name, "--pod")
        ref = ref_of(pod)
        return self._bound(ref, pod) if node_of(pod) else self._waiting(ref, pod)

    def _note(self, attempt: Attempt) -> None:
        now_us, uid = self._simulation.kernel.now_us, attempt.pod.uid
        made = None if attempt.room is None else (now_us, attempt.room)
        before = self._watched.get(uid)
        if before is None:
            self._watched[uid] = _Watched(attempt, now_us, made_room=made)
            return
        before.last, before.at_us, before.count = attempt, now_us, before.count + 1
        before.made_room = made or before.made_room

    def _bound(self, ref: Ref, pod: Json) -> PodExplanation:
        now_us, watched = self._simulation.kernel.now_us, self._watched.get(uid_of(pod))
        node = node_of(pod)
        if watched is None:
            said = f"on {node}: spec.nodeName named it, so the scheduler was not asked"
            return _explanation(ref, now_us, said, node, now_us)
        last = watched.last
        since = f"since {told(watched.at_us)}" if watched.at_us < now_us else "since now"
        tried = "" if watched.count == 1 else f", after {watched.count - 1} attempts in vain"
        outcome = f"on {node} {since}{tried}; it is {phase(pod)}"
        preemption = None
        if watched.made_room is not None:
            made_us, room = watched.made_room
            preemption = Preemption(
                f"at {told(made_us)} it preempted {_names(room.victims)} on {room.node.name}",
                room.node.name,
                tuple(map(_name, room.victims)),
                (_room(room),),
            )
        return _explanation(
            ref,
            now_us,
            outcome,
            node,
            watched.at_us,
            attempts=watched.count,
            nodes=verdicts(last.evaluation),
            nodes_not_looked_at=len(last.cluster.nodes) - last.evaluation.evaluated,
            preemption=preemption,
            what_if=elsewhere(last.pod.obj, last.cluster, last.evaluation),
        )

    def _waiting(self, ref: Ref, obj: Json) -> PodExplanation:
        """Asks the scheduler's functions now; when it really tried last is told beside it."""
        simulation, uid = self._simulation, uid_of(obj)
        now_us, watched = simulation.kernel.now_us, self._watched.get(uid)
        pod, cluster = parse_pod(obj), simulation.scheduler.snapshot()
        evaluation = evaluate(pod, cluster)
        why = (
            f"would go to {evaluation.best.name} now, and is tried at the next turn"
            if evaluation.best is not None
            else why_unschedulable(evaluation, cluster)
        )
        tried = (
            "not tried yet"
            if watched is None
            else f"tried {_times(watched.count)}, last at {told(watched.at_us)}"
        )
        preemption = self._preemption(pod, evaluation)
        # The changes are tried before the run goes on.
        what_if = somewhere(obj, cluster, evaluation, simulation.infrastructure.supply.offers)
        return _explanation(
            ref,
            now_us,
            f"waits for a node, {tried}: {why}",
            None,
            now_us,
            attempts=0 if watched is None else watched.count,
            nodes=verdicts(evaluation),
            nodes_not_looked_at=0,
            preemption=preemption,
            what_if=what_if,
            later=self._later(ref, uid),
        )

    def _preemption(self, pod: PodInfo, evaluation: Evaluation) -> Preemption | None:
        cluster = self._simulation.scheduler.snapshot()
        if evaluation.best is not None:
            return None
        if not pod.may_preempt:
            return Preemption("none: the pod's preemptionPolicy is Never")
        going = leaving(pod, cluster)
        if going:
            node = going[0].node_name
            return Preemption(
                f"waits until {_names(going)} has left {node}, which is promised to it",
                node,
                tuple(map(_name, going)),
            )
        helped = [
            node
            for node in cluster.nodes
            if (why := evaluation.rejections.get(node.name)) is not None and why.can_be_helped
        ]
        if not helped:
            return Preemption("none: fewer pods would help on no node")
        rooms = [room_on(pod, node, evaluation.filters, cluster.budgets) for node in helped]
        options = tuple(_room(room) for room in rooms if room is not None)
        chosen = preempt(pod, cluster, evaluation.filters, evaluation.rejections)
        if chosen is not None:
            return Preemption(
                f"would preempt {_names(chosen.victims)} on {chosen.node.name}",
                chosen.node.name,
                tuple(map(_name, chosen.victims)),
                options,
            )
        lower = any(other.priority < pod.priority for node in helped for other in node.pods)
        if lower:
            return Preemption("none: it does not fit even without all less important pods")
        return Preemption(f"none: no pod there is less important than its {pod.priority}")

    def _later(self, ref: Ref, uid: str) -> str:
        """Lets the run go on: what became of the pod, when nothing was changed."""
        simulation, began_us = self._simulation, self._simulation.kernel.now_us
        nodes: list[str | None] = []

        def has_come() -> bool:
            pod = simulation.cache.get(ref)
            if pod is None or uid_of(pod) != uid:
                nodes.append(None)
            elif node_of(pod):
                nodes.append(node_of(pod))
            return bool(nodes)

        if not run_on(simulation, has_come):
            return f"it still waits at the end of the run, {told(simulation.scenario.duration)}"
        if nodes[0] is None:
            return "it is deleted before any node takes it"
        at_us = self._watched[uid].at_us
        return f"it is placed on {nodes[0]} at {told(at_us)}, after {told(at_us - began_us)} more"


def verdicts(evaluation: Evaluation) -> tuple[NodeVerdict, ...]:
    """Every node that was looked at: the best first, then the rejected by name."""
    filters = evaluation.filters
    nodes = {node.name: node for node in filters.neighbours.cluster.nodes}
    rated = [
        NodeVerdict(
            node.name,
            node.labels.get("pool", ""),
            node.labels.get(ZONE, ""),
            scores={plugin: scores[i] for plugin, scores in evaluation.scores.items()},
            total=total,
        )
        for i, (node, total) in enumerate(zip(evaluation.feasible, evaluation.totals, strict=True))
    ]
    rejected = [
        NodeVerdict(
            name,
            nodes[name].labels.get("pool", ""),
            nodes[name].labels.get(ZONE, ""),
            why.plugin,
            why.reasons,
            detail(filters, nodes[name], why),
        )
        for name, why in evaluation.rejections.items()
    ]
    return (
        *sorted(rated, key=lambda verdict: (-(verdict.total or 0), verdict.node)),
        *sorted(rejected, key=lambda verdict: verdict.node),
    )


def _explanation(
    ref: Ref,
    now_us: Us,
    outcome: str,
    node: str | None,
    decided_us: Us,
    *,
    attempts: int = 0,
    nodes: tuple[NodeVerdict, ...] = (),
    nodes_not_looked_at: int = 0,
    preemption: Preemption | None = None,
    later: str = "",
    what_if: tuple[WhatIf, ...] = (),
) -> PodExplanation:
    return PodExplanation(
        called(ref),
        now_us / SECOND_US,
        outcome,
        node,
        decided_us / SECOND_US,
        attempts,
        nodes,
        nodes_not_looked_at,
        dict(WEIGHTS),
        preemption,
        later,
        what_if,
    )


def _room(room: Candidate) -> Room:
    budgets = sorted(
        {f"{b['metadata']['namespace']}/{b['metadata']['name']}" for _, b in room.broken}
    )
    return Room(room.node.name, tuple(map(_name, room.victims)), tuple(budgets))


def _name(pod: PodInfo) -> str:
    return f"{pod.namespace}/{pod.name}"


def _names(pods: Sequence[PodInfo]) -> str:
    return ", ".join(map(_name, pods))


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
