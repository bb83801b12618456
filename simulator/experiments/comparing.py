"""Compares variants of a scenario, and says what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from statistics import fmean

from simulator.experiments.runs import Observer, Play, Pool, Run, Variant, jobs_of, run_all
from simulator.experiments.verdicts import ALPHA, Claim, Comparison, compare, holm
from simulator.scenario.calibration import trust
from simulator.scenario.settings import PrimarySpec

SEEDS_MIN = 2
_COARSE = "\nPlayed as fleets, in groups of pods: no expectation was judged."


class Outcome(IntEnum):
    """Exit codes: worse beyond the margin, and undecided; 2 is for bad input, as everywhere."""

    FINE = 0
    WORSE = 1
    INCONCLUSIVE = 3


@dataclass(frozen=True, slots=True)
class Compared:
    """All comparisons of one scenario's variants against their baseline."""

    scenario: str
    question: str
    baseline: str
    variants: tuple[str, ...]  # without the baseline
    seeds: tuple[int, ...]
    comparisons: tuple[Comparison, ...]  # of every variant in every primary metric, Holm-corrected
    failures: Mapping[str, Mapping[int, tuple[str, ...]]]  # by variant and seed
    trust: str  # how well its parameters were fitted
    runs: Mapping[str, tuple[Run, ...]]  # by variant, the baseline first; in the order of seeds

    @property
    def outcome(self) -> Outcome:
        """The worst that was found."""
        claims = {c.claim for c in self.comparisons}
        if Claim.WORSE in claims:
            return Outcome.WORSE
        return Outcome.INCONCLUSIVE if Claim.INCONCLUSIVE in claims else Outcome.FINE

    def __str__(self) -> str:
        return markdown(self)


def compare_variants(
    path: Path,
    baseline: Variant,
    variants: Sequence[Variant],
    *,
    seeds: Sequence[int],
    primary: Mapping[str, PrimarySpec],
    pool: Pool,
    also: Sequence[str] = (),
    observe: Observer | None = None,
    play: Play | None = None,
    on_done: Callable[[Run], None] = lambda _: None,
) -> Compared:
    """Runs baseline and variants under the same seeds and judges the primary metrics.

    ``also`` are metrics that are measured and not judged. ``play``: by another engine than the
    ordinary one, which judges no expectations.

    Raises:
        BadInputError: The scenario or a variant cannot be used, or a metric does not exist.
    """
    loaded = baseline.load(path)
    measures = sorted({*primary, *also})
    jobs = jobs_of(path, [baseline, *variants], seeds, measures, observe, play)
    runs = run_all(jobs, pool, on_done=on_done)
    by_variant: dict[str, list[Run]] = {}
    for run in runs:
        by_variant.setdefault(run.variant, []).append(run)
    comparisons = [
        _compared(metric, spec, variant.name, by_variant[baseline.name], by_variant[variant.name])
        for variant in variants
        for metric, spec in primary.items()
    ]
    return Compared(
        scenario=loaded.name,
        question=loaded.scenario.question,
        baseline=baseline.name,
        variants=tuple(v.name for v in variants),
        seeds=tuple(seeds),
        comparisons=tuple(holm(comparisons)),
        failures={
            name: {run.seed: run.failures for run in of if run.failures}
            for name, of in by_variant.items()
        },
        trust=trust(loaded.calibration) + ("" if play is None else _COARSE),
        runs={name: tuple(of) for name, of in by_variant.items()},
    )


def _compared(
    metric: str, spec: PrimarySpec, variant: str, baseline: Sequence[Run], other: Sequence[Run]
) -> Comparison:
    pairs = [(b.measured[metric], v.measured[metric]) for b, v in zip(baseline, other, strict=True)]
    margin = spec.margin_for(fmean(b.value for b, _ in pairs))
    return compare(metric, variant, pairs, margin, more_is_better=spec.more_is_better)


def sentence(compared: Compared) -> str:
    """The verdict, in a sentence for each variant."""
    told = []
    for variant in compared.variants:
        parts = []
        mine = [c for c in compared.comparisons if c.variant == variant]
        for claim in (Claim.WORSE, Claim.BETTER, Claim.EQUIVALENT, Claim.INCONCLUSIVE):
            of = [c for c in mine if c.claim is claim]
            if of:
                parts.append(f"{claim} in " + ", ".join(map(_brief, of)))
        told.append(f"{variant} against {compared.baseline}: {'; '.join(parts)}.")
    return " ".join(told)


def markdown(compared: Compared) -> str:
    """The verdict with its table, for a pull request."""
    seeds = len(compared.seeds)
    lines = [
        f"### {compared.scenario}: {compared.question}",
        "",
        f"**{sentence(compared)}**",
        "",
        f"| variant | metric | {compared.baseline} | variant | difference "
        f"({100 * (1 - ALPHA):.0f} % interval) | margin | p | verdict |",
        "|---|---|--:|--:|--:|--:|--:|---|",
    ]
    for c in compared.comparisons:
        over = "> " if c.censored else ""
        remark = f": {c.remark}" if c.remark else ""
        lines.append(
            f"| {c.variant} | {c.metric} | {number(c.baseline_mean)} "
            f"| {over}{number(c.variant_mean)} "
            f"| {signed(c.difference)} ({number(c.low)} … {number(c.high)}) "
            f"| ± {number(c.margin)} | {c.p:.2g} | **{c.claim}**{remark} |"
        )
    correlations = [c.correlation for c in compared.comparisons if c.correlation is not None]
    lines += [
        "",
        f"Means over {seeds} seeds, each run by every variant; intervals by Student's t on the "
        f"paired differences, p-values after Holm over {len(compared.comparisons)}.",
    ]
    if correlations:
        lines.append(f"Correlation by pairing: {min(correlations):.2f} or more.")
    for variant, by_seed in compared.failures.items():
        if by_seed:
            seed, failures = next(iter(by_seed.items()))
            lines.append(
                f"{variant} breaks an expectation in {len(by_seed)} of {seeds} seeds, "
                f"such as {seed}: {failures[0]}"
            )
    return "\n".join([*lines, compared.trust]) + "\n"


def number(value: float) -> str:
    """Four digits that count, and no exponent where one can do without."""
    if abs(value) < 1e-9:  # what a search for a quantile leaves of 0
        return "0"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def signed(value: float) -> str:
    """The same with its sign."""
    return ("" if value < 0 else "+") + number(value)


def _brief(c: Comparison) -> str:
    return f"{c.metric} ({signed(c.difference)}, {number(c.low)} … {number(c.high)})"
