"""Brings workloads and pods together: who works for what, and what is known of it outside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from prism_operator.api.meta import DEPLOYMENT, POD, REPLICA_SET, Json, ReadOnlyJson, Ref, uid_of
from prism_operator.api.quantities import parse_quantity
from simulator.autoscaling.keda.kafka import BrokerError, Partition
from simulator.autoscaling.replicas import Sample
from simulator.cluster.api import Cache
from simulator.controllers.objects import is_deleting, is_ready, node_of, owner_ref
from simulator.controllers.world import Change
from simulator.kernel import SECOND_US, Kernel, Us
from simulator.randomness import Streams
from simulator.scenario.rates import Surroundings
from simulator.scenario.workloads import LoadAction, WorkloadSpec
from simulator.series import Recorder, Series
from simulator.workloads.building import Builder
from simulator.workloads.cpu import CpuLoad
from simulator.workloads.kafka import KafkaTopic
from simulator.workloads.ports import Member
from simulator.workloads.queues import Queue
from simulator.workloads.requests import RequestLoad

Work: TypeAlias = KafkaTopic | Queue | RequestLoad | CpuLoad


class Workloads:
    """All workloads of a scenario. It is the broker of its queues, and answers for CPU."""

    def __init__(
        self,
        kernel: Kernel,
        cache: Cache,
        recorder: Recorder,
        specs: Mapping[str, WorkloadSpec],
        started_us: Us,
        streams: Streams,
        around: Surroundings,
    ) -> None:
        self._kernel, self._cache, self._started_us = kernel, cache, started_us
        self._around = around
        self._is_measured = any(
            spec.cpu
            or spec.memory
            or (spec.requests and spec.requests.cpu_ms)
            or (spec.consumer and spec.consumer.cpu_ms)
            for spec in specs.values()
        )
        self._all: dict[str, Work] = {}
        self._topics: dict[str, KafkaTopic] = {}  # by topic/group
        self._queues: dict[tuple[str, str], Queue] = {}  # by kind of trigger and name
        self._of: dict[Ref, list[Work]] = {}  # by Deployment
        self._deployment_of: dict[str, Ref] = {}  # by the uid of a ReplicaSet
        self._members: dict[str, tuple[Ref, Member]] = {}  # pods that are ready, by uid
        self._cut_off: set[str] = set()  # those of them on a node that is
        self._stopping: dict[str, Ref] = {}  # pods that were told to stop, with their Deployment
        self._replicas: dict[Ref, list[tuple[Series, Series]]] = {}
        for name, spec in sorted(specs.items()):
            both = (
                recorder.series(f"{name}.replicas", "pods"),
                recorder.series(f"{name}.ready", "pods"),
            )
            self._replicas.setdefault(spec.deployment, []).append(both)
        self._memory = {name: spec.memory for name, spec in specs.items() if spec.memory}
        self._scraped: dict[str, tuple[Us, float]] = {}
        self._samples: dict[tuple[str, str], Sample] = {}  # by pod and resource
        self.metrics_server_is_down = False
        builder = Builder(recorder, streams, around)
        for name, spec in sorted(specs.items()):
            work = self._all[name] = builder.build(name, spec)
            kind, address = spec.address
            if isinstance(work, KafkaTopic):
                self._topics[address] = work
            elif isinstance(work, Queue):
                self._queues[kind, address] = work
            self._of.setdefault(spec.deployment, []).append(work)

    # What happens

    def act(self, action: LoadAction) -> None:
        """Somebody produces, consumes, or asks for more."""
        now_us, work = self._kernel.now_us, self._all[action.of]
        if isinstance(work, CpuLoad):
            if action.cores is not None:
                work.demand(action.cores.rate(self._around), now_us)
            return
        if isinstance(work, RequestLoad):
            if action.requests is not None:
                work.ask(action.requests.rate(self._around), now_us)
            return
        if action.produce is not None:
            work.produce(action.produce.rate(self._around), now_us)
        if action.add is not None:
            work.add(action.add, now_us)
        if action.commit_all:
            work.commit_all(now_us)
        if action.broker is not None:
            work.set_broker(action.broker == "up", now_us)

    def changed(self, change: Change) -> None:
        """Pods begin and end to work."""
        if change.ref.resource == DEPLOYMENT:
            if change.ref in self._replicas:
                wanted = change.new["spec"]["replicas"] if change.new else 0
                for replicas, _ in self._replicas[change.ref]:
                    replicas.set(self._kernel.now_us, wanted)
            return
        if change.ref.resource != POD or not self._of:
            return
        pod, uid = change.new, uid_of(change.latest)
        works = pod is not None and is_ready(pod) and not is_deleting(pod)
        known = self._members.get(uid)
        if works and known is None and pod is not None:
            deployment = self._deployment(pod)
            if deployment not in self._of:
                return
            self._members[uid] = deployment, _member(pod)
            self._join(uid)
        elif not works and known is not None:
            deployment, _ = known
            abrupt = pod is None or not is_deleting(pod)
            self._leave(uid, abrupt=abrupt)
            if not abrupt:
                self._stopping[uid] = deployment
            del self._members[uid]
            self._cut_off.discard(uid)
        elif pod is None and uid in self._stopping:
            for work in self._of[self._stopping.pop(uid)]:
                work.left(uid, self._kernel.now_us, abrupt=False)
            return
        else:
            return
        ready = sum(d == deployment for d, _ in self._members.values())
        for _, series in self._replicas[deployment]:
            series.set(self._kernel.now_us, ready)

    def node_lost(self, name: str) -> None:
        """A node is cut off: its pods reach nothing any more, whatever the API says of them."""
        for uid, (_, member) in sorted(self._members.items()):
            if member.node == name and uid not in self._cut_off:
                self._cut_off.add(uid)
                for work in self._of[self._members[uid][0]]:
                    if isinstance(work, RequestLoad):
                        work.cut_off(uid, self._kernel.now_us)
                    else:
                        work.left(uid, self._kernel.now_us, abrupt=True)

    def node_back(self, name: str) -> None:
        """A node is back: those of its pods that counted as ready all the time work again."""
        for uid, (_, member) in sorted(self._members.items()):
            if member.node == name and uid in self._cut_off:
                self._cut_off.remove(uid)
                self._join(uid)

    def _join(self, uid: str) -> None:
        deployment, member = self._members[uid]
        for work in self._of[deployment]:
            work.joined(member, self._kernel.now_us)

    def _leave(self, uid: str, *, abrupt: bool) -> None:
        deployment, _ = self._members[uid]
        for work in self._of[deployment]:
            if abrupt:
                work.left(uid, self._kernel.now_us, abrupt=True)
            else:
                work.leaving(uid, self._kernel.now_us)

    def advance(self) -> bool:
        """Brings everything to the present; whether anything goes on by itself."""
        now_us = self._kernel.now_us
        dues = [work.advance(now_us) for work in self._all.values()]
        return any(due is not None for due in dues)

    def finish(self) -> None:
        """The run is over."""
        for work in self._all.values():
            work.finish(self._kernel.now_us)

    @property
    def topics(self) -> Sequence[KafkaTopic]:
        """The Kafka topics, by topic and group."""
        return [topic for _, topic in sorted(self._topics.items())]

    @property
    def requests(self) -> Sequence[RequestLoad]:
        """The requests of clients, by name."""
        return [work for _, work in sorted(self._all.items()) if isinstance(work, RequestLoad)]

    # Broker

    def partitions(self, topic: str, group: str) -> Sequence[Partition]:
        """See ``Broker``."""
        work = self._topics.get(f"{topic}/{group}")
        if work is None:
            raise BrokerError(f"no workload is the topic {topic} with the group {group}")
        work.advance(self._kernel.now_us)
        return work.partitions()

    def depth(self, kind: str, name: str, *, held: bool) -> int:
        """See ``Broker``."""
        queue = self._queues.get((kind, name))
        if queue is None:
            raise BrokerError(f"no workload is the {kind} {name}")
        queue.advance(self._kernel.now_us)
        return queue.depth(held=held)

    # Metrics

    def scrape(self) -> None:
        """What metrics-server does once in its resolution: CPU used since it last looked."""
        now_us = self._kernel.now_us
        scraped: dict[str, tuple[Us, float]] = {}
        if self.metrics_server_is_down:
            self._scraped, self._samples = {}, {}
            return
        for deployment, loads in sorted(self._of.items(), key=lambda item: item[0]):
            for load in loads:
                load.advance(now_us)
            for uid in sorted(u for u, (d, _) in self._members.items() if d == deployment):
                used = sum(load.cpu_core_s(uid) for load in loads)
                scraped[uid] = now_us, used
                before = self._scraped.get(uid)
                if before is not None:
                    window_us = now_us - before[0]
                    milli = round((used - before[1]) * 1000 * SECOND_US / window_us)
                    at_us = self._started_us + now_us
                    self._samples[uid, "cpu"] = Sample(milli, at_us, window_us)
                    held = sum(self._memory_bytes(load, uid) for load in loads)
                    self._samples[uid, "memory"] = Sample(held * 1000, at_us, window_us)
        self._scraped = scraped
        self._samples = {key: s for key, s in self._samples.items() if key[0] in scraped}

    def _memory_bytes(self, work: Work, uid: str) -> int:
        spec = self._memory.get(work.name)
        if spec is None:
            return 0
        connections = work.connections(uid) if isinstance(work, RequestLoad) else 0.0
        each = float(parse_quantity(spec.per_connection))
        return int(parse_quantity(spec.base)) + round(connections * each)

    def resource(self, pod_uid: str, name: str) -> Sample | None:
        """See ``MetricsApi``: ``cpu``, and ``memory`` where a workload says what pods hold."""
        return self._samples.get((pod_uid, name))

    def pod_metrics(self) -> Iterator[tuple[str, Mapping[str, float]]]:
        """What each pod that works exposes to Prometheus, by its uid."""
        for work in self._all.values():
            work.advance(self._kernel.now_us)
        for uid, (deployment, _) in sorted(self._members.items()):
            if uid not in self._cut_off:
                for work in self._of[deployment]:
                    yield uid, work.pod_metrics(uid)

    @property
    def is_measured(self) -> bool:
        """Whether there is anything for metrics-server to see."""
        return self._is_measured

    def _deployment(self, pod: Json) -> Ref:
        owner = owner_ref(pod, REPLICA_SET)
        if owner is None:
            return Ref(DEPLOYMENT, "", "")
        ref, uid = owner
        if uid not in self._deployment_of:
            rs = self._cache.get(ref)
            above = owner_ref(rs, DEPLOYMENT) if rs is not None else None
            self._deployment_of[uid] = above[0] if above else Ref(DEPLOYMENT, "", "")
        return self._deployment_of[uid]


def _member(pod: ReadOnlyJson) -> Member:
    requests, limits = 0.0, 0.0
    limited = True
    for container in pod["spec"]["containers"]:
        resources = container.get("resources") or {}
        requests += float(parse_quantity((resources.get("requests") or {}).get("cpu", 0)))
        limit = (resources.get("limits") or {}).get("cpu")
        limited &= limit is not None
        limits += float(parse_quantity(limit or 0))
    return Member(
        uid=uid_of(pod),
        name=pod["metadata"]["name"],
        namespace=pod["metadata"]["namespace"],
        node=node_of(pod),
        cpu_request_cores=requests,
        cpu_limit_cores=limits if limited else None,
    )
