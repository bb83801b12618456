"""Makes the workloads that a scenario describes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from simulator.kernel import Us
from simulator.randomness import Streams
from simulator.scenario.rates import RateSpec, Surroundings
from simulator.scenario.workloads import ConsumerSpec, KafkaSpec, RequestsSpec, WorkloadSpec
from simulator.series import Recorder
from simulator.workloads.cpu import CpuLoad
from simulator.workloads.groups import GroupTimings
from simulator.workloads.kafka import KafkaTopic, TopicSettings
from simulator.workloads.ports import Member
from simulator.workloads.queues import RETURNS_AFTER_US, Queue
from simulator.workloads.rates import Arrivals, zipf
from simulator.workloads.requests import RequestLoad, Requests

KIP848_HEARTBEAT_US = 5_000_000
CLASSIC_HEARTBEAT_US = 3_000_000


class Builder:
    """Makes workloads; what is drawn comes from streams named by workload and pod."""

    def __init__(self, recorder: Recorder, streams: Streams, around: Surroundings) -> None:
        self._recorder, self._streams, self._around = recorder, streams, around

    def build(self, name: str, spec: WorkloadSpec) -> KafkaTopic | Queue | RequestLoad | CpuLoad:
        """The workload of that name."""
        if spec.cpu is not None:
            return CpuLoad(name, self._recorder, self._arrivals(name, spec.cpu.cores, [1.0]))
        if spec.requests is not None:
            arrivals = self._arrivals(name, spec.requests.rate, [1.0])
            return RequestLoad(name, self._recorder, _requests(spec.requests), arrivals)
        consumer = spec.consumer or ConsumerSpec.model_validate({"rate": 0})
        rate, starts = self._rate_of(name, consumer), self._start_of(name, consumer)
        core_s = consumer.cpu_ms / 1000
        if spec.kafka is not None:
            settings = _topic(spec.kafka)
            return KafkaTopic(
                name,
                self._recorder,
                settings,
                self._arrivals(name, spec.produce, settings.shares),
                per_pod_per_s=rate,
                starts_after_us=starts,
                core_s_per_message=core_s,
            )
        assert spec.queue is not None, "one of the four"  # noqa: S101
        returns_after_us = RETURNS_AFTER_US[spec.queue.type]
        if spec.queue.returns_after is not None:
            returns_after_us = spec.queue.returns_after
        return Queue(
            name,
            self._recorder,
            returns_after_us,
            self._arrivals(name, spec.produce, [1.0]),
            per_pod_per_s=rate,
            starts_after_us=starts,
            holds=spec.queue.holds,
            core_s_per_message=core_s,
        )

    def _arrivals(self, name: str, course: RateSpec, shares: Sequence[float]) -> Arrivals:
        noisy = course.noise == "poisson"
        key = self._streams.stream("arrivals", name).getrandbits(64) if noisy else None
        return Arrivals(course.rate(self._around), shares, key)

    def _rate_of(self, name: str, consumer: ConsumerSpec) -> Callable[[Member], float]:
        low, high = consumer.rate.bounds
        if consumer.rate.range is not None:
            drawn = low + (high - low) * self._streams.stream("rate", name).random()
            return lambda _: drawn
        streams = self._streams
        return lambda pod: low + (high - low) * streams.stream("rate", name, pod.name).random()

    def _start_of(self, name: str, consumer: ConsumerSpec) -> Callable[[Member], Us]:
        streams = self._streams
        return lambda pod: consumer.start.draw(streams.stream("consumer start", name, pod.name))


def _topic(spec: KafkaSpec) -> TopicSettings:
    even = [1 / spec.partitions] * spec.partitions
    kip848 = spec.protocol == "kip848"
    heartbeat_us = spec.heartbeat or (KIP848_HEARTBEAT_US if kip848 else CLASSIC_HEARTBEAT_US)
    return TopicSettings(
        topic=spec.topic,
        shares=zipf(spec.partitions, spec.skew.zipf) if spec.skew else even,
        protocol=spec.protocol,
        timings=GroupTimings(spec.session_timeout, heartbeat_us, spec.initial_delay),
        commit_us=spec.commit,
        retention_us=spec.retention,
    )


def _requests(spec: RequestsSpec) -> Requests:
    return Requests(
        cpu_s=spec.cpu_ms / 1000,
        wait_s=spec.wait_ms / 1000,
        concurrency=spec.concurrency,
        timeout_us=spec.timeout,
        retries=spec.retries,
        connections=float(spec.connections),
        keepalive_us=spec.keepalive,
        endpoint_lag_us=spec.endpoint_lag,
        counter=spec.counter,
        gauge=spec.gauge,
    )
