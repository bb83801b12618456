"""What a scenario's pods have to do: queues to be worked off, CPU time to be spent."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from prism_operator.api.meta import DEPLOYMENT, Ref
from simulator.scenario.values import Strict, Target, exactly_one


class KafkaSpec(Strict):
    """A topic and the consumer group that reads it."""

    topic: str
    group: str
    partitions: int = Field(ge=1, le=10_000)


class QueueSpec(Strict):
    """Another queue, by the name under which a KEDA trigger of that type asks for it.

    nats-jetstream: stream/consumer; aws-sqs-queue: queueURL; rabbitmq: queueName; redis: listName;
    postgresql: query.
    """

    type: Literal["nats-jetstream", "aws-sqs-queue", "rabbitmq", "redis", "postgresql"]
    name: str


class BacklogSpec(Strict):
    """Messages that arrive, and how many a ready pod works off; per second."""

    kafka: KafkaSpec | None = None
    queue: QueueSpec | None = None
    arrivals_per_s: float = Field(default=0.0, ge=0)
    per_pod_per_s: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _one_queue(self) -> BacklogSpec:
        exactly_one(self, ("kafka", "queue"))
        return self

    @property
    def address(self) -> tuple[str, str]:
        """The type of the trigger that looks at it, and the queue's name there."""
        if self.kafka is not None:
            return "kafka", f"{self.kafka.topic}/{self.kafka.group}"
        return (self.queue.type, self.queue.name) if self.queue else ("", "")


class WorkloadSpec(Strict):
    """Work for the pods of ``target``: a PrismPattern or a Deployment."""

    target: Target
    backlog: BacklogSpec | None = None
    cpu: CpuSpec | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> WorkloadSpec:
        exactly_one(self, ("backlog", "cpu"))
        if self.target.resource.kind not in ("Deployment", "PrismPattern"):
            raise ValueError(f"target: expected Deployment or PrismPattern, got {self.target}")
        return self

    @property
    def deployment(self) -> Ref:
        """The Deployment whose pods do the work; a pattern's has the pattern's name."""
        return Ref(DEPLOYMENT, self.target.namespace, self.target.name)

    @property
    def cores(self) -> float:
        """CPU time a second in the beginning."""
        return self.cpu.cores if self.cpu else 0.0


class CpuSpec(Strict):
    """Cores of work, shared evenly by the ready pods."""

    cores: float = Field(ge=0)


class LoadAction(Strict):
    """The work changes: at another rate, some at once, all done, or its broker is gone or back."""

    of: str
    arrivals_per_s: float | None = Field(default=None, ge=0)
    add: int | None = Field(default=None, ge=0)
    commit_all: bool | None = None
    broker: Literal["down", "up"] | None = None
    cores: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _one_change(self) -> LoadAction:
        exactly_one(self, ("arrivals_per_s", "add", "commit_all", "broker", "cores"))
        return self


WorkloadSpec.model_rebuild()
