"""What happens in a scenario, and when."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from prism_operator.api.meta import Json
from simulator.backends import BackendState
from simulator.faults import Fault, Upset
from simulator.kernel import SECOND_US
from simulator.scenario.values import Duration, Strict, Target, Texts, exactly_one
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
    """One node, or all nodes of a zone, cut off; for a while or for good."""

    node: str | None = None
    zone: str | None = None
    for_: Duration | None = Field(default=None, alias="for")

    @model_validator(mode="after")
    def _one_of_both(self) -> NodeLossAction:
        if (self.node is None) == (self.zone is None):
            raise ValueError("expected one of node and zone")
        return self


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
    state: BackendState


class ApiServerAction(Strict):
    """For a while the API server, or the way to it, fails the operators, or one replica of it."""

    fault: Fault
    for_: Duration = Field(alias="for")
    share: float = Field(default=1.0, gt=0, le=1)
    retry_after: Duration | None = None
    replica: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _fits(self) -> ApiServerAction:
        answers = (Fault.THROTTLED, Fault.UNAVAILABLE)
        if self.retry_after is not None and self.fault not in answers:
            raise ValueError("retryAfter is for throttled and unavailable")
        if self.share < 1 and self.fault not in (*answers, Fault.CONFLICT, Fault.LOST):
            raise ValueError("share is for throttled, unavailable, conflict and lost")
        return self

    @property
    def upset(self) -> Upset:
        """What happens to the operators."""
        retry_after_s = None if self.retry_after is None else self.retry_after / SECOND_US
        return Upset(self.fault, self.share, retry_after_s)


_ACTIONS = (
    "apply",
    "patch",
    "delete",
    "scale",
    "rollout_restart",
    "node_loss",
    "operator_crash",
    "operator_restart",
    "api_server",
    "load",
    "keda",
    "backend",
)


class Event(Strict):
    """One thing that happens at a point in time; ``name`` is for expectations to refer to.

    A name alone marks the time.
    """

    at: Duration
    name: str | None = None
    apply: Texts | None = None
    patch: PatchAction | None = None
    delete: DeleteAction | None = None
    scale: ScaleAction | None = None
    rollout_restart: Target | None = None
    node_loss: NodeLossAction | None = None
    operator_crash: CrashAction | None = None
    operator_restart: RestartAction | None = None
    api_server: ApiServerAction | None = None
    load: LoadAction | None = None
    keda: Literal["down", "up"] | None = None
    backend: BackendAction | None = None

    @field_validator("delete", mode="before")
    @classmethod
    def _short_delete(cls, value: object) -> object:
        return {"target": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_action(self) -> Event:
        if self.name is None or any(getattr(self, name) is not None for name in _ACTIONS):
            exactly_one(self, _ACTIONS)
        return self

    @property
    def action(self) -> str:
        """Which of the actions this is."""
        return next(name for name in _ACTIONS if getattr(self, name) is not None)
