"""Small changes after which the scheduler would have placed a pod, or placed it elsewhere.

Each is made to copies of the pod and the cluster, and ``evaluate`` decides again. Of every kind of
change the smallest that helps is told; one that alone does not help is not.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace

from prism_operator.api.meta import Json
from simulator.cluster.nodes import HOSTNAME_LABEL, build_node
from simulator.cluster.supply import Offer
from simulator.explaining.amounts import asking, shown, unit
from simulator.explaining.answers import WhatIf, smallest
from simulator.explaining.placements import taint_text, untolerated
from simulator.scheduling.decision import Evaluation, evaluate
from simulator.scheduling.nodes import Cluster, NodeInfo
from simulator.scheduling.pods import PodInfo, parse_pod
from simulator.scheduling.preemption import preempt, room_on

_NOBODY_IS_MORE_IMPORTANT = 2**31
_WEIGHT_MAX = 100  # of a preference


@dataclass(frozen=True, slots=True)
class _Case:
    """A pod and the cluster as they were, and what was decided."""

    obj: Json
    pod: PodInfo
    cluster: Cluster
    evaluation: Evaluation

    def placed(self, obj: Json | None = None, cluster: Cluster | None = None) -> str | None:
        """The node that the scheduler would choose, were things like this."""
        evaluation = evaluate(parse_pod(obj or self.obj), cluster or self.cluster)
        return None if evaluation.best is None else evaluation.best.name

    def with_node(self, node: NodeInfo) -> Cluster:
        """The cluster with one node as it could be, or with one more."""
        others = [node if other.name == node.name else other for other in self.cluster.nodes]
        if all(other is not node for other in others):
            others.append(node)
        return replace(self.cluster, nodes=others)

    def rejected_by(self, plugin: str) -> list[NodeInfo]:
        """The nodes that a filter rejected."""
        why = self.evaluation.rejections
        return [n for n in self.cluster.nodes if n.name in why and why[n.name].plugin == plugin]


def somewhere(
    obj: Json, cluster: Cluster, evaluation: Evaluation, offers: Mapping[str, Offer]
) -> tuple[WhatIf, ...]:
    """What would have given a place to a pod that has none."""
    if evaluation.best is not None:
        return ()
    case = _Case(obj, parse_pod(obj), cluster, evaluation)
    return tuple(
        itertools.chain(
            _less_requested(case),
            _one_more_node(case, offers),
            _uncordoned(case),
            _tolerating(case),
            _labelled(case),
            _without_node_affinity(case),
            _looser_spread(case),
            _without_pod_affinity(case),
            _others_gone(case),
            _more_important(case),
        )
    )


def elsewhere(obj: Json, cluster: Cluster, evaluation: Evaluation) -> tuple[WhatIf, ...]:
    """What would have sent a pod to another node than it was sent to."""
    if evaluation.best is None:
        return ()
    case = _Case(obj, parse_pod(obj), cluster, evaluation)
    return tuple(
        itertools.chain(
            _without_node(case, evaluation.best),
            _other_request(case, evaluation.best),
            _preferring(case, evaluation.best),
        )
    )


# Towards a place


def _less_requested(case: _Case) -> Iterator[WhatIf]:
    """Of each node what the pod asks too much, the least first."""
    pod, tries = case.pod, []
    for node in case.rejected_by("NodeResourcesFit"):
        lacking = {
            resource: -(-(wanted - node.free(resource)) // unit(resource)) * unit(resource)
            for resource, wanted in pod.requests.items()
            if wanted > 0 and node.free(resource) < wanted
        }
        if lacking:
            share = sum(amount / pod.requests[resource] for resource, amount in lacking.items())
            tries.append((share, node.name, lacking))
    tried = set[tuple[tuple[str, int], ...]]()
    for _, _, lacking in sorted(tries, key=lambda t: t[:2]):
        key = tuple(sorted(lacking.items()))
        if key in tried:
            continue
        tried.add(key)
        smaller: Json | None = case.obj
        for resource, amount in key:
            smaller = smaller and asking(smaller, resource, -amount)
        went = None if smaller is None else case.placed(smaller)
        if went is not None:
            parts = [
                f"{shown(r, a)} less {r} requested ({shown(r, pod.requests[r] - a)} instead of "
                f"{shown(r, pod.requests[r])})"
                for r, a in key
            ]
            yield WhatIf(" and ".join(parts), _goes(went))
            return


def _one_more_node(case: _Case, offers: Mapping[str, Offer]) -> Iterator[WhatIf]:
    for name, offer in sorted(offers.items()):
        zones, went = [], ""
        for zone in offer.pool.zones:
            fresh = build_node(offer.pool, f"{name}-{zone}-new", zone, 0, 0)
            node = case.placed(cluster=case.with_node(NodeInfo.parse(fresh)))
            if node is not None:
                zones.append(zone)
                went = went or node
        if zones:
            where = f"zone {' or '.join(zones)}" if len(zones) < len(offer.pool.zones) else ""
            anywhere = "any zone" if len(offer.pool.zones) > 1 else f"zone {offer.pool.zones[0]}"
            yield WhatIf(f"one more node of pool {name} in {where or anywhere}", _goes(went))


def _uncordoned(case: _Case) -> Iterator[WhatIf]:
    for node in case.rejected_by("NodeUnschedulable"):
        open_again = node.copy()
        open_again.is_unschedulable = False
        open_again.taints = tuple(
            t for t in node.taints if t["key"] != "node.kubernetes.io/unschedulable"
        )
        if went := case.placed(cluster=case.with_node(open_again)):
            yield WhatIf(f"node {node.name} uncordoned", _goes(went))
            return


def _tolerating(case: _Case) -> Iterator[WhatIf]:
    by_text: dict[tuple[str, ...], list[Json]] = {}
    for node in case.rejected_by("TaintToleration"):
        taints = untolerated(case.pod, node)
        by_text.setdefault(tuple(sorted(map(taint_text, taints))), taints)
    for texts, taints in sorted(by_text.items(), key=lambda item: (len(item[0]), item[0])):
        more = [{"operator": "Equal", "value": "", **taint} for taint in taints]
        tolerating = _edited(case.obj, tolerations=[*case.pod.tolerations, *more])
        if went := case.placed(tolerating):
            yield WhatIf(f"a toleration of {' and '.join(texts)}", _goes(went))
            return


def _labelled(case: _Case) -> Iterator[WhatIf]:
    for node in case.rejected_by("NodeAffinity"):
        missing = {k: v for k, v in case.pod.node_selector if node.labels.get(k) != v}
        if not missing:
            continue
        labelled = node.copy()
        labelled.labels = {**node.labels, **missing}
        if went := case.placed(cluster=case.with_node(labelled)):
            labels = ", ".join(f"{key}={value}" for key, value in missing.items())
            yield WhatIf(f"label {labels} on node {node.name}", _goes(went))
            return


def _without_node_affinity(case: _Case) -> Iterator[WhatIf]:
    spec = case.obj["spec"]
    if spec.get("nodeSelector") and (went := case.placed(_edited(case.obj, nodeSelector=None))):
        yield WhatIf("no nodeSelector", _goes(went))
    affinity = deepcopy(spec.get("affinity") or {})
    if (affinity.get("nodeAffinity") or {}).pop(_REQUIRED, None) and (
        went := case.placed(_edited(case.obj, affinity=affinity))
    ):
        yield WhatIf("node affinity preferred instead of required", _goes(went))


def _looser_spread(case: _Case) -> Iterator[WhatIf]:
    spread, hard = case.evaluation.filters.spread, 0
    if spread is None:
        return
    constraints = case.obj["spec"]["topologySpreadConstraints"]
    for index, constraint in enumerate(constraints):
        if constraint["whenUnsatisfiable"] != "DoNotSchedule":
            continue
        key, most, mine = constraint["topologyKey"], constraint["maxSkew"], hard
        hard += 1

        def changed(at: int = index, **fields: object) -> str | None:
            others = [{**c, **fields} if i == at else c for i, c in enumerate(constraints)]
            return case.placed(_edited(case.obj, topologySpreadConstraints=others))

        there = [node for node in case.cluster.nodes if key in node.labels]
        for skew in sorted({skew for node in there if (skew := spread.skew(mine, node)) > most}):
            if went := changed(maxSkew=skew):
                yield WhatIf(f"maxSkew {skew} instead of {most} on {key}", _goes(went))
                break
        if constraint.get("nodeTaintsPolicy", "Ignore") == "Ignore" and (
            went := changed(nodeTaintsPolicy="Honor")
        ):
            yield WhatIf(f"nodeTaintsPolicy: Honor on {key}", _goes(went))
        if went := changed(whenUnsatisfiable="ScheduleAnyway"):
            yield WhatIf(f"whenUnsatisfiable: ScheduleAnyway on {key}", _goes(went))


def _without_pod_affinity(case: _Case) -> Iterator[WhatIf]:
    affinity = case.obj["spec"].get("affinity") or {}
    for kind, said in (("podAffinity", "pod affinity"), ("podAntiAffinity", "pod anti-affinity")):
        terms = (affinity.get(kind) or {}).get(_REQUIRED) or ()
        for index, term in enumerate(terms):
            others = [t for i, t in enumerate(terms) if i != index]
            looser = {**affinity, kind: {**affinity[kind], _REQUIRED: others}}
            if went := case.placed(_edited(case.obj, affinity=looser)):
                on = term["topologyKey"]
                yield WhatIf(f"{said} on {on} preferred instead of required", _goes(went))


def _others_gone(case: _Case) -> Iterator[WhatIf]:
    """The fewest pods of one node whose leaving would do, whoever is more important."""
    important = replace(case.pod, priority=_NOBODY_IS_MORE_IMPORTANT)
    filters = replace(case.evaluation.filters, pod=important)
    rooms = [
        room
        for node in case.cluster.nodes
        if (why := case.evaluation.rejections.get(node.name)) is not None and why.can_be_helped
        if (room := room_on(important, node, filters, ())) is not None
    ]
    for room in sorted(rooms, key=lambda r: (len(r.victims), r.node.name)):
        without = room.node.copy()
        for victim in room.victims:
            without.remove(victim)
        if went := case.placed(cluster=case.with_node(without)):
            names = ", ".join(f"{pod.namespace}/{pod.name}" for pod in room.victims)
            yield WhatIf(f"{names} not on {room.node.name}", _goes(went))
            return


def _more_important(case: _Case) -> Iterator[WhatIf]:
    pod, cluster = case.pod, case.cluster
    there = {other.priority for node in cluster.nodes for other in node.pods}
    for priority in sorted(p + 1 for p in there if p >= pod.priority):
        important = parse_pod(_edited(case.obj, priority=priority))
        evaluation = evaluate(important, cluster)
        room = preempt(important, cluster, evaluation.filters, evaluation.rejections)
        if room is not None:
            names = ", ".join(f"{pod.namespace}/{pod.name}" for pod in room.victims)
            broken = ", ".join(sorted({b["metadata"]["name"] for _, b in room.broken}))
            against = f", against PodDisruptionBudget {broken}" if broken else ""
            yield WhatIf(
                f"priority {priority} instead of {pod.priority}",
                f"preempts {names} on {room.node.name}{against}",
            )
            return


# Towards another place


def _without_node(case: _Case, chosen: NodeInfo) -> Iterator[WhatIf]:
    others = [node for node in case.cluster.nodes if node.name != chosen.name]
    went = case.placed(cluster=replace(case.cluster, nodes=others))
    yield WhatIf(f"no node {chosen.name}", _goes(went) if went else "waits: no other node fits")


def _other_request(case: _Case, chosen: NodeInfo) -> Iterator[WhatIf]:
    """The smallest change of a request, up or down, that leads elsewhere or nowhere."""
    pod = case.pod
    for resource in ("cpu", "memory"):
        step, had = unit(resource), pod.requests.get(resource, 0)
        found: list[tuple[int, Json]] = []
        for sign, most in (
            (+1, (chosen.free(resource) - had) // step + 1),
            (-1, had // step),
        ):

            def asked(steps: int, by: int = sign * step, of: str = resource) -> Json | None:
                return asking(case.obj, of, steps * by)

            def moves(steps: int, asked: Callable[[int], Json | None] = asked) -> bool:
                other = asked(steps)
                return other is not None and case.placed(other) != chosen.name

            steps = smallest(moves, most) if most > 0 else None
            other = None if steps is None else asked(steps)
            if steps is not None and other is not None:
                found.append((sign * steps * step, other))
        for by, other in sorted(found, key=lambda item: abs(item[0]))[:1]:
            word = "more" if by > 0 else "less"
            went = case.placed(other)
            yield WhatIf(
                f"{shown(resource, abs(by))} {word} {resource} requested "
                f"({shown(resource, had + by)} instead of {shown(resource, had)})",
                _goes(went) if went else "waits: no node fits",
            )


def _preferring(case: _Case, chosen: NodeInfo) -> Iterator[WhatIf]:
    """A preference for the node that came second."""
    ranked = zip(case.evaluation.totals, case.evaluation.feasible, strict=True)
    second = min(
        ((-total, node.name, node) for total, node in ranked if node.name != chosen.name),
        default=None,
        key=lambda entry: entry[:2],
    )
    host = second and second[2].labels.get(HOSTNAME_LABEL)
    if not second or not host:
        return

    def preferring(weight: int) -> str | None:
        affinity = deepcopy(case.obj["spec"].get("affinity") or {})
        terms = affinity.setdefault("nodeAffinity", {}).setdefault(_PREFERRED, [])
        expression = {"key": HOSTNAME_LABEL, "operator": "In", "values": [host]}
        terms.append({"weight": weight, "preference": {"matchExpressions": [expression]}})
        return case.placed(_edited(case.obj, affinity=affinity))

    weight = smallest(lambda w: preferring(w) == second[1], _WEIGHT_MAX)
    if weight is not None:
        behind = max(case.evaluation.totals) + second[0]
        yield WhatIf(
            f"preferred node affinity of weight {weight} for {second[1]}, which scored {behind} "
            "less",
            _goes(second[1]),
        )


_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def _edited(pod: Json, **fields: object) -> Json:
    return {**pod, "spec": {**pod["spec"], **fields}}


def _goes(node: str) -> str:
    return f"goes to {node}"
