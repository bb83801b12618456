"""Why there are so many replicas: metrics, KEDA's activation, and every clause that bound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from prism_operator.api.meta import (
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    SCALED_OBJECT,
    Json,
    Ref,
    ref_of,
)
from simulator.autoscaling.behavior import Rules, allowed
from simulator.autoscaling.hpa import Heard
from simulator.autoscaling.keda import annotations as ask
from simulator.autoscaling.keda.controller import NAME_LABEL
from simulator.autoscaling.keda.operator import Answered, Poll
from simulator.autoscaling.replicas import Target
from simulator.controllers.objects import annotations_of, labels_of
from simulator.controllers.podautoscaler import Sync
from simulator.explaining.amounts import measured as value_text
from simulator.explaining.amounts import thousandths
from simulator.explaining.answers import WhatIf
from simulator.explaining.instants import told
from simulator.explaining.onwards import run_on
from simulator.explaining.subjects import Subjects
from simulator.explaining.what_scales import (
    Seen,
    looked_again,
    policy_text,
    polled_again,
    scaled_to,
    what_if,
)
from simulator.inputs import BadInputError
from simulator.kernel import SECOND_US, Us
from simulator.run import Simulation


@dataclass(frozen=True, slots=True)
class MetricVerdict:
    """What one metric of an HPA said: how many replicas it asks for, and how that came about."""

    metric: str
    target: str
    measured: str | None
    ratio: float | None
    wants: int | None
    why: str


@dataclass(frozen=True, slots=True)
class Clause:
    """A rule that could hold a number of replicas, and whether it did."""

    rule: str
    bound: bool
    said: str


@dataclass(frozen=True, slots=True)
class Looked:
    """One look of a controller: an HPA's sync, or a poll of KEDA's scale loop."""

    by: str
    at_s: float
    next_s: float
    outcome: str
    metrics: tuple[MetricVerdict, ...]
    clauses: tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class ScalerExplanation:
    """A scaler at one instant. Times are seconds since the start of the run."""

    scaler: str
    target: str
    at_s: float
    replicas: int | None
    outcome: str
    looks: tuple[Looked, ...]
    later: str
    what_if: tuple[WhatIf, ...]


class ScalerQuestion:
    """To be made before the run begins: it takes notes of syncs, polls and metrics."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._subjects = Subjects(simulation, HORIZONTAL_POD_AUTOSCALER, SCALED_OBJECT)
        self._syncs: dict[Ref, Sync] = {}
        self._polls: dict[Ref, Poll] = {}
        self._answers: dict[tuple[Ref, str], Answered] = {}
        self._of_sync: dict[Ref, dict[str, Answered]] = {}
        simulation.hpas.on_sync = self._synced
        simulation.keda.on_poll = self._polled
        simulation.keda.on_answer = self._answered

    def answer(self, name: str, at_us: Us) -> ScalerExplanation:
        """Runs to the instant and explains the HPA or ScaledObject of that name.

        Raises:
            BadInputError: There is no such scaler then.
        """
        simulation = self._simulation
        simulation.run_until(at_us / SECOND_US)
        asked = self._subjects.find(name, "--scaler")
        scaled_object, hpa = self._pair(asked)
        first = scaled_object or hpa
        if first is None:
            raise BadInputError([f"--scaler: {name} scales nothing yet at {told(at_us)}"])
        spec = first["spec"]["scaleTargetRef"]
        target = Ref(DEPLOYMENT, first["metadata"]["namespace"], spec["name"])
        sync = None if hpa is None else self._syncs.get(ref_of(hpa))
        poll = None if scaled_object is None else self._polls.get(ref_of(scaled_object))
        answers = {} if hpa is None else self._of_sync.get(ref_of(hpa), {})
        looks = tuple(self._looks(sync, poll, answers, target))
        seen = Seen(sync, poll, answers, None if scaled_object is None else ref_of(scaled_object))
        changes = what_if(seen, self._since)
        replicas = self._replicas(target)
        return ScalerExplanation(
            str(ref_of(asked)),
            str(target),
            at_us / SECOND_US,
            replicas,
            self._outcome(target, looks),
            looks,
            self._later(target, replicas),
            changes,
        )

    # Taking notes

    def _synced(self, sync: Sync) -> None:
        self._syncs[sync.hpa] = sync
        names = {target.name for target in sync.spec.targets}
        self._of_sync[sync.hpa] = {
            name: answered for (_, name), answered in self._answers.items() if name in names
        }

    def _polled(self, poll: Poll) -> None:
        self._polls[poll.scaled_object] = poll

    def _answered(self, answered: Answered) -> None:
        self._answers[answered.scaled_object, answered.target.name] = answered

    # Telling

    def _pair(self, asked: Json) -> tuple[Json | None, Json | None]:
        """A ScaledObject with its HPA, or an HPA alone, or with the ScaledObject it is of."""
        cache, namespace = self._simulation.cache, asked["metadata"]["namespace"]
        if ref_of(asked).resource == SCALED_OBJECT:
            name = (asked.get("status") or {}).get("hpaName") or ""
            return asked, cache.get(Ref(HORIZONTAL_POD_AUTOSCALER, namespace, name))
        owner = labels_of(asked).get(NAME_LABEL, "")
        return cache.get(Ref(SCALED_OBJECT, namespace, owner)), asked

    def _replicas(self, target: Ref) -> int | None:
        deployment = self._simulation.cache.get(target)
        return None if deployment is None else int(deployment["spec"]["replicas"])

    def _outcome(self, target: Ref, looks: tuple[Looked, ...]) -> str:
        deployment = self._simulation.cache.get(target)
        if deployment is None:
            return f"{target} is not there"
        ready = (deployment.get("status") or {}).get("readyReplicas", 0)
        paused = " Nothing has looked yet." if not looks else ""
        return f"{target} has {ready} ready of {deployment['spec']['replicas']} wanted.{paused}"

    def _since(self, unix_us: Us) -> Us:
        """A time of the API as one of the run."""
        return unix_us - (self._simulation.clock.unix_us() - self._simulation.kernel.now_us)

    def _looks(
        self, sync: Sync | None, poll: Poll | None, answers: dict[str, Answered], target: Ref
    ) -> Iterator[Looked]:
        if poll is not None:
            yield Looked(
                str(poll.scaled_object),
                self._since(poll.at_us) / SECOND_US,
                self._since(poll.next_us) / SECOND_US,
                _poll_outcome(poll, target),
                (),
                tuple(self._poll_clauses(poll)),
            )
        if sync is not None:
            clauses = tuple(self._sync_clauses(sync, answers))
            yield Looked(
                str(sync.hpa),
                self._since(sync.at_us) / SECOND_US,
                self._since(sync.next_us) / SECOND_US,
                _sync_outcome(sync, target),
                tuple(_metric(heard) for heard in sync.decision.heard),
                clauses,
            )

    def _poll_clauses(self, poll: Poll) -> Iterator[Clause]:
        spec, (wanted, after) = poll.obj["spec"], polled_again(poll)
        annotations = annotations_of(poll.obj)
        if ask.is_paused(annotations):
            yield Clause("paused", True, "annotations pause all scaling")
        for name in sorted(after.activity):
            answered = self._answers.get((poll.scaled_object, name))
            looked = None if answered is None else answered.looked
            value = "no value" if looked is None else thousandths(looked.value_milli)
            above = looked is not None and looked.activation is not None
            limit = f", active above {looked.activation:g}" if looked and above else ""
            state = "active" if after.activity[name] else "not active"
            yield Clause("activation", not after.activity[name], f"{name}: {value}{limit}: {state}")
        if not poll.polled.is_active and poll.before.last_active_us is not None:
            cooldown_s = spec.get("cooldownPeriod", 300)
            since = self._since(poll.before.last_active_us)
            until = told(since + cooldown_s * SECOND_US)
            holds = after.conditions["Active"][1] == "ScalerCooldown"
            yield Clause(
                "cooldown",
                holds,
                f"{cooldown_s} s since it was last active at {told(since)}: over after {until}",
            )
        least = spec.get("minReplicaCount") or 0
        if not poll.polled.is_active and wanted is None and least:
            yield Clause("minReplicaCount", True, f"{least}: it is never scaled to zero")
        if poll.polled.is_error:
            yield Clause("error", True, "a trigger failed")

    def _sync_clauses(self, sync: Sync, answers: dict[str, Answered]) -> Iterator[Clause]:
        for name, answered in sorted(answers.items()):
            yield from _partitions(name, answered)
            if answered.answer is not None and answered.answer.is_fallback:
                yield Clause("fallback", True, f"{name}: the trigger failed for too long")
        normalized, spec = sync.decision.normalized, sync.spec
        if normalized is None:
            yield from _before_metrics(sync)
            return
        current = sync.scale.spec_replicas
        wanted = max(h.proposal.replicas for h in sync.decision.heard if h.proposal is not None)
        yield Clause("metrics", False, f"the most that any asks for: {wanted}")
        yield from self._windows(sync, wanted)
        up = normalized.stabilized > current
        if spec.behavior is not None and normalized.stabilized != current:
            rules = spec.behavior.up if up else spec.behavior.down
            bound = normalized.limit in ("ScaleUpLimit", "ScaleDownLimit")
            yield Clause("policies", bound, _policies(sync, rules, up=up))
        elif normalized.limit == "ScaleUpLimit":
            yield Clause("policies", True, "at most twice as many at a time, or 4")
        bound = normalized.limit in ("TooManyReplicas", "TooFewReplicas")
        yield Clause("bounds", bound, f"minReplicas {spec.least}, maxReplicas {spec.most}")

    def _windows(self, sync: Sync, wanted: int) -> Iterator[Clause]:
        normalized, behavior = sync.decision.normalized, sync.spec.behavior
        if normalized is None:
            return
        up_s = behavior.up.stabilization_s or 0 if behavior else 0
        down_s = behavior.down.stabilization_s if behavior else None
        if down_s is None:
            down_s = sync.before.flags.downscale_stabilization_s
        for name, window_s, binds in (
            ("scaleUp window", up_s, normalized.stabilized < wanted),
            ("scaleDown window", down_s, normalized.stabilized > wanted),
        ):
            sign = 1 if name == "scaleDown window" else -1
            holding = [
                (at_us, replicas)
                for replicas, at_us in sync.before.history.recommendations
                if sign * replicas >= sign * normalized.stabilized
                and at_us >= sync.at_us - window_s * SECOND_US
            ]
            if not binds or not holding:
                yield Clause(name, binds, f"{window_s} s")
                continue
            at_us, replicas = max(holding)
            last = self._since(at_us)
            said = f"{replicas} was recommended at {told(last)}"
            until = told(last + window_s * SECOND_US)
            yield Clause(name, True, f"{window_s} s: {said}, which counts until {until}")

    def _later(self, target: Ref, replicas: int | None) -> str:
        """Lets the run go on: when the number of replicas changes next, and to what."""
        simulation = self._simulation
        began_us = simulation.kernel.now_us
        changed: list[tuple[Us, int | None]] = []

        def look() -> None:
            now = self._replicas(target)
            if now != replicas and not changed:
                changed.append((simulation.kernel.now_us, now))

        simulation.cache.on_change(lambda change: look() if change.ref == target else None)
        if not run_on(simulation, lambda: bool(changed)):
            end = told(simulation.scenario.duration)
            return f"nothing changes until the end of the run, {end}"
        at_us, now = changed[0]
        what = "it is deleted" if now is None else f"it is scaled to {now}"
        return f"{what} at {told(at_us)}, {told(at_us - began_us)} later"


