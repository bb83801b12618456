"""The machines of a scenario: pools, who adds and removes nodes, and what befalls them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from prism_operator.api.meta import NODE, Json, Ref, ref_of
from simulator.cluster.api import ApiWorld
from simulator.cluster.autoscaler import (
    ClusterAutoscaler,
    ClusterAutoscalerSettings,
    Karpenter,
    KarpenterSettings,
)
from simulator.cluster.drain import Drains, cordon
from simulator.cluster.eviction import evict
from simulator.cluster.kubelet import Kubelets
from simulator.cluster.nodes import Machine, Pool
from simulator.cluster.supply import Interruptions, Offer, Supply
from simulator.controllers.world import RefusedError
from simulator.inputs import BadInputError
from simulator.kernel import Component, Kernel, Phase
from simulator.randomness import Streams
from simulator.scenario.cluster import ClusterSpec, PoolSpec
from simulator.scenario.timeline import DrainAction, Event, NodeLossAction, NodesChoice
from simulator.scheduling.nodes import Cluster
from simulator.series import Recorder
from simulator.workloads.host import Workloads


class Infrastructure:
    """Supply, drains and an autoscaler, and the timeline's actions on nodes."""

    def __init__(
        self,
        kernel: Kernel,
        world: ApiWorld,
        cluster: ClusterSpec,
        machines: dict[str, Machine],
        kubelets: Kubelets,
        workloads: Workloads,
        snapshot: Callable[[], Cluster],
        streams: Streams,
        recorder: Recorder,
        *,
        path: Path,
        on_evicted: Callable[[Ref], None],
        on_lost: Callable[[], None],
        tell: Callable[[str, str], None],
    ) -> None:
        self._kernel, self.world, self._machines = kernel, world, machines
        self._kubelets, self._workloads, self._path = kubelets, workloads, path
        self._on_evicted, self._on_lost, self._tell = on_evicted, on_lost, tell
        self._cluster = cluster
        self.drains = Drains(kernel, world, on_evicted, tell)
        offers = {
            name: _offer(name, pool, cluster, streams) for name, pool in cluster.pools.items()
        }
        self.supply = Supply(
            kernel, world, machines, offers, streams, recorder, self.drains,
            on_lost=self._lose_one, tell=tell,
        )  # fmt: skip
        self._autoscaler: Component | None = None
        self.node_scaler: ClusterAutoscaler | Karpenter | None = None
        nodes = cluster.nodes
        common = (kernel, world, self.supply, self.drains, snapshot)
        if nodes.provisioner == "clusterAutoscaler":
            scaler = self.node_scaler = ClusterAutoscaler(
                *common,
                ClusterAutoscalerSettings(
                    nodes.scan,
                    nodes.unneeded,
                    nodes.delay_after_add,
                    nodes.utilization,
                    nodes.expander,
                    nodes.priorities,
                ),
                streams,
            )
            self._start(scaler.step, "cluster-autoscaler")
        elif nodes.provisioner == "karpenter":
            karpenter = self.node_scaler = Karpenter(
                *common,
                KarpenterSettings(
                    nodes.batch_idle, nodes.batch_max, nodes.consolidate_after, nodes.budget
                ),
            )
            self._start(karpenter.step, "karpenter")

    def _start(self, step: Callable[[], int | None], name: str) -> None:
        self._autoscaler = Component(self._kernel, Phase.CONTROLLER, name, step)
        self._autoscaler.wake_at(self._kernel.now_us + self._cluster.nodes.scan)

    def begin(self) -> None:
        """The nodes that are there from the start.

        Raises:
            BadInputError: The API server refuses them: a name or label that cannot be one.
        """
        try:
            self.supply.begin()
        except RefusedError as error:
            raise BadInputError([f"{self._path}: cluster.pools: {error}"]) from None

    # The timeline

    def act(self, event: Event) -> None:
        """Does what an event says about nodes, if it does.

        Raises:
            BadInputError: It names what is not there.
        """
        if event.node_loss is not None:
            self._lose_as_said(event.node_loss)
        if event.cordon is not None:
            for name in self._chosen(event.cordon, "cordon"):
                cordon(self.world, name)
        if event.uncordon is not None:
            for name in self._chosen(event.uncordon, "uncordon"):
                cordon(self.world, name, unschedulable=False)
        if event.drain is not None:
            self._drain(self._chosen(event.drain, "drain"), event.drain)
        if event.evict is not None:
            self._evict(event.evict)
        if (cut := event.spot_interruption) is not None:
            names = self._chosen(cut, "spotInterruption")
            self.supply.interrupt(names, cut.notice, seen=not cut.unseen)
        if event.drought is not None:
            pool = self._pool(event.drought.pool, "drought")
            zones = [event.drought.zone] if event.drought.zone else pool.zones
            for zone in zones:
                self.supply.drought(event.drought.pool, zone, event.drought.for_)

    def _drain(self, names: Sequence[str], action: DrainAction) -> None:
        """One after another: the next when a node is empty, or has taken too long."""
        if not names:
            return
        first, *rest = names
        within = action.timeout or None
        self.drains.start(first, within_us=within, then=lambda _: self._drain(rest, action))

    def _evict(self, target: Ref) -> None:
        pod = self.world.get(target)
        if pod is None:
            raise BadInputError([f"{self._path}: evict: there is no {target}"])
        refusal = evict(self.world, pod)
        if refusal is None:
            self._on_evicted(ref_of(pod))
        else:
            self._tell("eviction refused", f"{target}: {refusal}")

    def _chosen(self, choice: NodesChoice, action: str) -> list[str]:
        if choice.pool is not None:
            self._pool(choice.pool, action)
        labelled = [
            node["metadata"]["name"] for node in self.world.list(NODE) if is_chosen(node, choice)
        ]
        if not labelled:
            known = ", ".join(node["metadata"]["name"] for node in self.world.list(NODE))
            wanted = choice.node or " ".join(filter(None, (choice.pool, choice.zone)))
            raise BadInputError(
                [f'{self._path}: {action}: there is no node "{wanted}"; there are {known}']
            )
        return labelled[: choice.count]

    def _pool(self, name: str, action: str) -> Pool:
        offer = self.supply.offers.get(name)
        if offer is None:
            known = ", ".join(self.supply.offers)
            raise BadInputError(
                [f'{self._path}: {action}: there is no pool "{name}"; there are {known}']
            )
        return offer.pool

    # Losing nodes

    def _lose_as_said(self, loss: NodeLossAction) -> None:
        names = sorted(
            m.name
            for m in self._machines.values()
            if m.name in self.supply.instances
            and (
                loss.node == m.name
                or loss.zone == m.zone
                or loss.region == self._cluster.region_of(m.zone)
            )
        )
        if not names:
            where = "zone" if loss.zone else "region"
            wanted = (
                f'node "{loss.node}"'
                if loss.node
                else f'a node in {where} "{loss.zone or loss.region}"'
            )
            known = ", ".join(sorted(self.supply.instances))
            raise BadInputError(
                [f"{self._path}: nodeLoss: there is no {wanted}; there are {known}"]
            )
        self.lose(*names)
        for name in names:
            if loss.for_ is not None:
                back = self._kernel.now_us + loss.for_
                self._kernel.at(back, Phase.NODE, name, partial(self._recover, name))

    def lose(self, *names: str) -> None:
        """Cuts nodes off."""
        for name in names:
            self._lose_one(name)
            self._tell("lost", f"Node {name}")
        self._on_lost()

    def _lose_one(self, name: str) -> None:
        self._kubelets.lose(name)
        self._workloads.node_lost(name)

    def _recover(self, name: str) -> None:
        if name not in self.supply.instances:
            return  # it was taken back meanwhile
        self._tell("back", f"Node {name}")
        self._kubelets.recover(name)
        self._workloads.node_back(name)


