"""The webhook's server over real sockets: patient with none, fair to all, never down."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from prism_operator.adapters.certificates import FromFiles, ServedCertificates, issue, life_of
from prism_operator.adapters.webhook_server import BODY_BYTES_MAX, Patience, WebhookServer
from prism_operator.api.meta import Json
from prism_operator.ports import CertificateError, KeyPair

NAME = "hook.prism-system.svc"
PATH = "/validate"
NOW = datetime.now(UTC)
DAY = timedelta(days=1)
PATIENT = Patience()

Call = Callable[..., "Caller"]


def echo(body: bytes) -> Json:
    asked = json.loads(body)
    if asked == "bug":
        raise RuntimeError("no")
    return {"asked": asked}


def trusting(*pairs: KeyPair) -> ssl.SSLContext:
    """The TLS settings of a caller who trusts the authorities of these certificates."""
    bundle = b"".join(life_of(pair).authority for pair in pairs)
    return ssl.create_default_context(cadata=bundle.decode())


class Caller:
    """Calls the server like the API server does, over connections that stay open."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self._context = context
        self._port = port
        self.secure = self._connect()

    def _connect(self) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self._port), timeout=5)
        return self._context.wrap_socket(plain, server_hostname=NAME)

    def post(self, body: bytes, path: str = PATH, **headers: str) -> tuple[int, bytes]:
        lines = [f"POST {path} HTTP/1.1", f"Host: {NAME}"]
        lines += [f"{key.replace('_', '-')}: {value}" for key, value in headers.items()]
        if "Content_Length" not in headers:
            lines.append(f"Content-Length: {len(body)}")
        self.secure.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        return self.answer()

    def answer(self) -> tuple[int, bytes]:
        with http.client.HTTPResponse(self.secure) as response:
            response.begin()
            return response.status, response.read()

    def close(self) -> None:
        self.secure.close()


@contextmanager
def a_server(
    pair: KeyPair | None = None,
    patience: Patience = PATIENT,
    respond: Callable[[bytes], Json] = echo,
) -> Iterator[tuple[WebhookServer, ServedCertificates]]:
    served = ServedCertificates()
    if pair is not None:
        served.take(pair)
    server = WebhookServer("127.0.0.1:0", PATH, respond, served.context, patience)
    try:
        yield server, served
    finally:
        server.close()


@pytest.fixture
def call(stack: ExitStack) -> Call:
    """Connects to a server's port, trusting these certificates."""

    def connect(server: WebhookServer, *pairs: KeyPair) -> Caller:
        return stack.enter_context(closing(Caller(server.port, trusting(*pairs))))

    return connect


@pytest.fixture(scope="module")
def pair() -> KeyPair:
    return issue([NAME], NOW, DAY)


def test_a_connection_serves_one_request_after_another(call: Call, pair: KeyPair) -> None:
    with a_server(pair) as (server, _):
        caller = call(server, pair)
        for number in range(3):
            assert caller.post(str(number).encode()) == (200, b'{"asked": %d}' % number)


@pytest.mark.parametrize(
    ("request_of", "status", "told"),
    [
        (lambda c: c.post(b"{", PATH), 400, b"Expecting"),
        (lambda c: c.post(b"\x00\xff\xfe" * 100, PATH), 400, b""),
        (lambda c: c.post(b'"bug"', PATH), 500, b"see the operator's log"),
        (lambda c: c.post(b"1", "/elsewhere"), 404, b"only /validate is served"),
        (lambda c: c.post(b"", PATH, Content_Length="many"), 411, b"Content-Length is missing"),
        (lambda c: c.post(b"", PATH, Content_Length=str(BODY_BYTES_MAX + 1)), 413, b"at most"),
        (lambda c: c.post(b"", PATH, Content_Length="-1"), 411, b""),
    ],
)
def test_what_is_no_request_is_told_so_and_others_are_served(
    call: Call,
    pair: KeyPair,
    request_of: Callable[[Caller], tuple[int, bytes]],
    status: int,
    told: bytes,
) -> None:
    with a_server(pair) as (server, _):
        caller = call(server, pair)
        answer = request_of(caller)
        assert answer[0] == status
        assert told in answer[1]
        assert caller.secure.recv(1) == b""  # and it hangs up
        assert call(server, pair).post(b"1")[0] == 200


