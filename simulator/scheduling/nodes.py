"""Nodes with the pods on them, as the scheduler's cache holds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from prism_operator.api.meta import Json
from simulator.controllers.objects import labels_of
from simulator.scheduling.pods import REGION, ZONE, HostPort, PodInfo
from simulator.scheduling.requests import Amounts, amounts
from simulator.scheduling.selectors import Labels, Selector


@dataclass(slots=True, eq=False)
class NodeInfo:
    """A node and what is used of it. Compared by identity."""

    obj: Json
    name: str
    labels: Labels
    taints: tuple[Json, ...]
    is_unschedulable: bool
    allocatable: Amounts
    images: Mapping[str, int]  # size in bytes, by every name of the image
    pods: list[PodInfo] = field(default_factory=list)
    requested: Amounts = field(default_factory=dict)
    scored_cpu: int = 0
    scored_memory: int = 0

    @classmethod
    def parse(cls, node: Json, pods: Iterable[PodInfo] = ()) -> NodeInfo:
        """Reads a node as the API has it, with the pods on it."""
        spec, status = node["spec"], node.get("status") or {}
        info = cls(
            obj=node,
            name=node["metadata"]["name"],
            labels=labels_of(node),
            taints=tuple(spec.get("taints") or ()),
            is_unschedulable=bool(spec.get("unschedulable")),
            allocatable=amounts(status.get("allocatable")),
            images={
                name: image.get("sizeBytes", 0)
                for image in status.get("images") or ()
                for name in image.get("names") or ()
            },
        )
        for pod in pods:
            info.add(pod)
        return info

    def add(self, pod: PodInfo) -> None:
        """Counts a pod in."""
        self.pods.append(pod)
        self._count(pod, +1)

    def remove(self, pod: PodInfo) -> None:
        """Counts a pod out."""
        self.pods.remove(pod)
        self._count(pod, -1)

    def copy(self) -> NodeInfo:
        """Another one that can be changed; shares what never changes."""
        return NodeInfo(
            self.obj,
            self.name,
            self.labels,
            self.taints,
            self.is_unschedulable,
            self.allocatable,
            self.images,
            list(self.pods),
            dict(self.requested),
            self.scored_cpu,
            self.scored_memory,
        )

    @property
    def ports(self) -> Iterable[HostPort]:
        """The ports of the node that pods have taken."""
        return (port for pod in self.pods for port in pod.ports)

    def free(self, resource: str) -> int:
        """What is left of a resource; below zero on a node that holds too much."""
        return self.allocatable.get(resource, 0) - self.requested.get(resource, 0)

    def _count(self, pod: PodInfo, sign: int) -> None:
        for resource, value in pod.requests.items():
            self.requested[resource] = self.requested.get(resource, 0) + sign * value
        cpu, memory = pod.scored_requests
        self.scored_cpu += sign * cpu
        self.scored_memory += sign * memory


@dataclass(slots=True)
class Cluster:
    """What a scheduling decision is made from. ``nodes`` are in the scheduler's order.

    ``services`` and ``owners`` give the system's default spread its selectors: by namespace those
    of Services, and by (namespace, kind, name) the selectors of ReplicaSets and StatefulSets.
    ``nominated`` are the waiting pods that preemption has promised a node to, by its name.
    """

    nodes: Sequence[NodeInfo]
    namespaces: Mapping[str, Labels] = field(default_factory=dict)
    services: Mapping[str, Sequence[Mapping[str, str]]] = field(default_factory=dict)
    owners: Mapping[tuple[str, str, str], Selector] = field(default_factory=dict)
    budgets: Sequence[Json] = ()
    nominated: Mapping[str, Sequence[PodInfo]] = field(default_factory=dict)

    def labels_of(self, namespace: str) -> Labels:
        """The labels of a namespace."""
        return self.namespaces.get(namespace, {})

    def image_counts(self, images: Iterable[str]) -> dict[str, int]:
        """On how many nodes each image is."""
        return {image: sum(image in node.images for node in self.nodes) for image in set(images)}


def zone_order(nodes: Sequence[NodeInfo]) -> list[NodeInfo]:
    """Nodes as the scheduler looks at them: one of each zone in turn (``node_tree.go``).

    Zones come by the first appearance of their region and name; nodes without either make one too.
    """
    zones: dict[tuple[str, str], list[NodeInfo]] = {}
    for node in nodes:
        key = node.labels.get(REGION, ""), node.labels.get(ZONE, "")
        zones.setdefault(key, []).append(node)
    longest = max((len(members) for members in zones.values()), default=0)
    return [
        members[turn]
        for turn in range(longest)
        for members in zones.values()
        if turn < len(members)
    ]
