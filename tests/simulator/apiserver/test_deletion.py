from __future__ import annotations

import pytest

from prism_operator.api.meta import CONFIG_MAP, NAMESPACE, POD, SERVICE_ACCOUNT, Json
from simulator.apiserver.garbage import GarbageCollector
from simulator.apiserver.namespaces import NamespaceController
from simulator.apiserver.request import Request, Response

from .builders import (
    World,
    a_config_map,
    a_namespace,
    a_pod,
    an_object,
    owned_by,
    refused,
    seen,
)

HOLD = "example.com/hold"


class Collected(World):
    """A world with a garbage collector."""

    def __init__(self) -> None:
        super().__init__()
        self.collector = GarbageCollector(self.server)

    def settle(self, steps_max: int = 20) -> int:
        """Steps until nothing is left to do; returns how many."""
        for step in range(steps_max):
            if not self.collector.step():
                return step
        raise AssertionError("the garbage collector does not come to rest")

    def a_family(self, *, blocks: bool = False) -> tuple[Json, Json, Json]:
        """A grandparent, a parent and a child."""
        first = self.create(a_config_map("first"))
        second = self.create(a_config_map("second", metadata=owned_by(first, blocks=blocks)))
        third = self.create(a_config_map("third", metadata=owned_by(second, blocks=blocks)))
        return first, second, third

    def left(self) -> list[str]:
        listed = self.done(self.ask("GET", CONFIG_MAP.path("default")))
        return [item["metadata"]["name"] for item in listed["items"]]


def test_a_delete_answers_with_a_status_that_names_the_object() -> None:
    world = World()
    created = world.create(a_config_map())

    answer = World.done(world.delete(created))

    assert answer["status"] == "Success"
    assert answer["details"] == {
        "name": "one",
        "kind": "configmaps",
        "uid": created["metadata"]["uid"],
    }
    assert refused(world.delete(created))[:2] == (404, "NotFound")


def test_some_kinds_answer_with_the_object_they_deleted() -> None:
    world = World()
    account = world.create(an_object(SERVICE_ACCOUNT, "one"))

    assert World.done(world.delete(account))["metadata"]["uid"] == account["metadata"]["uid"]


@pytest.mark.parametrize(
    ("preconditions", "told"),
    [
        ({"uid": "another"}, "the UID in the precondition (another) does not match"),
        ({"resourceVersion": "1"}, "the ResourceVersion in the precondition (1) does not match"),
    ],
)
def test_a_delete_keeps_its_preconditions(preconditions: Json, told: str) -> None:
    world = World()
    created = world.create(a_config_map())

    response = world.delete(created, preconditions=preconditions)

    assert refused(response)[:2] == (409, "Conflict")
    assert told in refused(response)[2]
    uid, version = created["metadata"]["uid"], created["metadata"]["resourceVersion"]
    assert (
        world.delete(created, preconditions={"uid": uid, "resourceVersion": version}).status == 200
    )


def test_finalizers_hold_an_object_until_the_last_is_gone() -> None:
    world = World()
    created = world.create(a_config_map(metadata={"finalizers": [HOLD]}))
    watch = world.watch(CONFIG_MAP, resourceVersion=created["metadata"]["resourceVersion"])

    held = World.done(world.delete(created))
    world.merge(created, {"metadata": {"finalizers": None}})

    assert held["metadata"]["deletionTimestamp"] == "2026-03-02T00:00:00Z"
    assert held["metadata"]["deletionGracePeriodSeconds"] == 0
    assert seen(watch.poll()) == [("MODIFIED", "one"), ("DELETED", "one")]
    assert not world.exists(CONFIG_MAP, "one")


def test_a_dry_run_deletes_nothing() -> None:
    world = World()
    created = world.create(a_config_map())

    assert world.delete(created, dryRun=["All"]).status == 200
    assert world.exists(CONFIG_MAP, "one")


def test_an_unscheduled_pod_goes_at_once_and_a_running_one_after_its_grace() -> None:
    world = World()
    idle = world.create(a_pod("idle"))
    running = world.create(a_pod("running", spec={"nodeName": "n1"}))

    world.delete(idle)
    marked = World.done(world.delete(running))
    world.delete(running)
    sooner = World.done(world.delete(running, gracePeriodSeconds=5))

    assert not world.exists(POD, "idle")
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 30
    assert marked["metadata"]["deletionTimestamp"] == "2026-03-02T00:00:30Z"
    assert sooner["metadata"]["deletionTimestamp"] == "2026-03-02T00:00:05Z"
    world.delete(running, gracePeriodSeconds=0)
    assert not world.exists(POD, "running")


def test_a_collection_is_deleted_by_selector() -> None:
    world = World()
    world.create(a_config_map("a", metadata={"labels": {"go": "yes"}}))
    world.create(a_config_map("b"))

    path = CONFIG_MAP.path("default")
    answer = World.done(world.ask("DELETE", path, labelSelector="go=yes"))

    assert [item["metadata"]["name"] for item in answer["items"]] == ["a"]
    assert not world.exists(CONFIG_MAP, "a")
    assert world.exists(CONFIG_MAP, "b")


def test_dependents_go_after_their_owner_in_the_background() -> None:
    world = Collected()
    first, _, _ = world.a_family()

    world.delete(first, propagationPolicy="Background")

    assert world.left() == ["second", "third"]
    world.settle()
    assert world.left() == []


