from typing import Any

import pytest

from simulator.scheduling.decision import evaluate
from simulator.scheduling.filters import Filters
from simulator.scheduling.nodes import Cluster, NodeInfo, zone_order
from simulator.scheduling.pods import parse_pod
from simulator.scheduling.preemption import preempt
from simulator.scheduling.requests import pod_requests
from simulator.scheduling.scheduler import why_unschedulable

HOSTNAME, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"


def a_node(name: str = "n1", zone: str = "a", cpu: str = "4", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {HOSTNAME: name, ZONE: zone, "pool": "base"}},
        "spec": spec,
        "status": {"allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "10"}},
    }


def a_pod(name: str = "p", cpu: str = "1", app: str = "x", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "default", "labels": {"app": app}},
        "spec": {
            "containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}}],
            **spec,
        },
    }


def a_cluster(*nodes: dict[str, Any], **pods: list[dict[str, Any]]) -> Cluster:
    return Cluster(
        [
            NodeInfo.parse(node, map(parse_pod, pods.get(node["metadata"]["name"], ())))
            for node in nodes
        ]
    )


def reasons(pod: dict[str, Any], cluster: Cluster) -> dict[str, tuple[str, ...]]:
    filters = Filters.of(parse_pod(pod), cluster)
    rejections = {node.name: filters.rejection(node) for node in cluster.nodes}
    return {name: why.reasons if why else () for name, why in rejections.items()}


SPREAD = {
    "maxSkew": 1,
    "topologyKey": ZONE,
    "whenUnsatisfiable": "DoNotSchedule",
    "labelSelector": {"matchLabels": {"app": "x"}},
}
APART = {
    "podAntiAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": HOSTNAME, "labelSelector": {"matchLabels": {"app": "x"}}}
        ]
    }
}
ONLY_POOL_SPOT = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [
                {"matchExpressions": [{"key": "pool", "operator": "In", "values": ["spot"]}]}
            ]
        }
    }
}
WRONG_NODE = "node(s) didn't match Pod's node affinity/selector"
TAINT = {"key": "dedicated", "value": "proxy", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("pod", "node", "reason"),
    [
        (a_pod(cpu="5"), a_node(), "Insufficient cpu"),
        (a_pod(nodeSelector={"pool": "spot"}), a_node(), WRONG_NODE),
        (a_pod(affinity=ONLY_POOL_SPOT), a_node(), WRONG_NODE),
        (a_pod(), a_node(taints=[TAINT]), "node(s) had untolerated taint(s)"),
        (a_pod(), a_node(unschedulable=True), "node(s) were unschedulable"),
    ],
)  # fmt: skip
def test_a_node_that_does_not_fit_is_rejected_in_the_schedulers_words(
    pod: dict[str, Any], node: dict[str, Any], reason: str
) -> None:
    assert reasons(pod, a_cluster(node)) == {"n1": (reason,)}


def test_a_toleration_lets_a_pod_onto_a_tainted_node() -> None:
    pod = a_pod(tolerations=[{"key": "dedicated", "operator": "Equal", "value": "proxy"}])

    assert reasons(pod, a_cluster(a_node(taints=[TAINT]))) == {"n1": ()}


def test_what_runs_on_a_node_counts_against_it() -> None:
    cluster = a_cluster(a_node(), n1=[a_pod("other", cpu="3500m")])

    assert reasons(a_pod(cpu="600m"), cluster) == {"n1": ("Insufficient cpu",)}
    assert reasons(a_pod(cpu="500m"), cluster) == {"n1": ()}


def test_hard_spread_keeps_zones_within_their_skew() -> None:
    cluster = a_cluster(a_node("n1", "a"), a_node("n2", "b"), n1=[a_pod("first")])
    pod = a_pod(topologySpreadConstraints=[SPREAD])

    assert reasons(pod, cluster) == {
        "n1": ("node(s) didn't match pod topology spread constraints",),
        "n2": (),
    }


