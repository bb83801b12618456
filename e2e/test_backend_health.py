"""A PrismBackend over a real NATS server, as whoever installs it sees its status."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.backend_servers import PASSWORD, Nats
from e2e.certificates import Authority
from e2e.cluster import Cluster, Json
from e2e.operator_process import OperatorProcess
from e2e.waiting import eventually

NAME = "broker"


@pytest.fixture
def authority() -> Authority:
    return Authority.create()


@pytest.fixture
def nats(tmp_path: Path, authority: Authority) -> Iterator[Nats]:
    server = Nats(tmp_path, authority)
    server.start()
    yield server
    server.stop()


class Backend:
    """A PrismBackend and its two Secrets in a namespace."""

    def __init__(self, cluster: Cluster, namespace: str, server: Nats) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._server = server

    def apply(self, kind: str, name: str, api_version: str = "v1", **content: Any) -> None:
        metadata = {"name": name, "namespace": self._namespace}
        obj = {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}
        self._cluster.kubectl("apply", "--filename=-", stdin=json.dumps(obj))

    def credentials(self, password: str) -> None:
        server = self._server
        self.secret("creds", url=server.url(), username=server.username, password=password)

    def secret(self, name: str, **data: str) -> None:
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
        self.apply("Secret", name, data=encoded)

    def create(self) -> None:
        spec = {
            "type": "messaging",
            "provider": "nats",
            "connection": {"secretRef": {"name": "creds"}},
            "tls": {"secretRef": {"name": "ca"}},
            "healthCheck": {"interval": "2s", "timeout": "1s"},
        }
        self.apply("PrismBackend", NAME, "prism.io/v1alpha1", spec=spec)

    def status(self) -> Json:
        command = ("get", "prismbackend", NAME, f"--namespace={self._namespace}", "--output=json")
        status: Json = json.loads(self._cluster.kubectl(*command)).get("status") or {}
        return status

    def becomes(self, reason: str, phase: str, within_s: float = 20.0) -> None:
        def is_so() -> None:
            status = self.status()
            ready: Json = next(
                (c for c in status.get("conditions", ()) if c["type"] == "Ready"), {}
            )
            assert (ready.get("reason"), status.get("phase")) == (reason, phase), status

        eventually(is_so, within_s=within_s)


def test_status_follows_the_server_through_all_that_befalls_it(
    cluster: Cluster, namespace: str, nats: Nats, authority: Authority, operator: OperatorProcess
) -> None:
    backend = Backend(cluster, namespace, nats)
    backend.secret("ca", **{"ca.crt": authority.certificate.decode()})
    backend.credentials("wrong")
    backend.create()
    backend.becomes("AuthenticationFailed", "Degraded")
    backend.credentials(PASSWORD)  # Secrets are looked at once a minute
    backend.becomes("Healthy", "Ready", within_s=80)

    nats.stop()
    backend.becomes("ConnectionRefused", "Unreachable")
    nats.start()
    backend.becomes("Healthy", "Ready")
    with nats.hung():
        backend.becomes("Timeout", "Unreachable")
    backend.becomes("Healthy", "Ready")

    assert backend.status()["healthy"] is True
    told = json.dumps(backend.status()) + operator.log
    told += cluster.kubectl("get", "events", f"--namespace={namespace}", "--output=json")
    assert PASSWORD not in told
    assert base64.b64encode(PASSWORD.encode()).decode() not in told
