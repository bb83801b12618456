from typing import Any

import pytest

from simulator.scheduling.filters import Cluster, NodeInfo, rejection, requests
from simulator.scheduling.scheduler import least_allocated, why_unschedulable

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
    infos = [NodeInfo(node) for node in nodes]
    for info in infos:
        for pod in pods.get(info.name, ()):
            info.add(pod)
    return Cluster(infos)


def reasons(pod: dict[str, Any], cluster: Cluster) -> dict[str, tuple[str, ...]]:
    return {info.name: rejection(pod, info, cluster) for info in cluster.nodes}


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

    assert requests(pod) == {"cpu": 1000}


def test_the_emptier_node_scores_higher() -> None:
    cluster = a_cluster(a_node("n1"), a_node("n2"), n1=[a_pod("other")])
    busy, idle = cluster.nodes

    assert least_allocated(a_pod(), idle) > least_allocated(a_pod(), busy)


def test_why_nothing_fits_counts_the_nodes_by_reason() -> None:
    assert why_unschedulable([("Insufficient cpu",), ("Insufficient cpu", "Too many pods")]) == (
        "0/2 nodes are available: 1 Too many pods, 2 Insufficient cpu."
    )
    assert why_unschedulable([]) == "no nodes available to schedule pods"