def _poll_outcome(poll: Poll, target: Ref) -> str:
    current = poll.seen.replicas
    if poll.wanted is not None:
        verb = "activates" if poll.wanted.activates else "deactivates"
        return f"{verb} {target}: from {current} to {poll.wanted.replicas}"
    if poll.polled.is_active and current:
        return f"leaves {target} to the HPA, since a trigger is active"
    return f"leaves {target} at {current}"


def _sync_outcome(sync: Sync, target: Ref) -> str:
    current, to = sync.scale.spec_replicas, scaled_to(sync)
    if sync.decision.scale_to is not None:
        return f"scales {target} from {current} to {to}"
    return f"leaves {target} at {current}"


def _before_metrics(sync: Sync) -> Iterator[Clause]:
    """Why a sync did not come to look at windows, policies and bounds."""
    current, spec = sync.scale.spec_replicas, sync.spec
    if sync.decision.heard:
        failed = [h.target.name for h in sync.decision.heard if h.proposal is None]
        rest = "" if len(failed) == len(sync.decision.heard) else ", so nothing is scaled down"
        yield Clause("metrics", True, f"no value of {', '.join(failed)}{rest}")
    elif current == 0:
        yield Clause("bounds", True, "0 replicas: an HPA does not scale up from zero")
    elif current > spec.most:
        yield Clause("bounds", True, f"{current} is above maxReplicas {spec.most}")
    else:
        yield Clause("bounds", True, f"{current} is below minReplicas {spec.least}")


