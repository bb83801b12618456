"""What users rely on, told in simulated time."""

from typing import Any

import pytest

from prism_operator.api.meta import (
    DEPLOYMENT,
    LEASE,
    POD,
    PRISM_PATTERN,
    PRISM_STACK,
    REPLICA_SET,
    SERVICE,
    Json,
    Ref,
)
from simulator.controllers.objects import condition, is_ready, is_true
from simulator.scenario import load_manifests
from tests.simulator.builders import SAMPLES, Story, a_stack

STACK = Ref(PRISM_STACK, "default", "shop")
PROXY = Ref(DEPLOYMENT, "default", "shop-proxy")
ORDERS = Ref(DEPLOYMENT, "default", "orders")


def image_of(deployment: Json) -> str:
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])


def reason_of(obj: Json, type_: str = "Ready") -> str:
    found = condition(obj, type_)
    return str(found["reason"]) if found else ""


@pytest.mark.parametrize(
    ("sample", "stack", "via"),
    [
        ("prism-dev.yaml", Ref(PRISM_STACK, "default", "prism-dev"), "ports"),
        ("prism-system.yaml", Ref(PRISM_STACK, "prism-system", "prism-dev"), "ports"),
        ("quickstart.yaml", Ref(PRISM_STACK, "default", "prism-quickstart"), "ports"),
        ("quickstart.yaml", Ref(PRISM_STACK, "default", "prism-quickstart"), "pykube"),
    ],
)
def test_the_memos_stacks_become_ready_within_a_minute(sample: str, stack: Ref, via: str) -> None:
    objects = [m.obj for m in load_manifests(SAMPLES / sample)]
    story = Story(*objects, operator={"via": via})

    story.wait(60)

    assert is_true(story.get(stack), "Ready")
    story.finish()


def test_everything_a_stack_brings_about_can_be_selected_by_its_name() -> None:
    story = Story(a_stack())
    story.wait_until_quiet()

    for resource in (DEPLOYMENT, REPLICA_SET, POD, SERVICE, PRISM_PATTERN):
        objects = story.simulation.cache.list(resource, "default")
        assert objects
        assert {o["metadata"]["labels"].get("stack") for o in objects} == {"shop"}


def test_a_deleted_deployment_is_back_within_two_seconds() -> None:
    story = Story(a_stack())
    story.wait_until_quiet()
    uid = story.get(PROXY)["metadata"]["uid"]

    story.simulation.user.delete(PROXY, "background")
    assert not story.has(PROXY)
    story.wait(2)

    assert story.get(PROXY)["metadata"]["uid"] != uid
    story.wait(60)
    assert is_true(story.get(STACK), "Ready")
    story.finish()


def test_an_image_edited_by_hand_is_repaired_within_two_seconds() -> None:
    story = Story(a_stack())
    story.wait_until_quiet()
    before = image_of(story.get(PROXY))

    edit = {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "mine:1"}
    story.simulation.user.patch(PROXY, [edit])
    assert image_of(story.get(PROXY)) == "mine:1"
    story.wait(2)

    assert image_of(story.get(PROXY)) == before
    story.finish()


def test_replicas_scaled_by_hand_are_taken_back_without_a_scaler() -> None:
    story = Story(a_stack())
    story.wait_until_quiet()

    story.simulation.user.scale(PROXY, 1)
    story.wait(2)

    assert story.get(PROXY)["spec"]["replicas"] == 3
    story.finish()


def test_a_rollout_restart_is_not_undone() -> None:
    story = Story(a_stack())
    story.wait_until_quiet()
    pods = {p["metadata"]["name"] for p in story.simulation.cache.list(POD, "default")}

    story.simulation.user.rollout_restart(PROXY, story.simulation.clock.unix_us())
    story.wait(60)

    template = story.get(PROXY)["spec"]["template"]
    assert "kubectl.kubernetes.io/restartedAt" in template["metadata"]["annotations"]
    proxies = [p for p in story.simulation.cache.list(POD) if "proxy" in p["metadata"]["name"]]
    assert len(proxies) == 3
    assert not pods & {p["metadata"]["name"] for p in proxies}
    assert is_true(story.get(STACK), "Ready")
    story.finish()


def test_a_pattern_that_leaves_the_stack_takes_its_objects_along() -> None:
    story = Story(a_stack(), applies={"without": a_stack(patterns=[])})
    story.wait_until_quiet()
    assert story.has(ORDERS)

    story.simulation.apply("without")
    story.wait(5)

    gone = (Ref(PRISM_PATTERN, "default", "orders"), ORDERS, Ref(SERVICE, "default", "orders"))
    assert [ref for ref in gone if story.has(ref)] == []
    assert story.has(PROXY)
    story.finish()


def test_a_deleted_stack_leaves_nothing() -> None:
    story = Story(a_stack(admin={"enabled": True}))
    empty = Story(nodes=3)
    story.wait_until_quiet()

    story.simulation.user.delete(STACK, "background")
    story.wait_until_quiet()

    for resource in story.simulation.cache.resources():
        if resource.kind in ("Event", "Lease"):
            continue
        left = story.simulation.cache.list(resource)
        assert len(left) == len(empty.simulation.cache.list(resource)), resource.kind
    story.finish()