def test_a_node_without_the_topology_key_can_take_no_spread_pod() -> None:
    bare = a_node()
    del bare["metadata"]["labels"][ZONE]

    (reason,) = reasons(a_pod(topologySpreadConstraints=[SPREAD]), a_cluster(bare))["n1"]

    assert reason.endswith("(missing required label)")


def test_anti_affinity_works_in_both_directions() -> None:
    shy, other = a_pod("shy", affinity=APART), a_pod("other")

    assert reasons(shy, a_cluster(a_node(), n1=[other]))["n1"] == (
        "node(s) didn't match pod anti-affinity rules",
    )
    assert reasons(other, a_cluster(a_node(), n1=[shy]))["n1"] == (
        "node(s) didn't satisfy existing pods anti-affinity rules",
    )


def test_a_pod_requests_its_containers_together_or_its_largest_init_container() -> None:
    pod = a_pod(cpu="250m", initContainers=[{"resources": {"requests": {"cpu": "1"}}}])

    assert pod_requests(pod) == {"cpu": 1000}


def test_a_sidecar_counts_beside_the_containers_and_the_init_containers_after_it() -> None:
    def init(**more: str) -> dict[str, Any]:
        return {"resources": {"requests": {"cpu": "1"}}, **more}

    assert pod_requests(a_pod(initContainers=[init(restartPolicy="Always")])) == {"cpu": 2000}
    both = [init(restartPolicy="Always"), init(), init()]
    assert pod_requests(a_pod(cpu="500m", initContainers=both)) == {"cpu": 2000}


def test_the_emptier_node_is_chosen() -> None:
    cluster = a_cluster(a_node("n1"), a_node("n2"), n1=[a_pod("other")])

    best = evaluate(parse_pod(a_pod()), cluster).best

    assert best is not None
    assert best.name == "n2"


def test_the_least_important_pod_makes_room_and_a_budget_is_spared_where_possible() -> None:
    low = [a_pod("low", cpu="2", app="low", priority=1), a_pod("mid", cpu="2", priority=5)]
    kept = [a_pod("kept", cpu="4", app="kept", priority=0)]
    cluster = a_cluster(a_node("n1"), a_node("n2"), n1=low, n2=kept)
    cluster.budgets = [
        {
            "metadata": {"namespace": "default"},
            "spec": {"selector": {"matchLabels": {"app": "kept"}}},
            "status": {"disruptionsAllowed": 0},
        }
    ]
    pod = parse_pod(a_pod("high", cpu="2", priority=10))
    evaluation = evaluate(pod, cluster)

    candidate = preempt(pod, cluster, evaluation.filters, evaluation.rejections)

    assert candidate is not None
    assert candidate.node.name == "n1"
    assert [victim.name for victim in candidate.victims] == ["low"]


def test_preemption_leaves_alone_what_cannot_be_helped() -> None:
    cluster = a_cluster(a_node(taints=[TAINT]), n1=[a_pod("low", cpu="4", priority=0)])
    pod = parse_pod(a_pod("high", priority=10))
    evaluation = evaluate(pod, cluster)

    assert preempt(pod, cluster, evaluation.filters, evaluation.rejections) is None


def test_nodes_are_looked_at_zone_by_zone_in_turn() -> None:
    nodes = [a_node("n1", "a"), a_node("n2", "a"), a_node("n3", "b"), a_node("n4", "a")]

    ordered = zone_order([NodeInfo.parse(node) for node in nodes])

    assert [node.name for node in ordered] == ["n1", "n3", "n2", "n4"]


def test_why_nothing_fits_counts_the_nodes_by_reason() -> None:
    small, full = a_node("n1", cpu="500m"), a_node("n2", cpu="500m")
    full["status"]["allocatable"]["pods"] = "0"
    cluster = a_cluster(small, full)

    assert why_unschedulable(evaluate(parse_pod(a_pod()), cluster), cluster) == (
        "0/2 nodes are available: 1 Too many pods, 2 Insufficient cpu."
    )
    nowhere = a_cluster()
    assert why_unschedulable(evaluate(parse_pod(a_pod()), nowhere), nowhere) == (
        "no nodes available to schedule pods"
    )