def _policies(sync: Sync, rules: Rules, *, up: bool) -> str:
    name = "scaleUp" if up else "scaleDown"
    if rules.select == "Disabled":
        return f"{name} is disabled"
    current = sync.scale.spec_replicas
    each = [
        f"{policy_text(policy)}: {'up' if up else 'down'} to "
        f"{allowed(sync.before.history, current, policy, sync.at_us, up=up)}"
        for policy in rules.policies
    ]
    return f"{name}, {rules.select} of {'; '.join(each)}"


def _partitions(name: str, answered: Answered) -> Iterator[Clause]:
    """Whether a lag counts for less, since there are no more consumers than partitions."""
    looked = answered.looked
    if looked is None or looked.kafka is None:
        return
    whole = looked_again(looked, allows_idle_consumers=True)
    counts = looked.value_milli // 1000
    if whole > counts:
        said = (
            f"{name}: a lag of {whole:,} counts as {counts:,}: {len(looked.partitions)} "
            f"partitions × lagThreshold {looked.kafka.config.lag_threshold:,}"
        )
        yield Clause("partitions", True, said)


def _metric(heard: Heard) -> MetricVerdict:
    target, proposal = heard.target, heard.proposal
    name, wants = f"{target.source} {target.key}", _target_text(target)
    if proposal is None:
        return MetricVerdict(name, wants, None, None, None, heard.failure)
    measured = value_text(target, proposal.measured)
    match proposal.clause:
        case "tolerance":
            why = "within the tolerance: no change"
        case "assumed":
            why = "reversed by what is assumed of pods without a value: no change"
        case _ if target.type == "AverageValue" and target.source in ("External", "Object"):
            why = f"{measured} / {value_text(target, target.value)}, rounded up"
        case _:
            why = f"ratio × {proposal.pods} pods, rounded up"
    ratio = None if proposal.ratio is None else round(proposal.ratio, 4)
    return MetricVerdict(name, wants, measured, ratio, proposal.replicas, why)


def _target_text(target: Target) -> str:
    each = " a pod" if target.type == "AverageValue" else ""
    return f"{value_text(target, target.value)}{each}"
