"""Where pods land on the real scheduler: every placement example of the memo, and the strategies.

The nodes are pretended (KWOK), the scheduler is not. Each test has nodes of its own.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from e2e.cluster import Json, LocalCluster, a_node
from e2e.operator_process import OperatorProcess, operator_kubeconfig
from e2e.waiting import eventually

ROOT = Path(__file__).parent.parent
HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
REGION = "topology.kubernetes.io/region"
CONTROL_PLANE = {"role": "prism-control-plane"}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A cluster without nodes, with an operator in it."""
    directory = tmp_path_factory.mktemp("placement")
    with LocalCluster.start(directory / "cluster", nodes=()) as cluster:
        cluster.install_crds(ROOT / "crds")
        log, kubeconfig = directory / "operator.log", operator_kubeconfig(cluster)
        with OperatorProcess(cluster, log, "--no-leader-elect", kubeconfig=kubeconfig) as operator:
            operator.wait_until_ready()
            yield cluster


class Stage:
    """Nodes and stacks of one test, and where the pods are."""

    def __init__(self, cluster: LocalCluster) -> None:
        self.cluster = cluster
        self.nodes: dict[str, Json] = {}
        self.namespaces: list[str] = []

    def add_nodes(self, nodes: Sequence[Json]) -> None:
        self.nodes |= {node["metadata"]["name"]: node for node in nodes}
        everything = {"apiVersion": "v1", "kind": "List", "items": list(nodes)}
        self.cluster.kubectl("create", "--filename=-", stdin=json.dumps(everything))

    def apply_sample(self, name: str, namespace: str) -> None:
        self.namespaces.append(namespace)
        self.cluster.kubectl("apply", f"--filename={ROOT / 'samples' / name}")

    def apply(self, namespace: str, *objects: Json) -> None:
        everything = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        place = f"--namespace={namespace}"
        self.cluster.kubectl("apply", "--filename=-", place, stdin=json.dumps(everything))

    def make_namespace(self, name: str) -> str:
        self.namespaces.append(name)
        self.cluster.kubectl("create", "namespace", name)
        return name

    def wait_until_ready(self, stack: str, namespace: str) -> None:
        wait = ("wait", "--for=condition=Ready", f"prismstack/{stack}", "--timeout=60s")
        self.cluster.kubectl(*wait, f"--namespace={namespace}")

    def where(self, namespace: str, selector: str) -> list[str]:
        """The node of every pod."""
        listed = self.cluster.get("pods", f"--namespace={namespace}", f"--selector={selector}")
        return [pod["spec"].get("nodeName", "") for pod in listed["items"]]

    def counts(self, namespace: str, selector: str, label: str) -> dict[str, int]:
        """How many pods there are for each value of a node label."""
        nodes = self.where(namespace, selector)
        return dict(Counter(self.nodes[node]["metadata"]["labels"].get(label) for node in nodes))

    def condition(self, stack: str, namespace: str, kind: str) -> Json:
        found = self.cluster.get("prismstack", stack, f"--namespace={namespace}")
        conditions = {c["type"]: c for c in found.get("status", {}).get("conditions", [])}
        assert kind in conditions, conditions
        condition: Json = conditions[kind]
        return condition

    def budget(self, name: str, namespace: str) -> Json:
        found = self.cluster.get("poddisruptionbudget", name, f"--namespace={namespace}")
        return {**found["spec"], **found.get("status", {})}


@pytest.fixture
def stage(bare: LocalCluster) -> Iterator[Stage]:
    stage = Stage(bare)
    yield stage
    if stage.namespaces:
        bare.kubectl("delete", "namespaces", *stage.namespaces, "--wait=false")
    if stage.nodes:
        bare.kubectl("delete", "nodes", *stage.nodes)


def nodes(
    name: str,
    zones: Mapping[str, int],
    *,
    region: str = "region-1",
    labels: Mapping[str, str] | None = None,
    taint: tuple[str, str] | None = None,
) -> list[Json]:
    """So many nodes in each zone."""
    taints = [{"key": taint[0], "value": taint[1], "effect": "NoSchedule"}] if taint else []
    return [
        a_node(f"{name}-{zone}-{n}", zone=zone, region=region, labels=labels, taints=taints)
        for zone, count in zones.items()
        for n in range(count)
    ]


