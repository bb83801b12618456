"""Who adds and removes nodes: as cluster-autoscaler does, or as Karpenter does.

Both ask the scheduler's own filters whether a pod would fit on a node of a pool that is not there
yet, and whether the pods of a node would fit elsewhere.

Sources: cluster-autoscaler's FAQ and ``core/static_autoscaler.go`` (scan 10 s, scale up one group
at a time, unneeded below half its capacity for 10 min, 10 min of quiet after adding, ten empty
at a time, of other nodes one); Karpenter's documentation of batching (1 s idle, 10 s at most) and
of disruption (consolidation of empty and underutilized nodes, a budget of 10 %).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Literal

from prism_operator.api.meta import Json, uid_of
from simulator.cluster.api import ApiWorld
from simulator.cluster.drain import Drains
from simulator.cluster.eviction import budgets_of
from simulator.cluster.nodes import build_node
from simulator.cluster.supply import Supply
from simulator.controllers.objects import (
    annotations_of,
    condition,
    is_deleting,
    is_terminal,
)
from simulator.kernel import SECOND_US, Kernel, Us
from simulator.randomness import Streams
from simulator.scheduling.filters import Filters
from simulator.scheduling.nodes import Cluster, NodeInfo
from simulator.scheduling.pods import PodInfo, parse_pod

EMPTY_AT_ONCE_MAX = 10  # --max-empty-bulk-delete
SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"
DO_NOT_DISRUPT = "karpenter.sh/do-not-disrupt"
Expander = Literal["least-waste", "price", "priority", "random"]


@dataclass(frozen=True, slots=True)
class ClusterAutoscalerSettings:
    """Flags of cluster-autoscaler with its defaults. ``priorities``: pools, the best first."""

    scan_us: Us = 10 * SECOND_US
    unneeded_us: Us = 600 * SECOND_US
    delay_after_add_us: Us = 600 * SECOND_US
    utilization: float = 0.5
    expander: Expander = "least-waste"
    priorities: tuple[str, ...] = ()
    max_drain_us: Us = 600 * SECOND_US  # --max-graceful-termination-sec


@dataclass(frozen=True, slots=True)
class KarpenterSettings:
    """Karpenter's batch window and disruption settings with their defaults."""

    idle_us: Us = SECOND_US
    batch_max_us: Us = 10 * SECOND_US
    consolidate_after_us: Us = 0
    budget: float = 0.1
    looks_every_us: Us = 10 * SECOND_US


@dataclass(slots=True)
class _Option:
    pool: str
    zone: str
    nodes: int
    pods: list[Json]
    waste: float


@dataclass(frozen=True, slots=True)
class Keep:
    """Why a node stays: the rule that keeps it, what of the node, and until when, if time ends it.

    Times are since the simulation began.
    """

    rule: str
    said: str
    until_us: Us | None = None