def test_who_does_not_finish_his_handshake_or_request_holds_up_nobody(
    call: Call, pair: KeyPair, stack: ExitStack
) -> None:
    patience = Patience(handshake_s=0.3, request_s=0.3, idle_s=0.3)
    with a_server(pair, patience) as (server, _):
        quiet = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))
            for _ in range(20)
        ]
        quiet[0].sendall(b"GET / HTTP/1.1\r\n\r\n")  # no TLS at all
        slow = call(server, pair)
        slow.secure.sendall(f"POST {PATH} HTTP/1.1\r\nContent-Length: 100\r\n\r\n1".encode())

        assert call(server, pair).post(b"1")[0] == 200

        for connection in (*quiet, slow.secure):
            with suppress(ConnectionResetError):
                while connection.recv(4096):  # an alert, perhaps; then the end
                    pass


def test_a_request_that_trickles_in_is_cut_off(call: Call, pair: KeyPair) -> None:
    with a_server(pair, Patience(request_s=0.4)) as (server, _):
        caller = call(server, pair)
        began_s = time.monotonic()
        caller.secure.sendall(f"POST {PATH} HTTP/1.1\r\nContent-Length: 1000\r\n\r\n".encode())
        with suppress(OSError):
            while time.monotonic() - began_s < 5:
                caller.secure.sendall(b"1")
                time.sleep(0.05)
        assert time.monotonic() - began_s < 3


def test_more_connections_than_there_is_room_for_are_closed_at_once(
    call: Call, pair: KeyPair
) -> None:
    with a_server(pair, Patience(connections_max=2)) as (server, _):
        callers = [call(server, pair) for _ in range(2)]
        with pytest.raises(OSError):  # noqa: PT011 - reset, or closed in the handshake
            call(server, pair)
        callers[0].close()
        assert callers[1].post(b"1")[0] == 200


def test_without_a_certificate_connections_are_closed(call: Call, pair: KeyPair) -> None:
    with a_server() as (server, served):
        with pytest.raises(OSError):  # noqa: PT011 - reset, or closed in the handshake
            call(server, pair)
        served.take(pair)
        assert call(server, pair).post(b"1")[0] == 200


def test_an_expired_certificate_is_not_accepted_by_callers(call: Call) -> None:
    expired = issue([NAME], NOW - 2 * DAY, DAY)
    with a_server(expired) as (server, served):
        with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
            call(server, expired)
        renewed = issue([NAME], NOW, DAY)
        served.take(renewed)
        assert call(server, renewed).post(b"1")[0] == 200


def test_no_request_fails_while_certificates_change_under_load(pair: KeyPair) -> None:
    pairs = [pair, *(issue([NAME], NOW, DAY) for _ in range(4))]
    trust, failures, served_count = trusting(*pairs), list[Exception](), 0
    stop = threading.Event()

    def call() -> None:
        nonlocal served_count
        staying = Caller(server.port, trust)
        while not stop.is_set():
            try:
                fresh = Caller(server.port, trust)
                assert fresh.post(b"1")[0] == staying.post(b"2")[0] == 200
                fresh.close()
                served_count += 1
            except Exception as error:
                failures.append(error)
        staying.close()

    with a_server(pair) as (server, served):
        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        for following in pairs[1:]:
            time.sleep(0.15)
            served.take(following)
        time.sleep(0.15)
        stop.set()
        for thread in threads:
            thread.join()

    assert failures == []
    assert served_count > len(pairs)


def test_files_are_taken_over_when_they_change_and_kept_when_they_are_nonsense(
    tmp_path: Path, pair: KeyPair
) -> None:
    served = ServedCertificates()
    files = FromFiles(tmp_path, served)
    files.step()
    assert "tls.crt: No such file" in files.trouble
    assert served.context() is None

    (tmp_path / "tls.crt").write_bytes(pair.certificate)
    (tmp_path / "tls.key").write_bytes(pair.key)
    files.step()
    first = served.context()
    assert first is not None
    assert files.trouble == ""

    following = issue([NAME], NOW, DAY)
    (tmp_path / "tls.crt").write_bytes(following.certificate)  # the key follows a moment later
    files.step()
    assert "certificate and key do not belong together" in files.trouble
    assert served.context() is first

    (tmp_path / "tls.key").write_bytes(following.key)
    files.step()
    assert files.trouble == ""
    assert served.context() not in (None, first)


def test_a_certificate_says_its_names_and_its_end(pair: KeyPair) -> None:
    life = life_of(pair)

    assert life.names == (NAME,)
    assert abs(life.issued - NOW) < timedelta(seconds=1)
    assert abs(life.ends - (NOW + DAY)) < timedelta(seconds=1)
    assert life.authority.count(b"BEGIN CERTIFICATE") == 1


def test_what_is_no_certificate_is_said_without_its_key() -> None:
    for pair in (KeyPair(b"", b""), KeyPair(b"-----BEGIN CERTIFICATE-----", b"secret")):
        with pytest.raises(CertificateError) as told:
            life_of(pair)
        assert "secret" not in f"{told.value} {pair!r}"
