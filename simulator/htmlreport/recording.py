"""What a report shows of a run beyond its numbers: where pods and nodes were, and what happened."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from prism_operator.api.meta import NODE, POD, Json
from simulator.cluster.nodes import ZONE_LABEL
from simulator.controllers.objects import is_deleting, is_ready, labels_of, node_of
from simulator.controllers.world import Change
from simulator.htmlreport.happenings import Happenings
from simulator.kernel import Us
from simulator.run import Simulation
from simulator.series import Recorder

WAITING, STARTING = "waiting", "starting"
SPOT, ON_DEMAND = "spot", "on demand"


class PodState(IntEnum):
    """What a pod is doing. The page knows these numbers."""

    WAITING = 0  # for a node
    STARTING = 1
    READY = 2
    UNREADY = 3  # it was ready before
    STOPPING = 4


class NodeState(IntEnum):
    """What may be said of a node. The page knows these numbers."""

    READY = 0
    CORDONED = 1
    NOT_READY = 2


@dataclass(slots=True)
class Life:
    """A pod or a node from its beginning to its end; ``states`` say what it was from when on."""

    name: str
    began_us: Us
    states: list[tuple[Us, int]] = field(default_factory=list)
    ended_us: Us | None = None

    def turn(self, at_us: Us, state: int) -> None:
        """From now on it is in this state."""
        if self.states and self.states[-1][0] == at_us:
            self.states.pop()
        if not self.states or self.states[-1][1] != state:
            self.states.append((at_us, state))

    @property
    def state(self) -> int | None:
        """The newest state; None before the first, and after the end."""
        return self.states[-1][1] if self.states and self.ended_us is None else None


@dataclass(slots=True)
class PodLife(Life):
    """A pod: who owns it, and where it runs once it is bound."""

    owner: str = ""
    node: str = ""


@dataclass(slots=True)
class NodeLife(Life):
    """A node: its place, its pool, and whether the cloud may take it back."""

    zone: str = ""
    pool: str = ""
    is_spot: bool = False

    @property
    def group(self) -> str:
        """Nodes of one zone and lifecycle are counted together."""
        return f"{self.zone}, {SPOT if self.is_spot else ON_DEMAND}"


class Recording:
    """Everything about pods, nodes and happenings of a simulation that has not begun to run.

    ``recorder`` has the numbers of pods that wait for a node or start, and of nodes by group.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._kernel, self._pools = simulation.kernel, simulation.scenario.cluster.pools
        self._lives: dict[str, Life] = {}
        self._counts: dict[str, int] = {}
        self.pods: list[PodLife] = []
        self.nodes: list[NodeLife] = []
        self.recorder = Recorder()
        self.happenings = Happenings(simulation.scenario)
        for name in (WAITING, STARTING):
            self._count(name, 0)
        for node in simulation.cache.list(NODE):
            self._node(node, is_gone=False)
        simulation.cache.on_change(self._changed)
        simulation.trace.on_told(self.happenings.told)

    def _changed(self, change: Change) -> None:
        obj, is_gone = change.latest, change.new is None
        match change.ref.resource.kind:
            case POD.kind:
                self._pod(obj, is_gone=is_gone)
            case NODE.kind:
                self._node(obj, is_gone=is_gone)
            case "Event" if not is_gone:
                self.happenings.announced(self._kernel.now_us, obj)

    def _pod(self, pod: Json, *, is_gone: bool) -> None:
        now_us, meta = self._kernel.now_us, pod["metadata"]
        life = self._lives.get(meta["uid"])
        if not isinstance(life, PodLife):
            if is_gone:
                return
            life = PodLife(meta["name"], now_us, owner=_owner(pod))
            self._lives[meta["uid"]] = life
            self.pods.append(life)
        before = life.state
        life.node = node_of(pod) or life.node
        if is_gone or (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            life.ended_us = life.ended_us or now_us
        else:
            life.turn(
                now_us, _pod_state(pod, was_ready=before in (PodState.READY, PodState.UNREADY))
            )
        for name, state in ((WAITING, PodState.WAITING), (STARTING, PodState.STARTING)):
            self._count(name, (life.state == state) - (before == state))

    def _node(self, node: Json, *, is_gone: bool) -> None:
        now_us, meta = self._kernel.now_us, node["metadata"]
        life = self._lives.get(meta["uid"])
        if not isinstance(life, NodeLife):
            labels = labels_of(node)
            pool = labels.get("pool", "")
            spec = self._pools.get(pool)
            is_spot = spec is not None and spec.is_spot
            zone = labels.get(ZONE_LABEL, "")
            life = NodeLife(meta["name"], now_us, zone=zone, pool=pool, is_spot=is_spot)
            self._lives[meta["uid"]] = life
            self.nodes.append(life)
        was_ready = life.state == NodeState.READY
        if is_gone:
            life.ended_us = now_us
        elif not is_ready(node):
            life.turn(now_us, NodeState.NOT_READY)
        elif node["spec"].get("unschedulable"):
            life.turn(now_us, NodeState.CORDONED)
        else:
            life.turn(now_us, NodeState.READY)
        self._count(life.group, (life.state == NodeState.READY) - was_ready)

    def _count(self, name: str, by: int) -> None:
        self._counts[name] = self._counts.get(name, 0) + by
        self.recorder.series(name).set(self._kernel.now_us, self._counts[name])


def _pod_state(pod: Json, *, was_ready: bool) -> PodState:
    if is_deleting(pod):
        return PodState.STOPPING
    if not node_of(pod):
        return PodState.WAITING
    if is_ready(pod):
        return PodState.READY
    return PodState.UNREADY if was_ready else PodState.STARTING


def _owner(pod: Json) -> str:
    """What people call it: the Deployment, whose ReplicaSets add a hash to its name."""
    for owner in pod["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            name = str(owner["name"])
            return name.rpartition("-")[0] or name if owner["kind"] == "ReplicaSet" else name
    return str(pod["metadata"]["name"])
