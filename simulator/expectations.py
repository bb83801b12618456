"""Judges a scenario's expectations while it runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from prism_operator.api.meta import NODE, Json, Ref
from prism_operator.documents import location_of
from simulator.cluster.api import Cache
from simulator.cluster.nodes import REGION_LABEL, ZONE_LABEL
from simulator.controllers.objects import condition, is_ready, labels_of, node_of
from simulator.kernel import SECOND_US, Us
from simulator.scenario.claims import Bounds, Claim, CountClaim, Expectation, MetricClaim
from simulator.series import Recorder
from simulator.spelling import span, spelled
from simulator.sums import sum_up


@dataclass(frozen=True, slots=True)
class Counters:
    """Numbers that are not objects. ``writes`` is a running total."""

    restarts: Callable[[], int]
    evictions: Callable[[], int]
    writes: Callable[[], int]


@dataclass(slots=True)
class Judge:
    """One expectation in the course of a run."""

    expectation: Expectation
    starts_at: Us | None  # None until the event it refers to has happened
    ends_at: Us
    writes_before: int = 0
    verdict: bool | None = None
    why: str = ""
    last_why: str = ""

    def begin(self, now_us: Us, writes: int) -> None:
        """The event it refers to happened."""
        if self.starts_at is not None:
            return
        self.starts_at, self.writes_before = now_us, writes
        if self.expectation.within is not None:
            self.ends_at = min(self.ends_at, now_us + self.expectation.within)


@dataclass(slots=True)
class Judges:
    """All expectations of a scenario."""

    cache: Cache
    counters: Counters
    recorder: Recorder
    duration_us: Us
    measured_us: tuple[Us, Us]  # what is left of it by warm-up and drain
    judges: list[Judge] = field(default_factory=list)

    def expect(self, expectations: tuple[Expectation, ...]) -> None:
        """Takes on the expectations."""
        for expectation in expectations:
            judge = Judge(expectation, None, self.duration_us)
            if expectation.after is None:
                judge.begin(0, 0)
            self.judges.append(judge)

    def happened(self, name: str, now_us: Us) -> None:
        """An event of the timeline took place."""
        for judge in self.judges:
            if judge.expectation.after == name:
                judge.begin(now_us, self.counters.writes())

    def deadlines(self) -> list[Us]:
        """When an expectation's time is over although nothing may change then."""
        return [j.ends_at for j in self.judges if j.starts_at is not None and j.verdict is None]

    def look(self, now_us: Us) -> None:
        """Looks at every expectation that is not decided yet."""
        for judge in self.judges:
            if judge.verdict is None and judge.starts_at is not None:
                self._look(judge, now_us)

    def finish(self) -> None:
        """The scenario is over: what is still open is decided."""
        for judge in self.judges:
            if judge.verdict is not None:
                continue
            mode = judge.expectation.mode
            if judge.starts_at is None:
                judge.verdict, judge.why = False, "the event it refers to never happened"
            elif mode == "at_end":
                judge.verdict, judge.why = self._holds(judge)
            elif mode == "eventually":
                judge.verdict, judge.why = False, judge.last_why
            else:
                judge.verdict = True

    def _look(self, judge: Judge, now_us: Us) -> None:
        mode = judge.expectation.mode
        if mode == "at_end":
            return
        if now_us > judge.ends_at:
            judge.verdict = mode != "eventually"
            judge.why = judge.last_why
            return
        holds, why = self._holds(judge)
        judge.last_why = why
        at = f"at {now_us / SECOND_US:.3f} s: "
        match mode:
            case "eventually" if holds:
                judge.verdict = True
            case "always" if not holds:
                judge.verdict, judge.why = False, at + why
            case "never" if holds:
                judge.verdict, judge.why = False, at + "it was so"

    def _holds(self, judge: Judge) -> tuple[bool, str]:
        """Whether the claim is true now, and if not, what is the case instead."""
        claim = judge.expectation.claim
        if claim.writes is not None:
            return _within(claim.writes, self.counters.writes() - judge.writes_before)
        return self._claim_holds(claim)

    def _claim_holds(self, claim: Claim) -> tuple[bool, str]:
        if claim.condition is not None:
            obj = self.cache.get(claim.condition.of)
            if obj is None:
                return False, f"{claim.condition.of} does not exist"
            found = condition(obj, claim.condition.type)
            if found is None:
                return False, f"{claim.condition.of} has no condition {claim.condition.type}"
            wanted = claim.condition
            fits = found["status"] == wanted.status and wanted.reason in (None, found["reason"])
            return fits, f"it is {found['status']}/{found['reason']}: {found.get('message', '')}"
        if claim.count is not None:
            return _within(claim.count, self._count(claim.count))
        if claim.field is not None:
            obj = self.cache.get(claim.field.of)
            if obj is None:
                return False, f"{claim.field.of} does not exist"
            value = value_at(obj, claim.field.path)
            return value == claim.field.equals, f"it is {value!r}"
        if claim.exists is not None:
            return self.cache.get(claim.exists) is not None, "it does not exist"
        if claim.absent is not None:
            return self.cache.get(claim.absent) is None, "it exists"
        if claim.restarts is not None:
            return _within(claim.restarts, self.counters.restarts())
        if claim.metric is not None:
            return self._metric_holds(claim.metric)
        if claim.summed is not None:
            return self._sum_holds(claim.summed)
        assert claim.evictions is not None, "a claim is one of the above"  # noqa: S101
        return _within(claim.evictions, self.counters.evictions())

    def _metric_holds(self, claim: MetricClaim) -> tuple[bool, str]:
        series = self.recorder.get(claim.of)
        if series is None:
            known = ", ".join(self.recorder.names()) or "none"
            return False, f"nothing is recorded under that name; there are: {known}"
        return claim.holds_for(series.last), f"it is {series.last:g} {series.unit}".rstrip()

    def _sum_holds(self, claim: MetricClaim) -> tuple[bool, str]:
        summed = sum_up(claim.of, self.recorder, *self.measured_us)
        if summed is None:
            known = ", ".join(self.recorder.names()) or "none"
            return False, f"there is no such number; recorded are: {known}"
        value, is_larger = summed
        if is_larger and (claim.below is not None or claim.at_most is not None):
            return False, f"it is above {value:g}: some were not done at the end"
        return claim.holds_for(value), f"it is {value:g}"

    def _count(self, claim: CountClaim) -> int:
        found = (obj for obj in self.cache.list(claim.of, claim.namespace) if _selected(obj, claim))
        places = {ZONE_LABEL: claim.zone, REGION_LABEL: claim.region}
        wanted = {label: place for label, place in places.items() if place is not None}
        return sum(self._is_in(obj, wanted) for obj in found)

    def _is_in(self, pod: Json, wanted: Mapping[str, str]) -> bool:
        """Whether the labels of its node are as wanted."""
        node = self.cache.get(Ref(NODE, "", node_of(pod))) if wanted else None
        return not wanted or (node is not None and wanted.items() <= labels_of(node).items())


