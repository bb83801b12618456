"""The numbers of a run as pictures over one axis of time, found by their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simulator.htmlreport.courses import course, edges, means, percentiles, rounded
from simulator.htmlreport.recording import STARTING, WAITING, Recording
from simulator.kernel import SECOND_US, Us
from simulator.run import Simulation
from simulator.series import Distribution, Recorder, Series

BINS = 240  # stretches of time for percentiles
RATE_BINS = 80  # and for rates, which noise makes restless
POINTS_MAX = 900  # of one line
POINTS_TOTAL_MAX = 120_000  # of all lines together
POINTS_MIN = 90


@dataclass(frozen=True, slots=True)
class Line:
    """One number: of ``owner`` (a workload, a group of nodes), ``label`` says which.

    A distribution is drawn as the percentile ``share`` of what came in each stretch of time, or,
    without one, as how much came in a second.
    """

    owner: str
    label: str
    of: Series | Distribution
    share: float | None = None
    is_dashed: bool = False

    def drawn(self, end_us: Us, points_max: int) -> Mapping[str, Any]:
        """For the page: times in seconds, and values."""
        if isinstance(self.of, Series):
            found = course(self.of, end_us, points_max)
            times, values = found.times_s, found.values
        else:
            at = edges(end_us, RATE_BINS if self.share is None else min(BINS, points_max))
            times = [round(t / SECOND_US, 2) for t in at]
            values = self._in_bins(self.of, at)
            values.append(values[-1])
        line = {"owner": self.owner, "label": self.label, "t": times, "v": values}
        return {**line, "dashed": True} if self.is_dashed else line

    def binned(self, at: Sequence[Us]) -> list[float | None]:
        """One value for each stretch of time, so that runs can be compared."""
        if isinstance(self.of, Series):
            return rounded(means(self.of, at))
        return self._in_bins(self.of, at)

    def _in_bins(self, of: Distribution, at: Sequence[Us]) -> list[float | None]:
        if self.share is not None:
            return percentiles(of, self.share, at)
        times, weights, *_ = of.columns()
        came, _ = np.histogram(times, np.asarray(at), weights=weights)
        return rounded(came / np.diff(np.asarray(at)) * SECOND_US)


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture. ``key`` is that of the numbers in it, ``is_stacked``: they add up."""

    key: str
    title: str
    unit: str
    lines: tuple[Line, ...]
    is_stacked: bool = False


def panels_of(simulation: Simulation, recording: Recording) -> list[Panel]:
    """What was recorded, in the order in which one thing leads to another."""
    recorder, workloads = simulation.recorder, list(simulation.scenario.workloads)
    counts = recording.recorder
    groups = [name for name in counts.names() if name not in (WAITING, STARTING)]
    panels = [
        Panel("load", "Load", "per second", tuple(_loads(recorder, workloads))),
        Panel("cores", "CPU asked for", "cores", tuple(_each(recorder, workloads, "cores"))),
        Panel("replicas", "Replicas", "pods", tuple(_replicas(recorder, workloads))),
        Panel("lag", "Lag", "messages", tuple(_each(recorder, workloads, "lag"))),
        Panel("delay", "Delay of messages", "s", tuple(_tails(recorder, workloads, "delay"))),
        Panel("latency", "Latency", "s", tuple(_tails(recorder, workloads, "latency"))),
        Panel("errors", "Failed requests", "in all", tuple(_each(recorder, workloads, "errors"))),
        Panel(
            "pods",
            "Pods that do not run yet",
            "pods",
            (
                Line("", "wait for a node", counts.series(WAITING)),
                Line("", "start", counts.series(STARTING)),
            ),
            is_stacked=True,
        ),
        Panel(
            "nodes",
            "Nodes ready",
            "nodes",
            tuple(Line("", group, counts.series(group)) for group in groups),
            is_stacked=True,
        ),
    ]
    rate = recorder.get("cost.rate")
    if rate is not None and any(rate.values):
        panels.append(Panel("cost", "Cost", "per hour", (Line("", "nodes", rate),)))
    return [panel for panel in panels if panel.lines]


def drawn(panels: Sequence[Panel], end_us: Us) -> list[Mapping[str, Any]]:
    """All of them for the page."""
    many = sum(len(panel.lines) for panel in panels)
    points_max = max(POINTS_MIN, min(POINTS_MAX, POINTS_TOTAL_MAX // max(1, many)))
    return [
        {**head(panel), "lines": [line.drawn(end_us, points_max) for line in panel.lines]}
        for panel in panels
    ]


def head(panel: Panel) -> Mapping[str, Any]:
    """What is written on a panel."""
    about = {"key": panel.key, "title": panel.title, "unit": panel.unit}
    return {**about, "stacked": panel.is_stacked}


def _each(recorder: Recorder, workloads: Sequence[str], what: str) -> Iterator[Line]:
    for name in workloads:
        series = recorder.get(f"{name}.{what}")
        if series is not None:
            yield Line(name, what, series)


def _replicas(recorder: Recorder, workloads: Sequence[str]) -> Iterator[Line]:
    for name in workloads:
        wanted, ready = (recorder.get(f"{name}.{what}") for what in ("replicas", "ready"))
        if wanted is not None and ready is not None:
            yield Line(name, "wanted", wanted, is_dashed=True)
            yield Line(name, "ready", ready)


def _loads(recorder: Recorder, workloads: Sequence[str]) -> Iterator[Line]:
    for name in workloads:
        for what in ("delay", "latency"):
            came = recorder.get_distribution(f"{name}.{what}")
            if came is not None and came.times_us:
                yield Line(name, "came", came)


def _tails(recorder: Recorder, workloads: Sequence[str], what: str) -> Iterator[Line]:
    for name in workloads:
        found = recorder.get_distribution(f"{name}.{what}")
        if found is not None and found.times_us:
            yield Line(name, "p99", found, 0.99)
            yield Line(name, "p50", found, 0.5, is_dashed=True)
