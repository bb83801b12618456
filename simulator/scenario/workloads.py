"""What a scenario's pods have to do: queues to be worked off, CPU time to be spent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from prism_operator.api.meta import DEPLOYMENT, Ref
from prism_operator.planning.names import proxy_name
from simulator.scenario.rates import ZERO, Course, PerSecond, RateSpec
from simulator.scenario.values import (
    Duration,
    Pair,
    Quantity,
    Rule,
    Strict,
    Target,
    TimeSpan,
    fixed,
    object_of,
)


class SkewSpec(Strict):
    """Keys that are not spread evenly: the partition of rank r gets as r^−zipf."""

    zipf: float = Field(ge=0, le=4)


class KafkaSpec(Strict):
    """A topic and the consumer group that reads it. The defaults are Kafka's."""

    topic: str
    group: str
    partitions: int = Field(ge=1, le=10_000)
    skew: SkewSpec | None = None
    protocol: Literal["eager", "cooperative", "kip848"] = "cooperative"
    session_timeout: Duration = 45_000_000
    heartbeat: Duration | None = None  # 3 s; 5 s of kip848
    initial_delay: Duration = 3_000_000
    commit: Duration = 5_000_000
    retention: Duration = 604_800_000_000

    @model_validator(mode="after")
    def _positive(self) -> KafkaSpec:
        for name in ("session_timeout", "heartbeat", "commit", "retention"):
            if getattr(self, name) == 0:
                raise ValueError(f"{name}: expected more than 0s")
        return self


class QueueSpec(Strict):
    """Another queue, by the name under which a KEDA trigger of that type asks for it.

    nats-jetstream: stream/consumer; aws-sqs-queue: queueURL; rabbitmq: queueName; redis: listName;
    postgresql: query. ``returnsAfter``: when messages of a dead pod come back (ack wait, visibility
    timeout); ``holds``: how many a pod has at a time (prefetch).
    """

    type: Literal["nats-jetstream", "aws-sqs-queue", "rabbitmq", "redis", "postgresql"]
    name: str
    returns_after: Duration | None = None
    holds: int = Field(default=1, ge=1)

    told_to_editors: ClassVar[Rule] = {
        "not": {"properties": {"type": {"const": "redis"}}, "required": ["type", "returnsAfter"]}
    }

    @model_validator(mode="after")
    def _can_return(self) -> QueueSpec:
        if self.returns_after is not None and self.type == "redis":
            raise ValueError("returnsAfter: what is popped from a redis list does not come back")
        return self