def is_chosen(node: Json, choice: NodesChoice) -> bool:
    """Whether a node is one that an event of a timeline means."""
    labels = node["metadata"].get("labels") or {}
    if choice.node is not None:
        return bool(node["metadata"]["name"] == choice.node)
    return choice.pool in (None, labels.get("pool")) and choice.zone in (
        None,
        labels.get("topology.kubernetes.io/zone"),
    )


def pool_of(name: str, spec: PoolSpec, cluster: ClusterSpec) -> Pool:
    """The nodes that a pool of a scenario is of."""
    return Pool(
        name=name,
        zones=spec.zones or cluster.zones,
        count=spec.count,
        allocatable=spec.allocatable,
        labels=spec.node_labels,
        taints=[t.model_dump(exclude_defaults=True) for t in spec.taints],
        region_of=cluster.region_of,
        names=spec.names,
    )


def _offer(name: str, spec: PoolSpec, cluster: ClusterSpec, streams: Streams) -> Offer:
    interruptions = None
    if (how := spec.interruption) is not None:
        low, high = how.hazard.range
        interruptions = Interruptions(
            low + (high - low) * streams.stream("hazard", name).random(),
            how.zone_shock,
            how.shock_reach,
            how.notice,
            how.missed,
            how.drought,
        )
    pool = pool_of(name, spec, cluster)
    # Karpenter makes new nodes for pods that wait; groups keep their size.
    replaces = spec.max is None or cluster.nodes.provisioner != "karpenter"
    return Offer(
        pool, spec.price, spec.boot, spec.is_spot, interruptions, spec.max, spec.min, replaces
    )
