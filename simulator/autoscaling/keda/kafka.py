"""KEDA's kafka trigger: the lag it reports of a consumer group (``pkg/scalers/kafka_scaler.go``).

Numbers of messages are integers; ``topic`` empty stands for all topics of the group.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from simulator.autoscaling.keda.metadata import MetadataError, choice, flag, integer, metric_name


@dataclass(frozen=True, slots=True)
class Partition:
    """The offsets of one partition; ``committed`` is None while the group has committed none."""

    topic: str
    number: int
    earliest: int
    latest: int
    committed: int | None


@dataclass(frozen=True, slots=True)
class BrokerFaults:
    """What the broker answers with an error: the group, some topics, or some partitions."""

    group: bool = False
    topics: frozenset[str] = frozenset()
    partitions: frozenset[tuple[str, int]] = frozenset()


class BrokerError(Exception):
    """The broker did not answer what the trigger needs to know."""


@dataclass(frozen=True, slots=True)
class Lag:
    """What a look at the broker gave: the value for the HPA, and whether the trigger is active."""

    value: int
    is_active: bool


@dataclass(frozen=True, slots=True)
class KafkaConfig:
    """The metadata of a kafka trigger. ``partitions`` None means all."""

    group: str
    topic: str
    lag_threshold: int
    activation_lag_threshold: int
    resets_to_earliest: bool
    partitions: frozenset[int] | None
    allows_idle_consumers: bool
    excludes_persistent_lag: bool
    zero_on_invalid_offset: bool
    limits_to_partitions_with_lag: bool
    evens_distribution: bool

    @classmethod
    def parse(cls, metadata: Mapping[str, str]) -> KafkaConfig:
        """Reads the metadata. Raises MetadataError as KEDA refuses it."""
        group, topic = metadata.get("consumerGroup", ""), metadata.get("topic", "")
        if not group:
            raise MetadataError("consumerGroup", "is required")
        config = cls(
            group=group,
            topic=topic,
            lag_threshold=integer(metadata, "lagThreshold", 10),
            activation_lag_threshold=integer(metadata, "activationLagThreshold", 0),
            resets_to_earliest=choice(metadata, "offsetResetPolicy", ("latest", "earliest"))
            == "earliest",
            partitions=_partitions(metadata) if topic else None,
            allows_idle_consumers=flag(metadata, "allowIdleConsumers"),
            excludes_persistent_lag=flag(metadata, "excludePersistentLag"),
            zero_on_invalid_offset=flag(metadata, "scaleToZeroOnInvalidOffset"),
            limits_to_partitions_with_lag=flag(metadata, "limitToPartitionsWithLag"),
            evens_distribution=flag(metadata, "ensureEvenDistributionOfPartitions"),
        )
        config._check()
        if not topic:
            _partitions(metadata)  # without a topic it is not used, but still has to be right
        return config

    def _check(self) -> None:
        if self.lag_threshold <= 0:
            raise MetadataError("lagThreshold", "must be positive")
        if self.activation_lag_threshold < 0:
            raise MetadataError("activationLagThreshold", "must not be negative")
        if self.limits_to_partitions_with_lag and self.allows_idle_consumers:
            raise MetadataError("limitToPartitionsWithLag", "excludes allowIdleConsumers")
        if self.limits_to_partitions_with_lag and self.evens_distribution:
            raise MetadataError(
                "limitToPartitionsWithLag", "excludes ensureEvenDistributionOfPartitions"
            )
        if not self.topic and (self.limits_to_partitions_with_lag or self.evens_distribution):
            raise MetadataError("topic", "is required by limits for each partition")

    def metric_name(self, index: int) -> str:
        """The name of the metric in the HPA, for the trigger at ``index``."""
        return metric_name(index, f"kafka-{self.topic or f'{self.group}-topics'}")


@dataclass(slots=True)
class KafkaTrigger:
    """A trigger with its memory of where the group stood at the last look."""

    config: KafkaConfig
    previous: dict[tuple[str, int], int] = field(default_factory=dict)

    def look(self, partitions: Sequence[Partition], faults: BrokerFaults = BrokerFaults()) -> Lag:
        """The lag that the trigger reports. Raises BrokerError."""
        config = self.config
        if faults.group:
            raise BrokerError("error listing consumer group offsets")
        looked_at = self._looked_at(partitions, faults)
        total = full = with_lag = 0
        for partition in looked_at:
            if (partition.topic, partition.number) in faults.partitions:
                raise BrokerError(f"error finding offset block for partition {partition.number}")
            lag, whole = self._lag(partition)
            total, full = total + lag, full + whole
            with_lag += lag > 0
        if not config.allows_idle_consumers or config.evens_distribution:
            total = self._capped(total, len(looked_at), with_lag)
        return Lag(max(0, total), is_active=full > config.activation_lag_threshold)

    def _looked_at(self, partitions: Sequence[Partition], faults: BrokerFaults) -> list[Partition]:
        config = self.config
        committed = {p.topic for p in partitions if p.committed is not None}
        if config.topic:
            topics: Iterable[str] = {config.topic}
        else:
            topics = committed or {p.topic for p in partitions}
        if faults.topics & set(topics):
            raise BrokerError("error describing topics")
        chosen = [
            p
            for p in partitions
            if p.topic in topics and (config.partitions is None or p.number in config.partitions)
        ]
        if not chosen:
            raise BrokerError(f"no active partition within the topic {config.topic}")
        return chosen

    def _lag(self, partition: Partition) -> tuple[int, int]:
        """The lag that counts, and all of it."""
        config = self.config
        if partition.committed is None:
            if config.zero_on_invalid_offset:
                return 0, 0
            retained = max(0, partition.latest - partition.earliest)
            lag = retained if config.resets_to_earliest else 1
            return lag, lag
        lag = partition.latest - partition.committed
        if config.excludes_persistent_lag:
            key = (partition.topic, partition.number)
            if self.previous.get(key) == partition.committed:
                return 0, lag  # stuck there: more consumers would not help
            self.previous[key] = partition.committed
        return lag, lag

    def _capped(self, lag: int, partitions: int, with_lag: int) -> int:
        """No more than the partitions can keep busy: one consumer each."""
        config, threshold = self.config, self.config.lag_threshold
        if config.evens_distribution:
            divisors = (d for d in range(1, partitions + 1) if partitions % d == 0)
            lag = threshold * next((d for d in divisors if d * threshold >= lag), partitions)
        most = with_lag if config.limits_to_partitions_with_lag else partitions
        # Go divides towards zero; a remainder below one threshold is kept.
        return most * threshold if lag >= 0 and lag // threshold > most else lag


def _partitions(metadata: Mapping[str, str]) -> frozenset[int] | None:
    """``0, 2-4`` as numbers; None when nothing is said. ``5-4`` is no partition at all."""
    text = metadata.get("partitionLimitation", "")
    if not text.strip():
        return None
    numbers: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        try:
            numbers.update(range(int(first), int(last if dash else first) + 1))
        except ValueError:
            raise MetadataError("partitionLimitation", f'is no number or range: "{part}"') from None
    return frozenset(numbers)
