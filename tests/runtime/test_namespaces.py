"""Namespaces of tenants, provisioned by a whole operator in virtual time."""

from __future__ import annotations

import pytest

from prism_operator.api.meta import PRISM_NAMESPACE, PRISM_STACK, Ref
from prism_operator.planning.provisioning import PROVISION_TIMEOUT_S
from simulator.control_planes import ControlPlaneState

from .tenants import ID, STACK, TENANT, Tenants


def test_a_namespace_is_active_once_its_proxy_has_it() -> None:
    world = Tenants()
    world.add(quotas={"maxKeys": 5})
    operator = world.start()

    world.run(operator, seconds=1)

    assert world.on_proxy() == {ID}
    assert world.ready() == ("True", "NamespaceCreated")
    assert world.condition("Provisioned") == ("True", "NamespaceCreated")
    assert world.condition("QuotasEnforced") == ("True", "QuotasApplied")
    assert world.status()["phase"] == "Active"
    assert world.status()["proxyStatus"] == "Ready"


def test_a_deleted_namespace_is_revoked_before_it_is_gone() -> None:
    world = Tenants()
    world.add()
    operator = world.start()
    world.run(operator, seconds=20)

    world.delete(TENANT)
    assert world.get(TENANT) is not None
    world.run(operator, seconds=1)

    assert world.on_proxy() == set()
    assert world.get(TENANT) is None
    assert "Revoked" in [reason for reason, _ in world.events()]


def test_a_namespace_waits_for_a_proxy_to_register() -> None:
    world = Tenants()
    world.find(ControlPlaneState.NO_PROXY)
    world.add()
    operator = world.start()
    world.run(operator, seconds=30)
    assert world.ready() == ("False", "ProxyNotRegistered")
    assert (world.status()["phase"], world.condition("Degraded")[0]) == ("Pending", "False")

    world.find(ControlPlaneState.UP)
    world.run(operator, seconds=60)

    assert world.ready() == ("True", "NamespaceCreated")


def test_a_change_is_sent_at_once_and_quotas_are_enforced_when_it_succeeded() -> None:
    world = Tenants()
    world.add(quotas={"maxKeys": 5})
    operator = world.start()
    world.run(operator, seconds=20)
    world.find(ControlPlaneState.HUNG)

    world.edit(TENANT, {"spec": {"quotas": {"maxKeys": 7}}})
    world.run(operator, seconds=1)
    assert world.condition("QuotasEnforced") == ("False", "Provisioning")
    assert world.condition("Provisioned")[0] == "True"
    world.run(operator, seconds=12)
    assert world.ready() == ("False", "Timeout")
    world.find(ControlPlaneState.UP)
    world.run(operator, seconds=15)

    assert world.told()["quota.maxKeys"] == "7"
    assert world.condition("QuotasEnforced") == ("True", "QuotasApplied")


def test_a_control_plane_that_lost_everything_has_it_back_within_five_minutes() -> None:
    world = Tenants()
    world.add()
    operator = world.start()
    world.run(operator, seconds=20)
    world.planes.of("default", "demo").namespaces.clear()

    world.run(operator, seconds=301)

    assert world.on_proxy() == {ID}


def test_an_hour_at_rest_is_a_write_of_the_status_every_five_minutes() -> None:
    world = Tenants()
    world.add()
    operator = world.start()
    world.run(operator, seconds=20)
    before = len(world.writes_of())

    world.run(operator, seconds=3600)

    assert 12 <= len(world.writes_of()) - before <= 15


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (ControlPlaneState.DOWN, "ConnectionRefused"),
        (ControlPlaneState.HUNG, "Timeout"),
        (ControlPlaneState.LOST, "ConnectionLost"),
        (ControlPlaneState.UNIMPLEMENTED, "NotImplemented"),
        (ControlPlaneState.REFUSING, "Rejected"),
        (ControlPlaneState.UNAUTHENTICATED, "AuthenticationFailed"),
        (ControlPlaneState.GARBAGE, "ProtocolError"),
    ],
)
def test_what_is_wrong_is_told_and_is_over_a_minute_after_its_end(
    state: ControlPlaneState, reason: str
) -> None:
    world = Tenants()
    world.find(state)
    world.add()
    operator = world.start()
    world.run(operator, seconds=600)
    assert world.ready() == ("False", reason)
    assert world.condition("Degraded") == ("True", reason)
    assert len(world.planes.of("default", "demo").calls) <= 17  # backed off, if they arrived

    world.find(ControlPlaneState.UP)
    world.run(operator, seconds=60 + PROVISION_TIMEOUT_S)

    assert world.ready() == ("True", "NamespaceCreated")


