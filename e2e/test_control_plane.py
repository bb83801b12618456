"""Calls of a real control plane: well, stopped, hung, slow, refusing, with what may be wrong."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from e2e.backend_servers import PASSWORD, ControlPlane
from e2e.certificates import Authority
from e2e.cluster import free_ports
from e2e.control_plane import NOT_YET, Behaviour
from prism_operator.adapters.provisioning.client import GrpcControlPlane
from prism_operator.api.meta import PRISM_NAMESPACE, Ref
from prism_operator.planning.checks import Certificates
from prism_operator.planning.provisioning import (
    Admin,
    Answer,
    BackendConfig,
    Call,
    MetricsEndpoint,
    PatternConfig,
    Provision,
    Request,
    Revoke,
    Usage,
)

KEY = Ref(PRISM_NAMESPACE, "default", "acme")
STACK = ("prism-system", "prism-dev")


# HTTP/2: SETTINGS, and a 404 that ends stream 1.
_NOT_GRPC = b"\0\0\0\4\0\0\0\0\0\0\0\1\1\5\0\0\0\1\x8d"


class Calling:
    """Calls one control plane and waits for its answer."""

    def __init__(self, client: GrpcControlPlane, authority: Authority) -> None:
        self.client = client
        self.trusted = Certificates(authority.certificate.decode())

    def admin(self, tls: Certificates | None = None, host: str = "localhost") -> Admin:
        return Admin(STACK, host, 8981, tls or self.trusted)

    def provision(self, admin: Admin | None = None) -> Provision:
        return Provision(
            admin=admin or self.admin(),
            proxy="prism-dev-proxy",
            namespace="acme-prod",
            backends=(
                ("pg", BackendConfig("postgres", "postgres://pg/a", (("password", PASSWORD),))),
            ),
            patterns=(("kv", PatternConfig("keyvalue", (("ttl", "5s"),))),),
            auth=(("issuer", "https://issuer"),),
            metadata=(("quota.maxKeys", "5"), ("tag.tenant", "acme")),
        )

    def revoke(self) -> Revoke:
        return Revoke(self.admin(), "prism-dev-proxy", "acme-prod")

    def answer(self, request: Request, metrics: MetricsEndpoint | None = None) -> Answer:
        call = Call(request, metrics)
        self.client.begin(KEY, call)
        until_s = time.monotonic() + call.timeout_s + 3
        while time.monotonic() < until_s:
            for _, answer in self.client.poll():
                return answer
            time.sleep(0.005)
        raise AssertionError("no answer within the timeout")

    def reason(self, request: Request) -> str:
        trouble = self.answer(request).trouble
        return "ok" if trouble is None else trouble.reason


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create()


@pytest.fixture(scope="module")
def server(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    found = ControlPlane(tmp_path_factory.mktemp("plane"), authority, tls=True)
    found.start()
    yield found
    found.stop()


@pytest.fixture(scope="module")
def calling(server: ControlPlane, authority: Authority) -> Iterator[Calling]:
    client = GrpcControlPlane(routes={STACK: ("localhost", server.port)})
    yield Calling(client, authority)
    client.close()


@pytest.fixture(autouse=True)
def well(server: ControlPlane) -> None:
    server.behave(Behaviour.UP)


def test_a_namespace_comes_to_the_server_with_all_that_was_said_of_it(
    calling: Calling, server: ControlPlane
) -> None:
    assert calling.reason(calling.provision()) == "ok"

    known = server.namespaces()["acme-prod"]
    assert known["proxy"] == "prism-dev-proxy"
    assert known["config"] == {
        "backends": {
            "pg": {
                "backend_type": "postgres",
                "connection_string": "postgres://pg/a",
                "credentials": {"password": PASSWORD},
            }
        },
        "patterns": {"kv": {"pattern_name": "keyvalue", "settings": {"ttl": "5s"}}},
        "auth": {"enabled": True, "provider": "oidc", "options": {"issuer": "https://issuer"}},
        "metadata": {"quota.maxKeys": "5", "tag.tenant": "acme"},
    }


def test_a_revoked_namespace_leaves_the_server_and_may_be_revoked_again(
    calling: Calling, server: ControlPlane
) -> None:
    calling.answer(calling.provision())

    assert [calling.reason(calling.revoke()) for _ in range(2)] == ["ok", "ok"]
    assert server.namespaces() == {}


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (Behaviour.NO_PROXY, "ProxyNotRegistered"),
        (Behaviour.UNIMPLEMENTED, "NotImplemented"),
        (Behaviour.REFUSING, "Rejected"),
        (Behaviour.UNAVAILABLE, "NotServing"),
        (Behaviour.UNAUTHENTICATED, "AuthenticationFailed"),
        (Behaviour.BROKEN, "NotServing"),
        (Behaviour.SLOW, "ok"),
    ],
)
def test_what_a_server_answers_is_told(
    calling: Calling, server: ControlPlane, behaviour: Behaviour, reason: str
) -> None:
    server.behave(behaviour)

    assert calling.reason(calling.provision()) == reason


def test_an_acknowledgement_that_revokes_nothing_is_repeated(
    calling: Calling, server: ControlPlane
) -> None:
    server.behave(Behaviour.ACKNOWLEDGING)

    answer = calling.answer(calling.revoke())

    assert (answer.trouble, answer.message) == (None, NOT_YET)


def test_what_a_server_repeats_of_the_credentials_goes_no_further(
    calling: Calling, server: ControlPlane
) -> None:
    server.behave(Behaviour.ECHOING)

    answer = calling.answer(calling.provision())

    assert answer.trouble is not None
    assert "acme-prod" in answer.trouble.message
    assert PASSWORD not in repr(answer)


def test_a_server_that_is_stopped_and_started_again_is_told_both_times(
    calling: Calling, server: ControlPlane
) -> None:
    server.stop()
    stopped = calling.reason(calling.provision())
    server.start()

    assert (stopped, calling.reason(calling.provision())) == ("ConnectionRefused", "ok")


def test_a_server_that_never_answers_is_told_within_the_timeout(
    calling: Calling, server: ControlPlane
) -> None:
    with server.hung():
        assert calling.reason(calling.revoke()) == "Timeout"

    assert calling.reason(calling.provision()) == "ok"


def test_a_certificate_of_somebody_elses_authority_is_told(calling: Calling) -> None:
    foreign = Certificates(Authority.create().certificate.decode())

    assert calling.reason(calling.provision(calling.admin(foreign))) == "CertificateUntrusted"


def test_a_certificate_for_another_name_is_told(calling: Calling) -> None:
    admin = calling.admin(host="prism-dev-admin.prism-system.svc")

    assert calling.reason(calling.provision(admin)) == "CertificateNameMismatch"


def test_certificates_that_are_none_are_told(calling: Calling) -> None:
    none = calling.admin(Certificates(authority="no certificate"))

    assert calling.reason(calling.provision(none)) == "CertificateUnusable"


def test_plain_text_to_a_server_that_wants_tls_is_told(calling: Calling) -> None:
    plain = replace(calling.admin(), tls=None)

    assert calling.reason(calling.provision(plain)) == "ProtocolError"


def test_a_name_that_does_not_resolve_is_told(calling: Calling) -> None:
    elsewhere = Admin(("default", "other"), "no-such-host.invalid", 8981)

    assert calling.reason(calling.provision(elsewhere)) == "NameNotResolved"


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\x00\xff garbage\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"-ERR unknown command\r\n",
        _NOT_GRPC,
    ],
)
def test_garbage_is_told_and_is_no_answer(authority: Authority, said: bytes) -> None:
    with speaking(said) as port:
        garbling = Calling(GrpcControlPlane(routes={STACK: ("127.0.0.1", port)}), authority)
        plain = replace(garbling.admin(), tls=None)
        reasons = {
            garbling.reason(garbling.provision(plain)),
            garbling.reason(replace(garbling.revoke(), admin=plain)),
        }
        garbling.client.close()

    assert reasons == {"ProtocolError"}


def test_what_the_proxy_says_of_the_namespace_comes_with_the_answer(calling: Calling) -> None:
    page = b'prism_namespace_keys{namespace="acme-prod"} 40\n'
    with speaking(b"HTTP/1.0 200 OK\r\n\r\n" + page) as port:
        answer = calling.answer(calling.provision(), MetricsEndpoint("127.0.0.1", port))

    assert answer.usage == Usage(proxies=1, keys=40)


def test_an_expired_certificate_is_told(
    calling: Calling, server: ControlPlane, authority: Authority
) -> None:
    server.stop()
    server.certify(*authority.server([], ["localhost"], expired_for=timedelta(days=1)))
    server.start()

    assert calling.reason(calling.provision()) == "CertificateExpired"


class speaking:  # noqa: N801 - used like a function
    """A server that says the same to everybody who connects; gives its port."""

    def __init__(self, said: bytes) -> None:
        self._said = said
        (port,) = free_ports(1)
        self._socket = socket.create_server(("127.0.0.1", port))
        self._port = port

    def __enter__(self) -> int:
        threading.Thread(target=self._serve, daemon=True).start()
        return self._port

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._speak, args=(connection,), daemon=True).start()

    def _speak(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            # SETTINGS come at once, an answer after the question.
            connection.sendall(self._said[:9])
            connection.recv(4096)
            time.sleep(0.05)
            connection.sendall(self._said[9:])
