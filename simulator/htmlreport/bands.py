"""Numbers over time of many runs: how they lie in most seeds, and in the worst."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simulator.experiments.runs import Run
from simulator.htmlreport.courses import edges, rounded
from simulator.htmlreport.panels import Line, Panel, panels_of
from simulator.htmlreport.recording import ON_DEMAND, SPOT, Recording
from simulator.kernel import SECOND_US
from simulator.run import Simulation

BINS = 160  # stretches of time
SHARES = (10, 50, 90)
WORKLOADS_MAX = 12  # that a page can hold; those that decide come first


@dataclass(frozen=True, slots=True)
class Key:
    """Which number: the picture it belongs to, of which workload."""

    title: str
    unit: str
    owner: str


Numbers = Mapping[Key, Sequence[float | None]]


def watch_numbers(simulation: Simulation) -> Callable[[], Numbers]:
    """An ``Observer`` that answers with all numbers of the run, each in ``BINS`` stretches."""
    recording = Recording(simulation)
    return lambda: numbers(simulation, recording)


def numbers(simulation: Simulation, recording: Recording) -> Numbers:
    """The same of a run that was recorded."""
    at = edges(simulation.scenario.duration, BINS)
    found: dict[Key, Sequence[float | None]] = {}
    for panel in panels_of(simulation, recording):
        for key, lines in _drawn(panel):
            values = [line.binned(at) for line in lines]
            found[key] = values[0] if len(values) == 1 else _added(values)
    return found


def bands(
    runs: Mapping[str, Sequence[Run]], worst: Mapping[str, int], first: Sequence[str]
) -> list[Mapping[str, Any]]:
    """For the page: of each number and variant the median, the 10–90 % band, and the worst seed.

    ``worst`` has the position of that seed; workloads in ``first`` come first.
    """
    keys = dict.fromkeys(key for of in runs.values() for run in of for key in run.observed)
    owners = list(dict.fromkeys(key.owner for key in keys if key.owner))
    kept = sorted(owners, key=lambda o: (o not in first, owners.index(o)))[:WORKLOADS_MAX]
    return [
        {
            "title": key.title,
            "unit": key.unit,
            "owner": key.owner,
            "by": {name: _band(key, of, worst[name]) for name, of in runs.items()},
        }
        for key in keys
        if not key.owner or key.owner in kept
    ]


def times_s(end_us: int) -> list[float]:
    """When the stretches begin, and the end."""
    return [round(t / SECOND_US, 2) for t in edges(end_us, BINS)]


def _band(key: Key, runs: Sequence[Run], worst: int) -> Mapping[str, Any]:
    rows = [run.observed.get(key) or [0.0] * BINS for run in runs]
    table = np.array([[np.nan if v is None else v for v in row] for row in rows])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a stretch in which nothing came
        low, middle, high = np.nanpercentile(table, SHARES, axis=0)
    named = {"low": low, "mid": middle, "high": high}
    lines = {name: _known(values) for name, values in named.items()}
    return {**lines, "worst": list(rows[worst])}


def _known(values: np.ndarray) -> list[float | None]:
    return [None if v is None or np.isnan(v) else v for v in rounded(values)]


def _drawn(panel: Panel) -> Iterator[tuple[Key, list[Line]]]:
    """What of a panel is drawn where there are many runs: less, or the bands hide each other."""
    if panel.key == "nodes":
        for lifecycle in (ON_DEMAND, SPOT):
            lines = [line for line in panel.lines if line.label.endswith(lifecycle)]
            if lines:
                yield Key(f"{panel.title}, {lifecycle}", panel.unit, ""), lines
        return
    if panel.is_stacked:
        yield Key(panel.title, panel.unit, ""), list(panel.lines)
        return
    for line in panel.lines:
        if not line.is_dashed:
            tail = f", {line.label}" if line.share is not None or line.label == "ready" else ""
            yield Key(panel.title + tail, panel.unit, line.owner), [line]


def _added(rows: Sequence[Sequence[float | None]]) -> list[float | None]:
    return rounded(np.sum(np.array(rows, np.float64), axis=0))
