"""The planner's word about nodes, held against the simulated scheduler."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from prism_operator.api.meta import Json
from prism_operator.planning import plan_stack
from prism_operator.planning.observed import FrozenSnapshot, Observed
from prism_operator.planning.settings import Settings
from simulator.scheduling.decision import evaluate
from simulator.scheduling.nodes import Cluster, NodeInfo
from simulator.scheduling.pods import parse_pod
from tests.planning.builders import NOW, a_stack, written

ZONE, HOSTNAME = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
DEDICATED = {"key": "dedicated", "value": "db", "effect": "NoSchedule"}


@st.composite
def nodes(draw: st.DrawFn) -> list[Json]:
    found = []
    for number in range(draw(st.integers(1, 5))):
        name, zone = f"n-{number}", draw(st.sampled_from(["a", "b", "c", None]))
        labels = {HOSTNAME: name, "role": draw(st.sampled_from(["proxy", "other"]))}
        spec: Json = {"taints": [DEDICATED] if draw(st.integers(0, 4)) == 0 else []}
        if draw(st.integers(0, 6)) == 0:
            spec["unschedulable"] = True
        room = {"cpu": draw(st.sampled_from(["1", "4"])), "memory": "8Gi", "pods": "110"}
        found.append(
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": name, "labels": labels | ({ZONE: zone} if zone else {})},
                "spec": spec,
                "status": {"allocatable": room},
            }
        )
    return found


def spread(min_domains: int | None, policy: str | None) -> Json:
    constraint: Json = {
        "maxSkew": 1,
        "topologyKey": ZONE,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"component": "prism-proxy"}},
    }
    if min_domains is not None:
        constraint["minDomains"] = min_domains
    if policy is not None:
        constraint["nodeTaintsPolicy"] = policy
    return constraint


def apart(topology: str) -> Json:
    selected = {"labelSelector": {"matchLabels": {"component": "prism-proxy"}}}
    terms = [{**selected, "topologyKey": topology}]
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


placements = st.fixed_dictionaries(
    {},
    optional={
        "strategy": st.sampled_from(["MultiZone", "Spot"]),
        "nodeSelector": st.just({"role": "proxy"}),
        "tolerations": st.just([{"key": "dedicated", "operator": "Exists"}]),
        "affinity": st.sampled_from([apart(HOSTNAME), apart(ZONE)]),
        "topologySpreadConstraints": st.lists(
            st.builds(spread, st.sampled_from([None, 2, 3]), st.sampled_from([None, "Honor"])),
            min_size=1,
            max_size=1,
        ),
        "resources": st.just({"requests": {"cpu": "2"}}),
    },
)


def unscheduled(deployment: Json, cluster: Cluster) -> int:
    """How many replicas the scheduler finds no node for."""
    left = 0
    for number in range(deployment["spec"]["replicas"]):
        template = deployment["spec"]["template"]
        labels = {**template["metadata"]["labels"], "pod-template-hash": "h"}
        metadata = {"name": f"p-{number}", "namespace": "prism-system", "labels": labels}
        pod = parse_pod({"metadata": metadata, "spec": template["spec"]})
        best = evaluate(pod, cluster).best
        if best is None:
            left += 1
        else:
            best.add(pod)
    return left


def unsatisfiable(planned: Any) -> str | None:
    for found in planned.status["conditions"]:
        if found["type"] == "PlacementUnsatisfiable":
            return str(found["status"])
    return None


@settings(max_examples=300, deadline=None, derandomize=True)
@given(nodes(), placements, st.integers(1, 6))
def test_what_is_called_unsatisfiable_leaves_pods_unscheduled(
    found: list[Json], placement: Json, replicas: int
) -> None:
    stack = a_stack(proxy={"replicas": replicas, "placement": placement})
    planned = plan_stack(Observed(stack, FrozenSnapshot([stack, *found])), Settings(), NOW)
    deployment = written(planned, "Deployment", "demo-proxy")

    left = unscheduled(deployment, Cluster([NodeInfo.parse(node) for node in found]))

    verdict = unsatisfiable(planned)
    if verdict == "True":
        assert left > 0
    if verdict == "False":  # no node matches, or all that do are cordoned
        assert left == replicas


@settings(max_examples=300, deadline=None, derandomize=True)
@given(nodes(), placements)
def test_a_pod_that_no_empty_node_takes_is_not_passed_over(
    found: list[Json], placement: Json
) -> None:
    stack = a_stack(proxy={"placement": placement})
    planned = plan_stack(Observed(stack, FrozenSnapshot([stack, *found])), Settings(), NOW)
    deployment = written(planned, "Deployment", "demo-proxy")

    left = unscheduled(deployment, Cluster([NodeInfo.parse(node) for node in found]))

    if placement and left:
        assert unsatisfiable(planned) is not None
