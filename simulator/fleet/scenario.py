"""A scenario as a fleet: the operator's own planner says which pods its manifests come to.

What a fleet has no model of is refused with all its reasons, never left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from prism_operator.api.meta import (
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    SCALED_OBJECT,
    Json,
    Ref,
    Resource,
    ref_of,
)
from prism_operator.api.quantities import parse_quantity
from prism_operator.manifests import Manifest
from prism_operator.planning.settings import Settings
from prism_operator.preview.preview import preview
from simulator.cluster.nodes import Pool, build_node
from simulator.fleet.engine import FleetSpec, Group, NodeLoss, Policies, Times
from simulator.inputs import BadInputError
from simulator.kernel import HOUR_US, SECOND_US, Us
from simulator.randomness import Even, Span, Streams, exponential_us
from simulator.scenario import LoadedScenario
from simulator.scenario.cluster import PoolSpec
from simulator.scenario.rates import RateSpec
from simulator.scenario.workloads import WorkloadSpec

KNOT_US = 60 * SECOND_US  # from one number of a load to the next
_UNLIMITED = 10**9  # thousandths of a core
_LAG_THRESHOLD = 10  # KEDA's default, of its Kafka scaler
_POLLING_S, _COOLDOWN_S = 30, 300  # KEDA's defaults


def fleet_of(
    loaded: LoadedScenario, seed: int | None = None, planned: Sequence[Json] | None = None
) -> FleetSpec:
    """The fleet that a scenario describes. ``seed``: another than its own.

    ``planned``: what ``planned_objects`` of it gave before; the seed makes no difference to that.

    Raises:
        BadInputError: It asks for what a fleet has no model of; every reason is said.
    """
    planned = planned_objects(loaded) if planned is None else planned
    return _Reading(loaded, loaded.scenario.seed if seed is None else seed).fleet(planned)


def planned_objects(loaded: LoadedScenario) -> Sequence[Json]:
    """What the operator makes of a scenario's manifests, and they themselves.

    Raises:
        BadInputError: The API server would refuse some of them.
    """
    manifests = [
        Manifest(
            {**m.obj, "metadata": {"namespace": m.ref.namespace, **m.obj["metadata"]}},
            m.document,
        )
        for part in loaded.manifests.values()
        for m in part
    ]
    scenario = loaded.scenario

    def serves(resource: Resource) -> bool:
        return scenario.cluster.autoscaling.keda or resource != SCALED_OBJECT

    start = scenario.clock.start
    found = preview(manifests, None, serves=serves, settings=Settings(), now=start)
    if found.refused:
        raise BadInputError([str(finding) for finding in found.refused])
    return [change.after for change in found.changes if change.after is not None]


@dataclass(slots=True)
class _Reading:
    """One scenario on its way; ``complaints`` grows."""

    loaded: LoadedScenario
    seed: int
    complaints: list[str] = field(default_factory=list)

    def fleet(self, planned: Sequence[Json]) -> FleetSpec:
        scenario = self.loaded.scenario
        streams = Streams(self.seed)
        self._whole()
        scalers = {
            ref: obj
            for obj in planned
            if ref_of(obj).resource in (HORIZONTAL_POD_AUTOSCALER, SCALED_OBJECT)
            and (ref := _target(obj)) is not None
        }
        loads = {work.deployment: (name, work) for name, work in scenario.workloads.items()}
        deployments = [obj for obj in planned if ref_of(obj).resource == DEPLOYMENT]
        for ref in sorted(loads.keys() - {ref_of(obj) for obj in deployments}):
            self._refuse(f"the load of {ref}: nothing makes such a Deployment")
        groups = [
            self._group(obj, scalers.get(ref_of(obj)), loads.get(ref_of(obj)), streams)
            for obj in sorted(deployments, key=ref_of)
        ]
        nodes, losses, prices = self._nodes(streams)
        times = self._times(scalers)
        if self.complaints:
            raise BadInputError(
                [
                    *(f"{self.loaded.path}: not for a fleet: {c}" for c in self.complaints),
                    "prism-sim run plays scenarios object by object, with all of that",
                ]
            )
        return FleetSpec(
            nodes, groups, scenario.duration, losses, prices, seed=self.seed, times=times
        )

    def _refuse(self, complaint: str) -> None:
        if complaint not in self.complaints:
            self.complaints.append(complaint)

    def _whole(self) -> None:
        scenario = self.loaded.scenario
        if scenario.timeline:
            self._refuse("timeline: nothing happens to a fleet but spot interruptions")
        if scenario.cluster.images:
            self._refuse("cluster.images: all pods start alike")
        if scenario.cluster.nodes.provisioner != "fixed":
            self._refuse("cluster.nodes: nobody adds or removes nodes of a fleet")
        if scenario.cluster.autoscaling.prometheus is not None:
            self._refuse("cluster.autoscaling.prometheus: HPAs of a fleet look at CPU only")

    # Groups

    def _group(
        self,
        deployment: Json,
        scaler: Json | None,
        load: tuple[str, WorkloadSpec] | None,
        streams: Streams,
    ) -> Group:
        spec, name = deployment["spec"], str(ref_of(deployment))
        resources = [c.get("resources") or {} for c in spec["template"]["spec"]["containers"]]
        limits = [(r.get("limits") or {}).get("cpu") for r in resources]
        group = Group(
            name=name,
            template=_pod(deployment),
            replicas=spec.get("replicas", 1),
            request_m=sum(_milli((r.get("requests") or {}).get("cpu", "0")) for r in resources),
            limit_m=sum(_UNLIMITED if limit is None else _milli(limit) for limit in limits),
        )
        if scaler is None:
            return group
        asked, by_hpa = scaler["spec"], ref_of(scaler).resource == HORIZONTAL_POD_AUTOSCALER
        least_key, most_key, least = (
            ("minReplicas", "maxReplicas", 1)
            if by_hpa
            else ("minReplicaCount", "maxReplicaCount", 0)
        )
        least = asked.get(least_key, least)
        replicas = spec.get("replicas", max(1, least))
        group = replace(group, least=least, most=asked[most_key], replicas=replicas)
        return (self._by_cpu if by_hpa else self._by_lag)(group, asked, load, streams)

    def _by_cpu(
        self,
        group: Group,
        asked: Json,
        load: tuple[str, WorkloadSpec] | None,
        streams: Streams,
    ) -> Group:
        metrics = asked.get("metrics") or []
        target = metrics[0].get("resource", {}) if len(metrics) == 1 else {}
        percent = (target.get("target") or {}).get("averageUtilization")
        if target.get("name") != "cpu" or percent is None:
            self._refuse(f"{group.name}: its HPA looks at more than the utilization of CPU")
            return group
        if group.request_m == 0:
            self._refuse(f"{group.name}: its HPA wants a utilization, its pods request no CPU")
        if load is None or load[1].cpu is None:
            self._refuse(f"{group.name}: no workload of cpu says what its pods have to do")
            return group
        cores = self._load(load[0], load[1].cpu.cores, streams)
        return replace(
            group, scaler="cpu", target=percent, load=list(cores * 1000),
            behavior=self._policies(group.name, asked.get("behavior")),
        )  # fmt: skip

    def _by_lag(
        self,
        group: Group,
        asked: Json,
        load: tuple[str, WorkloadSpec] | None,
        streams: Streams,
    ) -> Group:
        triggers = asked.get("triggers") or []
        if len(triggers) != 1 or triggers[0].get("type") != "kafka":
            self._refuse(f"{group.name}: KEDA has other triggers than one of Kafka")
            return group
        if extra := sorted(asked.keys() & {"fallback", "idleReplicaCount"}):
            self._refuse(f"{group.name}: {', '.join(extra)} of its ScaledObject")
        config = (asked.get("advanced") or {}).get("horizontalPodAutoscalerConfig") or {}
        work = load[1] if load else None
        if load is None or work is None or work.kafka is None or work.consumer is None:
            self._refuse(f"{group.name}: no workload of kafka with a consumer says what it reads")
            return group
        low, high = work.consumer.rate.bounds
        if low != high or work.kafka.skew is not None:
            self._refuse(f"{group.name}: consumers or partitions that are not alike")
        metadata = triggers[0].get("metadata") or {}
        return replace(
            group,
            scaler="lag",
            target=int(metadata.get("lagThreshold", _LAG_THRESHOLD)),
            load=list(self._load(load[0], work.produce, streams)),
            partitions=work.kafka.partitions,
            rate=low,
            eager=work.kafka.protocol == "eager",
            commit_us=work.kafka.commit,
            behavior=self._policies(group.name, config.get("behavior")),
        )

    def _policies(self, name: str, behavior: Json | None) -> Policies | None:
        if not behavior:
            return None
        up, down = behavior.get("scaleUp") or {}, behavior.get("scaleDown") or {}
        for rules in (up, down):
            policies = rules.get("policies") or []
            if [p["type"] for p in policies] != ["Percent"] or rules.get("tolerance") is not None:
                self._refuse(f"{name}: a behavior of other than one policy of percent each way")
                return None
        if up.get("stabilizationWindowSeconds"):
            self._refuse(f"{name}: a stabilization window for scale up")
        (grow,), (shrink,) = up["policies"], down["policies"]
        return Policies(
            grow["value"],
            grow["periodSeconds"] * SECOND_US,
            shrink["value"],
            shrink["periodSeconds"] * SECOND_US,
            down.get("stabilizationWindowSeconds", 300) * SECOND_US,
        )

    def _load(self, name: str, course: RateSpec, streams: Streams) -> NDArray[np.float64]:
        scenario, rate = self.loaded.scenario, course.rate(self.loaded.surroundings)
        knots = np.array([rate.at(at) for at in range(0, scenario.duration + KNOT_US, KNOT_US)])
        if course.noise == "poisson":
            draw = np.random.default_rng(streams.stream("arrivals", name).getrandbits(64))
            knots = draw.poisson(knots * (KNOT_US / SECOND_US)) / (KNOT_US / SECOND_US)
        return knots

    # Nodes and times

    def _nodes(
        self, streams: Streams
    ) -> tuple[Sequence[Json], Sequence[NodeLoss], Mapping[str, float]]:
        cluster = self.loaded.scenario.cluster
        nodes: list[Json] = []
        losses: list[NodeLoss] = []
        prices: dict[str, float] = {}
        for pool_name, spec in sorted(cluster.pools.items()):
            zones = spec.zones or cluster.zones
            pool = Pool(
                pool_name, zones, spec.count, spec.allocatable, spec.node_labels,
                [t.model_dump() for t in spec.taints], cluster.region_of,
            )  # fmt: skip
            for i in range(spec.count):
                name = f"{pool_name}-{zones[i % len(zones)]}-{i // len(zones)}"
                nodes.append(build_node(pool, name, zones[i % len(zones)], len(nodes), 0))
                prices[name] = spec.price
                losses += self._losses(name, spec, streams)
        return nodes, losses, prices

    def _losses(self, name: str, pool: PoolSpec, streams: Streams) -> Iterator[NodeLoss]:
        how = pool.interruption
        if how is None:
            return
        if (
            how.zone_shock
            or how.missed
            or how.drought
            or how.hazard.range[0] != how.hazard.range[1]
        ):
            self._refuse("interruption: a fleet has no shocks, droughts, missed notices or ranges")
        boot_us, hazard = self._fixed(pool.boot, "boot"), how.hazard.range[0]
        stream, at_us = streams.stream("hazard", name), 0
        while hazard > 0:
            at_us += exponential_us(stream, HOUR_US / hazard)
            if at_us >= self.loaded.scenario.duration:
                return
            yield NodeLoss(at_us, name, how.notice, boot_us)
            at_us += how.notice + boot_us

    def _fixed(self, span: Span, what: str) -> Us:
        if isinstance(span, Even) and span.least_us == span.most_us:
            return span.least_us
        self._refuse(f"{what}: a fleet takes equally long every time, so say one duration")
        return 0

    def _times(self, scalers: Mapping[Ref, Json]) -> Times:
        cluster = self.loaded.scenario.cluster
        pods, scaling = cluster.pods, cluster.autoscaling
        objects = [s["spec"] for s in scalers.values() if ref_of(s).resource == SCALED_OBJECT]
        polls = {s.get("pollingInterval", _POLLING_S) for s in objects} or {_POLLING_S}
        cooldowns = {s.get("cooldownPeriod", _COOLDOWN_S) for s in objects} or {_COOLDOWN_S}
        if len(polls) > 1 or len(cooldowns) > 1:
            self._refuse("ScaledObjects whose pollingInterval or cooldownPeriod differ")
        return Times(
            react_us=cluster.reaction.controllers,
            create_us=self._fixed(pods.pull, "pods.pull") + self._fixed(pods.start, "pods.start"),
            become_ready_us=self._fixed(pods.ready, "pods.ready"),
            stop_us=self._fixed(pods.stop, "pods.stop"),
            scrape_us=scaling.metrics_resolution,
            sync_us=scaling.hpa_sync,
            poll_us=min(polls) * SECOND_US,
            cooldown_us=min(cooldowns) * SECOND_US,
            knot_us=KNOT_US,
        )


def _target(scaler: Json) -> Ref | None:
    target = scaler["spec"].get("scaleTargetRef") or {}
    if target.get("kind", "Deployment") != "Deployment":
        return None
    return Ref(DEPLOYMENT, scaler["metadata"]["namespace"], target["name"])


def _pod(deployment: Json) -> Json:
    """A pod of a Deployment, owned by its ReplicaSet, as the scheduler sees it."""
    template, metadata = deployment["spec"]["template"], deployment["metadata"]
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": metadata["name"]}
    return {
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": template["metadata"]["labels"],
            "ownerReferences": [{**owner, "uid": metadata["name"], "controller": True}],
        },
        "spec": template["spec"],
    }


def _milli(quantity: str) -> int:
    return int(parse_quantity(str(quantity)) * 1000)