class _Planner:
    """What both kinds ask: would it fit?"""

    def __init__(
        self,
        kernel: Kernel,
        world: ApiWorld,
        supply: Supply,
        drains: Drains,
        snapshot: Callable[[], Cluster],
    ) -> None:
        self._kernel, self._world, self._supply = kernel, world, supply
        self._drains, self._snapshot = drains, snapshot

    def _unschedulable(self) -> list[Json]:
        pods = []
        for pod in self._world.cache.pods_on(""):
            told = condition(pod, "PodScheduled")
            waits = told is not None and told["reason"] == "Unschedulable"
            if waits and not is_deleting(pod) and not is_terminal(pod):
                pods.append(pod)
        return pods

    def _template(self, pool: str, zone: str, number: int) -> NodeInfo:
        offer = self._supply.offers[pool]
        name = f"template-{pool}-{zone}-{number}"
        return NodeInfo.parse(build_node(offer.pool, name, zone, 0, self._world.unix_us()))

    def _with_upcoming(self, cluster: Cluster) -> Cluster:
        """The cluster as it will be when everything has booted."""
        known = {node.name for node in cluster.nodes}
        coming = [
            self._template(instance.pool, instance.zone, i)
            for i, instance in enumerate(self._supply.instances.values())
            if instance.name not in known
        ]
        staying = [node for node in cluster.nodes if not self._goes(node.name)]
        return _changed(cluster, [*staying, *coming])

    def _goes(self, name: str) -> bool:
        instance = self._supply.instances.get(name)
        return instance is not None and instance.is_going

    def _left_over(self, pods: Sequence[Json], cluster: Cluster) -> list[Json]:
        """The pods that fit nowhere, when the others have taken their places."""
        left: list[Json] = []
        hopeless = set[str]()  # like a pod that did not fit
        for pod in pods:
            info, alike = parse_pod(pod), _likeness(pod)
            if alike in hopeless or _place(info, cluster, cluster.nodes) is None:
                hopeless.add(alike)
                left.append(pod)
        return left

    def _kept_by_pods(self, node: NodeInfo, cluster: Cluster) -> Keep | None:
        """The first pod of a node that may not be moved, or that has no place on the others."""
        for pod in node.pods:
            why = self._immovable(pod.obj)
            if why is not None:
                return Keep("pods", f"{pod.namespace}/{pod.name} {why}")
        others = [n.copy() for n in cluster.nodes if n is not node and not n.is_unschedulable]
        without = _changed(cluster, others)
        for pod in node.pods:
            if not is_deleting(pod.obj) and _place(_unbound(pod), without, others) is None:
                return Keep("room", f"{pod.namespace}/{pod.name} fits on no other node")
        return None

    def _immovable(self, pod: Json) -> str | None:
        annotations = annotations_of(pod)
        for key, value in ((SAFE_TO_EVICT, "false"), (DO_NOT_DISRUPT, "true")):
            if annotations.get(key) == value:
                return f"says {key}: {value}"
        if not pod["metadata"].get("ownerReferences"):
            return "has no controller that would replace it"
        for budget in budgets_of(self._world, pod):
            if (budget.get("status") or {}).get("disruptionsAllowed", 0) <= 0:
                return f"may not go: PodDisruptionBudget {budget['metadata']['name']} is used up"
        return None

    def _not_considered(self, name: str) -> Keep | None:
        """Why a node is none that could be removed at all."""
        instance = self._supply.instances.get(name)
        if instance is None or not instance.registered:
            return Keep("instance", "it is no machine that could be removed")
        if instance.is_going:
            return Keep("going", "it is leaving: drained to be removed, or taken back by the cloud")
        if self._supply.offers[instance.pool].count_max is None:
            return Keep("fixed pool", f"pool {instance.pool} has a fixed number of nodes")
        return None

    def _kept_by_minimum(self, name: str) -> Keep | None:
        pool = self._supply.instances[name].pool
        least = self._supply.offers[pool].count_min
        if self._supply.count(pool) > least:
            return None
        return Keep("minimum", f"pool {pool} has its minimum of {least}")

    def _kept_by_waiting(self) -> Keep | None:
        waiting = self._unschedulable()
        if not waiting:
            return None
        return Keep("waiting pods", f"{len(waiting)} pods wait for a node; nothing goes meanwhile")

    def _drain_and_remove(self, name: str, within_us: Us | None, then: Callable[[], None]) -> None:
        instance = self._supply.instances[name]
        instance.is_going = True

        def finished(empty: bool) -> None:
            if empty:
                self._supply.remove(name)
            else:
                instance.is_going = False
            then()

        self._drains.start(name, within_us=within_us, then=finished)


