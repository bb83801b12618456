"""Whether the simulated scheduler would have put pods where the real one did.

Of nodes with the same score the real scheduler draws one, and what it draws changes what is best
for the next pod. So its decisions are gone through one by one, each from the cluster as it really
was: one that is among the best nodes is explained, whichever it drew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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
from simulator.controllers.objects import is_deleting, is_terminal, labels_of, node_of
from simulator.replay.decisions import workload_of
from simulator.scheduling.cache import surroundings_of
from simulator.scheduling.decision import evaluate, feasible_wanted
from simulator.scheduling.nodes import Cluster, NodeInfo, zone_order
from simulator.scheduling.pods import PodInfo, parse_pod
from simulator.scheduling.scheduler import why_unschedulable

WATCHED = (NAMESPACE, NODE, SERVICE, REPLICA_SET, POD_DISRUPTION_BUDGET, POD)
# How far the real order may be from that in which the API server heard: the scheduler binds several
# pods at once, and hears of what others do a little later.
_WINDOWS = (4, 16, 48)
_TRIES_MIN, _TRIES_EACH = 500, 20


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
    """Every decision of the real scheduler, and that pods that wait at the end have to.

    Its decisions are taken in an order near that in which the API server heard of them, in which
    all of them are explained if there is one.
    """
    items, waiting = _relevant(sorted(happened, key=lambda h: h.version))
    placements, view = _explained(items) or _greedy(items)
    return [*placements, *(_waits(view, pod) for pod in waiting)]


@dataclass(frozen=True, slots=True)
class _Item:
    """A binding by the scheduler, or what else changes what is best."""

    change: Happened
    is_binding: bool

    @property
    def pod(self) -> Json:
        """Of a binding."""
        return self.change.new or {}


def _relevant(log: Sequence[Happened]) -> tuple[list[_Item], list[Json]]:
    """What matters to the scheduler, in order; and the pods that wait at the end."""
    now: dict[Ref, Json] = {}
    items: list[_Item] = []
    for change in log:
        before, new = now.pop(change.ref, None), change.new
        if new is not None:
            now[change.ref] = new
        if change.ref.resource != POD:
            if before is None or new is None or _shape(before) != _shape(new):
                items.append(_Item(change, is_binding=False))
            continue
        there, here = _on_a_node(before), _on_a_node(new)
        is_same = before is not None and new is not None and uid_of(before) == uid_of(new)
        if here and is_same and before is not None and not node_of(before):
            items.append(_Item(change, is_binding=True))
        elif there != here or (there and here and labels_of(before or {}) != labels_of(new or {})):
            items.append(_Item(change, is_binding=False))
    pods = [now[ref] for ref in sorted(now) if ref.resource == POD]
    return items, [p for p in pods if not node_of(p) and not is_deleting(p) and not is_terminal(p)]


def _shape(obj: Json) -> object:
    """What of a node, a Service, a ReplicaSet or a namespace counts for the scheduler."""
    status = obj.get("status") or {}
    offered = (status.get("allocatable"), status.get("images"))
    wanted = {k: v for k, v in (obj.get("spec") or {}).items() if k != "replicas"}
    return labels_of(obj), wanted, offered


def _on_a_node(pod: Json | None) -> bool:
    return pod is not None and bool(node_of(pod)) and not is_terminal(pod)


def _explained(items: Sequence[_Item]) -> tuple[list[Placement], _View] | None:
    """An order in which every binding was to one of the best nodes, if one is found."""
    for window in _WINDOWS:
        for late in (False, True):  # whether what others did was heard late
            found = _search(items, window, late=late)
            if found is not None:
                return found
    return None


def _search(
    items: Sequence[_Item], window: int, *, late: bool
) -> tuple[list[Placement], _View] | None:
    view, left = _View(), list(range(len(items)))
    tries = max(_TRIES_MIN, _TRIES_EACH * len(items))
    placements: list[Placement | None] = []
    undo: list[tuple[int, int, Happened]] = []  # where it stood, which it was, how to undo it
    open_: list[Iterator[int]] = [iter(_candidates(items, left, window, late=late))]
    while left:
        for number in open_[-1]:
            item = items[number]
            placement = None
            if item.is_binding:
                tries -= 1
                placement = _judge(view, item.pod)
                if placement.problem:
                    continue
            at = left.index(number)
            del left[at]
            undo.append((at, number, view.take(item.change)))
            placements.append(placement)
            open_.append(iter(_candidates(items, left, window, late=late)))
            break
        else:
            open_.pop()
            if not undo or tries < 0:
                return None
            at, number, change = undo.pop()
            left.insert(at, number)
            view.take(change)
            placements.pop()
    return [p for p in placements if p is not None], view


def _candidates(
    items: Sequence[_Item], left: Sequence[int], window: int, *, late: bool
) -> list[int]:
    """What may have been next: any binding of the first few, and the first other change."""
    bindings: dict[tuple[str, str], int] = {}
    others: list[int] = []
    for number in left[:window]:
        item = items[number]
        if item.is_binding:
            # Of pods that are alike it does not matter which came first.
            bindings.setdefault((workload_of(item.pod), node_of(item.pod)), number)
        elif not others:
            others.append(number)
    both = [*bindings.values(), *others]
    return both if late else sorted(both)


def _greedy(items: Sequence[_Item]) -> tuple[list[Placement], _View]:
    """Where no such order is found: the next that is explained, else the next with its problem."""
    view, left, placements = _View(), list(range(len(items))), list[Placement]()
    while left:
        first: Placement | None = None
        for number in _candidates(items, left, _WINDOWS[1], late=False):
            item = items[number]
            placement = _judge(view, item.pod) if item.is_binding else None
            if placement is None or not placement.problem:
                break
            first = first or placement
        else:
            number, placement = left[0], first
        left.remove(number)
        view.take(items[number].change)
        if placement is not None:
            placements.append(placement)
    return placements, view


def _judge(view: _View, obj: Json) -> Placement:
    node, cluster = node_of(obj), view.cluster()
    evaluation = evaluate(parse_pod({**obj, "spec": _unbound(obj)}), cluster)
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
    evaluation = evaluate(parse_pod(obj), view.cluster())
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

    def take(self, change: Happened) -> Happened:
        """The change is made; what undoes it."""
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
        return Happened(change.version, change.ref, before)

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
            kinds = (NAMESPACE, SERVICE, REPLICA_SET, POD_DISRUPTION_BUDGET)
            self._around = surroundings_of(*map(self._of, kinds))
        around = self._around
        return Cluster(
            zone_order([self._nodes[node["metadata"]["name"]] for node in nodes]),
            around.namespaces,
            around.services,
            around.owners,
            around.budgets,
        )

    def _of(self, resource: object) -> list[Json]:
        return [self._objects[ref] for ref in sorted(self._objects) if ref.resource == resource]
