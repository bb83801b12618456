"""What is said of a placement by the nodes there are."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from prism_operator.api.meta import NODE, Json
from prism_operator.planning import plan_pattern, plan_stack
from prism_operator.planning.observed import FrozenSnapshot, Observed
from prism_operator.planning.plan import Plan

from .builders import LATER, NOW, SETTINGS, a_pattern, a_stack, condition

HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
REGION = "topology.kubernetes.io/region"


def a_node(
    name: str = "n",
    *,
    zone: str | None = "a",
    cpu: str = "4",
    taints: list[Json] | None = None,
    cordoned: bool = False,
    **labels: str,
) -> Json:
    labels = {HOSTNAME: name, **labels, **({} if zone is None else {ZONE: zone, REGION: "r"})}
    spec: Json = {"taints": taints or []}
    if cordoned:
        spec["unschedulable"] = True
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
        "status": {"allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "110"}},
    }


def zones(text: str, **fields: Any) -> list[Json]:
    """A node for each letter, in the zone of that name."""
    return [a_node(f"n-{i}", zone=zone, **fields) for i, zone in enumerate(text)]


def repelling(topology: str = HOSTNAME, **term: Any) -> Json:
    selected = {"labelSelector": {"matchLabels": {"component": "prism-proxy"}}}
    terms = [{**selected, "topologyKey": topology, **term}]
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


def spread(topology: str = ZONE, **fields: Any) -> list[Json]:
    return [
        {
            "maxSkew": 1,
            "topologyKey": topology,
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"component": "prism-proxy"}},
            **fields,
        }
    ]


def a_taint(key: str = "dedicated", value: str = "db", effect: str = "NoSchedule") -> Json:
    return {"key": key, "value": value, "effect": effect}


def plan(
    nodes: list[Json], *, now: datetime = NOW, status: Json | None = None, **proxy: Any
) -> Plan:
    stack = a_stack(proxy=proxy)
    if status is not None:
        stack["status"] = status
    return plan_stack(Observed(stack, FrozenSnapshot([stack, *nodes])), SETTINGS, now)


def said(planned: Plan) -> dict[str, tuple[str, str]]:
    """Status and message of the conditions about placement."""
    assert planned.status is not None
    return {
        c["type"]: (c["status"], c["message"])
        for c in planned.status["conditions"]
        if c["type"] in ("PlacementUnsatisfiable", "PlacementIneffective")
    }


UNSATISFIABLE: dict[str, tuple[list[Json], Json, str]] = {
    "no zone label, as on kind": (
        [a_node(zone=None)],
        {"placement": {"strategy": "MultiZone"}},
        f"none of the 1 node it may use has the label {ZONE}",
    ),
    "no region label": (
        [a_node(zone=None)],
        {"placement": {"strategy": "MultiRegion"}},
        f"none of the 1 node it may use has the label {REGION}",
    ),
    "the user's own constraint": (
        zones("ab"),
        {"placement": {"topologySpreadConstraints": spread("rack")}},
        "none of the 2 nodes it may use has the label rack",
    ),
    "more replicas than nodes": (
        zones("ab"),
        {"replicas": 3, "placement": {"affinity": repelling()}},
        "3 replicas repel each other by required anti-affinity, one for each node, but the 2 nodes "
        "it may use give room for 2",
    ),
    "nodes that are cordoned, tainted or too small give no room": (
        [
            *zones("ab"),
            a_node("x", cordoned=True),
            a_node("y", taints=[a_taint()]),
            a_node("z", cpu="1"),
        ],
        {
            "replicas": 3,
            "resources": {"requests": {"cpu": "2"}},
            "placement": {"affinity": repelling()},
        },
        "the 2 nodes it may use give room for 2",
    ),
    "more replicas than zones": (
        zones("aabb"),
        {"replicas": 3, "placement": {"affinity": repelling(ZONE)}},
        "the 4 nodes it may use give room for 2",
    ),
    "requests": (
        zones("ab"),
        {"resources": {"requests": {"cpu": "4500m", "memory": "1Gi"}}},
        "requests more than any of the 2 nodes it may use has: cpu 4500m, of which the largest "
        "has 4; lower the requests",
    ),
    "limits are requests, too": (
        [a_node()],
        {"resources": {"limits": {"cpu": "5"}}},
        "cpu 5, of which the largest has 4",
    ),
    "a resource that no node has": (
        [a_node()],
        {"resources": {"limits": {"nvidia.com/gpu": "1"}}},
        "nvidia.com/gpu 1, of which the largest has 0",
    ),
    "each on some node, both on none": (
        [a_node("small", cpu="8"), {**a_node("n"), "status": {"allocatable": {"memory": "64Gi"}}}],
        {"resources": {"requests": {"cpu": "6", "memory": "32Gi"}}},
        "none of the 2 nodes it may use has all of cpu 6, memory 32Gi together",
    ),
    "minDomains": (
        zones("aabb"),
        {
            "replicas": 3,
            "placement": {"topologySpreadConstraints": spread(minDomains=3)},
        },
        f"at most 2 of 3 replicas can be placed: minDomains is 3, but the 4 nodes it may use are "
        f"in 2 values of {ZONE}",
    ),
    "a zone of tainted nodes counts": (
        [*zones("ab"), a_node("c", zone="c", taints=[a_taint()])],
        {"replicas": 5, "placement": {"strategy": "MultiZone"}},
        f"at most 2 of 5 replicas can be placed: {ZONE} c counts for the spread",
    ),
    "taints on all that match": (
        [a_node(taints=[a_taint()], role="db")],
        {"placement": {"nodeSelector": {"role": "db"}}},
        "all of the 1 node that match have taints the pods do not tolerate "
        "(dedicated=db:NoSchedule): add tolerations",
    ),
}


@pytest.mark.parametrize("case", UNSATISFIABLE)
def test_what_can_never_schedule_is_said_with_numbers(case: str) -> None:
    nodes, proxy, expected = UNSATISFIABLE[case]

    found = said(plan(nodes, **proxy))

    assert found.keys() == {"PlacementUnsatisfiable"}
    status, message = found["PlacementUnsatisfiable"]
    assert status == "True"
    assert message.startswith("spec.proxy: ")
    assert expected in message


SATISFIABLE: dict[str, tuple[list[Json], Json]] = {
    "no nodes are known": ([], {"placement": {"strategy": "MultiZone"}}),
    "zones": (zones("abc"), {"replicas": 9, "placement": {"strategy": "MultiZone"}}),
    "as many replicas as nodes": (
        zones("ab"),
        {"replicas": 2, "placement": {"affinity": repelling()}},
    ),
    "they repel others": (
        zones("ab"),
        {
            "replicas": 3,
            "placement": {"affinity": repelling(labelSelector={"matchLabels": {"app": "x"}})},
        },
    ),
    "they repel those of another namespace": (
        zones("ab"),
        {"replicas": 3, "placement": {"affinity": repelling(namespaces=["other"])}},
    ),
    "the rest of the label is missing": (
        [*zones("a"), a_node("x", zone=None)],
        {"replicas": 3, "placement": {"affinity": repelling(ZONE)}},
    ),
    "few enough for the domains": (
        zones("ab"),
        {"replicas": 2, "placement": {"topologySpreadConstraints": spread(minDomains=3)}},
    ),
    "tainted zones that do not count": (
        [*zones("ab"), a_node("c", zone="c", taints=[a_taint()])],
        {
            "replicas": 5,
            "placement": {"topologySpreadConstraints": spread(nodeTaintsPolicy="Honor")},
        },
    ),
    "tolerated": (
        [a_node(taints=[a_taint()])],
        {
            "resources": {"requests": {"cpu": "1"}},
            "placement": {"tolerations": [{"key": "dedicated", "operator": "Exists"}]},
        },
    ),
    "a taint that passes": (
        [a_node(taints=[a_taint("node.kubernetes.io/unreachable", "", "NoExecute")])],
        {"resources": {"requests": {"cpu": "1"}}},
    ),
    "a node that does not say yet what it has": (
        [{**a_node(), "status": {}}],
        {"resources": {"requests": {"cpu": "64"}}},
    ),
    "nothing to schedule": (
        [a_node(zone=None)],
        {"replicas": 0, "placement": {"strategy": "MultiZone"}},
    ),
    "nothing asked": ([a_node(cpu="50m")], {}),
}


@pytest.mark.parametrize("case", SATISFIABLE)
def test_what_can_schedule_is_not_spoken_of(case: str) -> None:
    nodes, proxy = SATISFIABLE[case]

    assert said(plan(nodes, **proxy)) == {}


INEFFECTIVE: dict[str, tuple[list[Json], Json, str]] = {
    "one zone pinned": (
        zones("abc"),
        {"placement": {"strategy": "MultiZone", "nodeSelector": {ZONE: "b"}}},
        f"strategy MultiZone cannot spread: all of the 1 node it may use are in {ZONE} b",
    ),
    "one region": (
        zones("abc"),
        {"placement": {"strategy": "MultiRegion"}},
        f"strategy MultiRegion cannot spread: all of the 3 nodes it may use are in {REGION} r",
    ),
    "no spot nodes": (
        zones("ab"),
        {"placement": {"strategy": "Spot"}},
        "strategy Spot finds no spot node: none of the 2 nodes",
    ),
    "no backend": (
        zones("ab"),
        {"placement": {"strategy": "BackendProximity"}},
        "strategy BackendProximity has no backend in this cluster to be near to",
    ),
}


@pytest.mark.parametrize("case", INEFFECTIVE)
def test_a_strategy_that_cannot_do_what_it_promises_is_said(case: str) -> None:
    nodes, proxy, expected = INEFFECTIVE[case]

    found = said(plan(nodes, **proxy))

    assert found.keys() == {"PlacementIneffective"}
    assert found["PlacementIneffective"][0] == "True"
    assert found["PlacementIneffective"][1].startswith(f"spec.proxy: {expected}")


def test_a_node_selector_that_matches_nothing_is_a_wait_and_no_trouble() -> None:
    planned = plan(zones("ab"), placement={"nodeSelector": {"role": "x", "a": "b"}})

    assert said(planned) == {
        "PlacementUnsatisfiable": (
            "False",
            "spec.proxy: none of the 2 nodes has the labels a=b, role=x of its nodeSelector: "
            "its pods wait for one",
        )
    }
    assert planned.events == ()


def test_a_cordon_is_a_wait_and_no_trouble() -> None:
    nodes = [a_node(cordoned=True, role="db")]

    found = said(plan(nodes, placement={"nodeSelector": {"role": "db"}}))

    assert found["PlacementUnsatisfiable"][0] == "False"


NODE_AFFINITY: dict[str, tuple[Json, bool]] = {
    "in": ({"matchExpressions": [{"key": ZONE, "operator": "In", "values": ["a"]}]}, True),
    "not in": ({"matchExpressions": [{"key": ZONE, "operator": "NotIn", "values": ["a"]}]}, False),
    "greater": ({"matchExpressions": [{"key": "size", "operator": "Gt", "values": ["3"]}]}, True),
    "less": ({"matchExpressions": [{"key": "size", "operator": "Lt", "values": ["3"]}]}, False),
    "no number": ({"matchExpressions": [{"key": ZONE, "operator": "Gt", "values": ["3"]}]}, False),
    "name": (
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]},
        True,
    ),
    "nothing": ({}, False),
}


@pytest.mark.parametrize("case", NODE_AFFINITY)
def test_node_affinity_is_read_as_the_scheduler_does(case: str) -> None:
    term, matches = NODE_AFFINITY[case]
    terms = {"nodeSelectorTerms": [term]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}

    found = said(plan([a_node(size="4")], placement={"affinity": affinity}))

    assert (found == {}) == matches


def test_trouble_is_one_warning_until_it_is_over() -> None:
    placement = {"strategy": "MultiZone"}
    first = plan([a_node(zone=None)], placement=placement)
    assert [(e.type, e.reason) for e in first.events] == [("Warning", "PlacementUnsatisfiable")]

    more = plan(
        [a_node("n", zone=None), a_node("m", zone=None)],
        now=LATER,
        status=first.status,
        placement=placement,
    )
    assert "2 nodes" in said(more)["PlacementUnsatisfiable"][1]
    assert more.events == ()

    over = plan(zones("abc"), now=LATER, status=more.status, placement=placement)
    assert said(over) == {"PlacementUnsatisfiable": ("False", "")}


def test_without_permission_to_read_nodes_both_are_unknown() -> None:
    stack = a_stack(proxy={"placement": {"strategy": "MultiZone"}})
    blind = FrozenSnapshot([stack], unreadable=frozenset({NODE}))

    planned = plan_stack(Observed(stack, blind), SETTINGS, NOW)

    found = said(planned)
    assert {kind: status for kind, (status, _) in found.items()} == {
        "PlacementUnsatisfiable": "Unknown",
        "PlacementIneffective": "Unknown",
    }
    assert planned.events == ()


def test_what_asks_nothing_of_nodes_does_not_look_at_them() -> None:
    stack = a_stack()
    blind = FrozenSnapshot([stack], unreadable=frozenset({NODE}))

    assert said(plan_stack(Observed(stack, blind), SETTINGS, NOW)) == {}


def test_a_pattern_says_it_of_itself() -> None:
    pattern = a_pattern(replicas=3, runnerSpec={"strategy": "MultiZone"})
    cluster = FrozenSnapshot([pattern, a_node(zone=None)])

    planned = plan_pattern(Observed(pattern, cluster), SETTINGS, NOW)

    assert condition(planned, "PlacementUnsatisfiable")["message"].startswith("spec: none of the 1")