class PerPodSpec(Strict):
    """What pods do a second: each its own between two bounds, or all the same, of a range."""

    min: PerSecond | None = None
    max: PerSecond | None = None
    range: Pair[PerSecond] | None = None

    told_to_editors: ClassVar[Rule] = {
        "oneOf": [
            {"required": ["min", "max"], "not": {"required": ["range"]}},
            {
                "required": ["range"],
                "not": {"anyOf": [{"required": ["min"]}, {"required": ["max"]}]},
            },
        ]
    }

    @model_validator(mode="after")
    def _bounds(self) -> PerPodSpec:
        if (self.range is None) == (self.min is None) or (self.min is None) != (self.max is None):
            raise ValueError("expected min and max, or range")
        low, high = self.bounds
        if low > high:
            raise ValueError(f"expected bounds in order, got {low:g} and {high:g}")
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest."""
        return self.range or (self.min or 0.0, self.max or 0.0)


def _per_pod(value: object) -> Any:
    if isinstance(value, Mapping | PerPodSpec):
        return value
    return {"min": value, "max": value}


class ConsumerSpec(Strict):
    """How a ready pod works: messages a second, how long until it begins, CPU for each."""

    rate: Annotated[
        PerPodSpec, BeforeValidator(_per_pod, json_schema_input_type=PerSecond | PerPodSpec)
    ]
    start: TimeSpan = fixed("0s")
    cpu_ms: float = Field(default=0.0, ge=0)


class RequestsSpec(Strict):
    """Requests of clients, and how pods answer them.

    A pod works on ``concurrency`` of them at a time; each takes ``cpuMs`` of CPU and ``waitMs`` for
    others in the mean. Clients give up after ``timeout`` and try again ``retries`` times. They
    choose a pod for each request, or keep ``connections`` which last for ``keepalive`` in the mean.
    ``endpointLag``: from a pod's readiness, or its end, to clients that know of it. Pods expose a
    ``counter`` of requests and a ``gauge`` of connections to Prometheus.
    """

    rate: Course
    cpu_ms: float = Field(default=0.0, ge=0)
    wait_ms: float = Field(default=0.0, ge=0)
    concurrency: int = Field(default=16, ge=1, le=1000)
    timeout: Duration = 1_000_000
    retries: int = Field(default=0, ge=0, le=10)
    keepalive: Duration = 0
    connections: int = Field(default=100, ge=1)
    endpoint_lag: Duration = 1_000_000
    counter: str = Field(default="http_requests_total", pattern="_total$")
    gauge: str = "http_connections"

    told_to_editors: ClassVar[Rule] = {"anyOf": [{"required": ["cpuMs"]}, {"required": ["waitMs"]}]}

    @model_validator(mode="after")
    def _takes_time(self) -> RequestsSpec:
        if not self.cpu_ms + self.wait_ms:
            raise ValueError("expected cpuMs or waitMs: a request takes time")
        if self.timeout == 0:
            raise ValueError("timeout: expected more than 0s")
        return self


_WORKERS = ("Deployment", "PrismPattern", "PrismStack")


class WorkloadSpec(Strict):
    """Work for the pods of ``target``: a Deployment, a PrismPattern, a PrismStack's proxy.

    Messages of a ``kafka`` topic or another ``queue``, which are produced and consumed;
    ``requests`` of clients; or ``cpu``. ``memory`` is beside any of them.
    """

    exactly_one_of = ("kafka", "queue", "requests", "cpu")

    target: Annotated[Target, object_of("Worker", _WORKERS)]
    kafka: KafkaSpec | None = None
    queue: QueueSpec | None = None
    produce: Course = ZERO
    consumer: ConsumerSpec | None = None
    requests: RequestsSpec | None = None
    cpu: CpuSpec | None = None
    memory: MemorySpec | None = None

    told_to_editors: ClassVar[Rule] = {
        "dependencies": {
            key: {"anyOf": [{"required": ["kafka"]}, {"required": ["queue"]}]}
            for key in ("produce", "consumer")
        }
    }

    @model_validator(mode="after")
    def _of_one_kind(self) -> WorkloadSpec:
        if self.target.resource.kind not in _WORKERS:
            raise ValueError(
                f"target: expected Deployment, PrismPattern or PrismStack, got {self.target}"
            )
        messages = self.kafka or self.queue
        if messages is None and self.model_fields_set & {"produce", "consumer"}:
            raise ValueError("produce and consumer are for messages, of kafka or a queue")
        return self

    @property
    def kind(self) -> str:
        """Whether the work is messages, requests or cpu."""
        return "requests" if self.requests else "cpu" if self.cpu else "messages"

    @property
    def deployment(self) -> Ref:
        """The Deployment whose pods do the work; a pattern's has the pattern's name."""
        kind, name = self.target.resource.kind, self.target.name
        return Ref(
            DEPLOYMENT, self.target.namespace, proxy_name(name) if kind == "PrismStack" else name
        )

    @property
    def address(self) -> tuple[str, str]:
        """The type of the trigger that looks at it, and the queue's name there."""
        if self.kafka is not None:
            return "kafka", f"{self.kafka.topic}/{self.kafka.group}"
        return (self.queue.type, self.queue.name) if self.queue else ("", "")

    @property
    def courses(self) -> tuple[RateSpec, ...]:
        """Everything in it that has a course over time."""
        asked = [self.cpu.cores] if self.cpu else [self.requests.rate] if self.requests else []
        return (self.produce, *asked)


class MemorySpec(Strict):
    """What a ready pod holds: ``base``, and so much for each connection of its requests."""

    base: Quantity
    per_connection: Quantity = "0"


class CpuSpec(Strict):
    """Cores of work, shared evenly by the ready pods."""

    cores: Course


class LoadAction(Strict):
    """The work changes: at another rate, some at once, all done, or its broker is gone or back."""

    exactly_one_of = ("produce", "add", "commit_all", "broker", "requests", "cores")

    of: str
    produce: Course | None = None
    add: int | None = Field(default=None, ge=0)
    commit_all: bool | None = None
    broker: Literal["down", "up"] | None = None
    requests: Course | None = None
    cores: Course | None = None

    @property
    def kind(self) -> str:
        """The kind of workload that it is for: messages, requests or cpu."""
        return "requests" if self.requests else "cpu" if self.cores else "messages"

    @property
    def courses(self) -> tuple[RateSpec, ...]:
        """Everything in it that has a course over time."""
        return tuple(
            course for course in (self.produce, self.requests, self.cores) if course is not None
        )


WorkloadSpec.model_rebuild()
