"""What the cluster tells a workload, and what autoscalers and reports may ask it.

A workload is advanced, never ticked: whoever asks it something first brings it to the present.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from simulator.autoscaling.keda.kafka import Partition
from simulator.kernel import Us


@dataclass(frozen=True, slots=True)
class Member:
    """A pod that works for a workload."""

    uid: str
    name: str
    namespace: str
    node: str
    cpu_request_cores: float
    cpu_limit_cores: float | None


class Workload(Protocol):
    """Work for the pods of one Deployment."""

    name: str

    def joined(self, member: Member, now_us: Us) -> None:
        """A pod is ready (and, for a server, in the endpoints) and takes work from now on."""

    def leaving(self, uid: str, now_us: Us) -> None:
        """A pod was told to stop, or is not ready any more: it gets no new work."""

    def left(self, uid: str, now_us: Us, *, abrupt: bool) -> None:
        """A pod is gone; ``abrupt``: it had no time to finish or to commit what it did."""

    def advance(self, now_us: Us) -> Us | None:
        """Brings everything to ``now_us``; answers when it wants to be advanced at the latest."""

    def cpu_core_s(self, uid: str) -> float:
        """CPU time the pod has used since it joined: a counter."""

    def pod_metrics(self, uid: str) -> Mapping[str, float]:
        """What the pod exposes to Prometheus: gauges and counters (``…_total``) by name."""


class Broker(Protocol):
    """The queues that KEDA's triggers look at; every answer is as of the simulated now.

    Raises ``BrokerError`` while the broker does not answer.
    """

    def partitions(self, topic: str, group: str) -> Sequence[Partition]:
        """Of one Kafka topic, or (``topic`` empty) of all topics of the group."""

    def depth(self, kind: str, name: str, *, held: bool) -> int:
        """Messages that wait in a queue of another kind: ``nats-jetstream`` (stream/consumer),
        ``aws-sqs-queue`` (URL), ``rabbitmq`` (queue), ``redis`` (list), ``postgresql`` (query).
        ``held``: with those that pods hold.
        """
