"""Every checker finds the breach that it is there for, and is silent about what is right."""

from typing import Any

import pytest

from prism_operator.api.meta import (
    DEPLOYMENT,
    NODE,
    POD,
    POD_DISRUPTION_BUDGET,
    PRISM_STACK,
    REPLICA_SET,
    SERVICE,
    Ref,
)
from simulator.apiserver.server import ApiServer
from simulator.checkers import all_checkers
from simulator.clock import VirtualClock
from simulator.cluster.api import ApiWorld, Cache
from simulator.controllers.world import Change
from simulator.kernel import Kernel
from simulator.run import Simulation, _catalog
from tests.simulator.builders import Story, a_scenario, a_stack

SECOND = 1_000_000


class Watched:
    """A cluster in which nobody acts but the test, under all checkers."""

    def __init__(self) -> None:
        self.kernel = Kernel()
        simulation = Simulation(a_scenario())
        clock = VirtualClock(self.kernel, simulation.scenario.clock.start)
        server = ApiServer(clock, _catalog())
        cache = Cache(server)
        self.world = ApiWorld(server, cache, clock, "test")
        self.operator = ApiWorld(server, cache, clock, "prism-operator")
        self.autoscaler = ApiWorld(server, cache, clock, "kube-controller-manager")
        self.operator_works = True
        self.checkers = all_checkers(cache, lambda: self.operator_works)
        self.found: list[str] = []
        cache.on_change(self._changed)

    def _changed(self, change: Change) -> None:
        for checker in self.checkers:
            self.found += [checker.name for _ in checker.changed(change, self.kernel.now_us)]

    def rest_until(self, seconds: int) -> None:
        self.kernel.run_until(seconds * SECOND)
        for checker in self.checkers:
            self.found += [checker.name for _ in checker.rested(self.kernel.now_us)]


def owned_by(*owners: Any) -> list[Any]:
    return [
        {
            "apiVersion": o["apiVersion"],
            "kind": o["kind"],
            "name": o["metadata"]["name"],
            "uid": o["metadata"]["uid"],
            "controller": True,
        }
        for o in owners
    ]


def a_deployment(replicas: int = 2, **meta: Any) -> Any:
    template = {
        "metadata": {"labels": {"app": "x"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "default", **meta},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "x"}},
            "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": template,
        },
    }


def a_replica_set(owner: Any, replicas: int, name: str = "rs") -> Any:
    deployment = a_deployment()
    meta = {"name": name, "namespace": "default", "ownerReferences": owned_by(owner)}
    spec = {**deployment["spec"], "replicas": replicas}
    del spec["strategy"]
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": meta, "spec": spec}


def test_more_pods_wanted_than_surge_allows_is_found() -> None:
    cluster = Watched()
    deployment = cluster.world.create(a_deployment(replicas=2))
    cluster.world.create(a_replica_set(deployment, 3, "one"))
    assert cluster.found == []

    cluster.world.create(a_replica_set(deployment, 1, "two"))

    assert cluster.found == ["surge"]


def test_what_outlives_its_owner_for_a_minute_is_found() -> None:
    cluster = Watched()
    deployment = cluster.world.create(a_deployment())
    cluster.world.create(a_replica_set(deployment, 1))
    cluster.world.delete(Ref(DEPLOYMENT, "default", "d"), deployment["metadata"]["uid"])

    cluster.rest_until(59)
    assert cluster.found == []
    cluster.rest_until(60)

    assert cluster.found == ["no-orphans"]


def test_a_write_of_the_operator_to_a_foreign_object_is_found() -> None:
    cluster = Watched()
    stack = cluster.world.create(a_stack())
    cluster.operator.create(a_deployment(ownerReferences=owned_by(stack), name="ours"))
    theirs = cluster.world.create(a_deployment(name="theirs"))
    assert cluster.found == []

    cluster.operator.update({**theirs, "spec": {**theirs["spec"], "replicas": 7}})

    assert cluster.found == ["only-our-own"]


