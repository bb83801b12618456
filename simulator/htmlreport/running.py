"""The report of one run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from simulator.expectations import described
from simulator.experiments.comparing import number
from simulator.htmlreport.clustermap import cluster_map
from simulator.htmlreport.courses import edges
from simulator.htmlreport.happenings import Mark
from simulator.htmlreport.page import render, source_of
from simulator.htmlreport.panels import BINS, Panel, drawn, panels_of
from simulator.htmlreport.recording import WAITING, Recording
from simulator.kernel import SECOND_US
from simulator.run import Result, Simulation
from simulator.scenario import LoadedScenario
from simulator.scenario.calibration import trust
from simulator.spelling import duration
from simulator.sums import sum_up

# What is told of a workload where it was recorded: metric, how it is summed up, and its name.
_TOLD = (
    ("replicas", "mean", "replicas wanted, mean"),
    ("replicas", "max", "replicas wanted, most"),
    ("lag", "max", "lag, largest"),
    ("delay", "p50", "delay, half of the messages below"),
    ("delay", "p99", "delay, 99 % of the messages below"),
    ("latency", "p50", "latency, half of the requests below"),
    ("latency", "p99", "latency, 99 % of the requests below"),
    ("errors", "increase", "failed requests"),
)
_OBJECTIVES = ("delay", "latency", "lag")  # of which less is better, the first there is


def run_page(
    loaded: LoadedScenario, simulation: Simulation, recording: Recording, result: Result
) -> str:
    """The page about a run that is over, from which it was recorded.

    Raises:
        BadInputError: The package for templates is not installed.
    """
    panels = panels_of(simulation, recording)
    pictures = {
        **timeline_of(simulation, recording, panels),
        "tradeoff": _tradeoff(simulation, panels),
        "map": cluster_map(recording),
    }
    return render(
        "run.html.j2",
        pictures=pictures,
        result=result,
        question=simulation.scenario.question,
        verdict=_verdict(simulation, result),
        expectations=[(judge, described(judge.expectation)) for judge in simulation.judges.judges],
        broken=simulation.violations,
        numbers=list(_numbers(simulation, recording, result)),
        length=duration(result.simulated_s),
        measured=[duration(t) for t in pictures["measured"]],
        pods=len(recording.pods),
        trust=trust(loaded.calibration),
        sources=source_of(loaded),
    )


def timeline_of(
    simulation: Simulation, recording: Recording, panels: Sequence[Panel]
) -> dict[str, Any]:
    """The part that all reports of runs share: what happened, and numbers, on one axis of time."""
    scenario = simulation.scenario
    end_us = scenario.duration
    return {
        "end": end_us / SECOND_US,
        "start": scenario.clock.start.timestamp() * 1000,
        "measured": [
            scenario.clock.warmup / SECOND_US,
            (end_us - scenario.clock.drain) / SECOND_US,
        ],
        "marks": drawn_marks(recording),
        "panels": drawn(panels, end_us),
        "bounds": list(_bounds(simulation)),
        "workloads": list(scenario.workloads),
    }


def drawn_marks(recording: Recording) -> list[Mapping[str, Any]]:
    """What happened, for the page."""
    return [_mark(mark) for mark in recording.happenings.marks()]


def _mark(mark: Mark) -> Mapping[str, Any]:
    return {
        "lane": mark.lane,
        "at": mark.at_us / SECOND_US,
        "until": None if mark.until_us is None else mark.until_us / SECOND_US,
        "title": mark.title,
        "texts": mark.texts,
        "count": mark.count,
    }


def _bounds(simulation: Simulation) -> Iterator[Mapping[str, Any]]:
    """What expectations say of a number, as lines in its picture."""
    for judge in simulation.judges.judges:
        claim = judge.expectation.claim.metric or judge.expectation.claim.summed
        if claim is None:
            continue
        owner, _, what = claim.of.partition(".")
        for value in (claim.above, claim.at_least, claim.at_most, claim.below):
            if value is not None:
                yield {
                    "panel": what.partition(".")[0].replace("ready", "replicas"),
                    "owner": owner,
                    "value": value,
                    "text": described(judge.expectation),
                    "met": bool(judge.verdict),
                }


def _verdict(simulation: Simulation, result: Result) -> str:
    missed, broken = result.expected - result.met, len(simulation.violations)
    if not missed and not broken:
        return f"As expected: {_count(result.expected, 'expectation')} met, no promise broken."
    told = []
    if missed:
        told.append(f"{missed} of {_count(result.expected, 'expectation')} not met")
    if broken:
        told.append(f"{_count(broken, 'promise')} broken")
    return f"Not as expected: {' and '.join(told)}."


def _count(many: int, what: str) -> str:
    return f"{many} {what}" + ("" if many == 1 else "s")


def _numbers(
    simulation: Simulation, recording: Recording, result: Result
) -> Iterator[tuple[str, str, str]]:
    """Of whom, what, and how much."""
    clock, end_us = simulation.scenario.clock, simulation.scenario.duration
    from_us, to_us = clock.warmup, end_us - clock.drain
    recorder = simulation.recorder
    cost = recorder.get("cost.rate")
    if cost is not None and any(cost.values):
        summed = sum_up("cost", recorder, from_us, to_us)
        if summed is not None:
            yield "cluster", "cost of the nodes, in the unit of their prices", number(summed[0])
    waited = recording.recorder.series(WAITING)
    yield "cluster", "pods that waited for a node, most", number(waited.max(from_us, to_us))
    yield "cluster", "evictions", str(result.evictions)
    yield "cluster", "restarts of containers", str(result.restarts)
    for workload in simulation.scenario.workloads:
        for metric, how, told in _TOLD:
            name = f"{workload}.{metric}"
            series, came = recorder.get(name), recorder.get_distribution(name)
            if series is None and (came is None or not came.times_us):
                continue
            summed = sum_up(f"{name}.{how}", recorder, from_us, to_us)
            if summed is not None:
                value, is_larger = summed
                unit = series.unit if series is not None else "s"
                yield workload, told, f"{'> ' if is_larger else ''}{number(value)} {unit}"


def _tradeoff(simulation: Simulation, panels: Sequence[Panel]) -> Mapping[str, Any] | None:
    """Cost against the first objective there is, in stretches of time; None where cost stays."""
    cost = simulation.recorder.get("cost.rate")
    objective = next((p for key in _OBJECTIVES for p in panels if p.key == key), None)
    if cost is None or objective is None or len(set(cost.values)) < 2:
        return None
    at = edges(simulation.scenario.duration, BINS // 2)
    line = objective.lines[0]
    prices = next(p for p in panels if p.key == "cost").lines[0].binned(at)
    title = f"{line.owner} {objective.title.lower()}" + (f" {line.label}" if line.share else "")
    return {
        "x": prices,
        "y": line.binned(at),
        "t": [t / SECOND_US for t in at[:-1]],
        "xName": "cost per hour",
        "yName": f"{title} ({objective.unit})",
    }
