"""The promises of the loop, kept by real plans on the fake API server, in virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import pytest

from prism_operator.api.meta import (
    CONFIG_MAP,
    DEPLOYMENT,
    EVENT,
    LEASE,
    NAMESPACE,
    POD_DISRUPTION_BUDGET,
    PRISM_BACKEND,
    PRISM_PATTERN,
    PRISM_STACK,
    ROLE,
    ROLE_BINDING,
    SERVICE,
    SERVICE_ACCOUNT,
    Json,
    Ref,
    Resource,
    controller_uid_of,
    uid_of,
)
from prism_operator.planning import PLANNERS
from prism_operator.planning.observed import Observed
from prism_operator.planning.plan import Create, Plan
from prism_operator.planning.settings import Settings
from prism_operator.ports import Failed, Listed, Watch, WatchEvent
from prism_operator.runtime.operator import NODES_SETTLE_S, Operator
from simulator.apiserver.client import InProcessReader
from simulator.apiserver.request import Request, Response
from simulator.apiserver.server import Access

from .world import Crash, World

CHILDREN = (
    DEPLOYMENT,
    POD_DISRUPTION_BUDGET,
    SERVICE,
    SERVICE_ACCOUNT,
    CONFIG_MAP,
    ROLE,
    ROLE_BINDING,
    PRISM_PATTERN,
    PRISM_BACKEND,
)
PROXY = Ref(DEPLOYMENT, "default", "dev-proxy")


def a_stack(name: str = "dev", **spec: Any) -> Json:
    spec = {
        "proxy": {"replicas": 2},
        "admin": {"replicas": 1},
        "patterns": [
            {"name": "orders", "type": "consumer", "backend": "nats", "config": {"a": "b"}}
        ],
        "backends": [{"name": "nats", "type": "messaging", "connectionString": "nats://nats:4222"}],
    } | spec
    return {
        "apiVersion": PRISM_STACK.api_version,
        "kind": PRISM_STACK.kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }


def a_pattern(name: str = "orders", **spec: Any) -> Json:
    return {
        "apiVersion": PRISM_PATTERN.api_version,
        "kind": PRISM_PATTERN.kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"pattern": "consumer", "backend": "nats"} | spec,
    }


def take_in(operator: Operator) -> None:
    """Lets the operator see what there is, without making a pass."""
    for reflector in operator.reflectors:
        reflector.step()


def condition(world: World, ref: Ref, kind: str) -> Json:
    obj = world.get(ref)
    assert obj is not None
    found = [c for c in obj.get("status", {}).get("conditions", []) if c["type"] == kind]
    assert found, obj.get("status")
    result: Json = found[0]
    return result


def picture(world: World) -> list[tuple[str, str, Any]]:
    """Everything we made, less what differs from run to run."""
    return [
        (resource.kind, obj["metadata"]["name"], obj.get("spec") or obj.get("data"))
        for resource in CHILDREN
        for obj in world.objects(resource)
        if controller_uid_of(obj)
    ]


STACK = Ref(PRISM_STACK, "default", "dev")


def converged() -> tuple[World, Operator]:
    world = World()
    world.create(a_stack())
    operator = world.operator()
    world.run(operator)
    return world, operator


def test_a_stack_and_everything_below_it_is_brought_about_in_one_step() -> None:
    world, _ = converged()

    made = {(kind, name) for kind, name, _ in picture(world)}
    assert {
        ("Deployment", "dev-proxy"),
        ("Service", "dev-proxy"),
        ("PodDisruptionBudget", "dev-proxy"),
        ("Deployment", "dev-admin"),
        ("PrismPattern", "orders"),
        ("PrismBackend", "nats"),
        ("Deployment", "orders"),
        ("ConfigMap", "orders-config"),
    } <= made
    assert condition(world, STACK, "Ready")["status"] == "False"  # no kubelet here


def test_a_converged_pass_writes_nothing_not_even_after_a_restart() -> None:
    world, operator = converged()
    world.run(operator, seconds=300)  # nothing here rolls out, which is said after a while
    before = world.writes_of()
    world.run(operator, seconds=3600)
    world.run(world.operator(), seconds=3600)

    assert world.writes_of() == before


def test_every_object_and_its_status_is_written_once() -> None:
    world, _ = converged()

    writes = world.writes_of(but="events")
    creates = [w for w in writes if w.startswith("POST ")]
    statuses = [w for w in writes if w.endswith("/status")]
    assert len(creates) == len(picture(world))
    assert len(statuses) == len(set(statuses)) == 3
    assert len(writes) == len(creates) + len(statuses)


def test_while_patterns_wait_for_their_objects_no_status_is_written() -> None:
    world = World()
    for number in range(5):
        world.create(a_pattern(f"orders-{number}"))
    world.run(world.operator())

    writes = world.writes_of()
    creates = [w for w in writes if w.startswith("POST")]
    statuses = [w for w in writes if w.endswith("/status")]
    assert writes[: len(creates)] == creates
    assert len(statuses) == 5


def test_an_edit_overtakes_what_the_operator_found_when_it_started() -> None:
    world = World()
    for number in range(9):
        world.create(a_pattern(f"orders-{number}"))
    operator = world.operator()
    take_in(operator)
    operator.reconcile_next()
    world.edit(Ref(PRISM_PATTERN, "default", "orders-8"), {"spec": {"replicas": 3}})
    take_in(operator)
    operator.reconcile_next()

    deployments = [o["metadata"]["name"] for o in world.objects(DEPLOYMENT)]
    assert deployments == ["orders-0", "orders-8"]


def test_how_the_pods_do_is_looked_at_after_what_somebody_changed() -> None:
    world = World()
    for name in ("orders", "later"):
        world.create(a_pattern(name))
    operator = world.operator()
    world.run(operator)
    world.edit(
        Ref(DEPLOYMENT, "default", "orders"),
        {
            "metadata": {"annotations": {"deployment.kubernetes.io/revision": "1"}},
            "status": {"observedGeneration": 1, "replicas": 1},
        },
        "status",
    )
    take_in(operator)
    world.edit(Ref(PRISM_PATTERN, "default", "later"), {"spec": {"replicas": 3}})
    take_in(operator)
    already = len(world.writes_of())
    operator.reconcile_next()

    assert "PATCH" in world.writes_of()[already]
    assert "later" in world.writes_of()[already]


def test_what_somebody_deletes_or_changes_is_repaired() -> None:
    world, operator = converged()
    before = picture(world)
    world.delete(PROXY)
    world.edit(Ref(SERVICE, "default", "dev-proxy"), {"spec": {"selector": {"app": "mine"}}})
    world.run(operator)

    assert picture(world) == before


def test_a_field_that_leaves_the_spec_leaves_the_cluster() -> None:
    # The create is recorded as an Update of ours: without turning it into an Apply first, the
    # apiserver would keep the field for its other owner, ourselves.
    world = World()
    world.create(a_pattern(env=[{"name": "MODE", "value": "fast"}]))
    operator = world.operator()
    world.run(operator)
    pattern = Ref(PRISM_PATTERN, "default", "orders")
    world.edit(pattern, {"spec": {"env": None}})
    world.run(operator)

    deployment = world.get(Ref(DEPLOYMENT, "default", "orders"))
    assert deployment is not None
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert "MODE" not in [e["name"] for e in container.get("env", [])]
    ours = [
        entry["operation"]
        for entry in deployment["metadata"]["managedFields"]
        if entry["manager"] == "prism-operator"
    ]
    assert ours == ["Apply"]


def test_every_apply_carries_the_uid_and_every_delete_uid_and_resource_version() -> None:
    world, operator = converged()
    world.edit(STACK, {"spec": {"patterns": [], "proxy": {"replicas": 3}}})
    world.run(operator)

    patches = [r for _, r, _ in world.writes if r.method == "PATCH" and isinstance(r.body, dict)]
    deletes = [r for _, r, _ in world.writes if r.method == "DELETE"]
    applies = [r for r in patches if r.query.get("force")]
    assert applies
    assert deletes
    assert all(r.body["metadata"].get("uid") for r in applies)
    assert all(set(r.body["preconditions"]) == {"uid", "resourceVersion"} for r in deletes)


def test_a_pattern_that_leaves_the_stack_is_deleted() -> None:
    world, operator = converged()
    world.edit(STACK, {"spec": {"patterns": []}})
    world.run(operator)

    assert world.objects(PRISM_PATTERN) == []


def test_a_foreign_object_of_our_name_is_left_alone_and_noticed_when_it_goes() -> None:
    world = World()
    foreign = world.create(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "dev-proxy", "namespace": "default"},
            "spec": {"ports": [{"port": 80}], "selector": {"app": "theirs"}},
        }
    )
    world.create(a_stack())
    operator = world.operator()
    world.run(operator)
    service = Ref(SERVICE, "default", "dev-proxy")
    assert world.get(service) == foreign
    assert condition(world, STACK, "NameConflict")["status"] == "True"

    world.delete(service)
    world.run(operator)
    ours, stack = world.get(service), world.get(STACK)
    assert ours is not None
    assert stack is not None
    assert controller_uid_of(ours) == uid_of(stack)
    assert condition(world, STACK, "NameConflict")["status"] == "False"


def test_an_object_offered_for_adoption_becomes_ours() -> None:
    world = World()
    world.create(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "dev-proxy", "namespace": "default"},
            "spec": {"ports": [{"port": 9090}], "selector": {"app": "theirs"}},
        }
    )
    stack = world.create(a_stack())
    operator = world.operator()
    world.run(operator)
    service = Ref(SERVICE, "default", "dev-proxy")
    world.edit(service, {"metadata": {"annotations": {"prism.io/adopt": "true"}}})
    world.run(operator)

    adopted = world.get(service)
    assert adopted is not None
    assert controller_uid_of(adopted) == uid_of(stack)


# --- Crashes and lost replies


def _writes_to_converge() -> int:
    return len(converged()[0].writes_of())


@pytest.mark.parametrize("is_done", [True, False], ids=["after", "before"])
def test_a_crash_at_any_write_and_a_restart_converge_to_the_same(is_done: bool) -> None:
    expected = picture(converged()[0])
    for n in range(1, _writes_to_converge() + 1):
        world = World()
        world.create(a_stack())
        left = n

        def crash(request: Request, response: Response | None) -> None:
            nonlocal left
            if request.method != "GET" and (response is not None) == is_done:
                left -= 1
                if left == 0:
                    raise Crash

        world.fault = crash
        with pytest.raises(Crash):
            world.run(world.operator())
        world.fault = lambda *_: None
        world.run(world.operator(), seconds=60)

        assert picture(world) == expected, f"crash at write {n}"


def test_an_answer_that_is_lost_at_any_write_changes_nothing_and_makes_nothing_twice() -> None:
    expected = picture(converged()[0])
    for n in range(1, _writes_to_converge() + 1):
        world = World()
        world.create(a_stack())
        left = n

        def lose(request: Request, response: Response | None) -> Response | None:
            nonlocal left
            if request.method != "GET" and response is not None:
                left -= 1
                if left == 0:
                    return Response(504, {"message": "gateway timeout"})
            return None

        world.fault = lose
        world.run(world.operator(), seconds=60)

        assert picture(world) == expected, f"lost answer {n}"


def test_a_server_that_fails_for_a_while_is_outlived() -> None:
    expected = picture(converged()[0])
    world = World()
    world.create(a_stack())
    world.fault = lambda request, response: (
        Response(503, {"message": "no etcd"}) if response is None else None
    )
    operator = world.operator()
    world.run(operator, seconds=30)
    world.fault = lambda *_: None
    world.run(operator, seconds=90)

    assert picture(world) == expected


# --- Watches as they are in the field


class TamperedReader(InProcessReader):
    """A reader whose watches pass what they tell through ``tamper``."""

    def __init__(
        self, world: World, tamper: Callable[[list[WatchEvent]], list[WatchEvent]]
    ) -> None:
        super().__init__(world.server, "operator")
        self._tamper = tamper

    def watch(self, resource: Resource, namespace: str, resource_version: str) -> Watch:
        return _TamperedWatch(super().watch(resource, namespace, resource_version), self._tamper)


class _TamperedWatch:
    def __init__(
        self, watch: Watch, tamper: Callable[[list[WatchEvent]], list[WatchEvent]]
    ) -> None:
        self._watch = watch
        self._tamper = tamper

    def poll(self) -> Sequence[WatchEvent]:
        return self._tamper(list(self._watch.poll()))

    def ended(self) -> Failed | None:
        return self._watch.ended()

    def close(self) -> None:
        self._watch.close()


def operator_reading(world: World, reader: InProcessReader) -> Operator:
    make = world.reader
    world.reader = lambda user="operator": reader  # type: ignore[method-assign]
    try:
        return world.operator()
    finally:
        world.reader = make  # type: ignore[method-assign]


def test_watches_that_lag_behind_lead_to_no_second_write() -> None:
    expected = converged()[0]
    world = World()
    world.create(a_stack())
    operator = operator_reading(world, TamperedReader(world, lambda _events: []))
    world.run(operator, seconds=10)

    # Only the list was seen, and the answers to our own writes.
    assert picture(world) == picture(expected)
    assert sorted(world.writes_of()) == sorted(expected.writes_of())


@pytest.mark.parametrize("seed", range(5))
def test_events_in_any_order_and_told_twice_lead_to_the_same(seed: int) -> None:
    rng = random.Random(seed)

    def shuffle(events: list[WatchEvent]) -> list[WatchEvent]:
        events += rng.sample(events, len(events) // 2)
        rng.shuffle(events)
        return events

    world = World()
    world.create(a_stack())
    operator = operator_reading(world, TamperedReader(world, shuffle))
    world.run(operator)
    world.delete(PROXY)
    world.edit(STACK, {"spec": {"proxy": {"replicas": 5}}})
    world.run(operator, seconds=60)

    proxy = world.get(PROXY)
    assert proxy is not None
    assert proxy["spec"]["replicas"] == 5
    before = world.writes_of()
    world.run(operator, seconds=600)
    assert world.writes_of() == before


def test_an_empty_picture_of_what_exists_makes_nothing_twice() -> None:
    """A restarted operator whose lists come from a server that is far behind."""
    world, _ = converged()
    expected = picture(world)

    class Behind(InProcessReader):
        def list(self, resource: Resource, namespace: str = "") -> Listed | Failed:
            listed = super().list(resource, namespace)
            if isinstance(listed, Failed) or resource == PRISM_STACK:
                return listed
            return Listed((), "1")

        def watch(self, resource: Resource, namespace: str, resource_version: str) -> Watch:
            silent: Callable[[list[WatchEvent]], list[WatchEvent]] = lambda _events: []  # noqa: E731
            return _TamperedWatch(super().watch(resource, namespace, resource_version), silent)

    operator = operator_reading(world, Behind(world.server, "operator"))
    world.run(operator, seconds=60)

    assert picture(world) == expected


def test_a_compacted_history_is_listed_anew_and_nothing_is_missed() -> None:
    world, operator = converged()
    world.delete(PROXY)
    world.edit(STACK, {"spec": {"proxy": {"replicas": 4}}})
    world.server.storage.compact()
    world.run(operator, seconds=10)

    proxy = world.get(PROXY)
    assert proxy is not None
    assert proxy["spec"]["replicas"] == 4


def test_an_edit_that_arrives_between_plan_and_status_is_not_lost() -> None:
    # The status' answer holds the edit already, under a newer version than the edit's own event.
    world = World()
    world.create(a_stack())
    edited = False

    def edit_first(request: Request, response: Response | None) -> None:
        nonlocal edited
        if request.path.endswith("prismstacks/dev/status") and response is None and not edited:
            edited = True
            world.edit(STACK, {"spec": {"proxy": {"replicas": 7}}})

    world.fault = edit_first
    world.run(world.operator())

    assert edited
    proxy = world.get(PROXY)
    assert proxy is not None
    assert proxy["spec"]["replicas"] == 7


# --- Refusals


def test_a_write_that_is_forbidden_is_said_tried_again_and_forgotten_when_it_succeeds() -> None:
    world = World()
    world.create(a_stack())

    def no_roles(access: Access) -> str | None:
        if access.user == "operator" and access.resource == ROLE and access.verb == "create":
            return "cannot create roles"
        return None

    world.server.authorizer = no_roles
    operator = world.operator()
    world.run(operator, seconds=300)
    assert condition(world, STACK, "Stalled")["status"] == "True"
    assert "create" in condition(world, STACK, "Stalled")["message"]
    # The rest is there, and it does not hammer the server.
    assert world.get(PROXY) is not None
    refused = [w for w in world.writes_of() if w.endswith("/roles")]
    assert 5 <= len(refused) <= 30

    world.server.authorizer = None
    world.run(operator, seconds=60)
    assert len(world.objects(ROLE)) == 1
    assert condition(world, STACK, "Stalled")["status"] == "False"


def test_a_webhook_that_fails_for_one_kind_holds_up_no_other_and_is_said() -> None:
    world = World()
    world.create(a_stack())
    world.fault = lambda request, response: (
        Response(500, {"reason": "InternalError", "message": "failed calling webhook"})
        if response is None and request.method == "POST" and "deployments" in request.path
        else None
    )
    operator = world.operator()
    world.run(operator, seconds=30)
    assert world.get(Ref(SERVICE, "default", "dev-admin")) is not None
    assert "failed calling webhook" in condition(world, STACK, "Reconciling")["message"]

    world.fault = lambda *_: None
    world.run(operator, seconds=60)
    assert picture(world) == picture(converged()[0])


def test_a_server_that_is_down_is_not_asked_for_every_write_of_a_plan() -> None:
    world = World()
    world.create(a_stack())
    operator = world.operator()
    operator.step()
    asked: list[str] = []

    def down(request: Request, response: Response | None) -> Response | None:
        if request.method == "GET" or response is not None:
            return None
        asked.append(request.path)
        return Response(500, {"message": "etcd is down"})

    world.edit(STACK, {"metadata": {"labels": {"a": "b"}}, "spec": {"admin": None, "patterns": []}})
    world.fault = down
    operator.step()
    assert len(asked) == 3 + 1  # and the status


def test_retry_after_is_respected() -> None:
    world = World()
    world.create(a_pattern())
    world.fault = lambda request, response: (
        Response(
            429,
            {"reason": "TooManyRequests", "message": "slow", "details": {"retryAfterSeconds": 30}},
        )
        if response is None and request.method == "POST"
        else None
    )
    operator = world.operator()
    world.run(operator, seconds=29)
    assert len(world.writes_of()) == 0

    world.fault = lambda *_: None
    world.run(operator, seconds=2)
    assert world.get(Ref(DEPLOYMENT, "default", "orders")) is not None


def test_a_bug_about_one_object_does_not_stop_the_others() -> None:
    def buggy(observed: Observed, settings: Settings, now: Any) -> Plan:
        if observed.obj["metadata"]["name"] == "bad":
            raise ZeroDivisionError
        return PLANNERS[PRISM_PATTERN](observed, settings, now)

    world = World()
    for name in ("bad", "good"):
        world.create(a_pattern(name))
    world.run(world.operator(planners={**PLANNERS, PRISM_PATTERN: buggy}), seconds=60)

    assert [o["metadata"]["name"] for o in world.objects(DEPLOYMENT)] == ["good"]


def test_a_plan_the_server_never_agrees_with_is_slowed_down() -> None:
    plans = 0

    def restless(observed: Observed, settings: Settings, now: Any) -> Plan:
        nonlocal plans
        plans += 1
        ref = Ref(CONFIG_MAP, "default", f"made-{plans}")
        obj = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": ref.name, "namespace": ref.namespace},
        }
        pattern = Ref(PRISM_PATTERN, "default", "orders")
        return Plan(pattern, writes=(Create(ref, obj, "one more"),))

    world = World()
    world.create(a_pattern())
    world.run(world.operator(planners={PRISM_PATTERN: restless}), seconds=600)

    assert plans <= 5 * 40


# --- Leadership


def test_of_two_operators_one_writes_at_any_time_also_when_the_leader_is_cut_off() -> None:
    world = World()
    world.create(a_stack())
    a = world.operator("a", leader_elect=True, seed=1)
    b = world.operator("b", leader_elect=True, seed=2)
    world.run(a, b, seconds=30)
    assert world.writes_of("a")
    assert world.writes_of("b") == []

    world.fault = lambda request, response: (
        Response(500, {"message": "cut off"}) if request.user == "a" and response is None else None
    )
    world.delete(PROXY)
    world.run(a, b, seconds=60)
    assert world.get(PROXY) is not None
    assert world.writes_of("b")

    # The first comes back: it follows now.
    world.fault = lambda *_: None
    world.delete(PROXY)
    count = len(world.writes_of("a"))
    world.run(a, b, seconds=60)
    assert world.get(PROXY) is not None
    assert len(world.writes_of("a")) == count


def test_a_stopped_leader_hands_over_within_the_retry_period() -> None:
    world = World()
    world.create(a_stack())
    a = world.operator("a", leader_elect=True, seed=1)
    b = world.operator("b", leader_elect=True, seed=2)
    world.run(a, b, seconds=30)
    a.stop()
    world.delete(PROXY)
    world.run(b, seconds=4.4)

    assert world.get(PROXY) is not None
    assert world.writes_of("b")
    assert a.step() is None or not world.writes_of("a")[len(world.writes_of("a")) :]


def test_nothing_is_written_after_the_renew_deadline_even_in_mid_pass() -> None:
    world = World()
    world.create(a_stack())
    slow: list[int] = []

    def slow_third_write(request: Request, response: Response | None) -> None:
        if request.method == "POST" and "/leases" not in request.path and response is not None:
            slow.append(len(world.writes))
            if len(slow) == 3:
                world.clock.advance(11)  # the call took longer than we may lead unrenewed

    world.fault = slow_third_write
    operator = world.operator("a", leader_elect=True)
    world.run(operator, seconds=30)

    # The next thing written is the Lease, though the plan had more to write.
    _, after, _ = world.writes[slow[2] + 1]
    assert "/leases/" in after.path
    assert picture(world) == picture(converged()[0])


# --- Scope and Events


def test_only_the_watched_namespaces_are_looked_at() -> None:
    world = World()
    world.must(
        "POST",
        "/api/v1/namespaces",
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}},
    )
    elsewhere = a_pattern("elsewhere")
    elsewhere["metadata"]["namespace"] = "other"
    world.create(elsewhere)
    world.create(a_pattern("here"))
    world.run(world.operator(watch_namespaces=("default",)))

    assert [o["metadata"]["name"] for o in world.objects(DEPLOYMENT)] == ["here"]
    assert world.objects(DEPLOYMENT, "other") == []


def test_trouble_is_told_once_as_an_event_about_the_stack() -> None:
    world = World()
    world.create(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "dev-proxy", "namespace": "default"},
            "spec": {"ports": [{"port": 80}]},
        }
    )
    world.create(a_stack())
    world.run(world.operator(), seconds=600)

    about = [e for e in world.objects(EVENT) if e["reason"] == "NameConflict"]
    assert len(about) == 1
    assert about[0]["regarding"]["kind"] == "PrismStack"
    assert about[0]["regarding"]["name"] == "dev"


def test_the_lease_is_all_an_idle_leader_writes() -> None:
    world = World()
    world.create(a_stack())
    operator = world.operator(leader_elect=True)
    world.run(operator, seconds=300)
    before = world.writes_of()
    world.run(operator, seconds=120)

    assert world.writes_of() == before
    assert world.get(Ref(LEASE, "default", "prism-operator-leader")) is not None


def test_the_same_seed_gives_the_same_requests() -> None:
    def requests() -> list[str]:
        world = World()
        world.create(a_stack())
        world.run(world.operator(leader_elect=True, seed=3), seconds=60)
        return [f"{r.method} {r.path}" for _, r, _ in world.writes]

    assert requests() == requests()


def a_node(name: str, zone: str) -> Json:
    labels = {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone}
    room = {"cpu": "4", "memory": "8Gi", "pods": "110"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "status": {"allocatable": room},
    }


def test_nodes_that_join_are_looked_at_together_and_only_by_whom_they_concern() -> None:
    world = World()
    world.create(a_node("n", "a"))
    world.create(a_stack(proxy={"replicas": 2, "placement": {"strategy": "MultiZone"}}))
    world.create(a_stack("other", patterns=[], backends=[]))
    planned: list[str] = []

    def counting(observed: Observed, settings: Settings, now: datetime) -> Plan:
        planned.append(observed.obj["metadata"]["name"])
        return PLANNERS[PRISM_STACK](observed, settings, now)

    operator = world.operator(planners={**PLANNERS, PRISM_STACK: counting})
    world.run(operator)
    assert condition(world, STACK, "PlacementIneffective")["status"] == "True"
    planned.clear()

    for number in range(10):
        world.create(a_node(f"n-{number}", "b"))
    world.run(operator, seconds=NODES_SETTLE_S)

    assert condition(world, STACK, "PlacementIneffective")["status"] == "False"
    assert planned == ["dev"]


# --- What needs something waits for it


def _refusing_once(world: World, method: str, path: str) -> None:
    """Lets the next such request of the operator meet a conflict."""
    left = 1

    def fault(request: Request, response: Response | None) -> Response | None:
        nonlocal left
        if response is None and left and (request.method, request.path) == (method, path):
            left -= 1
            return Response(500, {"message": "etcdserver: request timed out"})
        return None

    world.fault = fault


def test_a_pattern_waits_for_a_backend_that_was_not_written_and_rolls_out_once() -> None:
    world = World()
    world.create(a_stack())
    _refusing_once(world, "POST", "/apis/prism.io/v1alpha1/namespaces/default/prismbackends")
    world.run(world.operator(), seconds=60)

    runner = world.get(Ref(DEPLOYMENT, "default", "orders"))
    assert runner is not None
    assert runner["metadata"]["generation"] == 1
    env = runner["spec"]["template"]["spec"]["containers"][0]["env"]
    assert "PRISM_BACKEND_URL" in [entry["name"] for entry in env]


def test_pods_do_not_start_before_their_secret_could_be_read() -> None:
    world = World()
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "credentials", "namespace": "default"},
        "data": {"url": "bmF0czovL24="},
    }
    backend = {
        "apiVersion": PRISM_BACKEND.api_version,
        "kind": PRISM_BACKEND.kind,
        "metadata": {"name": "nats", "namespace": "default"},
        "spec": {
            "type": "messaging",
            "provider": "nats",
            "connection": {"secretRef": {"name": "credentials"}},
        },
    }
    for obj in (secret, backend, a_pattern(backendConfig={"name": "nats"})):
        world.create(obj)
    _refusing_once(world, "GET", "/api/v1/namespaces/default/secrets/credentials")
    world.run(world.operator(), seconds=60)

    runner = world.get(Ref(DEPLOYMENT, "default", "orders"))
    assert runner is not None
    assert runner["metadata"]["generation"] == 1
    assert "prism.io/secret-hash" in runner["spec"]["template"]["metadata"]["annotations"]


def test_pods_do_not_roll_before_their_new_configuration_is_written() -> None:
    world = World()
    world.create(a_pattern(config={"a": 1}))
    operator = world.operator()
    world.run(operator)
    runner = Ref(DEPLOYMENT, "default", "orders")
    config_map = Ref(CONFIG_MAP, "default", "orders-config")
    before = world.get(runner), world.get(config_map)
    _refusing_once(world, "PATCH", "/api/v1/namespaces/default/configmaps/orders-config")
    found: list[tuple[Json | None, Json | None]] = []
    refusing = world.fault

    def note(request: Request, response: Response | None) -> Response | None:
        if request.method == "PATCH" and response is not None and response.status < 300:
            found.append((world.get(runner), world.get(config_map)))
        return refusing(request, response)

    world.fault = note
    world.edit(Ref(PRISM_PATTERN, "default", "orders"), {"spec": {"config": {"a": 2}}})
    world.run(operator, seconds=60)

    def said(pair: tuple[Json | None, Json | None]) -> tuple[Any, Any]:
        deployment, configuration = pair
        assert deployment is not None
        assert configuration is not None
        return deployment["spec"]["template"], configuration["data"]

    assert said(found[-1])[0] != said(before)[0]
    assert all(
        said(pair)[1] != said(before)[1] for pair in found if said(pair)[0] != said(before)[0]
    )


def test_in_a_namespace_that_goes_no_create_is_tried_again() -> None:
    world = World()
    namespace = Ref(NAMESPACE, "", "going")
    world.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "going"}})
    pattern = a_pattern()
    pattern["metadata"]["namespace"] = "going"
    world.create(pattern)
    operator = world.operator()
    world.run(operator)
    world.must("DELETE", namespace.resource.path("", "going"))
    before = len(world.writes_of())

    world.delete(Ref(DEPLOYMENT, "going", "orders"))
    world.run(operator, seconds=600)

    refused = world.writes_of()[before:]
    assert refused == ["POST /apis/apps/v1/namespaces/going/deployments"]
