"""What happens in a scenario, and when."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from prism_operator.api.meta import Json
from simulator.backends import BackendState
from simulator.control_planes import ControlPlaneState
from simulator.faults import Fault, Upset
from simulator.kernel import SECOND_US
from simulator.scenario.rates import TIME_OF_DAY
from simulator.scenario.values import DURATION, NAME, Duration, Rule, Strict, Target, Texts
from simulator.scenario.workloads import LoadAction


class PatchAction(Strict):
    """An edit by hand: a merge patch, or, as a list of operations, a JSON patch."""

    target: Target
    patch: Json | list[Json]


class DeleteAction(Strict):
    """``kubectl delete``."""

    target: Target
    cascade: Literal["background", "foreground", "orphan"] = "background"


class ScaleAction(Strict):
    """``kubectl scale``."""

    target: Target
    replicas: int = Field(ge=0)


class NodeLossAction(Strict):
    """One node, or all nodes of a zone or region, cut off; for a while or for good."""

    node: str | None = None
    zone: str | None = None
    region: str | None = None
    for_: Duration | None = Field(default=None, alias="for")

    exactly_one_of = ("node", "zone", "region")


class NodesChoice(Strict):
    """Nodes: one by name, or those of a pool, a zone, or a pool in a zone; ``count`` of them."""

    node: str | None = None
    pool: str | None = None
    zone: str | None = None
    count: int | None = Field(default=None, ge=1)

    told_to_editors: ClassVar[Rule] = {
        "oneOf": [
            {"required": ["node"]},
            {"anyOf": [{"required": ["pool"]}, {"required": ["zone"]}]},
        ]
    }

    @model_validator(mode="after")
    def _something(self) -> NodesChoice:
        if (self.node is None) == (self.pool is None and self.zone is None):
            raise ValueError("expected node, or pool and zone or one of them")
        return self


class DrainAction(NodesChoice):
    """``kubectl drain``, one node after another; each for ``timeout`` at most (0s: for ever)."""

    timeout: Duration = 0


class InterruptAction(NodesChoice):
    """The cloud takes spot nodes back after a notice; ``unseen``: nobody reacts to it."""

    notice: Duration = 120_000_000
    unseen: bool = False


class DroughtAction(Strict):
    """For a while the cloud has no nodes of a pool, in a zone or in all."""

    pool: str
    zone: str | None = None
    for_: Duration = Field(alias="for")


class CrashAction(Strict):
    """``kill -9`` of an operator: now, or right after its n-th write from now on.

    Its answer to that write is lost. A new one starts after ``restartAfter``, if that is given.
    """

    replica: int = Field(default=0, ge=0)
    after_writes: int = Field(default=0, ge=0)
    restart_after: Duration | None = None


class RestartAction(Strict):
    """An operator stops gracefully, and starts again after a while."""

    replica: int = Field(default=0, ge=0)
    after: Duration = SECOND_US


class BackendAction(Strict):
    """What health checks find of a PrismBackend from now on."""

    name: str
    namespace: str = "default"
    state: BackendState = Field(strict=False)


class ControlPlaneAction(Strict):
    """What a stack's control plane does from now on when it is called about namespaces."""

    stack: str
    namespace: str = "default"
    state: ControlPlaneState = Field(strict=False)


class ApiServerAction(Strict):
    """For a while the API server, or the way to it, fails the operators, or one replica of it."""

    fault: Fault = Field(strict=False)
    for_: Duration = Field(alias="for")
    share: float = Field(default=1.0, gt=0, le=1)
    retry_after: Duration | None = None
    latency: Duration = 0
    replica: int | None = Field(default=None, ge=0)

    told_to_editors: ClassVar[Rule] = {
        "if": {"properties": {"fault": {"const": "slow"}}},
        "then": {"required": ["latency"]},
        "else": {"not": {"required": ["latency"]}},
    }

    @model_validator(mode="after")
    def _fits(self) -> ApiServerAction:
        answers = (Fault.THROTTLED, Fault.UNAVAILABLE)
        if self.retry_after is not None and self.fault not in answers:
            raise ValueError("retryAfter is for throttled and unavailable")
        if self.share < 1 and self.fault not in (*answers, Fault.CONFLICT, Fault.LOST):
            raise ValueError("share is for throttled, unavailable, conflict and lost")
        if (self.fault is Fault.SLOW) != (self.latency > 0):
            raise ValueError("expected a latency with the fault slow, and with no other")
        return self

    @property
    def upset(self) -> Upset:
        """What happens to the operators."""
        retry_after_s = None if self.retry_after is None else self.retry_after / SECOND_US
        return Upset(self.fault, self.share, retry_after_s, self.latency)


def _node(value: object) -> object:
    return {"node": value} if isinstance(value, str) else value


def _target(value: object) -> object:
    return {"target": value} if isinstance(value, str) else value


Nodes = Annotated[NodesChoice, BeforeValidator(_node, json_schema_input_type=str | NodesChoice)]
Drain = Annotated[DrainAction, BeforeValidator(_node, json_schema_input_type=str | DrainAction)]
Interruption = Annotated[
    InterruptAction, BeforeValidator(_node, json_schema_input_type=str | InterruptAction)
]
Deletion = Annotated[
    DeleteAction, BeforeValidator(_target, json_schema_input_type=Target | DeleteAction)
]

_ACTIONS = (
    "apply",
    "patch",
    "delete",
    "scale",
    "rollout_restart",
    "node_loss",
    "cordon",
    "uncordon",
    "drain",
    "evict",
    "spot_interruption",
    "drought",
    "operator_crash",
    "operator_restart",
    "api_server",
    "load",
    "keda",
    "metrics_server",
    "prometheus",
    "backend",
    "control_plane",
)


Instant = Annotated[
    Duration,
    WithJsonSchema(
        {
            NAME: "Instant",
            "description": "A duration from the beginning, or the next such time of day of the "
            "scenario's clock, in UTC: `20m`, `20:05`.",
            "anyOf": [DURATION, TIME_OF_DAY],
        }
    ),
]


class Event(Strict):
    """One thing that happens at a point in time; ``name`` is for expectations to refer to.

    A name alone marks the time.
    """

    exactly_one_of = _ACTIONS
    or_alone = "name"

    at: Instant
    name: str | None = None
    apply: Texts | None = None
    patch: PatchAction | None = None
    delete: Deletion | None = None
    scale: ScaleAction | None = None
    rollout_restart: Target | None = None
    node_loss: NodeLossAction | None = None
    cordon: Nodes | None = None
    uncordon: Nodes | None = None
    drain: Drain | None = None
    evict: Target | None = None
    spot_interruption: Interruption | None = None
    drought: DroughtAction | None = None
    operator_crash: CrashAction | None = None
    operator_restart: RestartAction | None = None
    api_server: ApiServerAction | None = None
    load: LoadAction | None = None
    keda: Literal["down", "up"] | None = None
    metrics_server: Literal["down", "up"] | None = None
    prometheus: Literal["down", "up"] | None = None
    backend: BackendAction | None = None
    control_plane: ControlPlaneAction | None = None

    @property
    def action(self) -> str:
        """Which of the actions this is."""
        return next(name for name in self.exactly_one_of if getattr(self, name) is not None)
