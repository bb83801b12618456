"""A whole scenario file."""

from __future__ import annotations

from pydantic import Field, ValidationInfo, field_validator, model_validator

from simulator.scenario.claims import Expectation
from simulator.scenario.cluster import ClockSpec, ClusterSpec, OperatorSpec
from simulator.scenario.settings import CompareSpec, ParamSpec, SweepSpec, Value
from simulator.scenario.timeline import Event
from simulator.scenario.values import Duration, Strict
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
    manifests: tuple[str, ...] = ()
    workloads: dict[str, WorkloadSpec] = Field(default_factory=dict)
    timeline: tuple[Event, ...] = ()
    expect: tuple[Expectation, ...] = Field(min_length=1)
    params: dict[str, ParamSpec] = Field(default_factory=dict)
    variants: dict[str, dict[str, Value]] = Field(default_factory=dict)
    compare: CompareSpec | None = None
    sweep: SweepSpec | None = None

    @field_validator("expect")
    @classmethod
    def _events_exist(
        cls, expect: tuple[Expectation, ...], info: ValidationInfo
    ) -> tuple[Expectation, ...]:
        names = [event.name for event in info.data.get("timeline", ()) if event.name]
        for expectation in expect:
            if expectation.after is not None and expectation.after not in names:
                known = ", ".join(names) or "none"
                raise ValueError(
                    f'after: "{expectation.after}" is not the name of an event (there are: {known})'
                )
        return expect

    @model_validator(mode="after")
    def _something_is_measured(self) -> Scenario:
        if self.clock.warmup + self.clock.drain >= self.duration:
            raise ValueError("clock: warmup and drain leave nothing of duration to be measured")
        return self

    @field_validator("timeline")
    @classmethod
    def _loads_exist(cls, timeline: tuple[Event, ...], info: ValidationInfo) -> tuple[Event, ...]:
        workloads = info.data.get("workloads", {})
        for event in timeline:
            if event.load is None:
                continue
            workload = workloads.get(event.load.of)
            if workload is None:
                known = ", ".join(workloads) or "none"
                raise ValueError(f'load: "{event.load.of}" is no workload (there are: {known})')
            if workload.kind != event.load.kind:
                raise ValueError(
                    f'load: this is for {event.load.kind}, "{event.load.of}" is {workload.kind}'
                )
            if any(course.noise != "none" for course in event.load.courses):
                raise ValueError("load: noise is said in the workload, for all of its courses")
        return timeline

    @model_validator(mode="after")
    def _prometheus_exists(self) -> Scenario:
        used = any(event.prometheus for event in self.timeline)
        if used and self.cluster.autoscaling.prometheus is None:
            raise ValueError("timeline: there is no cluster.autoscaling.prometheus")
        return self

    @model_validator(mode="after")
    def _params_exist(self) -> Scenario:
        used = [(f'variant "{v}"', name) for v, values in self.variants.items() for name in values]
        used += [("sweep.vary", name) for name in (self.sweep.vary if self.sweep else ())]
        for where, name in used:
            if name not in self.params:
                known = ", ".join(self.params) or "none"
                raise ValueError(f'{where}: "{name}" is not a param (there are: {known})')
        baseline = self.compare.baseline if self.compare else None
        if baseline is not None and baseline not in self.variants:
            known = ", ".join(self.variants) or "none"
            raise ValueError(
                f'compare.baseline: "{baseline}" is not a variant (there are: {known})'
            )
        return self
