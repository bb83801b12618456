"""A whole scenario file."""

from __future__ import annotations

from pydantic import Field, model_validator

from simulator.scenario.claims import Expectation
from simulator.scenario.cluster import ClockSpec, ClusterSpec, OperatorSpec
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

    @model_validator(mode="after")
    def _something_is_measured(self) -> Scenario:
        if self.clock.warmup + self.clock.drain >= self.duration:
            raise ValueError("clock: warmup and drain leave nothing of duration to be measured")
        return self
