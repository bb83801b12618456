"""Brings workloads and pods together: who works for what, and what is known of it outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prism_operator.api.meta import DEPLOYMENT, POD, REPLICA_SET, Json, ReadOnlyJson, Ref, uid_of
from prism_operator.api.quantities import parse_quantity
from simulator.autoscaling.keda.kafka import BrokerError, Partition
from simulator.autoscaling.replicas import Sample
from simulator.cluster.api import Cache
from simulator.controllers.objects import is_deleting, is_ready, node_of, owner_ref
from simulator.controllers.world import Change
from simulator.kernel import SECOND_US, Kernel, Us
from simulator.scenario.workloads import LoadAction, WorkloadSpec
from simulator.series import Recorder
from simulator.workloads.backlog import Backlog
from simulator.workloads.cpu import CpuLoad
from simulator.workloads.ports import Member


class Workloads:
    """All workloads of a scenario. It is the broker of its queues, and answers for CPU."""

    def __init__(
        self,
        kernel: Kernel,
        cache: Cache,
        recorder: Recorder,
        specs: Mapping[str, WorkloadSpec],
        started_us: Us,
    ) -> None:
        self._kernel, self._cache, self._started_us = kernel, cache, started_us
        self._queues: dict[str, Backlog] = {}
        self._loads: dict[str, CpuLoad] = {}
        self._named: dict[tuple[str, str], Backlog] = {}  # by kind of trigger and name of the queue
        self._of: dict[Ref, list[Backlog | CpuLoad]] = {}  # by Deployment
        self._deployment_of: dict[str, Ref] = {}  # by the uid of a ReplicaSet
        self._members: dict[str, Ref] = {}  # pods at work, and their Deployments
        self._replicas = {
            spec.deployment: (
                recorder.series(f"{name}.replicas", "pods"),
                recorder.series(f"{name}.ready", "pods"),
            )
            for name, spec in specs.items()
        }
        self._scraped: dict[str, tuple[Us, float]] = {}
        self._samples: dict[str, Sample] = {}
        for name, spec in sorted(specs.items()):
            load: Backlog | CpuLoad
            if spec.backlog is not None:
                kind, queue = spec.backlog.address
                load = self._queues[name] = self._named[kind, queue] = Backlog(
                    name,
                    recorder,
                    topic=spec.backlog.kafka.topic if spec.backlog.kafka else "",
                    partitions=spec.backlog.kafka.partitions if spec.backlog.kafka else 1,
                    arrivals_per_s=spec.backlog.arrivals_per_s,
                    per_pod_per_s=spec.backlog.per_pod_per_s,
                )
            else:
                load = self._loads[name] = CpuLoad(name, recorder, spec.cores)
            self._of.setdefault(spec.deployment, []).append(load)

    # What happens

    def act(self, action: LoadAction) -> None:
        """Somebody produces, consumes, or asks for more."""
        now_us = self._kernel.now_us
        if action.of in self._loads:
            self._loads[action.of].demand(action.cores or 0.0, now_us)
            return
        queue = self._queues[action.of]
        queue.advance(now_us)
        if action.arrivals_per_s is not None:
            queue.arrivals_per_s = action.arrivals_per_s
        if action.add is not None:
            queue.add(action.add)
        if action.commit_all:
            queue.commit_all()
        if action.broker is not None:
            queue.is_down = action.broker == "down"

    def changed(self, change: Change) -> None:
        """Pods begin and end to work."""
        if change.ref.resource == DEPLOYMENT:
            if change.ref in self._replicas:
                wanted = change.new["spec"]["replicas"] if change.new else 0
                self._replicas[change.ref][0].set(self._kernel.now_us, wanted)
            return
        if change.ref.resource != POD or not self._of:
            return
        pod, uid, now_us = change.new, uid_of(change.latest), self._kernel.now_us
        works = pod is not None and is_ready(pod) and not is_deleting(pod)
        deployment = self._members.get(uid)
        if works and deployment is None and pod is not None:
            deployment = self._deployment(pod)
            if deployment not in self._of:
                return
            self._members[uid] = deployment
            for load in self._of[deployment]:
                load.joined(_member(pod), now_us)
        elif not works and deployment is not None:
            del self._members[uid]
            for load in self._of[deployment]:
                if pod is None:
                    load.left(uid, now_us, abrupt=True)
                else:
                    load.leaving(uid, now_us)
        else:
            return
        ready = sum(d == deployment for d in self._members.values())
        self._replicas[deployment][1].set(now_us, ready)

    def advance(self) -> bool:
        """Brings everything to the present; whether anything goes on by itself."""
        now_us = self._kernel.now_us
        for queue in self._queues.values():
            queue.advance(now_us)
        return any(not queue.is_idle for queue in self._queues.values())

    # Broker

    def partitions(self, topic: str, group: str) -> Sequence[Partition]:
        """See ``Broker``."""
        queue = self._named.get(("kafka", f"{topic}/{group}"))
        if queue is None:
            raise BrokerError(f"no workload is the topic {topic} with the group {group}")
        queue.advance(self._kernel.now_us)
        return queue.partitions()

    def depth(self, kind: str, name: str) -> int:
        """See ``Broker``."""
        queue = self._named.get((kind, name))
        if queue is None or queue.is_down:
            raise BrokerError(f"no workload is the {kind} {name}, or it is down")
        queue.advance(self._kernel.now_us)
        return queue.lag

    # Metrics

    def scrape(self) -> None:
        """What metrics-server does once in its resolution: CPU used since it last looked."""
        now_us = self._kernel.now_us
        scraped: dict[str, tuple[Us, float]] = {}
        for deployment, loads in sorted(self._of.items(), key=lambda item: item[0]):
            cpu = [load for load in loads if isinstance(load, CpuLoad)]
            for load in cpu:
                load.advance(now_us)
            for uid in sorted(u for u, d in self._members.items() if d == deployment and cpu):
                used = sum(load.cpu_core_s(uid) for load in cpu)
                scraped[uid] = now_us, used
                before = self._scraped.get(uid)
                if before is not None:
                    window_us = now_us - before[0]
                    milli = round((used - before[1]) * 1000 * SECOND_US / window_us)
                    self._samples[uid] = Sample(milli, self._started_us + now_us, window_us)
        self._scraped = scraped
        self._samples = {uid: s for uid, s in self._samples.items() if uid in scraped}

    def resource(self, pod_uid: str, name: str) -> Sample | None:
        """See ``MetricsApi``; only ``cpu`` is modelled."""
        return self._samples.get(pod_uid) if name == "cpu" else None

    @property
    def uses_cpu(self) -> bool:
        """Whether there is anything for metrics-server to see."""
        return bool(self._loads)

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
