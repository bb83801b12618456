"""The cluster of a scenario: zones, pools of nodes, how fast things are, and its operator."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from simulator.kernel import HOUR_US, Us
from simulator.scenario.values import (
    Duration,
    Items,
    Lax,
    Pair,
    Quantity,
    Rule,
    Strict,
    TimeSpan,
    fixed,
    number_or,
    shown,
)


def _moment(value: object) -> object:
    if not isinstance(value, str | datetime):
        raise ValueError(f'expected a time such as "2026-03-02T19:00:00Z", got {shown(value)}')
    return value


_DAY_US = 24 * HOUR_US


class ClockSpec(Strict):
    """When the scenario plays, and what of it is measured: not its warm-up, nor its drain."""

    start: Annotated[datetime, BeforeValidator(_moment), Lax] = datetime(2026, 3, 2, tzinfo=UTC)
    warmup: Duration = 0
    drain: Duration = 0

    @field_validator("start")
    @classmethod
    def _aware(cls, start: datetime) -> datetime:
        return start if start.tzinfo else start.replace(tzinfo=UTC)

    def until(self, time_of_day_us: Us) -> Us:
        """How long it is from the start to the next such time of day, in UTC."""
        start = self.start.astimezone(UTC)
        midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
        return (time_of_day_us - (start - midnight) // timedelta(microseconds=1)) % _DAY_US


_PER_HOUR = re.compile(r"(\d+(?:\.\d*)?)\s*/\s*h")
_PERCENT = re.compile(r"(\d+(?:\.\d*)?)\s*%")


def _per_hour(value: object) -> object:
    found = _PER_HOUR.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None and not isinstance(value, int | float):
        raise ValueError(f'expected so much an hour, such as "0.14/h", got {shown(value)}')
    return float(found[1]) if found else value


def _share(value: object) -> object:
    found = _PERCENT.fullmatch(value.strip()) if isinstance(value, str) else None
    return float(found[1]) / 100 if found else value


PerHour = Annotated[
    float,
    BeforeValidator(_per_hour),
    Field(ge=0),
    number_or("PerHour", _PER_HOUR, "So much an hour: `0.14`, `0.14/h`."),
]
Share = Annotated[
    float,
    BeforeValidator(_share),
    Field(ge=0, le=1),
    number_or("Share", _PERCENT, "A share of the whole: `0.05`, `5%`.", maximum=1),
]


class HazardRange(Strict):
    """Not known better than that: drawn evenly between two bounds, by the seed."""

    range: Pair[PerHour]

    @model_validator(mode="after")
    def _in_order(self) -> HazardRange:
        if self.range[0] > self.range[1]:
            raise ValueError(f"expected bounds in order, got {self.range[0]:g}, {self.range[1]:g}")
        return self


def _hazard(value: object) -> object:
    if isinstance(value, Mapping | HazardRange):
        return value
    return {"range": [value, value]}


class InterruptionSpec(Strict):
    """How the cloud takes spot nodes back: ``hazard`` an hour, for each node.

    The share ``zoneShock`` of it comes as shocks that take each node of the pool in a zone with
    probability ``shockReach``. ``missed``: notices that nobody sees. ``drought``: for how long no
    other such node is to be had in the zone.
    """

    hazard: Annotated[
        HazardRange, BeforeValidator(_hazard, json_schema_input_type=PerHour | HazardRange)
    ]
    zone_shock: Share = 0.0
    shock_reach: Share = 0.5
    notice: Duration = 120_000_000
    missed: Share = 0.0
    drought: Duration = 0

    @model_validator(mode="after")
    def _shocks_reach(self) -> InterruptionSpec:
        if self.zone_shock and not self.shock_reach:
            raise ValueError("shockReach: expected more than 0, since there is a zoneShock")
        return self


class PoolSpec(Strict):
    """Nodes of one shape; ``zones`` defaults to all of the cluster's.

    ``price`` is an hour's, of one node. With ``max`` an autoscaler may grow the pool, and shrink it
    to ``min``. ``names`` are those of nodes that have a name of their own, by zone; all others are
    called by pool, zone and number.
    """

    count: int = Field(ge=0, le=10_000)
    min: int = Field(default=0, ge=0)
    max: int | None = Field(default=None, ge=0, le=10_000)
    type: str | None = None
    price: PerHour = 0.0
    lifecycle: Literal["on-demand", "spot"] | None = None
    boot: TimeSpan = fixed("60s")
    interruption: InterruptionSpec | None = None
    zones: Items[str] | None = None
    names: dict[str, Items[str]] = Field(default_factory=dict)
    allocatable: dict[str, Quantity] = Field(
        default_factory=lambda: {"cpu": "4", "memory": "16Gi", "pods": "110"}
    )
    labels: dict[str, str] = Field(default_factory=dict)
    taints: Items[TaintSpec] = ()

    told_to_editors: ClassVar[Rule] = {
        "not": {
            "properties": {"lifecycle": {"const": "on-demand"}},
            "required": ["lifecycle", "interruption"],
        }
    }

    @model_validator(mode="after")
    def _within_bounds(self) -> PoolSpec:
        if self.max is not None and not self.min <= self.count <= self.max:
            raise ValueError(
                f"expected min ≤ count ≤ max, got {self.min}, {self.count}, {self.max}"
            )
        if self.interruption is not None and self.lifecycle == "on-demand":
            raise ValueError("interruption: on-demand nodes are not interrupted")
        return self

    @property
    def is_spot(self) -> bool:
        """Whether the cloud may take its nodes back."""
        return self.lifecycle == "spot" or self.interruption is not None

    @property
    def node_labels(self) -> dict[str, str]:
        """Its labels, with those that clouds give by type and lifecycle."""
        given: dict[str, str] = {}
        if self.type is not None:
            given["node.kubernetes.io/instance-type"] = self.type
        if self.lifecycle is not None or self.interruption is not None:
            given["karpenter.sh/capacity-type"] = "spot" if self.is_spot else "on-demand"
        return {**given, **self.labels}


class TaintSpec(Strict):
    """A taint of every node of a pool."""

    key: str
    value: str = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]


class PodsSpec(Strict):
    """How long the steps of a pod's life take. Assumed values of an ordinary cloud cluster."""

    pull: TimeSpan = fixed("2s")
    start: TimeSpan = fixed("500ms")
    ready: TimeSpan = fixed("1s")
    stop: TimeSpan = fixed("1s")