def test_two_controllers_of_one_object_are_found() -> None:
    one, other = (
        {"apiVersion": "v1", "kind": "K", "metadata": {"name": n, "uid": n}} for n in "ab"
    )
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s", "uid": "s", "ownerReferences": owned_by(one, other)},
    }
    cluster = Watched()  # a real API server refuses this, so the checker is asked directly

    (checker,) = (c for c in cluster.checkers if c.name == "one-owner")

    change = Change(Ref(SERVICE, "default", "s"), None, service)
    assert list(checker.changed(change, 0)) == ["Service default/s has the controllers K a, K b"]


def test_an_object_that_lost_its_owner_is_no_longer_the_operators_but_not_its_fault() -> None:
    cluster = Watched()
    stack = cluster.world.create(a_stack())
    made = cluster.operator.create(a_deployment(ownerReferences=owned_by(stack)))

    meta = {**made["metadata"], "ownerReferences": []}
    orphan = cluster.world.update({**made, "metadata": meta})
    cluster.world.update({**orphan, "spec": {**orphan["spec"], "replicas": 7}})

    assert cluster.found == []


@pytest.mark.parametrize(("operator_works", "found"), [(True, ["ready-is-true"]), (False, [])])
def test_a_stack_that_says_ready_without_its_pods_is_found_after_a_moment(
    operator_works: bool, found: list[str]
) -> None:
    cluster = Watched()
    cluster.operator_works = operator_works
    stack = cluster.world.create(a_stack())
    cluster.world.create(a_deployment(ownerReferences=owned_by(stack)))
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "Ready",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    cluster.world.update({**stack, "status": {"conditions": [ready]}}, "status")

    cluster.rest_until(1)
    cluster.rest_until(5)
    assert cluster.found == []
    cluster.rest_until(7)

    assert cluster.found == found


@pytest.mark.parametrize("resource", [PRISM_STACK, REPLICA_SET, NODE])
def test_a_sound_cluster_has_nothing_to_report(resource: Any) -> None:
    story = Story(a_stack(), duration="3m")

    story.finish()

    assert story.simulation.cache.list(resource)


def an_hpa() -> Any:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "d", "namespace": "default"},
        "spec": {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 5},
    }


def test_an_autoscaler_that_leaves_its_bounds_is_found_and_a_user_who_does_is_not() -> None:
    watched = Watched()
    deployment = watched.world.create(a_deployment())
    watched.world.create(an_hpa())
    watched.autoscaler.scale(deployment, 5)
    watched.world.scale(deployment, 9)
    assert not watched.found

    watched.autoscaler.scale(deployment, 6)
    assert watched.found == ["replicas-within-bounds"]


def a_node(name: str, *, cpu: str = "2", zone: str = "a", **spec: Any) -> Any:
    labels = {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
        "status": {"allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "3"}},
    }


def a_pod(name: str, *, cpu: str = "500m", **spec: Any) -> Any:
    container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": "x"}},
        "spec": {"containers": [container], **spec},
    }


def nodes(watched: Watched, *objects: Any) -> None:
    for node in objects:
        made = watched.world.create(node)
        watched.world.update({**made, "status": node["status"]}, "status")


def bound(watched: Watched, pod: Any, node: str) -> Any:
    made = watched.world.create(pod)
    watched.world.bind(made, node)
    return made


def test_a_node_that_is_asked_for_more_than_it_has_is_found() -> None:
    watched = Watched()
    nodes(watched, a_node("n", cpu="2"), a_node("m"))
    sidecar = {**a_pod("", cpu="250m")["spec"]["containers"][0], "name": "s"}
    init = [{**sidecar, "restartPolicy": "Always"}]
    bound(watched, a_pod("one", cpu="1250m", initContainers=init), "n")
    full = bound(watched, a_pod("two", cpu="500m"), "n")  # 250m + 1250m + 500m: exactly full
    assert watched.found == []

    bound(watched, a_pod("three", cpu="1m"), "n")
    assert watched.found == ["within-allocatable"]

    watched.world.delete_within(Ref(POD, "default", "two"), full["metadata"]["uid"], 0)
    bound(watched, a_pod("four", cpu="400m"), "n")  # there is room again
    assert watched.found == ["within-allocatable"]

    bound(watched, a_pod("five", cpu="0"), "n")  # but for three pods only
    assert watched.found == ["within-allocatable"] * 2