class ClusterAutoscaler(_Planner):
    """cluster-autoscaler: looks every 10 seconds. Each pool in each zone is a group of its own."""

    def __init__(
        self,
        kernel: Kernel,
        world: ApiWorld,
        supply: Supply,
        drains: Drains,
        snapshot: Callable[[], Cluster],
        settings: ClusterAutoscalerSettings,
        streams: Streams,
    ) -> None:
        super().__init__(kernel, world, supply, drains, snapshot)
        self._settings, self._streams = settings, streams
        self._unneeded_since: dict[str, Us] = {}
        self._added_at: Us | None = None
        self._draining: str | None = None

    def step(self) -> Us | None:
        """One scan; answers when the next is."""
        now = self._kernel.now_us
        cluster = self._with_upcoming(self._snapshot())
        if not self._scale_up(cluster):
            self._scale_down(cluster)
        return now + self._settings.scan_us

    def _scale_up(self, cluster: Cluster) -> bool:
        waiting = self._unschedulable()
        left = self._left_over(waiting, _copied(cluster)) if waiting else []
        if not left:
            return bool(waiting)
        options = [
            option
            for pool in sorted(self._supply.offers)
            for zone in sorted(self._supply.offers[pool].pool.zones)
            if self._supply.has_room(pool) and not self._supply.in_drought(pool, zone)
            for option in [self._option(pool, zone, left, cluster)]
            if option is not None
        ]
        if not options:
            for pod in left:
                message = "pod didn't trigger scale-up: no node group would have room for it"
                self._world.event(pod, "Normal", "NotTriggerScaleUp", message)
            return True
        best = self._best(options)
        for _ in range(best.nodes):
            self._supply.launch(best.pool, best.zone)
        self._added_at = self._kernel.now_us
        for pod in best.pods:
            message = f"pod triggered scale-up: [{best.pool}-{best.zone} {best.nodes} more]"
            self._world.event(pod, "Normal", "TriggeredScaleUp", message)
        return True

    def _option(
        self, pool: str, zone: str, pods: Sequence[Json], cluster: Cluster
    ) -> _Option | None:
        """How many nodes of a group would take the pods (binpacking estimator: first fit)."""
        offer = self._supply.offers[pool]
        room = (offer.count_max or 0) - self._supply.count(pool)
        new: list[NodeInfo] = []
        taken, hopeless = list[Json](), set[str]()
        world = _changed(cluster, [node.copy() for node in cluster.nodes])
        for pod in pods:
            info, alike = parse_pod(pod), _likeness(pod)
            if alike in hopeless:
                continue
            if new and _place(info, world, new) is not None:
                taken.append(pod)
                continue
            fresh = self._template(pool, zone, 1000 + len(new))
            bigger = _changed(world, [*world.nodes, fresh])
            if len(new) < room and _place(info, bigger, [fresh]) is not None:
                new.append(fresh)
                world = bigger
                taken.append(pod)
            else:
                hopeless.add(alike)
        if not taken:
            return None
        return _Option(pool, zone, len(new), taken, _waste(new))

    def _best(self, options: Sequence[_Option]) -> _Option:
        expander = self._settings.expander
        if expander == "random":
            return self._streams.stream("expander").choice(options)
        if expander == "price":
            # Price of the nodes for each pod that they help.
            return min(options, key=lambda o: self._price(o) * o.nodes / len(o.pods))
        if expander == "priority":
            order = {pool: i for i, pool in enumerate(self._settings.priorities)}
            return min(options, key=lambda o: (order.get(o.pool, len(order)), o.waste))
        return min(options, key=lambda o: o.waste)

    def _price(self, option: _Option) -> float:
        return self._supply.offers[option.pool].price_per_h

    def _scale_down(self, cluster: Cluster) -> None:
        now, settings = self._kernel.now_us, self._settings
        unneeded = {node.name: node for node in self._candidates(cluster)}
        since = self._unneeded_since
        self._unneeded_since = {name: since.get(name, now) for name in unneeded}
        quiet = self._added_at is None or now - self._added_at >= settings.delay_after_add_us
        if not quiet:
            return
        due = [n for n, at in self._unneeded_since.items() if now - at >= settings.unneeded_us]
        due = [name for name in sorted(due) if self._may_shrink(name)]
        empty = [name for name in due if not unneeded[name].pods][:EMPTY_AT_ONCE_MAX]
        for name in empty:
            if self._may_shrink(name):
                self._drain_and_remove(name, 0, lambda: None)
        busy = [name for name in due if unneeded[name].pods]
        if not empty and busy and self._draining is None:
            self._draining = busy[0]
            self._drain_and_remove(busy[0], settings.max_drain_us, self._drained)

    def _drained(self) -> None:
        self._draining = None

    def why_kept(
        self,
        name: str,
        *,
        cluster: Cluster | None = None,
        settings: ClusterAutoscalerSettings | None = None,
    ) -> Keep | None:
        """Why a node is not removed now; None when the next scan removes it."""
        settings, now = settings or self._settings, self._kernel.now_us
        kept = self._not_considered(name) or self._kept_by_waiting()
        if kept is not None:
            return kept
        cluster = self._with_upcoming(cluster or self._snapshot())
        node = next(node for node in cluster.nodes if node.name == name)
        kept = self._needed(node, cluster, settings) or self._kept_by_minimum(name)
        if kept is not None:
            return kept
        unneeded_until = self._unneeded_since.get(name, now) + settings.unneeded_us
        if now < unneeded_until:
            return Keep("unneeded time", "it has to be unneeded for longer", unneeded_until)
        if self._added_at is not None and now < self._added_at + settings.delay_after_add_us:
            until = self._added_at + settings.delay_after_add_us
            return Keep("delay after add", "a node was added lately", until)
        if node.pods and self._draining is not None:
            return Keep("one at a time", f"{self._draining} is drained first")
        return None

    @property
    def settings(self) -> ClusterAutoscalerSettings:
        """Its flags."""
        return self._settings

    def _candidates(self, cluster: Cluster) -> Iterable[NodeInfo]:
        for node in cluster.nodes:
            if (
                self._not_considered(node.name) is None
                and self._needed(node, cluster, self._settings) is None
            ):
                yield node

    def _needed(
        self, node: NodeInfo, cluster: Cluster, settings: ClusterAutoscalerSettings
    ) -> Keep | None:
        used = _utilization(node)
        if used >= settings.utilization:
            threshold = f"{settings.utilization:.0%}"
            return Keep("utilization", f"{used:.1%} of it is requested, {threshold} keep it")
        return self._kept_by_pods(node, cluster)

    def _may_shrink(self, name: str) -> bool:
        return name in self._supply.instances and self._kept_by_minimum(name) is None


