"""Looks for seeds, loads and timings that break an expectation, and makes what it finds small.

A find is one run that broke. How often such runs come a search cannot say: it looks where it
likes.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from prism_operator.api.meta import Json
from prism_operator.documents import Location
from simulator.expectations import described
from simulator.experiments.cases import Case, loads_of, moments_of, spans_of
from simulator.experiments.cases import Change as Changed
from simulator.experiments.runs import Job, Pool, Run, run_all
from simulator.inputs import BadInputError, load_documents
from simulator.kernel import SECOND_US, LivelockError, Us
from simulator.randomness import Streams
from simulator.scenario import Scenario, load
from simulator.scenario.claims import Expectation
from simulator.scenario.files import self_contained
from simulator.spelling import duration

SHRINK_RUNS_MAX = 150  # for one find
SPAN_FACTOR_MAX = 2.0  # by which how long a fault lasts is stretched or cut
DURATION: Location = ("duration",)
SEEDS_ONLY = 4  # every so many runs differ in the seed alone


@dataclass(frozen=True, slots=True)
class Search:
    """What is to be looked at: how many runs, how far from the scenario, and under which seed."""

    runs: int
    load_factor_max: float
    shift_s_max: int
    seed: int


@dataclass(frozen=True, slots=True)
class Find:
    """A run that broke, and the small scenario that still breaks in the same way."""

    run: int  # its number in the search, from 0: the scenario as it is
    what: str  # the expectation, or the checker's promise
    failure: str
    case: Case
    start: Case  # the scenario as it is
    small: Case
    small_failure: str
    shrink_runs: int


@dataclass(frozen=True, slots=True)
class Found:
    """All that a search came to."""

    unusable: int  # runs of which the API server or the scenario's checks refused something
    finds: tuple[Find, ...]


class Trial(Job):
    """A run that may turn out to be none: then its log has no hash."""

    __slots__ = ()

    def run(self) -> Run:
        """Makes the run; never raises for what the scenario does."""
        try:
            return Job.run(self)
        except BadInputError:
            return Run(self.variant, self.seed, {}, (), "")
        except LivelockError as error:
            return Run(self.variant, self.seed, {}, (f"broken promise rest: {error}",), "livelock")


def search_for_breaks(
    path: Path,
    search: Search,
    pool: Pool,
    *,
    on_total: Callable[[int], None] = lambda _: None,
    on_done: Callable[[], None] = lambda: None,
    on_find: Callable[[Find], None] = lambda _: None,
) -> Found:
    """Tries ``search.runs`` runs and shrinks the first find of every expectation that broke.

    The finds do not depend on the pool. ``on_find`` gets each as soon as it is small.

    Raises:
        BadInputError: The scenario cannot be used.
    """
    scenario = load(path).scenario
    # Fitted values are in it, since loads are changed and parts left out.
    start = Case(self_contained(load_documents(path)[0], path), path, scenario.seed)
    cases = [start, *(_drawn(start, scenario, search, i) for i in range(1, search.runs))]
    jobs, refused = [], 0
    for i, case in enumerate(cases):
        try:
            jobs.append(Trial(str(i), case.seed, (), pickle.dumps(case.loaded())))
        except BadInputError:
            refused += 1
    on_total(len(jobs))
    runs = run_all(jobs, pool, on_done=lambda _: on_done())
    first: dict[str, tuple[int, str]] = {}
    for run in runs:
        for what, failure in _broken(scenario, run.failures).items():
            first.setdefault(what, (int(run.variant), failure))
    finds = []
    for what, (number, failure) in sorted(first.items(), key=lambda item: item[1]):
        shrinker = _Shrinker(scenario, start, what, on_total, on_done)
        small, small_failure = shrinker.shrink(cases[number], failure)
        find = Find(
            number, what, failure, cases[number], start, small, small_failure, shrinker.runs
        )
        finds.append(find)
        on_find(find)
    refused += sum(not run.log_hash for run in runs)
    return Found(refused, tuple(finds))


def _drawn(start: Case, scenario: Scenario, search: Search, number: int) -> Case:
    """The case of that number: another seed, and mostly other loads and times too."""
    value: Json = start.document.value
    draw = Streams(search.seed).stream("search", str(number))
    changes: list[Changed] = []
    if number % SEEDS_ONLY:
        for path in loads_of(value):
            changes += _scaled(draw, path, search.load_factor_max)
        if search.shift_s_max:
            for path in moments_of(value):
                at_s = scenario.timeline[int(path[1])].at // SECOND_US
                changes += _shifted(draw, path, at_s, search.shift_s_max)
            for path in spans_of(value):
                changes += _scaled(draw, path, SPAN_FACTOR_MAX)
    case = replace(start, seed=start.seed + number, changes=tuple(changes))
    later_s = max((change.shift_s for change in changes), default=0)
    if later_s > 0:
        # What is expected after an event has as much time as it had.
        case = case.with_value(DURATION, duration(scenario.duration / SECOND_US + later_s))
    return case


def _scaled(draw: Random, path: Location, factor_max: float) -> list[Changed]:
    wanted, share = draw.random() < 0.5, draw.random()
    # Evenly between 1 / max and max, as factors go, without a logarithm of the machine's own.
    factor = 1 + (factor_max - 1) * abs(2 * share - 1)
    factor = round(factor if share >= 0.5 else 1 / factor, 3)
    return [Changed(path, factor=factor)] if wanted and factor != 1 else []


def _shifted(draw: Random, path: Location, at_s: int, shift_s_max: int) -> list[Changed]:
    wanted, shift_s = draw.random() < 0.5, draw.randint(-shift_s_max, shift_s_max)
    shift_s = max(shift_s, -at_s)
    return [Changed(path, shift_s=shift_s)] if wanted and shift_s else []


def _broken(scenario: Scenario, failures: tuple[str, ...]) -> dict[str, str]:
    """What broke, by expectation or promise, with what was said of it first."""
    known = [f"expected {described(e)}" for e in scenario.expect]
    broken: dict[str, str] = {}
    for failure in failures:
        promise = failure.partition(" at ")[0].partition(":")[0]
        what = next((k for k in known if failure.startswith(f"{k}: ")), promise)
        if what in known or what.startswith("broken promise "):
            broken.setdefault(what, failure)
    return broken


class _Shrinker:
    """Makes a case smaller as long as the same thing breaks, and would not without its changes.

    The second keeps the find: with the load's event left out a claim that it be worked off may
    break too, but that is nothing that was found.
    """

    def __init__(
        self,
        scenario: Scenario,
        start: Case,
        what: str,
        on_total: Callable[[int], None],
        on_done: Callable[[], None],
    ) -> None:
        self._scenario, self._start, self._what = scenario, start, what
        self._on_total, self._on_done = on_total, on_done
        self._best, self._broke_as_it_is = start, False
        self._known: dict[str, str | None] = {}
        self.runs = 0

    def shrink(self, case: Case, failure: str) -> tuple[Case, str]:
        """The smallest case that was found, and how it breaks."""
        self._best, best_failure = case, failure
        self._broke_as_it_is = case == self._start
        goes_on = True
        while goes_on:
            goes_on = False
            for smaller in self._smaller():
                if self.runs >= SHRINK_RUNS_MAX:
                    return self._best, best_failure
                if smaller == self._best:
                    continue
                told = self._broken(smaller)
                if told and self._holds_without(smaller):
                    self._best, best_failure, goes_on = smaller, told, True
        return self._best, best_failure

    def _smaller(self) -> Iterator[Case]:
        """Cases that are a little smaller than the best so far, which may change on the way."""
        value: Json = self._start.document.value
        others: list[Location] = [
            ("expect", i) for i, said in enumerate(self._said()) if said != self._what
        ]
        if self._what in self._said():
            case = self._best
            for path in others:
                case = case.without(path)
            if case != self._best:
                yield case
        if self._best.changes and self._best.seed != self._start.seed:
            yield replace(self._best, seed=self._start.seed)
        for change in self._best.changes:
            yield replace(self._best, changes=tuple(c for c in self._best.changes if c != change))
        needed_us = max(self._needed_us(self._best), SECOND_US)
        for eighths in (0, 1, 2, 4, 6, 7):
            now_us = self._best.loaded().scenario.duration
            shorter_us = max(now_us * eighths // 8 // SECOND_US * SECOND_US, needed_us)
            if shorter_us < now_us:
                yield self._best.with_value(DURATION, duration(shorter_us / SECOND_US))
        aside: list[Location] = [
            (key,) for key in ("variants", "compare", "sweep", "params") if key in value
        ]
        case = self._best
        for path in aside:
            case = case.without(path)
        if case.removed != self._best.removed:
            yield case
        if self._broke_as_it_is:
            return  # nothing could tell whether what else is left out is why it breaks
        for path in self._parts(value):
            if path not in self._best.removed:
                yield self._best.without(path)
        for name, pool in value["cluster"]["pools"].items():
            count = dict(self._best.reduced).get(("cluster", "pools", name, "count"), pool["count"])
            if count > 1:
                yield self._best.with_value(("cluster", "pools", name, "count"), count // 2)
        for change in self._best.changes:
            weaker = change.weaker()
            if weaker is not None:
                changes = tuple(weaker if c == change else c for c in self._best.changes)
                yield replace(self._best, changes=changes)

    @staticmethod
    def _parts(value: Json) -> Iterator[Location]:
        """What a scenario may do without."""
        yield from (("timeline", i) for i in range(len(value.get("timeline") or ())))
        yield from (("workloads", name) for name in value.get("workloads") or ())
        yield from (("manifests", i) for i in range(len(value.get("manifests") or ())))

    def _said(self) -> list[str]:
        return [f"expected {described(e)}" for e in self._scenario.expect]

    def _needed_us(self, case: Case) -> Us:
        """How long it must go on for what is expected to have its time."""
        expectation = next(
            (e for e in self._scenario.expect if f"expected {described(e)}" == self._what), None
        )
        if expectation is None:
            return 0
        scenario = case.loaded().scenario
        starts_us = [e.at for e in scenario.timeline if e.name and e.name == expectation.after]
        return max(starts_us, default=0) + _time_of(expectation, scenario.duration)

    def _holds_without(self, case: Case) -> bool:
        """Whether it does not break under the scenario's own seed, loads and times, to its end."""
        return self._broke_as_it_is or self._broken(self._plain(case)) == ""

    def _plain(self, case: Case) -> Case:
        reduced = tuple((path, value) for path, value in case.reduced if path != DURATION)
        return replace(case, seed=self._start.seed, changes=(), reduced=reduced)

    def _broken(self, case: Case) -> str | None:
        """How it breaks in the same way; empty where it does not, None where it cannot be run."""
        try:
            loaded = case.loaded()
        except BadInputError:
            return None
        key = repr(case.value())
        if key not in self._known:
            self.runs += 1
            self._on_total(1)
            run = Trial("", case.seed, (), pickle.dumps(loaded)).run()
            broken = _broken(self._scenario, run.failures).get(self._what, "")
            self._known[key] = broken if run.log_hash else None
            self._on_done()
        return self._known[key]


def _time_of(expectation: Expectation, duration_us: Us) -> Us:
    if expectation.within is not None:
        return expectation.within
    return SECOND_US if expectation.mode in ("always", "never") else duration_us


def differs(case: Case, start: Case) -> str:
    """In what a case differs from its scenario, in words."""
    seed = [f"seed {case.seed}"] if case.seed != start.seed else []
    return ", ".join([*seed, *map(str, case.changes)]) or "nothing: it breaks as it is"