def _selected(obj: Json, claim: CountClaim) -> bool:
    labels = labels_of(obj)
    return (
        all(labels.get(k) == v for k, v in claim.labels.items())
        and (claim.ready is None or is_ready(obj) == claim.ready)
        and (claim.node is None or node_of(obj) == claim.node)
    )


def _within(bounds: Bounds, number: int) -> tuple[bool, str]:
    return bounds.hold_for(number), f"it is {number}"


def value_at(obj: Mapping[str, Any], path: str) -> Any:
    """The value at ``spec.template.spec.containers[0].image``; None where the path ends early.

    A key with dots in it stands in brackets: ``metadata.annotations[prism.io/paused]``.
    """
    value: Any = obj
    keyed = re.sub(r"\[([^\]\d][^\]]*)\]", lambda m: "." + m[1].replace(".", "\0"), path)
    for step in location_of(keyed):
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else None
        else:
            value = value.get(step.replace("\0", ".")) if isinstance(value, Mapping) else None
    return value


def described(expectation: Expectation) -> str:
    """An expectation as a sentence, for the one who reads why it failed."""
    text = spelled(expectation.claim)
    within = "" if expectation.within is None else f" within {span(expectation.within)}"
    after = "" if expectation.after is None else f" after {expectation.after}"
    return f"{expectation.mode.replace('_', ' ')} {text}{within}{after}"
