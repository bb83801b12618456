"""What is expected of a scenario."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from prism_operator.api.durations import parse_duration_s
from simulator.scenario.values import Duration, KindName, Strict, Target, exactly_one


class ConditionClaim(Strict):
    """A condition of an object says so."""

    of: Target
    type: str = "Ready"
    status: Literal["True", "False", "Unknown"] = "True"
    reason: str | None = None


class Bounds(Strict):
    """A number is as said."""

    equals: int | None = None
    at_least: int | None = None
    at_most: int | None = None

    @model_validator(mode="after")
    def _some_bound(self) -> Bounds:
        if self.equals is None and self.at_least is None and self.at_most is None:
            raise ValueError("expected one of equals, atLeast, atMost")
        return self

    def hold_for(self, number: int) -> bool:
        """Whether ``number`` is within the bounds."""
        return (
            (self.equals is None or number == self.equals)
            and (self.at_least is None or number >= self.at_least)
            and (self.at_most is None or number <= self.at_most)
        )


class CountClaim(Bounds):
    """So many objects of a kind are there; of pods, those that are ready if asked for."""

    of: KindName
    namespace: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    ready: bool | None = None
    node: str | None = None


class FieldClaim(Strict):
    """A field of an object has a value; ``equals: null`` means it is absent."""

    of: Target
    path: str
    equals: Any


def _bound(value: object) -> object:
    return parse_duration_s(value) if isinstance(value, str) else value


Bound = Annotated[float, BeforeValidator(_bound)]  # a duration is so many seconds


class MetricClaim(Strict):
    """A number that is recorded over time is as said; see the metrics of each workload."""

    of: str
    above: Bound | None = None
    at_least: Bound | None = None
    at_most: Bound | None = None
    below: Bound | None = None

    @model_validator(mode="after")
    def _some_bound(self) -> MetricClaim:
        bounds = (self.above, self.at_least, self.at_most, self.below)
        if all(bound is None for bound in bounds):
            raise ValueError("expected one of above, atLeast, atMost, below")
        return self

    def holds_for(self, number: float) -> bool:
        """Whether ``number`` is within the bounds."""
        return (
            (self.above is None or number > self.above)
            and (self.at_least is None or number >= self.at_least)
            and (self.at_most is None or number <= self.at_most)
            and (self.below is None or number < self.below)
        )


_CLAIMS = (
    "condition",
    "count",
    "field",
    "exists",
    "absent",
    "restarts",
    "evictions",
    "writes",
    "metric",
    "summed",
)


class Claim(Strict):
    """Something that is true of the cluster at an instant, or not.

    ``writes`` are those of all operators since the expectation's ``after``, Leases aside.
    ``metric`` is a number as it is then; ``summed`` one of the whole time between warm-up and drain
    (``orders.delay.p99``, ``cost``).
    """

    condition: ConditionClaim | None = None
    count: CountClaim | None = None
    field: FieldClaim | None = None
    exists: Target | None = None
    absent: Target | None = None
    restarts: Bounds | None = None
    evictions: Bounds | None = None
    writes: Bounds | None = None
    metric: MetricClaim | None = None
    summed: MetricClaim | None = None

    @model_validator(mode="after")
    def _one_claim(self) -> Claim:
        exactly_one(self, _CLAIMS)
        return self


_MODES = ("eventually", "always", "never", "at_end")


class Expectation(Strict):
    """A claim and when it has to hold.

    From ``after`` (the name of an event; default: the beginning) on, for ``within`` (default: to
    the end), looked at whenever something changed. ``{metric: orders.delay.p99, below: 120s}`` is
    short for a claim at the end about what was recorded between warm-up and drain.
    """

    eventually: Claim | None = None
    always: Claim | None = None
    never: Claim | None = None
    at_end: Claim | None = None
    after: str | None = None
    within: Duration | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_metric(cls, value: object) -> object:
        if not isinstance(value, Mapping) or "metric" not in value:
            return value
        bounds = {k: value[k] for k in ("above", "atLeast", "atMost", "below") if k in value}
        rest = {k: v for k, v in value.items() if k != "metric" and k not in bounds}
        return {**rest, "atEnd": {"summed": {"of": value["metric"], **bounds}}}

    @model_validator(mode="after")
    def _one_mode(self) -> Expectation:
        exactly_one(self, _MODES)
        return self

    @property
    def mode(self) -> str:
        """Which of the modes this is."""
        return next(name for name in _MODES if getattr(self, name) is not None)

    @property
    def claim(self) -> Claim:
        """What has to hold."""
        claim: Claim = getattr(self, self.mode)
        return claim
