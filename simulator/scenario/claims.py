"""What is expected of a scenario."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema

from prism_operator.api.durations import parse_duration_s
from simulator.scenario.cluster import Share
from simulator.scenario.values import DURATION, NAME, Duration, KindName, Strict, Target


class ConditionClaim(Strict):
    """A condition of an object says so."""

    of: Target
    type: str = "Ready"
    status: Literal["True", "False", "Unknown"] = "True"
    reason: str | None = None


class Bounds(Strict):
    """A number is as said."""

    some_of = ("equals", "at_least", "at_most")

    equals: int | None = None
    at_least: int | None = None
    at_most: int | None = None

    def hold_for(self, number: int) -> bool:
        """Whether ``number`` is within the bounds."""
        return (
            (self.equals is None or number == self.equals)
            and (self.at_least is None or number >= self.at_least)
            and (self.at_most is None or number <= self.at_most)
        )


class CountClaim(Bounds):
    """So many objects of a kind are there.

    Of pods those that are ready, or on a ``node``, in a ``zone`` or ``region``, if asked for.
    """

    of: KindName
    namespace: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    ready: bool | None = None
    node: str | None = None
    zone: str | None = None
    region: str | None = None


class FieldClaim(Strict):
    """A field of an object has a value; ``equals: null`` means it is absent."""

    of: Target
    path: str
    equals: Any


def _bound(value: object) -> object:
    return parse_duration_s(value) if isinstance(value, str) else value


_BOUNDS = ("above", "atLeast", "atMost", "below")
_BOUND = {
    NAME: "Bound",
    "description": "A number; a duration is so many seconds.",
    "anyOf": [{"type": "number"}, DURATION],
}
Bound = Annotated[
    float,
    BeforeValidator(_bound),
    WithJsonSchema(_BOUND),
]


class MetricClaim(Strict):
    """A number that is recorded over time is as said; see the metrics of each workload."""

    some_of = ("above", "at_least", "at_most", "below")

    of: str
    above: Bound | None = None
    at_least: Bound | None = None
    at_most: Bound | None = None
    below: Bound | None = None

    def holds_for(self, number: float) -> bool:
        """Whether ``number`` is within the bounds."""
        return (
            (self.above is None or number > self.above)
            and (self.at_least is None or number >= self.at_least)
            and (self.at_most is None or number <= self.at_most)
            and (self.below is None or number < self.below)
        )


class Claim(Strict):
    """Something that is true of the cluster at an instant, or not.

    ``writes`` are those of all operators since the expectation's ``after``, Leases aside.
    ``metric`` is a number as it is then; ``summed`` one of the whole time between warm-up and drain
    (``orders.delay.p99``, ``cost``).
    """

    exactly_one_of = (
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


class Expectation(Strict):
    """A claim and when it has to hold.

    From ``after`` (the name of an event; default: the beginning) on, for ``within`` (default: to
    the end), looked at whenever something changed. ``{metric: orders.delay.p99, below: 120s}`` is
    short for a claim at the end about what was recorded between warm-up and drain. ``inSeeds``: the
    share of seeds in which it has to hold, which ``prism-sim run --seeds`` judges; one run alone is
    held to it as to any other.
    """

    exactly_one_of = ("eventually", "always", "never", "at_end")

    eventually: Claim | None = None
    always: Claim | None = None
    never: Claim | None = None
    at_end: Claim | None = None
    after: str | None = None
    within: Duration | None = None
    in_seeds: Share | None = None

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Editors are told of the short form too."""
        schema = super().__get_pydantic_json_schema__(core_schema, handler)
        of = handler.resolve_ref_schema(schema)
        bounds = dict.fromkeys(_BOUNDS, _BOUND)
        of["properties"] |= {"metric": {"type": "string"}, **bounds}
        of["oneOf"].append({"required": ["metric"], "anyOf": [{"required": [b]} for b in bounds]})
        of["dependencies"] = {bound: ["metric"] for bound in bounds}
        return schema

    @model_validator(mode="before")
    @classmethod
    def _short_metric(cls, value: object) -> object:
        if not isinstance(value, Mapping) or "metric" not in value:
            return value
        if "atEnd" in value:
            raise ValueError("expected metric or atEnd, got both")
        bounds = {k: value[k] for k in _BOUNDS if k in value}
        rest = {k: v for k, v in value.items() if k != "metric" and k not in bounds}
        return {**rest, "atEnd": {"summed": {"of": value["metric"], **bounds}}}

    @property
    def mode(self) -> str:
        """Which of the modes this is."""
        return next(name for name in self.exactly_one_of if getattr(self, name) is not None)

    @property
    def claim(self) -> Claim:
        """What has to hold."""
        claim: Claim = getattr(self, self.mode)
        return claim