def names(of: Sequence[Json]) -> set[str]:
    return {node["metadata"]["name"] for node in of}


ADMIN = "component=prism-admin"
PROXY = "component=prism-proxy"


def test_three_admins_have_a_control_plane_node_each(stage: Stage) -> None:
    control = nodes("control", {"a": 3}, labels=CONTROL_PLANE)
    stage.add_nodes([*control, *nodes("plain", {"a": 2})])

    stage.apply_sample("multi-admin-single-zone.yaml", "prism-single-zone")
    stage.wait_until_ready("prism-single-zone", "prism-single-zone")

    assert sorted(stage.where("prism-single-zone", ADMIN)) == sorted(names(control))

    def one_may_go() -> None:
        budget = stage.budget("prism-single-zone-admin", "prism-single-zone")
        assert (budget["maxUnavailable"], budget.get("disruptionsAllowed")) == (1, 1)

    eventually(one_may_go)


def test_five_admins_are_at_most_two_in_a_zone(stage: Stage) -> None:
    control = nodes("control", {"a": 2, "b": 2, "c": 2}, labels=CONTROL_PLANE)
    stage.add_nodes([*control, *nodes("plain", {"a": 3})])

    stage.apply_sample("multi-admin-multi-zone.yaml", "prism-multi-zone")
    stage.wait_until_ready("prism-multi-zone", "prism-multi-zone")

    counts = stage.counts("prism-multi-zone", ADMIN, ZONE)
    assert sorted(counts.values()) == [1, 2, 2]
    assert set(stage.where("prism-multi-zone", ADMIN)) <= names(control)
    assert stage.budget("prism-multi-zone-admin", "prism-multi-zone")["maxUnavailable"] == 2


def test_nine_admins_are_three_in_a_region_and_one_in_a_zone(stage: Stage) -> None:
    for region in ("east", "west", "north"):
        zones = {f"{region}-{n}": 2 for n in range(3)}
        stage.add_nodes(nodes("node", zones, region=region))

    stage.apply_sample("multi-admin-multi-region.yaml", "prism-multi-region")
    stage.wait_until_ready("prism-multi-region", "prism-multi-region")

    regions = stage.counts("prism-multi-region", ADMIN, REGION)
    zones_of = stage.counts("prism-multi-region", ADMIN, ZONE)
    assert regions == {"east": 3, "west": 3, "north": 3}
    assert list(zones_of.values()) == [1] * 9
    assert stage.budget("prism-multi-region-admin", "prism-multi-region")["maxUnavailable"] == 4


def test_ten_proxies_share_the_nodes_dedicated_to_them(stage: Stage) -> None:
    labels = {"node-type": "prism-proxy", "instance-type": "c5.4xlarge"}
    dedicated = nodes("dedicated", {"a": 4}, labels=labels, taint=("dedicated", "prism-proxy"))
    stage.add_nodes([*dedicated, *nodes("plain", {"a": 3})])

    stage.apply_sample("proxy-dedicated-nodes.yaml", "prism-dedicated-proxies")
    stage.wait_until_ready("prism-dedicated-proxies", "prism-dedicated-proxies")

    counts = stage.counts("prism-dedicated-proxies", PROXY, HOSTNAME)
    assert set(counts) == names(dedicated)
    assert sorted(counts.values()) == [2, 2, 3, 3]


def test_nine_proxies_are_three_in_a_zone_and_one_on_a_node(stage: Stage) -> None:
    stage.add_nodes(nodes("node", {"a": 4, "b": 3, "c": 3}))

    stage.apply_sample("proxy-zone-spread.yaml", "prism-zone-spread")
    stage.wait_until_ready("prism-zone-spread", "prism-zone-spread")

    assert stage.counts("prism-zone-spread", PROXY, ZONE) == {"a": 3, "b": 3, "c": 3}
    assert len(set(stage.where("prism-zone-spread", PROXY))) == 9


def a_backend(name: str, node: str) -> Json:
    labels = {"app": name}
    container = {"name": name, "image": name}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{name}-{node}", "labels": labels},
        "spec": {"containers": [container], "nodeName": node},
    }