def test_the_older_of_two_has_the_id_and_the_newer_takes_over_when_it_is_gone() -> None:
    world = Tenants()
    world.add(quotas={"maxKeys": 1})
    world.clock.advance(2)
    other = Ref(PRISM_NAMESPACE, "default", "acme-again")
    world.add(other, quotas={"maxKeys": 2})
    operator = world.start()
    world.run(operator, seconds=20)
    assert world.ready() == ("True", "NamespaceCreated")
    assert world.ready(other) == ("False", "Conflict")
    assert world.told()["quota.maxKeys"] == "1"

    world.delete(TENANT)
    world.run(operator, seconds=5)

    assert world.ready(other) == ("True", "NamespaceCreated")
    assert world.told()["quota.maxKeys"] == "2"


def test_one_that_never_came_to_the_proxy_goes_without_taking_the_others_namespace() -> None:
    world = Tenants()
    world.add()
    world.clock.advance(2)
    other = Ref(PRISM_NAMESPACE, "default", "acme-again")
    world.add(other)
    operator = world.start()
    world.run(operator, seconds=20)

    world.delete(other)
    world.run(operator, seconds=20)

    assert world.get(other) is None
    assert world.on_proxy() == {ID}


def test_an_object_of_its_own_is_revoked_and_deleted_after_its_ttl_with_a_warning_before() -> None:
    world = Tenants()
    world.add(ttl="1h")
    operator = world.start()
    world.run(operator, seconds=3500)
    assert world.condition("Expiring") == ("True", "TtlEnds")
    assert world.on_proxy() == {ID}

    world.run(operator, seconds=120)

    assert world.get(TENANT) is None
    assert world.on_proxy() == set()
    reasons = [reason for reason, _ in world.events()]
    assert {"TtlEnds", "Revoked", "Expired"} <= set(reasons)


def test_a_namespace_that_a_stack_made_is_kept_as_expired_and_degrades_nothing() -> None:
    world = Tenants(namespaces=[{"name": "acme", "namespaceId": ID, "ttl": "10m"}])
    operator = world.start()

    world.run(operator, seconds=900)

    assert world.on_proxy() == set()
    assert world.status()["phase"] == "Expired"
    assert world.ready() == ("False", "Expired")
    assert world.condition("NamespacesProvisioned", STACK)[0] == "True"
    world.edit(STACK, {"spec": {"namespaces": [{"name": "acme", "namespaceId": ID, "ttl": "2h"}]}})
    world.run(operator, seconds=5)
    assert world.on_proxy() == {ID}


def test_a_ttl_ends_while_the_control_plane_is_away_and_is_carried_out_when_it_is_back() -> None:
    world = Tenants()
    world.add(ttl="10m")
    operator = world.start()
    world.run(operator, seconds=20)
    world.find(ControlPlaneState.DOWN)
    world.run(operator, seconds=900)
    assert world.status()["phase"] == "Expired"
    assert world.ready() == ("False", "ConnectionRefused")

    world.find(ControlPlaneState.UP)
    world.run(operator, seconds=61)

    assert world.get(TENANT) is None
    assert world.on_proxy() == set()


def test_what_is_retained_stays_on_the_proxy() -> None:
    world = Tenants()
    world.add(deletionPolicy="Retain")
    operator = world.start()
    world.run(operator, seconds=20)

    world.delete(TENANT)
    world.run(operator, seconds=1)

    assert world.get(TENANT) is None
    assert world.on_proxy() == {ID}


def test_a_deletion_that_waits_is_let_go_by_retaining() -> None:
    world = Tenants()
    world.add()
    operator = world.start()
    world.run(operator, seconds=20)
    world.find(ControlPlaneState.DOWN)
    world.delete(TENANT)
    world.run(operator, seconds=300)
    assert world.ready() == ("False", "ConnectionRefused")

    world.edit(TENANT, {"spec": {"deletionPolicy": "Retain"}})
    world.run(operator, seconds=1)

    assert world.get(TENANT) is None