class ImageSpec(Strict):
    """What is particular about containers whose image matches a shell pattern."""

    match: str
    pulls: bool = True
    becomes_ready: bool = True
    ready: TimeSpan | None = None
    crash_after: TimeSpan | None = None


class ReactionSpec(Strict):
    """The time from a change to a component acting on it: watch latency and its own work."""

    controllers: Duration = 5_000
    scheduler: Duration = 5_000
    operator: Duration = 10_000


class ClientSpec(Strict):
    """The rate limit of a component's API client; ``qps`` 0 is none."""

    qps: float = Field(ge=0)
    burst: int = Field(ge=1)


UNLIMITED = ClientSpec(qps=0, burst=1)


class ClientsSpec(Strict):
    """The rate limits of API clients, of each controller its own. The defaults are theirs.

    Source: ``--kube-api-qps`` and ``--kube-api-burst`` of kube-controller-manager, and
    ``clientConnection`` of KubeSchedulerConfiguration.
    """

    controllers: ClientSpec = ClientSpec(qps=20, burst=30)
    scheduler: ClientSpec = ClientSpec(qps=50, burst=100)


class QuerySpec(Strict):
    """What a PromQL query of a trigger asks for: a recorded number, or the rate of one."""

    series: str | None = None
    rate: str | None = None
    window: Duration = 120_000_000

    exactly_one_of = ("series", "rate")


class PrometheusSpec(Strict):
    """A Prometheus with its adapter: how often it scrapes, over what its adapter takes rates.

    The defaults are those of kube-prometheus-stack and of the adapter's walkthrough.
    """

    scrape: Duration = Field(default=30_000_000, gt=0)
    window: Duration = Field(default=120_000_000, gt=0)
    queries: dict[str, QuerySpec] = Field(default_factory=dict)


class AutoscalingSpec(Strict):
    """How often the autoscalers look, and whether KEDA and Prometheus are installed.

    The defaults are those of kube-controller-manager and of metrics-server.
    """

    keda: bool = False
    hpa_sync: Duration = 15_000_000
    metrics_resolution: Duration = 15_000_000
    prometheus: PrometheusSpec | None = None


class NodesSpec(Strict):
    """Who adds and removes nodes of pools that have a ``max``; the defaults are theirs."""

    provisioner: Literal["fixed", "clusterAutoscaler", "karpenter"] = "fixed"
    scan: Duration = 10_000_000
    unneeded: Duration = 600_000_000
    delay_after_add: Duration = 600_000_000
    utilization: Share = 0.5
    expander: Literal["least-waste", "price", "priority", "random"] = "least-waste"
    priorities: Items[str] = ()
    batch_idle: Duration = 1_000_000
    batch_max: Duration = 10_000_000
    consolidate_after: Duration = 0
    budget: Share = 0.1


_Provisioner = Literal["fixed", "clusterAutoscaler", "karpenter"]


def _nodes(value: object) -> object:
    return {"provisioner": value} if isinstance(value, str) else value


class ClusterSpec(Strict):
    """Zones, pools of nodes, and how fast things are.

    ``regions`` says of which zones each consists, where there are several.
    """

    region: str = "region-1"
    regions: dict[str, Items[str]] = Field(default_factory=dict)
    nodes: Annotated[
        NodesSpec, BeforeValidator(_nodes, json_schema_input_type=_Provisioner | NodesSpec)
    ] = Field(default_factory=NodesSpec)
    zones: Items[str] = ("a", "b", "c")
    pools: dict[str, PoolSpec]
    pods: PodsSpec = Field(default_factory=PodsSpec)
    images: Items[ImageSpec] = ()
    clients: ClientsSpec = Field(default_factory=ClientsSpec)
    reaction: ReactionSpec = Field(default_factory=ReactionSpec)
    autoscaling: AutoscalingSpec = Field(default_factory=AutoscalingSpec)

    def region_of(self, zone: str) -> str:
        """The region that a zone is in."""
        return next((r for r, zones in self.regions.items() if zone in zones), self.region)


class OperatorSpec(Strict):
    """How the operator runs: how many of it, and over which client.

    Without ``leaderElect`` it elects a leader when there are several of it: a single one would only
    renew its Lease every two seconds.
    """

    replicas: int = Field(default=1, ge=0, le=5)
    via: Literal["ports", "pykube"] = "ports"
    leader_elect: bool | None = None
    watch_namespaces: Items[str] = ()


PoolSpec.model_rebuild()
