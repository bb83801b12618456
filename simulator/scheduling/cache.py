"""The scheduler's view of the cluster, parsed anew only where something changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prism_operator.api.meta import (
    NAMESPACE,
    NODE,
    POD,
    POD_DISRUPTION_BUDGET,
    REPLICA_SET,
    SERVICE,
    Json,
    uid_of,
)
from simulator.cluster.api import ApiWorld
from simulator.cluster.pods import Pods
from simulator.controllers.objects import is_terminal, labels_of, node_of
from simulator.controllers.world import Change
from simulator.scheduling.nodes import Cluster, NodeInfo, zone_order
from simulator.scheduling.pods import PodInfo, parse_pod
from simulator.scheduling.selectors import Selector, compile_selector


class SchedulerCache:
    """The ``Cluster`` as it is now. Told about every change before it is asked."""

    def __init__(self, world: ApiWorld) -> None:
        self._world, self._pods = world, Pods(world)
        self._parsed: dict[str, tuple[Json, PodInfo]] = {}
        self._nodes: dict[str, NodeInfo] = {}
        self._order: list[NodeInfo] | None = None
        self._changed_nodes: set[str] = set()
        self._surroundings: Cluster | None = None

    def changed(self, change: Change) -> None:
        """Notes what has to be parsed anew."""
        if change.ref.resource == NODE:
            self._changed_nodes.add(change.ref.name)
        elif change.ref.resource == POD:
            self._changed_nodes.update(
                name for pod in (change.old, change.new) if pod and (name := node_of(pod))
            )
            if change.new is None:
                self._parsed.pop(uid_of(change.latest), None)
        elif change.ref.resource in _SURROUNDINGS:
            self._surroundings = None

    def parse(self, pod: Json) -> PodInfo:
        """A pod, parsed once for each version of it."""
        uid = uid_of(pod)
        known = self._parsed.get(uid)
        if known is None or known[0] is not pod:
            known = self._parsed[uid] = pod, parse_pod(pod)
        return known[1]

    def cluster(self) -> Cluster:
        """The cluster now."""
        for name in sorted(self._changed_nodes):
            self._nodes.pop(name, None)
            self._order = None
        if self._order is None:
            self._order = zone_order([self._node(node) for node in self._world.list(NODE)])
        self._changed_nodes.clear()
        if self._surroundings is None:
            self._surroundings = self._read_surroundings()
        around = self._surroundings
        return Cluster(
            self._order,
            around.namespaces,
            around.services,
            around.owners,
            around.budgets,
            self._nominated(),
        )

    def labels_of(self, namespace: str) -> Mapping[str, str]:
        """The labels of a namespace."""
        if self._surroundings is None:
            self._surroundings = self._read_surroundings()
        return self._surroundings.labels_of(namespace)

    def _node(self, node: Json) -> NodeInfo:
        name = node["metadata"]["name"]
        if name not in self._nodes:
            pods = [self.parse(pod) for pod in self._pods.on(name) if not is_terminal(pod)]
            self._nodes[name] = NodeInfo.parse(node, pods)
        return self._nodes[name]

    def _nominated(self) -> dict[str, list[PodInfo]]:
        nominated: dict[str, list[PodInfo]] = {}
        for pod in self._pods.waiting():
            name = (pod.get("status") or {}).get("nominatedNodeName")
            if name:
                nominated.setdefault(name, []).append(self.parse(pod))
        return nominated

    def _read_surroundings(self) -> Cluster:
        world = self._world
        return surroundings_of(
            world.list(NAMESPACE),
            world.list(SERVICE),
            world.list(REPLICA_SET),
            world.list(POD_DISRUPTION_BUDGET),
        )


def surroundings_of(
    namespaces: Sequence[Json],
    services: Sequence[Json],
    replica_sets: Sequence[Json],
    budgets: Sequence[Json],
) -> Cluster:
    """What counts for scheduling but nodes and pods, as a cluster without these."""
    selectors: dict[str, list[Mapping[str, str]]] = {}
    for service in services:
        if service["spec"].get("selector") is not None:
            namespace = service["metadata"]["namespace"]
            selectors.setdefault(namespace, []).append(service["spec"]["selector"])
    owners: dict[tuple[str, str, str], Selector] = {
        (
            owner["metadata"]["namespace"],
            f"{REPLICA_SET.api_version}/{REPLICA_SET.kind}",
            owner["metadata"]["name"],
        ): compile_selector(owner["spec"].get("selector"))
        for owner in replica_sets
    }
    return Cluster(
        (),
        namespaces={n["metadata"]["name"]: labels_of(n) for n in namespaces},
        services=selectors,
        owners=owners,
        budgets=budgets,
    )


_SURROUNDINGS = (NAMESPACE, SERVICE, REPLICA_SET, POD_DISRUPTION_BUDGET)