def test_a_namespace_moves_by_leaving_the_old_proxy_first() -> None:
    world = Tenants()
    world.apply(Ref(PRISM_STACK, "default", "other"), {"admin": {}})
    world.add()
    operator = world.start()
    world.run(operator, seconds=20)
    world.find(ControlPlaneState.DOWN)
    world.edit(TENANT, {"spec": {"proxyRef": {"name": "other-proxy"}}})
    world.run(operator, seconds=30)
    assert world.on_proxy("other") == set()

    world.find(ControlPlaneState.UP)
    world.run(operator, seconds=61)

    assert (world.on_proxy(), world.on_proxy("other")) == (set(), {ID})


def test_a_paused_namespace_is_neither_changed_nor_revoked_until_it_goes_on() -> None:
    world = Tenants()
    world.add()
    operator = world.start()
    world.run(operator, seconds=20)
    world.edit(TENANT, {"metadata": {"annotations": {"prism.io/paused": "true"}}})
    world.edit(TENANT, {"spec": {"displayName": "ACME"}})
    world.run(operator, seconds=400)
    world.delete(TENANT)
    world.run(operator, seconds=20)
    assert world.condition("Paused") == ("True", "Paused")
    assert "displayName" not in world.told()

    world.edit(TENANT, {"metadata": {"annotations": {"prism.io/paused": None}}})
    world.run(operator, seconds=1)

    assert world.get(TENANT) is None
    assert world.on_proxy() == set()


def test_a_proxy_of_another_namespace_is_used_only_where_its_stack_allows_it() -> None:
    world = Tenants()
    world.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
    theirs = Ref(PRISM_NAMESPACE, "team", "theirs")
    world.add(theirs)
    operator = world.start()
    world.run(operator, seconds=20)
    assert world.ready(theirs) == ("False", "ProxyNotAllowed")
    world.clock.advance(2)
    # Nobody who is not let in keeps an id from others.
    world.add()
    world.run(operator, seconds=1)
    assert world.ready() == ("True", "NamespaceCreated")
    world.delete(TENANT)

    world.edit(STACK, {"spec": {"allowedNamespaces": ["team"]}})
    world.run(operator, seconds=1)

    assert world.ready(theirs) == ("True", "NamespaceCreated")


def test_a_new_leader_lets_calls_of_the_old_one_end_before_it_revokes() -> None:
    world = Tenants()
    world.add()
    first, second = (world.start(name, leader_elect=True) for name in ("first", "second"))
    world.run(first, second, seconds=30)
    world.find(ControlPlaneState.SLOW)
    world.edit(TENANT, {"spec": {"displayName": "ACME"}})
    world.run(first, second, seconds=0.5)  # its call is under way
    first.stop()
    world.delete(TENANT)

    world.run(second, seconds=60)

    assert world.get(TENANT) is None
    assert world.on_proxy() == set()


def test_a_stack_takes_its_namespaces_along() -> None:
    world = Tenants(namespaces=[{"name": "acme", "namespaceId": ID}])
    operator = world.start()
    world.run(operator, seconds=20)
    assert world.condition("NamespacesProvisioned", STACK) == ("True", "AllReady")

    world.edit(STACK, {"spec": {"namespaces": []}})
    world.run(operator, seconds=5)

    assert world.get(TENANT) is None
    assert world.on_proxy() == set()


def test_trouble_of_the_control_plane_says_nothing_new_of_patterns() -> None:
    world = Tenants()
    world.add(patterns=["gone"])
    operator = world.start()
    world.run(operator, seconds=20)
    assert world.condition("PatternsResolved") == ("False", "PatternNotFound")
    world.find(ControlPlaneState.DOWN)
    world.run(operator, seconds=400)
    assert world.condition("PatternsResolved") == ("False", "PatternNotFound")

    world.find(ControlPlaneState.UP)
    world.edit(TENANT, {"spec": {"patterns": []}})
    world.run(operator, seconds=61)

    assert world.condition("PatternsResolved") == ("True", "NoneDeclared")
    assert all(note for _, note in world.events())