@dataclass(slots=True)
class _Batch:
    since_us: Us
    last_us: Us
    pods: set[str] = field(default_factory=set)


class Karpenter(_Planner):
    """Karpenter: new nodes for batches of pods, the cheapest that fit; consolidation."""

    def __init__(
        self,
        kernel: Kernel,
        world: ApiWorld,
        supply: Supply,
        drains: Drains,
        snapshot: Callable[[], Cluster],
        settings: KarpenterSettings,
    ) -> None:
        super().__init__(kernel, world, supply, drains, snapshot)
        self._settings = settings
        self._batch: _Batch | None = None
        self._idle_since: dict[str, Us] = {}
        self._looks_at: Us = 0

    def step(self) -> Us | None:
        """What is due; answers when something is again."""
        now = self._kernel.now_us
        waiting = self._unschedulable()
        uids = {uid_of(pod) for pod in waiting}
        batch = self._batch
        if waiting and batch is None:
            batch = self._batch = _Batch(now, now, uids)
        elif batch is not None and uids - batch.pods:
            batch.pods, batch.last_us = batch.pods | uids, now
        due = self._looks_at
        if batch is not None:
            closes = min(
                batch.last_us + self._settings.idle_us, batch.since_us + self._settings.batch_max_us
            )
            if now >= closes:
                self._batch = None
                self._provision(waiting)
            else:
                due = min(due, closes) if due > now else closes
        if now >= self._looks_at:
            self._looks_at = now + self._settings.looks_every_us
            if not waiting:
                self._consolidate()
            due = self._looks_at if self._batch is None else min(self._looks_at, now + SECOND_US)
        return max(due, now + 1)

    def _provision(self, waiting: Sequence[Json]) -> None:
        cluster = _copied(self._with_upcoming(self._snapshot()))
        new: list[tuple[NodeInfo, str, str]] = []
        for pod in self._left_over(waiting, cluster):
            info = parse_pod(pod)
            if _place(info, cluster, [node for node, _, _ in new]) is not None:
                continue
            for pool, zone in self._cheapest_first():
                planned = sum(p == pool for _, p, _ in new)
                offer = self._supply.offers[pool]
                if self._supply.count(pool) + planned >= (offer.count_max or 0):
                    continue
                fresh = self._template(pool, zone, 1000 + len(new))
                bigger = _changed(cluster, [*cluster.nodes, fresh])
                if _place(info, bigger, [fresh]) is not None:
                    cluster = bigger
                    new.append((fresh, pool, zone))
                    break
            else:
                message = "no pool has a node that the pod would fit on, or its limit is reached"
                self._world.event(pod, "Warning", "FailedScheduling", message)
        for _, pool, zone in new:
            self._supply.launch(pool, zone)

    def _cheapest_first(self) -> list[tuple[str, str]]:
        there = {(p, z): 0 for p in self._supply.offers for z in self._supply.offers[p].pool.zones}
        for instance in self._supply.instances.values():
            there[instance.pool, instance.zone] += 1
        usable = [key for key in sorted(there) if not self._supply.in_drought(*key)]
        # Of equal prices the zone with the fewest.
        return sorted(usable, key=lambda key: (self._supply.offers[key[0]].price_per_h, there[key]))

    def _consolidate(self) -> None:
        now, cluster = self._kernel.now_us, self._with_upcoming(self._snapshot())
        mine = [node for node in cluster.nodes if self._not_considered(node.name) is None]
        budget = self._disruptions_left(len(mine))
        candidates = []
        for node in sorted(mine, key=lambda n: (len(n.pods), n.name)):
            if self._kept_by_pods(node, cluster) is None:
                candidates.append(node.name)
        since = self._idle_since
        self._idle_since = {name: since.get(name, now) for name in candidates}
        for name in candidates:
            waited = now - self._idle_since[name] >= self._settings.consolidate_after_us
            if budget <= 0:
                return
            if waited and self._kept_by_minimum(name) is None:
                budget -= 1
                self._drain_and_remove(name, None, lambda: None)
                return  # the next look sees what it has changed

    def why_kept(self, name: str, *, cluster: Cluster | None = None) -> Keep | None:
        """Why a node is not consolidated now; None when it is among the next."""
        kept = self._not_considered(name) or self._kept_by_waiting()
        if kept is not None:
            return kept
        cluster, now = self._with_upcoming(cluster or self._snapshot()), self._kernel.now_us
        node = next(node for node in cluster.nodes if node.name == name)
        kept = self._kept_by_pods(node, cluster) or self._kept_by_minimum(name)
        if kept is not None:
            return kept
        until = self._idle_since.get(name, now) + self._settings.consolidate_after_us
        if now < until:
            return Keep("consolidateAfter", "its pods could move, but not for long enough", until)
        mine = sum(self._not_considered(other.name) is None for other in cluster.nodes)
        if self._disruptions_left(mine) <= 0:
            share = f"{self._settings.budget:.0%}"
            return Keep("disruption budget", f"no more than {share} of the nodes go at a time")
        return None

    def _disruptions_left(self, mine: int) -> int:
        going = sum(self._goes(name) for name in self._supply.instances)
        return ceil(self._settings.budget * mine) - going