def test_proxies_are_on_the_nodes_of_redis(stage: Stage) -> None:
    stage.add_nodes(nodes("node", {"a": 3, "b": 3}))
    redis = {"node-a-0", "node-b-1"}
    namespace = stage.make_namespace("prism-backend-proximity")
    stage.apply(namespace, *(a_backend("redis", node) for node in sorted(redis)))

    stage.apply_sample("proxy-backend-proximity.yaml", namespace)
    stage.wait_until_ready("prism-backend-proximity", namespace)

    assert set(stage.where(namespace, PROXY)) == redis


def test_twenty_proxies_are_on_spot_nodes_and_one_may_go_at_a_time(stage: Stage) -> None:
    mark = ("node-lifecycle", "spot")
    spot = nodes("spot", {"a": 3, "b": 2}, labels=dict([mark]), taint=mark)
    stage.add_nodes([*spot, *nodes("plain", {"a": 3})])

    stage.apply_sample("proxy-spot.yaml", "prism-spot-proxies")
    stage.wait_until_ready("prism-spot-proxies", "prism-spot-proxies")

    where = stage.where("prism-spot-proxies", PROXY)
    assert len(where) == 20
    assert set(where) == names(spot)

    def one_may_go() -> None:
        budget = stage.budget("prism-spot-proxies-proxy", "prism-spot-proxies")
        assert (budget.get("currentHealthy"), budget.get("disruptionsAllowed")) == (20, 1)

    eventually(one_may_go)


def test_each_part_of_the_placement_example_is_on_its_kind_of_node(stage: Stage) -> None:
    three = {"a": 1, "b": 1, "c": 1}
    data = ("workload-type", "data-intensive")
    proxy_labels = {"role": "prism-proxy", "tier": "data-plane"}
    proxies = nodes("proxy", three, labels=proxy_labels, taint=data)
    admins = nodes("admin", three, labels={**CONTROL_PLANE, "tier": "management"})
    memory = nodes("memory", {"a": 2}, labels={"memory-optimized": "true"})
    cpu = nodes("cpu", {"a": 2, "b": 2}, labels={"cpu-optimized": "true"})
    stage.add_nodes([*proxies, *admins, *memory, *cpu])

    stage.apply_sample("placement.yaml", "prism-placement")
    stage.wait_until_ready("prism-production", "prism-placement")

    assert set(stage.where("prism-placement", PROXY)) == names(proxies)
    assert set(stage.where("prism-placement", ADMIN)) == names(admins)
    assert set(stage.where("prism-placement", "runner=cache-redis-large")) == names(memory)
    assert set(stage.where("prism-placement", "runner=events-nats-fast")) <= names(cpu)
    assert len(stage.where("prism-placement", "runner=queue-kafka-burst")) == 3


def test_production_example_keeps_everything_off_the_nodes_of_proxies(stage: Stage) -> None:
    stage.add_nodes(nodes("node", {"a": 4, "b": 4, "c": 4}))

    stage.apply_sample("production.yaml", "prism-prod")
    stage.wait_until_ready("prism-production", "prism-prod")

    proxies = set(stage.where("prism-prod", PROXY))
    others = stage.where("prism-prod", f"{ADMIN}") + stage.where("prism-prod", "app=prism")
    assert len(proxies) == 5
    assert len(others) == 12
    assert proxies.isdisjoint(others)


# --- Strategies that no example of the memo shows alone


def a_stack(name: str, **spec: Json | list[Json]) -> Json:
    kind = {"apiVersion": "prism.io/v1alpha1", "kind": "PrismStack"}
    return {**kind, "metadata": {"name": name}, "spec": spec}


def placed(strategy: str, replicas: int, **placement: Json) -> Json:
    return {"replicas": replicas, "placement": {"strategy": strategy, **placement}}


def test_spot_strategy_prefers_spot_nodes_of_every_provider(stage: Stage) -> None:
    karpenter, gke = ("karpenter.sh/capacity-type", "spot"), ("cloud.google.com/gke-spot", "true")
    spot = [
        *nodes("karpenter", {"a": 1}, labels=dict([karpenter]), taint=karpenter),
        *nodes("gke", {"b": 1}, labels=dict([gke]), taint=gke),
    ]
    stage.add_nodes([*spot, *nodes("plain", {"a": 2, "b": 2})])
    namespace = stage.make_namespace("strategy-spot")

    stage.apply(namespace, a_stack("shop", proxy=placed("Spot", 4)))
    stage.wait_until_ready("shop", namespace)

    assert stage.counts(namespace, PROXY, ZONE) == {"a": 2, "b": 2}
    assert set(stage.where(namespace, PROXY)) == names(spot)


