"""A PrismNamespace over a real control plane, as whoever installs it sees its status."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.backend_servers import PASSWORD, ControlPlane
from e2e.certificates import Authority
from e2e.cluster import Cluster, Json
from e2e.control_plane import Behaviour
from e2e.operator_process import OperatorProcess
from e2e.stacks import ADMIN, PROXY, Stack
from e2e.waiting import eventually
from prism_operator.planning.tenancy import FINALIZER

NAME, ID = "acme", "acme-prod"
START = Callable[..., OperatorProcess]


@pytest.fixture
def authority() -> Authority:
    return Authority.create()


class Tenant:
    """A stack, its control plane on this machine, and a PrismNamespace on its proxy."""

    def __init__(self, stack: Stack, plane: ControlPlane, start: START) -> None:
        self._cluster, self._stack, self.plane = stack.cluster, stack, plane
        self.namespace = stack.place.partition("=")[2]
        self._start = start

    def start_operator(self) -> OperatorProcess:
        place = f"{self.namespace}/{self._stack.name}"
        return self._start(f"--control-plane={place}=localhost:{self.plane.port}")

    def apply(self, **spec: object) -> None:
        proxy = {"name": f"{self._stack.name}-proxy"}
        manifest = {
            "apiVersion": "prism.io/v1alpha1",
            "kind": "PrismNamespace",
            "metadata": {"name": NAME},
            "spec": {"namespaceId": ID, "proxyRef": proxy, **spec},
        }
        self._cluster.kubectl(
            "apply", "--filename=-", self._stack.place, stdin=json.dumps(manifest)
        )

    def get(self) -> Json:
        return self._cluster.get("prismnamespace", NAME, self._stack.place)

    def becomes(self, reason: str, phase: str, within_s: float = 30.0) -> None:
        def is_so() -> None:
            status = self.get().get("status") or {}
            found = [c for c in status.get("conditions", ()) if c["type"] == "Ready"]
            assert found, status
            assert (found[0]["reason"], status["phase"]) == (reason, phase), status

        eventually(is_so, within_s=within_s)

    def delete(self) -> None:
        self._cluster.kubectl("delete", "prismnamespace", NAME, self._stack.place, "--wait=false")

    def is_gone(self) -> None:
        names = self._cluster.kubectl("get", "prismnamespaces", "--output=name", self._stack.place)
        assert names.split() == []


@pytest.fixture
def plane(tmp_path: Path, authority: Authority) -> Iterator[ControlPlane]:
    server = ControlPlane(tmp_path, authority, tls=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def tenant(stack: Stack, plane: ControlPlane, start_operator: START) -> Tenant:
    return Tenant(stack, plane, start_operator)


def test_a_namespace_is_provisioned_followed_and_revoked(tenant: Tenant, stack: Stack) -> None:
    tenant.start_operator()
    stack.apply(proxy=PROXY, admin=ADMIN)
    tenant.apply(quotas={"maxKeys": 5})
    tenant.becomes("NamespaceCreated", "Active")
    assert FINALIZER in tenant.get()["metadata"]["finalizers"]
    assert tenant.plane.namespaces()[ID]["config"]["metadata"] == {"quota.maxKeys": "5"}

    tenant.apply(quotas={"maxKeys": 7})

    def is_told() -> None:
        assert tenant.plane.namespaces()[ID]["config"]["metadata"] == {"quota.maxKeys": "7"}

    eventually(is_told)
    tenant.plane.stop()
    tenant.delete()
    tenant.becomes("ConnectionRefused", "Deleting")
    tenant.plane.start()
    eventually(tenant.is_gone, within_s=90)

    assert tenant.plane.namespaces() == {}


def test_deletion_goes_on_with_whoever_comes_after_a_killed_operator(
    tenant: Tenant, stack: Stack
) -> None:
    first = tenant.start_operator()
    stack.apply(proxy=PROXY, admin=ADMIN)
    tenant.apply()
    tenant.becomes("NamespaceCreated", "Active")
    tenant.plane.behave(Behaviour.SLOW)
    tenant.delete()
    tenant.becomes("Revoking", "Deleting")
    first.kill()

    tenant.plane.behave(Behaviour.UP)
    tenant.start_operator()
    eventually(tenant.is_gone, within_s=60)

    assert tenant.plane.namespaces() == {}


def test_a_namespace_goes_with_its_stack_whose_control_plane_is_away(
    tenant: Tenant, stack: Stack, cluster: Cluster
) -> None:
    tenant.start_operator()
    stack.apply(proxy=PROXY, admin=ADMIN)
    tenant.apply()
    tenant.becomes("NamespaceCreated", "Active")
    tenant.plane.stop()

    tenant.delete()
    cluster.kubectl("delete", "prismstack", stack.name, stack.place)

    eventually(tenant.is_gone, within_s=60)


def test_credentials_travel_over_tls_and_stand_nowhere_else(
    tmp_path: Path, stack: Stack, start_operator: START, cluster: Cluster, authority: Authority
) -> None:
    name = f"{stack.name}-admin.{stack.place.partition('=')[2]}.svc"
    plane = ControlPlane(tmp_path, authority, tls=True)
    plane.certify(*authority.server([], [name]))
    plane.start()
    tenant = Tenant(stack, plane, start_operator)
    secrets = {
        "login": {"url": "postgres://pg:5432/a", "username": "prism", "password": PASSWORD},
        "admin-tls": {"ca.crt": authority.certificate.decode()},
    }
    for secret, data in secrets.items():
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
        manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret}}
        document = json.dumps({**manifest, "data": encoded})
        cluster.kubectl("apply", "--filename=-", stack.place, stdin=document)
    operator = tenant.start_operator()
    stack.apply(
        proxy=PROXY,
        admin={**ADMIN, "tls": {"secretRef": {"name": "admin-tls"}}},
        backends=[
            {
                "name": "pg",
                "type": "database",
                "provider": "postgres",
                "secretRef": {"name": "login"},
            }
        ],
        patterns=[{"name": "rows", "type": "keyvalue", "backend": "pg", "image": PROXY["image"]}],
    )
    tenant.apply(patterns=["rows"])
    tenant.becomes("NamespaceCreated", "Active", within_s=90)

    try:
        backend = plane.namespaces()[ID]["config"]["backends"]["pg"]
        assert backend["credentials"] == {"username": "prism", "password": PASSWORD}
        assert backend["connection_string"] == "postgres://pg:5432/a"
        plane.behave(Behaviour.ECHOING)
        tenant.apply(patterns=["rows"], displayName="ACME")
        tenant.becomes("Rejected", "Degraded")
        told = json.dumps(tenant.get()) + operator.log
        told += cluster.kubectl("get", "events", stack.place, "--output=json")
        assert PASSWORD not in told
        assert base64.b64encode(PASSWORD.encode()).decode() not in told
    finally:
        plane.stop()