def _place(pod: PodInfo, cluster: Cluster, nodes: Sequence[NodeInfo]) -> NodeInfo | None:
    """The first of some nodes that a pod fits on; it is counted there."""
    filters = Filters.of(pod, cluster)
    if filters.conflict is not None:
        return None
    for node in nodes:
        if filters.rejection(node) is None:
            node.add(pod)
            return node
    return None


def _changed(cluster: Cluster, nodes: Sequence[NodeInfo]) -> Cluster:
    return replace(cluster, nodes=nodes)


def _copied(cluster: Cluster) -> Cluster:
    return _changed(cluster, [node.copy() for node in cluster.nodes])


def _unbound(pod: PodInfo) -> PodInfo:
    spec = {k: v for k, v in pod.obj["spec"].items() if k != "nodeName"}
    return parse_pod({**pod.obj, "spec": spec})


def _likeness(pod: Json) -> str:
    owners = pod["metadata"].get("ownerReferences") or ()
    return str(owners[0]["uid"]) if owners else uid_of(pod)


def _utilization(node: NodeInfo) -> float:
    shares = [
        node.requested.get(resource, 0) / node.allocatable[resource]
        for resource in ("cpu", "memory")
        if node.allocatable.get(resource)
    ]
    return max(shares, default=0.0)


def _waste(nodes: Sequence[NodeInfo]) -> float:
    """The part of cpu and of memory that stays unused, added up (expander/waste)."""
    total = 0.0
    for resource in ("cpu", "memory"):
        there = sum(node.allocatable.get(resource, 0) for node in nodes)
        used = sum(node.requested.get(resource, 0) for node in nodes)
        total += (there - used) / there if there else 0.0
    return total