def test_backend_proximity_finds_the_backend_in_its_namespace(stage: Stage) -> None:
    stage.add_nodes(nodes("node", {"a": 3, "b": 3}))
    data = stage.make_namespace("strategy-proximity-data")
    stage.apply(data, a_backend("redis", "node-b-2"))
    namespace = stage.make_namespace("strategy-proximity")
    backend = {
        "name": "redis",
        "type": "cache",
        "connectionString": f"redis://redis.{data}.svc.cluster.local:6379",
    }

    proxy = placed("BackendProximity", 4)
    stage.apply(namespace, a_stack("shop", proxy=proxy, backends=[backend]))
    stage.wait_until_ready("shop", namespace)

    assert set(stage.where(namespace, PROXY)) == {"node-b-2"}


def test_isolated_control_plane_shares_no_node_with_proxies_or_runners(stage: Stage) -> None:
    stage.add_nodes(nodes("node", {"a": 2, "b": 2}))
    namespace = stage.make_namespace("strategy-isolation")
    runner = {"name": "cache", "type": "keyvalue", "backend": "memstore", "replicas": 2}

    admin = placed("ControlPlaneIsolation", 3)
    stage.apply(namespace, a_stack("shop", proxy={"replicas": 1}, admin=admin, patterns=[runner]))
    stage.wait_until_ready("shop", namespace)

    admins = set(stage.where(namespace, ADMIN))
    others = stage.where(namespace, PROXY) + stage.where(namespace, "app=prism")
    assert len(others) == 3
    assert admins.isdisjoint(others)


def test_zone_spread_without_zone_labels_is_said_and_heals_when_nodes_are_labelled(
    stage: Stage,
) -> None:
    bare_nodes = nodes("node", {"a": 1, "b": 1})
    for node in bare_nodes:
        del node["metadata"]["labels"][ZONE]
    stage.add_nodes(bare_nodes)
    namespace = stage.make_namespace("no-zones")

    stage.apply(namespace, a_stack("shop", proxy=placed("MultiZone", 2)))

    def is_said() -> None:
        condition = stage.condition("shop", namespace, "PlacementUnsatisfiable")
        assert condition["status"] == "True"
        assert "2 nodes" in condition["message"]
        assert ZONE in condition["message"]
        events = stage.cluster.kubectl(
            "events", "--for=prismstack/shop", "--types=Warning", f"--namespace={namespace}"
        )
        assert events.count("PlacementUnsatisfiable") == 1

    eventually(is_said)
    for name, zone in (("node-a-0", "a"), ("node-b-0", "b")):
        stage.cluster.kubectl("label", "node", name, f"{ZONE}={zone}")

    stage.wait_until_ready("shop", namespace)

    def is_over() -> None:
        condition = stage.condition("shop", namespace, "PlacementUnsatisfiable")
        assert condition["status"] == "False"

    eventually(is_over)


def test_rollout_of_a_full_cluster_goes_on_and_stays_spread(stage: Stage) -> None:
    stage.add_nodes(nodes("node", {"a": 3, "b": 3, "c": 3}))
    namespace = stage.make_namespace("full")
    term = {"labelSelector": {"matchLabels": {"component": "prism-proxy"}}, "topologyKey": HOSTNAME}
    apart = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    stage.apply(namespace, a_stack("shop", proxy=placed("MultiZone", 9, affinity=apart)))
    stage.wait_until_ready("shop", namespace)

    proxy = placed("MultiZone", 9, affinity=apart) | {"image": "proxy:next"}
    stage.apply(namespace, a_stack("shop", proxy=proxy))
    place = f"--namespace={namespace}"
    stage.cluster.kubectl("rollout", "status", "deployment/shop-proxy", place, "--timeout=60s")
    stage.wait_until_ready("shop", namespace)

    assert stage.counts(namespace, PROXY, ZONE) == {"a": 3, "b": 3, "c": 3}
