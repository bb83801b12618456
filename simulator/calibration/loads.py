"""Courses of load over days and weeks, tested on the time that follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.kernel import SECOND_US
from simulator.scenario.calibration import Backtest, Parameter
from simulator.scenario.rates import RateSpec, Surroundings

_DAY_S = 86_400
_POINTS_MIN = 12
Points = Sequence[tuple[float, float]]  # Unix time and rate
_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Wave:
    """A day's course by least squares, with weekends scaled."""

    mean: float
    amplitude: float
    peak_s: float
    weekend: float


def fit_load(points: Points, split: datetime, source: str, *, noise: str | None) -> Parameter:
    """The course of what is before ``split``, tested on what follows, as the simulator plays it.

    Weekly with at least a week to fit, else daily with at least a day, else constant.

    Raises:
        ValueError: There is too little to fit, or to test.
    """
    seen = [(t, v) for t, v in points if t < split.timestamp()]
    unseen = [(t, v) for t, v in points if t >= split.timestamp()]
    for what, some in (("before", seen), ("from", unseen)):
        if len(some) < _POINTS_MIN:
            at = split.strftime("%Y-%m-%dT%H:%M:%SZ")
            raise ValueError(f"expected at least {_POINTS_MIN} points {what} {at}, got {len(some)}")
    times, values = (np.array(column) for column in zip(*seen, strict=True))
    step_s = float(np.median(np.diff(times)))
    covered_s = times[-1] - times[0] + step_s
    value: dict[str, Any]
    if covered_s >= _DAY_S:
        weekly = covered_s >= 7 * _DAY_S
        wave = _wave(times, values, weekly=weekly)
        course: dict[str, Any] = {
            "low": _digits(max(0.0, wave.mean - wave.amplitude)),
            "high": _digits(wave.mean + wave.amplitude),
            "peak": _clock(wave.peak_s),
        }
        if weekly:
            course["weekend"] = _digits(wave.weekend)
        value = {"weekly" if weekly else "diurnal": course}
    else:
        value = {"constant": _digits(float(values.mean()))}
    if noise is not None:
        value["noise"] = noise
    return Parameter(
        value=value,
        source=source,
        samples=len(seen),
        backtest=Backtest(unseen=len(unseen), error=_off(RateSpec.model_validate(value), unseen)),
    )


def _wave(times: _Floats, values: _Floats, *, weekly: bool) -> _Wave:
    days = np.floor(times / _DAY_S)
    is_weekend = (days + 3) % 7 >= 5 if weekly else np.zeros(len(times), dtype=bool)
    angle = 2 * np.pi * (times % _DAY_S) / _DAY_S
    columns = np.column_stack([np.ones(len(times)), np.cos(angle), np.sin(angle)])
    (mean, cos, sin), *_ = np.linalg.lstsq(columns[~is_weekend], values[~is_weekend])
    weekend = 1.0
    if is_weekend.any():
        usual = columns[is_weekend] @ np.array([mean, cos, sin])
        weekend = max(0.0, float(usual @ values[is_weekend] / (usual @ usual)))
    peak_s = float(np.arctan2(sin, cos) / (2 * np.pi) * _DAY_S) % _DAY_S
    return _Wave(float(mean), float(np.hypot(cos, sin)), peak_s, weekend)


def _off(course: RateSpec, unseen: Points) -> float:
    """The sum of all errors over the sum of what was there."""
    first, last = unseen[0][0], unseen[-1][0]
    around = Surroundings(
        datetime.fromtimestamp(first, UTC), round((last - first) * SECOND_US), lambda _: ()
    )
    rate = course.rate(around)
    errors = sum(abs(rate.at(round((t - first) * SECOND_US)) - v) for t, v in unseen)
    total = sum(v for _, v in unseen)
    if not total:
        raise ValueError("nothing came in the time that was to be tested: all values are 0")
    return round(errors / total, 4)


def _clock(seconds: float) -> str:
    minutes = round(seconds / 60) % 1440
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _digits(value: float) -> float:
    return float(f"{value:.4g}")
