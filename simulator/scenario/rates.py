"""How fast work comes, as a scenario says it: a number a second, or a course over time."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from simulator.kernel import SECOND_US, Us
from simulator.scenario.values import Duration, Items, Strict, number_or, pattern, shown
from simulator.workloads.rates import Rate, diurnal, weekly

_RATE = re.compile(r"(\d+(?:\.\d*)?)\s*/\s*(s|m|h)")
_PER = {"s": 1, "m": 60, "h": 3600}


def _per_second(value: object) -> object:
    if not isinstance(value, str):
        return value
    found = _RATE.fullmatch(value.strip())
    if found is None:
        raise ValueError(f'expected a rate such as 200 or "200/s", got "{value}"')
    return float(found[1]) / _PER[found[2]]


def time_of_day(value: object) -> Us:
    """``20:05`` as the time since midnight. Raises ValueError."""
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f'expected a time of day such as "20:00", got {shown(value)}')
    return (int(found[1]) * 60 + int(found[2])) * 60 * SECOND_US


PerSecond = Annotated[
    float,
    BeforeValidator(_per_second),
    Field(ge=0),
    number_or("PerSecond", _RATE, "So much a second: `200`, `200/s`, `12000/m`."),
]
_OF_DAY = pattern("TimeOfDay", r"([01]\d|2[0-3]):([0-5]\d)", "A time of day, in UTC: `20:00`.")
TIME_OF_DAY: Any = _OF_DAY.json_schema
TimeOfDay = Annotated[Us, BeforeValidator(time_of_day), _OF_DAY]


class RampSpec(Strict):
    """From one value to another, between two points in time."""

    from_: PerSecond = Field(alias="from")
    to: PerSecond
    start: Duration = 0
    end: Duration

    @model_validator(mode="after")
    def _in_order(self) -> RampSpec:
        if self.start >= self.end:
            raise ValueError("expected start before end")
        return self


class StepSpec(Strict):
    """A value from a point in time on."""

    at: Duration
    value: PerSecond


class SpikeSpec(Strict):
    """A base, and for a while a peak; ``rise`` is how long it takes up and down."""

    base: PerSecond
    peak: PerSecond
    at: Duration
    for_: Duration = Field(alias="for")
    rise: Duration = 0


class DiurnalSpec(Strict):
    """A day's course: lowest twelve hours before the ``peak``. Times are UTC."""

    low: PerSecond
    high: PerSecond
    peak: TimeOfDay = 20 * 3600 * SECOND_US


class WeeklySpec(DiurnalSpec):
    """The same, with Saturdays and Sundays times ``weekend``."""

    weekend: float = Field(default=0.5, ge=0)


class TraceSpec(Strict):
    """A file with a column of times and one of rates (a second) or counts (since the row before).

    CSV, or Parquet by the ending ``.parquet``. Times are seconds, or dates, from the first row on.
    """

    file: str
    time: str = "time"
    rate: str | None = None
    count: str | None = None

    exactly_one_of = ("rate", "count")


Trace = tuple[tuple[Us, float], ...]  # when, and the rate from then to the next


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a course needs to know of its scenario."""

    start: datetime
    duration_us: Us
    trace: Callable[[TraceSpec], Trace]


class RateSpec(Strict):
    """A course; ``times`` scales it. ``noise: poisson`` draws the numbers that arrive."""

    exactly_one_of = ("constant", "ramp", "steps", "spike", "diurnal", "weekly", "trace", "sum")

    constant: PerSecond | None = None
    ramp: RampSpec | None = None
    steps: Items[StepSpec] | None = Field(default=None, min_length=1)
    spike: SpikeSpec | None = None
    diurnal: DiurnalSpec | None = None
    weekly: WeeklySpec | None = None
    trace: TraceSpec | None = None
    sum: Items[RateSpec] | None = Field(default=None, min_length=1)
    times: float = Field(default=1.0, ge=0)
    noise: Literal["none", "poisson"] = "none"

    @field_validator("steps")
    @classmethod
    def _steps_in_order(cls, steps: tuple[StepSpec, ...] | None) -> tuple[StepSpec, ...] | None:
        times = [step.at for step in steps or ()]
        if times != sorted(set(times)):
            raise ValueError("expected steps in the order of their times")
        return steps

    def rate(self, around: Surroundings) -> Rate:
        """The course in simulated time."""
        return self._course(around).times(self.times)

    def traces(self) -> tuple[TraceSpec, ...]:
        """The files it is made of."""
        below = tuple(trace for part in self.sum or () for trace in part.traces())
        return ((self.trace,) if self.trace else ()) + below

    def _course(self, around: Surroundings) -> Rate:
        if self.ramp is not None:
            ramp = self.ramp
            return Rate.through([(ramp.start, ramp.from_), (ramp.end, ramp.to)])
        if self.steps is not None:
            first, *rest = self.steps
            rate = Rate.constant(first.value if first.at == 0 else 0.0)
            for step in self.steps if first.at else rest:
                rate = rate.then(step.at, Rate.constant(step.value))
            return rate
        if self.spike is not None:
            s = self.spike
            top, end = s.at + s.rise, s.at + s.rise + s.for_
            points = [(s.at, s.base), (top, s.peak), (end, s.peak), (end + s.rise, s.base)]
            return Rate.through(points)
        if self.diurnal is not None or self.weekly is not None:
            return self._daily(around)
        if self.trace is not None:
            rate = Rate.constant(0.0)
            for at_us, value in around.trace(self.trace):
                rate = rate.then(at_us, Rate.constant(value))
            return rate
        if self.sum is not None:
            return reduce(Rate.plus, (part.rate(around) for part in self.sum))
        return Rate.constant(self.constant or 0.0)

    def _daily(self, around: Surroundings) -> Rate:
        start, until = around.start, around.duration_us
        seconds = (start.hour * 60 + start.minute) * 60 + start.second
        begin = seconds * SECOND_US + start.microsecond
        if self.weekly is not None:
            w = self.weekly
            return weekly(
                w.low, w.high, w.peak, begin, until, weekday=start.weekday(), weekend=w.weekend
            )
        assert self.diurnal is not None, "one of both"  # noqa: S101
        d = self.diurnal
        return diurnal(d.low, d.high, d.peak, begin, until)


def _course(value: object) -> Any:
    return value if isinstance(value, Mapping | RateSpec) else {"constant": value}


Course = Annotated[RateSpec, BeforeValidator(_course, json_schema_input_type=PerSecond | RateSpec)]
ZERO = RateSpec(constant=0.0)
