"""A whole scenario file."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, ValidationInfo, field_validator, model_validator

from simulator.scenario.claims import Expectation
from simulator.scenario.cluster import ClockSpec, ClusterSpec, OperatorSpec
from simulator.scenario.rates import time_of_day
from simulator.scenario.settings import CompareSpec, ParamSpec, SweepSpec, Value
from simulator.scenario.timeline import Event
from simulator.scenario.values import Duration, Items, Strict
from simulator.scenario.workloads import WorkloadSpec


class Scenario(Strict):
    """A whole scenario file."""

    question: str
    seed: int = 0
    calibration: str | None = None
    duration: Duration
    clock: ClockSpec = Field(default_factory=ClockSpec)
    cluster: ClusterSpec
    operator: OperatorSpec = Field(default_factory=OperatorSpec)
    manifests: Items[str] = ()
    workloads: dict[str, WorkloadSpec] = Field(default_factory=dict)
    timeline: Items[Event] = ()
    expect: Items[Expectation] = Field(min_length=1)
    params: dict[str, ParamSpec] = Field(default_factory=dict)
    variants: dict[str, dict[str, Value]] = Field(default_factory=dict)
    compare: CompareSpec | None = None
    sweep: SweepSpec | None = None

    @field_validator("timeline", mode="before")
    @classmethod
    def _by_the_clock(cls, timeline: object, info: ValidationInfo) -> object:
        """Times of day become durations from the beginning."""
        clock = info.data.get("clock") or ClockSpec()
        if not isinstance(timeline, list):
            return timeline
        return [_with_duration(event, clock) for event in timeline]

    @model_validator(mode="after")
    def _something_is_measured(self) -> Scenario:
        if self.clock.warmup + self.clock.drain >= self.duration:
            raise ValueError("clock: warmup and drain leave nothing of duration to be measured")
        return self


def _with_duration(event: object, clock: ClockSpec) -> object:
    at = event.get("at") if isinstance(event, Mapping) else None
    if not isinstance(event, Mapping) or not isinstance(at, str) or ":" not in at:
        return event
    try:
        return {**event, "at": f"{clock.until(time_of_day(at))}us"}
    except ValueError:
        return event
