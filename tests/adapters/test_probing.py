"""The prober where no real server is needed: what a network does, and what is refused."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_network

import pytest

from prism_operator.adapters.probing.peer import Peer, Probe
from prism_operator.adapters.probing.prober import PROVIDERS, AsyncProber
from prism_operator.adapters.probing.troubles import trouble_of
from prism_operator.api.meta import PRISM_BACKEND, Ref
from prism_operator.planning.checks import Check, Depth, Finding, Target
from prism_operator.planning.endpoints import endpoint_of

KEY = Ref(PRISM_BACKEND, "default", "broker")


@pytest.fixture
def prober() -> Iterator[AsyncProber]:
    found = AsyncProber(denied=(ip_network("127.0.0.9/32"),))
    yield found
    found.close()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Accepts connections, as its kernel does that, and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield listening


def ask(
    prober: AsyncProber, url: str, provider: str = "mongodb", timeout_s: float = 2.0
) -> Finding:
    prober.begin(KEY, Check(Target(provider, endpoint_of(url, provider)), 10.0, timeout_s))
    until_s = time.monotonic() + timeout_s + 5
    while time.monotonic() < until_s:
        for _, finding in prober.poll():
            return finding
        time.sleep(0.002)
    raise AssertionError("no finding")


def reason(finding: Finding) -> str:
    return "" if finding.trouble is None else finding.trouble.reason


def test_an_unknown_provider_is_well_when_it_accepts(
    prober: AsyncProber, listener: socket.socket
) -> None:
    finding = ask(prober, f"mongodb://127.0.0.1:{listener.getsockname()[1]}")

    assert (reason(finding), finding.depth) == ("", Depth.UNKNOWN_PROVIDER)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_server_that_never_answers_is_told_within_the_timeout(
    prober: AsyncProber, listener: socket.socket, provider: str
) -> None:
    url = f"{provider}://127.0.0.1:{listener.getsockname()[1]}"
    ask(prober, "x://127.0.0.9:1", provider)  # clients take a while to import
    began_s = time.monotonic()

    assert reason(ask(prober, url, provider, timeout_s=0.3)) == "Timeout"
    assert time.monotonic() - began_s < 2


@pytest.mark.parametrize("provider", ["mongodb", *PROVIDERS])
@pytest.mark.parametrize("host", ["169.254.169.254", "[::ffff:169.254.169.254]", "127.0.0.9"])
def test_guarded_addresses_are_connected_to_by_no_client(
    prober: AsyncProber, provider: str, host: str
) -> None:
    assert reason(ask(prober, f"x://{host}:80", provider)) == "AddressDenied"


def test_one_host_of_several_that_is_well_will_do(
    prober: AsyncProber, listener: socket.socket
) -> None:
    port = listener.getsockname()[1]

    assert reason(ask(prober, f"mongodb://127.0.0.1:1,127.0.0.1:{port}")) == ""


def test_without_its_client_a_backend_is_only_said_to_accept_connections(
    listener: socket.socket,
) -> None:
    def find(provider: str) -> Probe:
        raise ImportError(provider)

    prober = AsyncProber(find_probe=find)
    finding = ask(prober, f"nats://127.0.0.1:{listener.getsockname()[1]}", "nats")
    prober.close()

    assert (reason(finding), finding.depth) == ("", Depth.NO_CLIENT)


class Hopeless:
    """A client that gives itself up, and one that clings to life."""

    async def gives_up(self, _peer: Peer) -> None:
        raise asyncio.CancelledError

    async def clings(self, _peer: Peer) -> None:
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.2)


@pytest.mark.parametrize(("how", "told"), [("gives_up", "ConnectionLost"), ("clings", "Timeout")])
def test_a_finding_comes_whatever_a_client_does(how: str, told: str) -> None:
    prober = AsyncProber(find_probe=lambda _provider: getattr(Hopeless(), how))
    finding = ask(prober, "nats://localhost", "nats", timeout_s=0.1)
    prober.close()

    assert reason(finding) == told


def verification_error(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = code
    return error


MEANINGS = {
    "CertificateExpired": verification_error(10),
    "CertificateNameMismatch": verification_error(62),
    "CertificateUntrusted": verification_error(20),
    "NameNotResolved": socket.gaierror(socket.EAI_NONAME, "unknown"),
    "NoRoute": OSError(errno.EHOSTUNREACH, "no route"),
    "ConnectionRefused": OSError("Multiple exceptions: [Errno 111] a, [Errno 111] b"),
    "ConnectionLost": ConnectionResetError(errno.ECONNRESET, "reset"),
    "Timeout": TimeoutError(),
    "ProtocolError": ValueError("what is this?"),
}


@pytest.mark.parametrize("expected", MEANINGS)
def test_an_error_is_recognized_however_clients_wrap_it(expected: str) -> None:
    wrapped = RuntimeError("wrapped")
    wrapped.__cause__ = MEANINGS[expected]

    assert trouble_of(wrapped).reason == expected
