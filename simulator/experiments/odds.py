"""In how many seeds each expectation holds, and whether that is as many as it asks for.

The interval of a share is Clopper and Pearson's, exact for binomial counts (C. J. Clopper and
E. S. Pearson, Biometrika 26, 1934), each for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from math import ceil, log
from pathlib import Path
from typing import Any

from simulator.expectations import described
from simulator.experiments.runs import Pool, Run, Variant, jobs_of, run_all
from simulator.experiments.verdicts import ALPHA
from simulator.run import Simulation


class Verdict(StrEnum):
    """What may be said of an expectation."""

    HOLDS = "holds"
    BROKEN = "broken"
    OPEN = "cannot be told"


@dataclass(frozen=True, slots=True)
class Odds:
    """One expectation over all seeds; ``low`` and ``high`` bound the share in which it holds.

    ``asked``: the share that is asked for; None: every seed that is tried. ``broken`` are the seeds
    in which it did not hold.
    """

    what: str
    asked: float | None
    seeds: int
    broken: tuple[int, ...]
    low: float
    high: float

    @property
    def verdict(self) -> Verdict:
        """Broken, holds, or not known with so few seeds."""
        if self.asked is None:
            return Verdict.BROKEN if self.broken else Verdict.HOLDS
        if self.low >= self.asked:
            return Verdict.HOLDS
        return Verdict.BROKEN if self.high < self.asked else Verdict.OPEN


@dataclass(frozen=True, slots=True)
class OverSeeds:
    """A scenario under many seeds. ``promises`` are those that checkers saw broken, with seeds."""

    scenario: str
    seeds: range
    odds: tuple[Odds, ...]
    promises: tuple[tuple[int, str], ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of them."""
        all_of = {odds.verdict for odds in self.odds}
        if self.promises or Verdict.BROKEN in all_of:
            return Verdict.BROKEN
        return Verdict.OPEN if Verdict.OPEN in all_of else Verdict.HOLDS


def over_seeds(
    path: Path,
    seeds: int,
    pool: Pool,
    *,
    first: int | None = None,
    on_done: Callable[[Run], None] = lambda _: None,
) -> OverSeeds:
    """Runs a scenario under so many seeds from ``first``, or its own, on.

    Raises:
        BadInputError: It cannot be used.
    """
    variant = Variant("as it is")
    scenario = variant.load(path).scenario
    begin = scenario.seed if first is None else first
    numbers = range(begin, begin + seeds)
    runs = run_all(jobs_of(path, [variant], numbers, (), _verdicts), pool, on_done=on_done)
    odds = [
        _odds(
            described(expectation),
            expectation.in_seeds,
            [run.seed for run in runs if not run.observed[0][i]],
            seeds,
        )
        for i, expectation in enumerate(scenario.expect)
    ]
    promises = [(run.seed, promise) for run in runs for promise in run.observed[1]]
    return OverSeeds(path.stem, numbers, tuple(odds), tuple(promises))


def _verdicts(simulation: Simulation) -> Callable[[], Any]:
    def verdicts() -> Any:
        return [bool(judge.verdict) for judge in simulation.judges.judges], simulation.violations

    return verdicts


def _odds(what: str, asked: float | None, broken: Sequence[int], seeds: int) -> Odds:
    stats: Any = import_module("scipy.stats")
    test = stats.binomtest(seeds - len(broken), seeds)
    interval = test.proportion_ci(1 - ALPHA, method="exact")
    return Odds(what, asked, seeds, tuple(broken), float(interval.low), float(interval.high))


def seeds_needed(asked: float) -> int | None:
    """How many seeds can show such a share, if it holds in all of them; None: no number can."""
    return None if asked >= 1 else ceil(log(ALPHA / 2) / log(asked)) if asked > 0 else 1


def markdown(found: OverSeeds) -> str:
    """A table with a row for each expectation, and what to do about what cannot be told."""
    seeds = len(found.seeds)
    lines = [
        f"### {found.scenario}: {seeds} seeds, {found.verdict}",
        "",
        f"| expected | asked for | held in | {100 * (1 - ALPHA):.0f} % interval | verdict |",
        "|---|--:|--:|--:|---|",
    ]
    for odds in found.odds:
        asked = "every seed" if odds.asked is None else f"{100 * odds.asked:g} %"
        such_as = f", not in {odds.broken[0]}" if odds.broken else ""
        held = odds.seeds - len(odds.broken)
        lines.append(
            f"| {odds.what} | {asked} | {held} of {odds.seeds}{such_as} "
            f"| {100 * odds.low:.1f} … {100 * odds.high:.1f} % | **{odds.verdict}** |"
        )
    for odds in found.odds:
        if odds.verdict is Verdict.OPEN and odds.asked is not None:
            need = seeds_needed(odds.asked)
            told = "no number of seeds shows that" if need is None else f"at least {need} seeds can"
            lines += ["", f"{odds.what}: {100 * odds.asked:g} % is within the interval; {told}."]
    if found.promises:
        seed, promise = found.promises[0]
        count = len({seed for seed, _ in found.promises})
        lines += ["", f"Promises are broken in {count} seeds, such as {seed}: {promise}"]
    return "\n".join(lines) + "\n"
