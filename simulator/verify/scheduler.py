"""Recordings of the scheduler's plugins and preemption: ``e2e/oracle``, TestSchedulerVectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prism_operator.api.meta import Json
from simulator.controllers.objects import labels_of
from simulator.scheduling.decision import Evaluation, evaluate
from simulator.scheduling.nodes import Cluster, NodeInfo
from simulator.scheduling.pods import PodInfo, parse_pod
from simulator.scheduling.preemption import preempt
from simulator.scheduling.selectors import compile_selector
from simulator.verify.agreement import Agreement, Compare

NAME = "scheduler"
REQUIRED: Mapping[str, float] = {}


def recognises(case: Json) -> bool:
    """Whether a case is one of these recordings."""
    return {"nodes", "pods", "podDisruptionBudgets", "decisions"} <= case.keys()


def replay(case: Json, agreement: Agreement) -> None:
    """Decides pod after pod; each goes where it was recorded to have gone."""
    cluster = _cluster(case)
    nodes = {node.name: node for node in cluster.nodes}
    for recorded in case["decisions"]:
        pod = parse_pod(recorded["pod"])
        evaluation = evaluate(pod, cluster)
        inputs = {"pod": recorded["pod"]}
        compare = agreement.at(case["name"], f"pod {pod.name}", inputs)
        _compare(compare, recorded, evaluation)
        candidate = None
        if not evaluation.feasible:
            candidate = preempt(pod, cluster, evaluation.filters, evaluation.rejections)
        victims = sorted(victim.name for victim in candidate.victims) if candidate else []
        compare(
            "nominated", recorded.get("nominated", ""), candidate.node.name if candidate else ""
        )
        compare("victims", recorded.get("victims", []), victims)
        _place(pod, recorded, nodes)


def _compare(compare: Compare, recorded: Json, evaluation: Evaluation) -> None:
    names = [node.name for node in evaluation.feasible]
    compare("feasible", sorted(recorded["feasible"]), sorted(names))
    ours = {
        name: [rejection.plugin, *rejection.reasons]
        for name, rejection in evaluation.rejections.items()
    }
    for node in sorted(recorded["rejected"].keys() | ours.keys()):
        compare("rejected", recorded["rejected"].get(node), ours.get(node))
    totals = dict(zip(names, evaluation.totals, strict=True))
    for index, node in enumerate(names):
        scores: dict[str, Any] = dict(recorded["feasible"].get(node, {}))
        compare("score.total", scores.pop("total", None), totals[node])
        mine = {plugin: values[index] for plugin, values in evaluation.scores.items()}
        for plugin in sorted(scores.keys() | mine.keys()):
            compare(f"score.{plugin}", scores.get(plugin), mine.get(plugin))
    best = evaluation.best
    compare("bound", recorded["bound"], "" if best is None else best.name)


def _place(pod: PodInfo, recorded: Json, nodes: Mapping[str, NodeInfo]) -> None:
    gone = set(recorded.get("victims", ()))
    target = recorded["bound"] or (recorded.get("nominated") if gone else "")
    if not target:
        return
    for node in nodes.values():
        for victim in [other for other in node.pods if other.name in gone]:
            node.remove(victim)
    bound = {**pod.obj, "spec": {**pod.obj["spec"], "nodeName": target}}
    nodes[target].add(parse_pod(bound))


def _cluster(case: Json) -> Cluster:
    pods = [parse_pod(pod) for pod in case["pods"] or ()]
    services: dict[str, list[Mapping[str, str]]] = {}
    for service in case["services"] or ():
        selector = service["spec"].get("selector")
        if selector is not None:
            services.setdefault(service["metadata"]["namespace"], []).append(selector)
    return Cluster(
        nodes=[
            NodeInfo.parse(node, [p for p in pods if p.node_name == node["metadata"]["name"]])
            for node in case["nodes"]
        ],
        namespaces={n["metadata"]["name"]: labels_of(n) for n in case["namespaces"] or ()},
        services=services,
        owners={
            (rs["metadata"]["namespace"], "apps/v1/ReplicaSet", rs["metadata"]["name"]): (
                compile_selector(rs["spec"].get("selector"))
            )
            for rs in case["replicaSets"] or ()
        },
        budgets=case["podDisruptionBudgets"] or (),
    )
