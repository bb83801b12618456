"""Runs sequences on both servers, finds the first difference of each, and shrinks it."""

from __future__ import annotations

import difflib
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from e2e.conformance.normal import Normaliser
from e2e.conformance.sides import WATCHES, FakeSide, RealSide, strings
from e2e.conformance.steps import Memory, Step

_EVENTS_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the servers disagree: after ``steps``, about the last answer or about a watch."""

    steps: tuple[Step, ...]
    about: str
    real: Any
    fake: Any

    def __str__(self) -> str:
        before, after = (
            json.dumps(v, indent=1, sort_keys=True).splitlines() for v in (self.real, self.fake)
        )
        diff = difflib.unified_diff(before, after, "real", "fake", lineterm="", n=4)
        requests = "\n".join(f"  {n + 1}. {step}" for n, step in enumerate(self.steps))
        body = json.dumps(self.steps[-1].body) if self.steps else ""
        return f"{self.about}\n{requests}\n  body: {body}\n" + "\n".join(diff)


@dataclass(slots=True)
class Report:
    """What a run came to."""

    requests: int = 0
    outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    events: int = 0


class Comparison:
    """Both servers, and the sequences run on them so far."""

    def __init__(self, real: RealSide, fake: FakeSide, run: str) -> None:
        self._real, self._fake = real, fake
        self._run = run
        self._count = 0
        self._finished: list[tuple[str, tuple[Step, ...], Normaliser, Normaliser]] = []
        self.report = Report()

    def sequence(self, steps: Sequence[Step]) -> Difference | None:
        """Sends a sequence to both; the first answer that differs ends it."""
        namespace, normal = self._begin(steps)
        memories = Memory(), Memory()
        for position, step in enumerate(steps):
            answers = (
                self._real.send(step, namespace, memories[0]),
                self._fake.send(step, namespace, memories[1]),
            )
            real, fake = (
                n.answer(a.status, a.body, a.warnings) for n, a in zip(normal, answers, strict=True)
            )
            self.report.requests += 1
            self.report.outcomes[_verb(step), step.plural, _outcome(answers[0].status)] += 1
            if real != fake:
                return Difference(tuple(steps[: position + 1]), "the answer differs", real, fake)
        self._finished.append((namespace, tuple(steps), *normal))
        return None

    def events(self) -> list[Difference]:
        """Differences between what the watches showed of all sequences whose answers agreed."""
        finished, self._finished = self._finished, []
        found = (self._events_of(*sequence) for sequence in finished)
        return [difference for difference in found if difference is not None]

    def shrink(self, difference: Difference) -> Difference:
        """The same difference, or another one of the same kind, after as few requests as may be."""
        steps, best = list(difference.steps), difference
        size = max(1, len(steps) // 2)
        while size:
            start = 0
            while start < len(steps):
                fewer = [*steps[:start], *steps[start + size :]]
                found = self._again(fewer)
                if found is not None and found.about == difference.about:
                    best, steps = found, list(found.steps)
                else:
                    start += size
            size //= 2
        return best

    def _again(self, steps: Sequence[Step]) -> Difference | None:
        """Runs a sequence and looks at its events, without counting it."""
        counted, self.report = self.report, Report()
        finished, self._finished = self._finished, []
        try:
            found = self.sequence(steps)
            return found or next(iter(self.events()), None)
        finally:
            self.report, self._finished = counted, finished

    def _events_of(
        self,
        namespace: str,
        steps: tuple[Step, ...],
        real_normal: Normaliser,
        fake_normal: Normaliser,
    ) -> Difference | None:
        for watch, _, _ in WATCHES:
            fake = [fake_normal.event(e) for e in self._fake.events(watch, namespace)]
            real_events = self._await(watch, namespace, len(fake))
            real = [real_normal.event(e) for e in real_events]
            self.report.events += len(fake)
            if real != fake:
                about = f"the watch of {watch} differs"
                return Difference(steps, about, *_from_first(real, fake))
        return None

    def _begin(self, steps: Sequence[Step]) -> tuple[str, tuple[Normaliser, Normaliser]]:
        self._count += 1
        namespace = f"conf-{self._run}-{self._count}"
        fixed = frozenset(text for step in steps for text in strings(step.body))
        self._real.new_namespace(namespace)
        self._fake.new_namespace(namespace)
        return namespace, (Normaliser(namespace, fixed), Normaliser(namespace, fixed))

    def _await(self, watch: str, namespace: str, count: int) -> list[Any]:
        deadline_s = time.monotonic() + _EVENTS_TIMEOUT_S
        while True:
            events = self._real.events(watch, namespace)
            if len(events) >= count or time.monotonic() > deadline_s:
                return events
            time.sleep(0.02)


def _from_first(real: list[Any], fake: list[Any]) -> tuple[Any, Any]:
    """Both from where they first differ, two events long."""
    same = 0
    while same < min(len(real), len(fake)) and real[same] == fake[same]:
        same += 1
    return real[same : same + 2], fake[same : same + 2]


def _verb(step: Step) -> str:
    return step.method.lower() if step.method == "POST" else step.intent.split()[0]


def _outcome(status: int) -> str:
    return "ok" if status < 400 else str(status)
