"""The cluster of a scenario: zones, pools of nodes, how fast things are, and its operator."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from pydantic import Field, field_validator, model_validator

from simulator.scenario.values import Duration, Quantity, Strict, TimeSpan, fixed


class ClockSpec(Strict):
    """When the scenario plays, and what of it is measured: not its warm-up, nor its drain."""

    start: datetime = datetime(2026, 3, 2, tzinfo=UTC)
    warmup: Duration = 0
    drain: Duration = 0

    @field_validator("start")
    @classmethod
    def _aware(cls, start: datetime) -> datetime:
        return start if start.tzinfo else start.replace(tzinfo=UTC)


class PoolSpec(Strict):
    """Nodes of one shape; ``zones`` defaults to all of the cluster's."""

    count: int = Field(ge=0, le=10_000)
    zones: tuple[str, ...] | None = None
    allocatable: dict[str, Quantity] = Field(
        default_factory=lambda: {"cpu": "4", "memory": "16Gi", "pods": "110"}
    )
    labels: dict[str, str] = Field(default_factory=dict)
    taints: tuple[TaintSpec, ...] = ()


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


class AutoscalingSpec(Strict):
    """How often the autoscalers look, and whether KEDA is installed.

    The defaults are those of kube-controller-manager and of metrics-server.
    """

    keda: bool = False
    hpa_sync: Duration = 15_000_000
    metrics_resolution: Duration = 15_000_000


class ClusterSpec(Strict):
    """Zones, pools of nodes, and how fast things are."""

    region: str = "region-1"
    zones: tuple[str, ...] = ("a", "b", "c")
    pools: dict[str, PoolSpec]
    pods: PodsSpec = Field(default_factory=PodsSpec)
    images: tuple[ImageSpec, ...] = ()
    reaction: ReactionSpec = Field(default_factory=ReactionSpec)
    autoscaling: AutoscalingSpec = Field(default_factory=AutoscalingSpec)

    @model_validator(mode="after")
    def _zones_exist(self) -> ClusterSpec:
        for name, pool in self.pools.items():
            for zone in pool.zones or ():
                if zone not in self.zones:
                    zones = ", ".join(self.zones)
                    raise ValueError(f'pool "{name}": zone "{zone}" is not one of [{zones}]')
        return self


class OperatorSpec(Strict):
    """How the operator runs: how many of it, and over which client.

    Without ``leaderElect`` it elects a leader when there are several of it: a single one would only
    renew its Lease every two seconds.
    """

    replicas: int = Field(default=1, ge=0, le=5)
    via: Literal["ports", "pykube"] = "ports"
    leader_elect: bool | None = None
    watch_namespaces: tuple[str, ...] = ()


PoolSpec.model_rebuild()
