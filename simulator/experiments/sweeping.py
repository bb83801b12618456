"""All combinations of some values under many seeds: what is worth its price, and what flaps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import fmean

from simulator.experiments.comparing import number
from simulator.experiments.ledger import Ledger
from simulator.experiments.runs import Job, Pool, Run, Variant, jobs_of, run_all
from simulator.experiments.verdicts import ALPHA, t_interval
from simulator.kernel import HOUR_US
from simulator.scenario import load
from simulator.scenario.calibration import trust
from simulator.scenario.settings import Objective


@dataclass(frozen=True, slots=True)
class Axis:
    """What is varied, and its values as variants of one value each."""

    name: str
    values: tuple[Variant, ...]


@dataclass(frozen=True, slots=True)
class Estimate:
    """The mean of a metric over seeds, with its 95 % interval; ``censored`` of them are larger."""

    mean: float
    low: float
    high: float
    censored: int = 0


@dataclass(frozen=True, slots=True)
class Point:
    """One combination: what it came to in each objective, and how often its replicas turned."""

    values: tuple[str, ...]  # as the axes have them
    name: str
    objectives: Mapping[str, Estimate]
    flaps_per_hour: float
    flaps: bool
    failing_seeds: int
    on_front: bool = False
    again: Mapping[str, Estimate] | None = None  # on fresh seeds, of those on the front
    confirmed: bool = False  # on the front by the fresh seeds too


@dataclass(frozen=True, slots=True)
class Swept:
    """A whole sweep. ``points`` are in the order of the grid, the last axis fastest."""

    scenario: str
    question: str
    axes: tuple[Axis, ...]
    objectives: Mapping[str, Objective]
    seeds: tuple[int, ...]
    fresh_seeds: tuple[int, ...]
    flaps_per_hour_max: float
    points: tuple[Point, ...]
    runs: tuple[Run, ...]  # by point, then seed; without those on fresh seeds
    trust: str  # how well its parameters were fitted

    def __str__(self) -> str:
        return markdown(self)


@dataclass(frozen=True, slots=True)
class Plan:
    """A sweep to be made."""

    axes: tuple[Axis, ...]
    objectives: Mapping[str, Objective]
    seeds: tuple[int, ...]
    flaps_per_hour_max: float

    @property
    def grid(self) -> list[tuple[tuple[str, ...], Variant]]:
        """Every combination."""
        return [_joined(values) for values in product(*(axis.values for axis in self.axes))]


def sweep(
    path: Path,
    plan: Plan,
    pool: Pool,
    *,
    ledger: Ledger | None = None,
    on_total: Callable[[int], None] = lambda _: None,
    on_done: Callable[[Run], None] = lambda _: None,
) -> Swept:
    """Runs the grid, then what was best once more on as many fresh seeds.

    The best of many is partly the luckiest; only the second look at it is without bias.

    Raises:
        BadInputError: The scenario or a combination cannot be used, or a metric does not exist.
    """
    loaded = load(path)
    scenario = loaded.scenario
    flap_names = [f"{name}.replicas.flaps" for name in sorted(scenario.workloads)]
    measures = sorted({*plan.objectives, *flap_names})
    hours = (scenario.duration - scenario.clock.warmup - scenario.clock.drain) / HOUR_US

    def runs_of(variants: Sequence[Variant], seeds: Sequence[int]) -> list[Run]:
        return _run(jobs_of(path, variants, seeds, measures), pool, ledger, on_total, on_done)

    def point(values: tuple[str, ...], name: str, runs: Sequence[Run]) -> Point:
        turns = [sum(run.measured[n].value for n in flap_names) / hours for run in runs]
        flaps = fmean(turns)
        estimates = {name: _estimate(name, runs) for name in plan.objectives}
        failing = sum(bool(run.failures) for run in runs)
        return Point(values, name, estimates, flaps, flaps > plan.flaps_per_hour_max, failing)

    runs = runs_of([variant for _, variant in plan.grid], plan.seeds)
    count = len(plan.seeds)
    points = [
        point(values, variant.name, runs[i * count : (i + 1) * count])
        for i, (values, variant) in enumerate(plan.grid)
    ]
    best = front([point.objectives for point in points], plan.objectives)
    fresh = tuple(range(max(plan.seeds) + 1, max(plan.seeds) + 1 + count))
    second = runs_of([plan.grid[i][1] for i in best], fresh)
    again = [
        {name: _estimate(name, second[k * count : (k + 1) * count]) for name in plan.objectives}
        for k in range(len(best))
    ]
    stands = {best[k] for k in front(again, plan.objectives)}
    for i, estimates in zip(best, again, strict=True):
        points[i] = replace(points[i], on_front=True, again=estimates, confirmed=i in stands)
    return Swept(
        scenario=path.stem,
        question=scenario.question,
        axes=plan.axes,
        objectives=plan.objectives,
        seeds=plan.seeds,
        fresh_seeds=fresh,
        flaps_per_hour_max=plan.flaps_per_hour_max,
        points=tuple(points),
        runs=tuple(runs),
        trust=trust(loaded.calibration),
    )


def front(
    points: Sequence[Mapping[str, Estimate]], objectives: Mapping[str, Objective]
) -> list[int]:
    """The Pareto front: points to which no other is at least equal in all and better in one."""
    costs = [
        tuple(
            -point[name].mean if objective.more_is_better else point[name].mean
            for name, objective in objectives.items()
        )
        for point in points
    ]

    def dominated(mine: tuple[float, ...]) -> bool:
        return any(
            other != mine and all(o <= m for o, m in zip(other, mine, strict=True))
            for other in costs
        )

    return [i for i, mine in enumerate(costs) if not dominated(mine)]


def markdown(swept: Swept) -> str:
    """The front and every combination, as tables."""
    names = list(swept.objectives)
    first = [point for point in swept.points if point.on_front]
    lost = [point for point in first if not point.confirmed]
    lines = [
        f"### {swept.scenario}: {swept.question}",
        "",
        f"**{sentence(swept)}**",
        "",
        _row([*(axis.name for axis in swept.axes), *names, "flaps/h", ""]),
        _row(["---"] * len(swept.axes) + ["--:"] * (len(names) + 1) + ["---"]),
    ]
    for point in swept.points:
        cells = [interval(point.objectives[name]) for name in names]
        lines.append(_row([*point.values, *cells, number(point.flaps_per_hour), remark(point)]))
    lines += [
        "",
        f"Means over {len(swept.seeds)} seeds with their {100 * (1 - ALPHA):.0f} % intervals. "
        f"Flaps: replicas turned within 10 minutes; more than {number(swept.flaps_per_hour_max)} "
        "an hour is flapping.",
        "",
        f"On the front, measured again on {len(swept.fresh_seeds)} fresh seeds:",
        "",
        _row([*(axis.name for axis in swept.axes), *names]),
        _row(["---"] * len(swept.axes) + ["--:"] * len(names)),
    ]
    lines += [
        _row([*p.values, *(interval(p.again[name]) for name in names)]) for p in first if p.again
    ]
    if lost:
        told = "; ".join(point.name for point in lost)
        lines += ["", f"No longer on the front by the fresh seeds: {told}."]
    return "\n".join([*lines, "", swept.trust]) + "\n"


def _run(
    jobs: Sequence[Job],
    pool: Pool,
    ledger: Ledger | None,
    on_total: Callable[[int], None],
    on_done: Callable[[Run], None],
) -> list[Run]:
    """The runs of the jobs, in their order; those in the ledger are not made again."""
    done, rest = ledger.split(jobs) if ledger is not None else ([], jobs)
    on_total(len(rest))
    by_key = {(job.variant, job.seed): job for job in rest}

    def keep(run: Run) -> None:
        if ledger is not None:
            ledger.add(by_key[run.variant, run.seed], run)
        on_done(run)

    made = run_all(rest, pool, on_done=keep) if rest else []
    runs = {(run.variant, run.seed): run for run in [*done, *made]}
    return [runs[job.variant, job.seed] for job in jobs]


def _joined(values: Sequence[Variant]) -> tuple[tuple[str, ...], Variant]:
    texts = tuple(variant.name.rpartition("=")[2] for variant in values)
    params = {name: value for variant in values for name, value in variant.values.items()}
    settings = tuple(setting for variant in values for setting in variant.settings)
    return texts, Variant(", ".join(variant.name for variant in values), params, settings)


def _estimate(name: str, runs: Sequence[Run]) -> Estimate:
    observed = [run.measured[name] for run in runs]
    mean, low, high = t_interval([o.value for o in observed])
    return Estimate(mean, low, high, sum(o.censored for o in observed))


def sentence(swept: Swept) -> str:
    """The answer in a sentence: what is worth its price, and how much flaps."""
    stands = [point.name for point in swept.points if point.confirmed]
    flapping = sum(point.flaps for point in swept.points)
    among = " and ".join(swept.objectives)
    told = f"Of {len(swept.points)} combinations {len(stands)} are worth their price in {among}: "
    return f"{told}{'; '.join(stands)}. {flapping} flap."


def remark(point: Point) -> str:
    """What is to be said of a combination besides its numbers."""
    remarks = ["front"] if point.confirmed else []
    remarks += ["flaps"] if point.flaps else []
    remarks += [f"breaks expect in {point.failing_seeds} seeds"] if point.failing_seeds else []
    return ", ".join(remarks)


def interval(estimate: Estimate) -> str:
    """A mean with its interval; “>” before one that would be larger if runs had gone on."""
    over = "> " if estimate.censored else ""
    mean, low, high = map(number, (estimate.mean, estimate.low, estimate.high))
    return f"{over}{mean} ({low} … {high})"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
