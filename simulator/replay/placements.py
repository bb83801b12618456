"""Whether the simulated scheduler would have put pods where the real one did.

Of nodes with the same score the real scheduler draws one, and what it draws changes what is best
for the next pod. So its decisions are gone through one by one, each from the cluster as it really
was: one that is among the best nodes is explained, whichever it drew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from prism_operator.api.meta import (
    NAMESPACE,
    NODE,
    POD,
    POD_DISRUPTION_BUDGET,
    REPLICA_SET,
    SERVICE,
    Json,
    Ref,
    uid_of,
)
from simulator.controllers.objects import is_deleting, is_terminal, node_of
from simulator.replay.decisions import workload_of
from simulator.scheduling.cache import surroundings_of
from simulator.scheduling.decision import evaluate, feasible_wanted
from simulator.scheduling.nodes import Cluster, NodeInfo, zone_order
from simulator.scheduling.pods import PodInfo, parse_pod
from simulator.scheduling.scheduler import why_unschedulable

WATCHED = (NAMESPACE, NODE, SERVICE, REPLICA_SET, POD_DISRUPTION_BUDGET, POD)
# The scheduler binds several pods at a time, so that the API server hears of them in another order.
_TOGETHER = 32


@dataclass(frozen=True, slots=True)
class Happened:
    """A change of an object, in the order of its resource version."""

    version: int
    ref: Ref
    new: Json | None


@dataclass(frozen=True, slots=True)
class Placement:
    """A pod and its node, or None; the nodes that were as good; why it is not explained."""

    workload: str
    pod: str
    node: str | None
    best: tuple[str, ...]
    problem: str = ""

    @property
    def is_drawn(self) -> bool:
        """Whether the real scheduler had a choice."""
        return len(self.best) > 1


def judge_placements(happened: Iterable[Happened]) -> list[Placement]:
    """Every decision of the real scheduler, and that pods that wait at the end have to."""
    view = _View()
    placements: list[Placement] = []
    log = sorted(happened, key=lambda h: h.version)
    done: set[str] = set()
    for i, change in enumerate(log):
        if view.is_bound_by(change) and change.new is not None:
            while uid_of(change.new) not in done:
                chosen = _next(view, log, i, done)
                placements.append(chosen)
        view.take(change)
    placements += [_waits(view, pod) for pod in view.waiting()]
    return placements


def _next(view: _View, log: Sequence[Happened], start: int, done: set[str]) -> Placement:
    """The next decision: of bindings that came together, the first that fits the cluster so far."""
    head: Placement | None = None
    seen: set[str] = set()
    for change in log[start : start + _TOGETHER * 4]:
        obj = change.new
        if obj is None or not view.is_bound_by(change) or uid_of(obj) in done | seen:
            continue
        seen.add(uid_of(obj))
        placement = _judge(view, obj)
        head = head or placement
        if not placement.problem:
            return _take(view, obj, placement, done)
        if len(seen) >= _TOGETHER:
            break
    first = log[start].new
    if head is None or first is None:
        raise AssertionError("there is a binding where the search begins")
    return _take(view, first, head, done)


def _take(view: _View, obj: Json, placement: Placement, done: set[str]) -> Placement:
    done.add(uid_of(obj))
    view.bind(obj)
    return placement


def _judge(view: _View, obj: Json) -> Placement:
    node, cluster = node_of(obj), view.cluster()
    evaluation = evaluate(view.parse({**obj, "spec": _unbound(obj)}), cluster)
    name = f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"
    most = max(evaluation.totals, default=0)
    scores = {
        info.name: total for info, total in zip(evaluation.feasible, evaluation.totals, strict=True)
    }
    best = tuple(sorted(n for n, total in scores.items() if total == most))
    problem = ""
    if node not in scores:
        problem = f"{node}: {why_unschedulable(evaluation, cluster)}"
    elif node not in best and feasible_wanted(len(cluster.nodes)) >= len(scores):
        # Of more nodes the real scheduler looks at a sample only, from where it stopped last.
        problem = f"score {scores[node]} where {', '.join(best[:3])} had {most}"
    return Placement(workload_of(obj), name, node, best, problem)


def _waits(view: _View, obj: Json) -> Placement:
    evaluation = evaluate(view.parse(obj), view.cluster())
    name = f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"
    fits = tuple(sorted(info.name for info in evaluation.feasible))
    problem = f"it waits, and could go to {', '.join(fits[:3])}" if fits else ""
    return Placement(workload_of(obj), name, None, (), problem)


def _unbound(obj: Json) -> Json:
    return {k: v for k, v in obj["spec"].items() if k != "nodeName"}


class _View:
    """The cluster as the real scheduler knew it."""

    def __init__(self) -> None:
        self._objects: dict[Ref, Json] = {}
        self._nodes: dict[str, NodeInfo] = {}
        self._around: Cluster | None = None

    def is_bound_by(self, change: Happened) -> bool:
        """Whether a pod that waited has a node since."""
        before = self._objects.get(change.ref)
        return (
            change.ref.resource == POD
            and change.new is not None
            and before is not None
            and uid_of(before) == uid_of(change.new)
            and not node_of(before)
            and bool(node_of(change.new))
        )

    def take(self, change: Happened) -> None:
        """The change is made."""
        before = self._objects.pop(change.ref, None)
        if change.new is not None:
            self._objects[change.ref] = change.new
        if change.ref.resource == POD:
            for pod in (before, change.new):
                self._nodes.pop(node_of(pod) if pod is not None else "", None)
        elif change.ref.resource == NODE:
            self._nodes.pop(change.ref.name, None)
        else:
            self._around = None

    def bind(self, pod: Json) -> None:
        """A pod is on its node before the API server hears of it."""
        meta = pod["metadata"]
        self.take(Happened(0, Ref(POD, meta["namespace"], meta["name"]), pod))

    def waiting(self) -> list[Json]:
        """The pods that have no node."""
        pods = self._of(POD)
        return [p for p in pods if not node_of(p) and not is_deleting(p) and not is_terminal(p)]

    def parse(self, pod: Json) -> PodInfo:
        """A pod as the scheduler sees it."""
        return parse_pod(pod)

    def cluster(self) -> Cluster:
        """To decide from."""
        nodes = self._of(NODE)
        missing = {n["metadata"]["name"] for n in nodes} - self._nodes.keys()
        if missing:
            on: dict[str, list[PodInfo]] = {name: [] for name in missing}
            for pod in self._of(POD):
                if node_of(pod) in missing and not is_terminal(pod):
                    on[node_of(pod)].append(parse_pod(pod))
            for node in nodes:
                name = node["metadata"]["name"]
                if name in missing:
                    self._nodes[name] = NodeInfo.parse(node, on[name])
        if self._around is None:
            self._around = surroundings_of(
                *map(self._of, (NAMESPACE, SERVICE, REPLICA_SET, POD_DISRUPTION_BUDGET))
            )
        order = zone_order([self._nodes[node["metadata"]["name"]] for node in nodes])
        around = self._around
        return Cluster(order, around.namespaces, around.services, around.owners, around.budgets)

    def _of(self, resource: object) -> list[Json]:
        return [self._objects[ref] for ref in sorted(self._objects) if ref.resource == resource]