def test_dependents_go_before_their_owner_in_the_foreground() -> None:
    world = Collected()
    first, _, _ = world.a_family(blocks=True)
    watch = world.watch(CONFIG_MAP, resourceVersion=str(world.server.storage.revision))

    held = World.done(world.delete(first, propagationPolicy="Foreground"))
    world.settle()

    assert held["metadata"]["finalizers"] == ["foregroundDeletion"]
    gone = [name for kind, name in seen(watch.poll()) if kind == "DELETED"]
    assert gone == ["third", "second", "first"]


def test_the_foreground_does_not_wait_for_dependents_that_do_not_block() -> None:
    world = Collected()
    owner = world.create(a_config_map("owner"))
    stuck = {"finalizers": [HOLD], **owned_by(owner)}
    world.create(a_config_map("stuck", metadata=stuck))

    world.delete(owner, propagationPolicy="Foreground")
    world.settle()

    assert world.left() == ["stuck"]
    assert "deletionTimestamp" in world.get(CONFIG_MAP, "stuck")["metadata"]


def test_the_foreground_waits_for_a_blocking_dependent() -> None:
    world = Collected()
    owner = world.create(a_config_map("owner"))
    held = {"finalizers": [HOLD], **owned_by(owner, blocks=True)}
    dependent = world.create(a_config_map("held", metadata=held))

    world.delete(owner, propagationPolicy="Foreground")
    world.settle()
    assert world.left() == ["held", "owner"]

    world.merge(dependent, {"metadata": {"finalizers": None}})
    world.settle()
    assert world.left() == []


def test_orphaned_dependents_stay_without_their_owner() -> None:
    world = Collected()
    first, _, _ = world.a_family()

    world.delete(first, propagationPolicy="Orphan")
    world.settle()

    assert world.left() == ["second", "third"]
    assert "ownerReferences" not in world.get(CONFIG_MAP, "second")["metadata"]
    assert "ownerReferences" in world.get(CONFIG_MAP, "third")["metadata"]


def test_an_object_stays_while_one_of_its_owners_does() -> None:
    world = Collected()
    one, two = world.create(a_config_map("one")), world.create(a_config_map("two"))
    both = {"ownerReferences": owned_by(one)["ownerReferences"] + owned_by(two)["ownerReferences"]}
    world.create(a_config_map("shared", metadata=both))

    world.delete(one)
    world.settle()

    references = world.get(CONFIG_MAP, "shared")["metadata"]["ownerReferences"]
    assert [reference["name"] for reference in references] == ["two"]


def test_a_reference_to_nobody_is_a_death_sentence() -> None:
    world = Collected()
    owner = world.create(a_config_map("owner"))
    world.delete(owner)
    world.create(a_config_map("late", metadata=owned_by(owner)))
    impostor = world.create(a_config_map("owner"))
    world.create(a_config_map("later", metadata=owned_by(owner)))

    world.settle()

    assert impostor["metadata"]["uid"] != owner["metadata"]["uid"]
    assert world.left() == ["owner"]


def test_an_owner_in_another_namespace_does_not_count() -> None:
    world = Collected()
    world.create(a_namespace("other"))
    owner = world.create(a_config_map("owner", namespace="other"))
    world.create(a_config_map("far", metadata=owned_by(owner)))

    world.settle()

    assert world.left() == []
    assert world.exists(CONFIG_MAP, "owner", "other")


def test_an_owner_of_an_unknown_kind_protects() -> None:
    world = Collected()
    reference = {"apiVersion": "no.such/v1", "kind": "Thing", "name": "x", "uid": "1234"}
    world.create(a_config_map("kept", metadata={"ownerReferences": [reference]}))

    world.settle()

    assert world.left() == ["kept"]


def test_what_fails_is_tried_again() -> None:
    world = Collected()
    first, _, _ = world.a_family()
    failures = iter([True, True, True])

    def fail(request: Request, response: Response | None) -> Response | None:
        if response is None and request.method == "DELETE" and next(failures, False):
            return Response(500, {"kind": "Status", "code": 500, "message": "not now"})
        return None

    world.delete(first)
    world.server.faults = fail
    world.settle()

    assert world.left() == []


def test_a_collector_that_starts_late_finds_what_is_due() -> None:
    world = World()
    owner = world.create(a_config_map("owner"))
    world.create(a_config_map("kept", metadata=owned_by(owner)))
    gone = world.create(a_config_map("gone"))
    world.create(a_config_map("lost", metadata=owned_by(gone)))
    world.delete(gone)

    collector = GarbageCollector(world.server)
    while collector.step():
        pass

    assert collector.is_idle
    assert world.exists(CONFIG_MAP, "kept")
    assert not world.exists(CONFIG_MAP, "lost")


def test_a_namespace_is_emptied_and_let_go() -> None:
    world = World()
    controller = NamespaceController(world.server)
    world.create(a_namespace("ending"))
    held = world.create(a_config_map("held", namespace="ending", metadata={"finalizers": [HOLD]}))
    world.create(a_config_map("free", namespace="ending"))
    world.delete(a_namespace("ending"))

    while controller.step():
        pass
    assert not world.exists(CONFIG_MAP, "free", "ending")
    assert world.exists(NAMESPACE, "ending")

    world.merge(held, {"metadata": {"finalizers": None}})
    while controller.step():
        pass
    assert not world.exists(NAMESPACE, "ending")