@pytest.mark.parametrize(
    "node",
    [
        {"unschedulable": True},
        {"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]},
        {"taints": [{"key": "k", "effect": "NoExecute"}]},
    ],
    ids=["cordoned", "NoSchedule", "NoExecute"],
)
def test_a_pod_on_a_node_that_it_does_not_tolerate_is_found(node: Any) -> None:
    watched = Watched()
    nodes(watched, a_node("n", **node))
    bound(watched, a_pod("tolerant", tolerations=[{"operator": "Exists"}]), "n")
    assert watched.found == []

    bound(watched, a_pod("other", tolerations=[{"key": "other", "operator": "Exists"}]), "n")
    assert watched.found == ["where-tolerated"]


def test_a_pod_outside_its_node_affinity_is_found() -> None:
    watched = Watched()
    nodes(watched, a_node("n", zone="a"))
    bound(watched, a_pod("right", nodeSelector={"topology.kubernetes.io/zone": "a"}), "n")
    assert watched.found == []

    bound(watched, a_pod("wrong", nodeSelector={"topology.kubernetes.io/zone": "b"}), "n")
    assert watched.found == ["where-tolerated"]


def a_spread(**more: Any) -> Any:
    constraint = {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "x"}},
        **more,
    }
    return {"topologySpreadConstraints": [constraint]}


def test_a_second_pod_in_a_zone_while_another_zone_has_none_is_found() -> None:
    watched = Watched()
    nodes(watched, a_node("n", zone="a"), a_node("m", zone="b"))
    bound(watched, a_pod("one", **a_spread()), "n")
    bound(watched, a_pod("two", **a_spread()), "m")
    bound(watched, a_pod("three", **a_spread()), "n")
    assert watched.found == []

    bound(watched, a_pod("four", **a_spread()), "n")
    assert watched.found == ["hard-spread"]


def test_zones_that_a_spread_does_not_count_are_no_reason_for_an_alarm() -> None:
    watched = Watched()
    taints = [{"key": "k", "effect": "NoSchedule"}]
    nodes(watched, a_node("n", zone="a"), a_node("m", zone="b", taints=taints))
    only_a = {"nodeSelector": {"topology.kubernetes.io/zone": "a"}}
    for i, spec in enumerate(
        (
            {**a_spread(), **only_a},
            {**a_spread(), **only_a},
            a_spread(nodeTaintsPolicy="Honor"),
        )
    ):
        bound(watched, a_pod(f"p{i}", **spec), "n")
    assert watched.found == []

    bound(watched, a_pod("p", cpu="0", **a_spread(nodeAffinityPolicy="Ignore"), **only_a), "n")
    assert "hard-spread" in watched.found


def test_an_eviction_that_leaves_fewer_pods_than_the_budget_wants_is_found() -> None:
    watched = Watched()
    nodes(watched, a_node("n"))
    for name in ("one", "two", "three"):
        bound(watched, a_pod(name), "n")
        now = watched.world.get(Ref(POD, "default", name))
        assert now is not None
        ready = {"type": "Ready", "status": "True"}
        status = {"phase": "Running", "conditions": [ready]}
        watched.world.update({**now, "status": status}, "status")
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "b", "namespace": "default"},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "x"}}},
    }
    made = watched.world.create(budget)

    def charge(*names: str) -> None:
        gone = dict.fromkeys(names, "2026-03-02T00:00:00Z")
        counts = {"currentHealthy": 3, "desiredHealthy": 2, "expectedPods": 3}
        status = {**counts, "disruptionsAllowed": 0, "disruptedPods": gone}
        latest = watched.world.get(Ref(POD_DISRUPTION_BUDGET, "default", "b"))
        watched.world.update({**made, **(latest or {}), "status": status}, "status")

    charge("one")
    assert watched.found == []
    # The controller takes the name off once the pod is seen to go.
    uid = watched.world.get(Ref(POD, "default", "one"))["metadata"]["uid"]  # type: ignore[index]
    watched.world.delete(Ref(POD, "default", "one"), uid)
    charge()
    assert watched.found == []

    watched.rest_until(5)
    charge("two")
    assert watched.found == ["pdb-violated-by-eviction"]
