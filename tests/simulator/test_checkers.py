"""Every checker finds the breach that it is there for, and is silent about what is right."""

from typing import Any

import pytest

from prism_operator.api.meta import DEPLOYMENT, NODE, PRISM_STACK, REPLICA_SET, SERVICE, Ref
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
