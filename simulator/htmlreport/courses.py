"""Numbers over time in few enough points to be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulator.kernel import SECOND_US, Us
from simulator.series import Distribution, Series

DIGITS = 5  # of a value that count; a screen shows fewer


@dataclass(frozen=True, slots=True)
class Course:
    """Points of time, in seconds, with the values from then on."""

    times_s: list[float]
    values: list[float | None]


def course(series: Series, end_us: Us, points_max: int) -> Course:
    """The series from the beginning to the end of the run.

    Where there are more points than wanted, each stretch of time keeps its lowest, highest and
    last value, so that no peak is lost.
    """
    times = np.frombuffer(series.times_us, np.int64) if series.times_us else np.zeros(0, np.int64)
    values = np.frombuffer(series.values, np.float64) if series.values else np.zeros(0)
    kept = times <= end_us
    times, values = times[kept], values[kept]
    if not times.size or times[0] > 0:
        times, values = np.append(0, times), np.append(0.0, values)
    if times.size > points_max:
        some = _telling(times, values, end_us, max(1, points_max // 3))
        times, values = times[some], values[some]
    if times[-1] < end_us:
        times, values = np.append(times, end_us), np.append(values, values[-1])
    return Course(seconds(times), rounded(values))


def means(series: Series, edges_us: Sequence[Us]) -> np.ndarray:
    """The mean over time between each two edges."""
    edges = np.asarray(edges_us, np.int64)
    times = np.frombuffer(series.times_us, np.int64) if series.times_us else np.zeros(0, np.int64)
    values = np.frombuffer(series.values, np.float64) if series.values else np.zeros(0)
    times, values = np.append(0, times), np.append(0.0, values)
    areas = np.append(0.0, np.cumsum(values[:-1] * np.diff(times)))
    at = np.searchsorted(times, edges, side="right") - 1
    until = areas[at] + values[at] * (edges - times[at])
    return np.diff(until) / np.diff(edges)


def percentiles(
    distribution: Distribution, share: float, edges_us: Sequence[Us]
) -> list[float | None]:
    """The value that this share of those is at or below that came between each two edges.

    None where none came. Of those that are not done yet the true values are larger.
    """
    bins = len(edges_us) - 1
    if not distribution.times_us:
        return [None] * bins
    times, weights, lows, highs, _ = distribution.columns()
    at = np.searchsorted(np.asarray(edges_us), times, side="right") - 1
    some = (at >= 0) & (at < bins)
    at, weights, lows, highs = at[some], weights[some], lows[some], highs[some]
    wanted = share * np.bincount(at, weights, bins)
    low, high = np.zeros(bins), np.zeros(bins)
    np.maximum.at(high, at, highs)
    spans = np.maximum(highs - lows, 1e-12)
    for _ in range(40):
        middle = (low + high) / 2
        below = np.clip((middle[at] - lows) / spans, 0.0, 1.0)
        is_below = np.bincount(at, weights * below, bins) < wanted
        low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
    return [v if w else None for v, w in zip(rounded(high), wanted, strict=True)]


def edges(end_us: Us, bins: int) -> list[Us]:
    """The bounds of so many stretches of the run, equally long."""
    return [end_us * i // bins for i in range(bins + 1)]


def seconds(times_us: np.ndarray) -> list[float]:
    """Times to the hundredth of a second."""
    return [round(t / SECOND_US, 2) for t in times_us.tolist()]


def rounded(values: np.ndarray) -> list[float | None]:
    """Values as short as a picture allows."""
    return [float(f"{value:.{DIGITS}g}") for value in values.tolist()]


def _telling(times: np.ndarray, values: np.ndarray, end_us: Us, parts: int) -> np.ndarray:
    """Which points to keep."""
    part = times * parts // (end_us + 1)
    by_value = np.lexsort((values, part))
    first = np.flatnonzero(np.diff(part[by_value], prepend=-1))
    last = np.append(first[1:], times.size) - 1
    newest = np.flatnonzero(np.diff(part, append=parts + 1))
    return np.unique(np.concatenate([by_value[first], by_value[last], newest]))
