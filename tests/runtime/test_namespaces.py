"""Namespaces of tenants, provisioned by a whole operator in virtual time."""

from __future__ import annotations

from simulator.control_planes import ControlPlaneState

from .tenants import ID, TENANT, Tenants


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
