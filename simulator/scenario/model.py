"""A whole scenario file."""

from __future__ import annotations

from pydantic import Field, ValidationInfo, field_validator

from simulator.scenario.claims import Expectation
from simulator.scenario.cluster import ClockSpec, ClusterSpec, OperatorSpec
from simulator.scenario.timeline import Event
from simulator.scenario.values import Duration, Strict


class Scenario(Strict):
    """A whole scenario file."""

    question: str
    seed: int = 0
    duration: Duration
    clock: ClockSpec = Field(default_factory=ClockSpec)
    cluster: ClusterSpec
    operator: OperatorSpec = Field(default_factory=OperatorSpec)
    manifests: tuple[str, ...] = ()
    timeline: tuple[Event, ...] = ()
    expect: tuple[Expectation, ...] = Field(min_length=1)

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