def test_a_foreign_deployment_of_the_same_name_is_untouched_and_named_in_the_condition() -> None:
    theirs = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shop-proxy", "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": {"app": "theirs"}},
            "template": {
                "metadata": {"labels": {"app": "theirs"}},
                "spec": {"containers": [{"name": "c", "image": "theirs:1"}]},
            },
        },
    }
    story = Story(theirs, a_stack())
    story.wait_until_quiet()

    stack = story.get(STACK)
    assert reason_of(stack) == "NameConflict"
    assert not is_true(stack, "Ready")
    foreign = story.get(PROXY)
    assert image_of(foreign) == "theirs:1"
    managers = {m["manager"] for m in foreign["metadata"]["managedFields"]}
    assert managers == {"kubectl", "kube-controller-manager"}
    story.finish()


def test_two_idle_minutes_see_no_write_but_the_lease() -> None:
    story = Story(a_stack(admin={"enabled": True}), operator={"leaderElect": True})
    story.wait_until_quiet()
    writes, changes = story.writes, len(story.lines("changed"))

    story.wait(120)

    assert story.writes == writes
    leases = story.lines("changed")[changes:]
    assert leases
    assert all(entry["object"].startswith("Lease prism-system/") for entry in leases)
    story.finish()


def test_killed_after_any_write_the_next_operator_goes_on() -> None:
    undisturbed = Story(a_stack())
    undisturbed.wait_until_quiet()
    assert undisturbed.writes >= 8

    for nth in range(1, undisturbed.writes + 1):
        crash = {"at": "0s", "operatorCrash": {"afterWrites": nth, "restartAfter": "1s"}}
        story = Story(a_stack(), timeline=(crash,))
        story.wait_until_quiet()

        assert len(story.lines("killed")) == 1, nth
        assert is_true(story.get(STACK), "Ready"), nth
        pods = story.simulation.cache.list(POD)
        assert len(pods) == 5, nth
        assert all(map(is_ready, pods)), nth
        story.finish()


@pytest.mark.parametrize("nth", range(1, 6))
def test_killed_at_any_write_of_a_rollout_it_still_ends_well(nth: int) -> None:
    crash = {"at": "60s", "operatorCrash": {"afterWrites": nth, "restartAfter": "500ms"}}
    rollout = {"at": "60s", "apply": "new"}
    new = a_stack(proxy={"replicas": 3, "image": "proxy:2"})
    story = Story(a_stack(), timeline=(crash, rollout), applies={"new": new})

    story.wait(120)

    assert len(story.lines("killed")) == 1
    images = {
        p["spec"]["containers"][0]["image"]
        for p in story.simulation.cache.list(POD)
        if p["metadata"]["labels"].get("component") == "prism-proxy"
    }
    assert images == {"proxy:2"}
    assert is_true(story.get(STACK), "Ready")
    story.finish()


def test_of_two_operators_one_writes_and_the_other_takes_over_within_a_lease() -> None:
    story = Story(a_stack(), operator={"replicas": 2})
    story.wait_until_quiet()
    leader, other = story.simulation.operators
    assert leader.writes > 0
    assert other.writes == 0

    leader.kill(after_writes=0, restart_after_us=None)
    story.simulation.user.delete(PROXY, "background")
    story.wait(12)
    assert not story.has(PROXY)  # the lease of 15 s, renewed 2 s before its end at most, stands
    story.wait(5.5)  # that and a retry of 2 s

    assert story.has(PROXY)
    assert other.writes > 0
    lease = story.get(Ref(LEASE, "prism-system", "prism-operator-leader"))
    assert lease["spec"]["holderIdentity"].startswith("operator-1")
    story.finish()


def test_an_operator_that_stops_gracefully_hands_over_within_two_retries() -> None:
    story = Story(a_stack(), operator={"replicas": 2})
    story.wait_until_quiet()
    leader, other = story.simulation.operators

    leader.stop()
    story.simulation.user.delete(PROXY, "background")
    story.wait(5)

    assert story.has(PROXY)
    assert other.writes > 0
    story.finish()


def test_a_full_cluster_says_what_it_lacks_and_the_stack_follows_when_there_is_room() -> None:
    big: Any = {"replicas": 3, "resources": {"requests": {"cpu": "3"}}}
    story = Story(a_stack(proxy=big), nodes=2)
    story.wait_until_quiet()

    notes = [e.get("note", "") for e in story.lines("created")]
    assert any(
        n.startswith("FailedScheduling: 0/2 nodes are available: 2 Insufficient cpu") for n in notes
    )
    assert not is_true(story.get(STACK), "Ready")
    waiting = [p for p in story.simulation.cache.list(POD) if not p["spec"].get("nodeName")]
    assert [reason_of(p, "PodScheduled") for p in waiting] == ["Unschedulable"]
    story.finish()
