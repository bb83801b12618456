"""Recordings of the whole scheduler on many nodes: ``e2e/oracle``, TestSamplingVectors."""

from __future__ import annotations

from collections.abc import Mapping

from prism_operator.api.meta import Json
from simulator.scheduling.decision import Sampler
from simulator.scheduling.nodes import Cluster, NodeInfo, zone_order
from simulator.scheduling.pods import parse_pod
from simulator.verify.agreement import Agreement

NAME = "sampling"
REQUIRED: Mapping[str, float] = {}


def recognises(case: Json) -> bool:
    """Whether a case is one of these recordings."""
    return "sampling" in case and {"nodes", "decisions"} <= case.keys()


def replay(case: Json, agreement: Agreement) -> None:
    """Decides pod after pod; each goes where it was recorded to have gone."""
    nodes = zone_order([NodeInfo.parse(node) for node in case["nodes"]])
    by_name = {node.name: node for node in nodes}
    cluster, sampler = Cluster(nodes), Sampler()
    for recorded in case["decisions"]:
        pod = parse_pod(recorded["pod"])
        evaluation = sampler.evaluate(pod, cluster)
        compare = agreement.at(case["name"], f"pod {pod.name}", {"pod": recorded["pod"]})
        compare("evaluated", recorded["evaluated"], evaluation.evaluated)
        compare("feasibleCount", recorded["feasibleCount"], len(evaluation.feasible))
        compare(
            "node",
            recorded["node"],
            _choice(recorded["node"], evaluation.feasible, evaluation.totals),
        )
        if recorded["node"]:
            bound = {**pod.obj, "spec": {**pod.obj["spec"], "nodeName": recorded["node"]}}
            by_name[recorded["node"]].add(parse_pod(bound))


def _choice(recorded: str, feasible: tuple[NodeInfo, ...], totals: list[int]) -> str:
    """The recorded node if it is among the best, of which the real scheduler draws one."""
    best = max(totals, default=0)
    names = sorted(node.name for node, total in zip(feasible, totals, strict=True) if total == best)
    return recorded if recorded in names else "".join(names[:1])
