"""The report of a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simulator.experiments.comparing import Compared, Outcome, number, sentence, signed
from simulator.experiments.requests import Request
from simulator.experiments.runs import Run, Variant
from simulator.experiments.verdicts import ALPHA, Claim, Comparison
from simulator.htmlreport.bands import bands, times_s
from simulator.htmlreport.clustermap import cluster_map
from simulator.htmlreport.page import render, source_of
from simulator.htmlreport.recording import Recording
from simulator.htmlreport.running import drawn_marks, timeline_of
from simulator.quiet import silenced
from simulator.run import Simulation
from simulator.scenario.settings import PrimarySpec

COST = "cost"
_CLASSES = {
    Claim.BETTER: "good",
    Claim.EQUIVALENT: "good",
    Claim.WORSE: "bad",
    Claim.INCONCLUSIVE: "warn",
}
_OUTCOMES = {Outcome.FINE: "good", Outcome.WORSE: "bad", Outcome.INCONCLUSIVE: "warn"}


def compare_page(path: Path, request: Request, compared: Compared) -> str:
    """The page about a comparison whose runs were observed by ``bands.watch_numbers``.

    The worst seed of each variant is run once more, for the map.

    Raises:
        BadInputError: The package for templates is not installed.
    """
    metric = next((name for name in request.primary if name != COST), COST)
    spec = request.primary[metric]
    variants = [request.baseline, *request.variants]
    worst = {v.name: _worst(compared.runs[v.name], metric, spec) for v in variants}
    shown = {v.name: _shown(path, v, compared.seeds[worst[v.name]]) for v in variants}
    first = [name.partition(".")[0] for name in request.primary]
    baseline, recording = shown[request.baseline.name]
    pictures = {
        **timeline_of(baseline, recording, ()),
        "variants": [v.name for v in variants],
        "worst": {name: compared.seeds[i] for name, i in worst.items()},
        "t": times_s(baseline.scenario.duration),
        "bands": bands(compared.runs, worst, first),
        "forest": [_row(c, request.primary[c.metric]) for c in compared.comparisons],
        "pairs": _pairs(request, compared),
        "views": {
            name: {"map": cluster_map(recording), "marks": drawn_marks(recording)}
            for name, (_, recording) in shown.items()
        },
    }
    measures = sorted(next(iter(compared.runs.values()))[0].measured)
    return render(
        "compare.html.j2",
        pictures=pictures,
        compared=compared,
        sentence=sentence(compared),
        outcome=_OUTCOMES[compared.outcome],
        rows=[_told(c) for c in compared.comparisons],
        confidence=f"{100 * (1 - ALPHA):.0f}",
        correlations=[c.correlation for c in compared.comparisons if c.correlation is not None],
        metric=metric,
        worst=pictures["worst"],
        measures=measures,
        seeds=_seeds(compared, measures),
        settings=[(v.name, _differs(v)) for v in variants],
        sources=source_of(request.baseline.load(path)),
    )


def _shown(path: Path, variant: Variant, seed: int) -> tuple[Simulation, Recording]:
    simulation = Simulation(variant.load(path), seed=seed)
    recording = Recording(simulation)
    with silenced():
        simulation.run()
    return simulation, recording


def _worst(runs: Sequence[Run], metric: str, spec: PrimarySpec) -> int:
    """The position of the seed in which the metric was worst."""
    sign = -1.0 if spec.more_is_better else 1.0
    return max(range(len(runs)), key=lambda i: (sign * runs[i].measured[metric].value, -i))


def _row(c: Comparison, spec: PrimarySpec) -> Mapping[str, Any]:
    """A line of the forest plot, in margins; where less is not better it is turned round."""
    unit = c.margin or max(abs(c.low), abs(c.high)) or 1.0
    sign = -1.0 if spec.more_is_better else 1.0
    low, high = sorted((sign * c.low / unit, sign * c.high / unit))
    return {
        "variant": c.variant,
        "metric": c.metric,
        "low": low,
        "high": high,
        "middle": sign * c.difference / unit,
        "claim": c.claim,
        "class": _CLASSES[c.claim],
        "margin": f"± {number(c.margin)}",
        "text": f"{signed(c.difference)} ({number(c.low)} … {number(c.high)})",
        "remark": c.remark,
    }


def _told(c: Comparison) -> Mapping[str, Any]:
    return {
        "comparison": c,
        "class": _CLASSES[c.claim],
        "baseline": number(c.baseline_mean),
        "mean": ("> " if c.censored else "") + number(c.variant_mean),
        "difference": f"{signed(c.difference)} ({number(c.low)} … {number(c.high)})",
        "margin": f"± {number(c.margin)}",
        "p": f"{c.p:.2g}",
    }


def _pairs(request: Request, compared: Compared) -> Mapping[str, Any] | None:
    """Cost, or without prices another metric that decides, against the first of the others."""
    costs = any(run.measured[COST].value for runs in compared.runs.values() for run in runs)
    deciding = list(request.primary)
    x = COST if costs else (deciding[1] if len(deciding) > 1 else None)
    y = next((name for name in deciding if name != x), None)
    if x is None or y is None:
        return None
    return {
        "x": x,
        "y": y,
        "seeds": compared.seeds,
        "by": {
            name: [[run.measured[x].value, run.measured[y].value] for run in runs]
            for name, runs in compared.runs.items()
        },
    }


def _seeds(compared: Compared, measures: Sequence[str]) -> list[tuple[int, list[str], str]]:
    """For each seed what each variant measured, and who failed in it."""
    rows = []
    for i, seed in enumerate(compared.seeds):
        of = {name: runs[i] for name, runs in compared.runs.items()}
        cells = [
            ("> " if run.measured[m].censored else "") + number(run.measured[m].value)
            for m in measures
            for run in of.values()
        ]
        failing = [f"{name}: {run.failures[0]}" for name, run in of.items() if run.failures]
        rows.append((seed, cells, "; ".join(failing)))
    return rows


def _differs(variant: Variant) -> str:
    parts = [f"{name}: {value}" for name, value in variant.values.items()]
    return ", ".join([*parts, *map(str, variant.settings)]) or "the scenario as it is"
