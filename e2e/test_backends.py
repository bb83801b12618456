"""Health checks of real servers: each well, stopped, hung, restarted, with what may be wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from e2e.backend_servers import Kafka, Nats, Postgres, RabbitMq, Redis, Server, Sqs
from e2e.certificates import Authority
from e2e.waiting import eventually
from prism_operator.adapters.probing.prober import AsyncProber
from prism_operator.api.meta import PRISM_BACKEND, Ref
from prism_operator.planning.checks import Certificates, Check, Depth, Finding, Target
from prism_operator.planning.endpoints import endpoint_of

TIMEOUT_S = 2.0
SERVERS = (Nats, Redis, Postgres, RabbitMq, Kafka, Sqs)


class Asking:
    """Asks a prober and waits for its answer."""

    def __init__(self, prober: AsyncProber, authority: Authority) -> None:
        self._prober = prober
        self.trusted = Certificates(authority.certificate.decode())

    def target(self, server: Server, host: str = "localhost") -> Target:
        endpoint = endpoint_of(server.url(host), server.provider)
        return Target(server.provider, endpoint, self.trusted, server.username, server.password)

    def finding(self, target: Target) -> Finding:
        key = Ref(PRISM_BACKEND, "default", target.provider)
        self._prober.begin(key, Check(target, 10.0, TIMEOUT_S))
        until_s = time.monotonic() + TIMEOUT_S + 3
        while time.monotonic() < until_s:
            for _, finding in self._prober.poll():
                return finding
            time.sleep(0.005)
        raise AssertionError("no finding within the timeout")

    def reason(self, target: Target) -> str:
        finding = self.finding(target)
        return "Healthy" if finding.trouble is None else finding.trouble.reason

    def becomes(self, wanted: str, server: Server) -> None:
        """A server that has just come up may not serve yet, and says so: PostgreSQL recovers."""

        def is_so() -> None:
            assert self.reason(self.target(server)) == wanted

        eventually(is_so, within_s=60)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create()


@pytest.fixture(scope="module")
def asking(authority: Authority) -> Iterator[Asking]:
    prober = AsyncProber()
    yield Asking(prober, authority)
    prober.close()


@pytest.fixture(scope="module", params=SERVERS, ids=lambda kind: kind.provider)
def server(
    request: pytest.FixtureRequest,
    authority: Authority,
    asking: Asking,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    directory: Path = tmp_path_factory.mktemp(request.param.provider)
    # Below pytest's own folder, which is root's alone, a server of another user sees nothing.
    for folder in (directory, *list(directory.parents)[:2]):
        folder.chmod(0o755)
    found: Server = request.param(directory, authority)
    found.start()
    asking.becomes("Healthy", found)
    yield found
    found.stop()


def test_a_server_that_is_well_is_healthy_by_its_own_protocol(
    server: Server, asking: Asking
) -> None:
    finding = asking.finding(asking.target(server))

    assert (finding.trouble, finding.depth) == (None, Depth.PROTOCOL)
    assert finding.latency_s is not None
    assert 0 < finding.latency_s < TIMEOUT_S


def test_wrong_credentials_are_told(server: Server, asking: Asking) -> None:
    target = replace(asking.target(server), password="wrong")

    assert asking.reason(target) == "AuthenticationFailed"


def test_missing_credentials_are_told(server: Server, asking: Asking) -> None:
    target = replace(asking.target(server), username=None, password=None)

    assert asking.reason(target) == server.without_credentials


def test_a_certificate_of_somebody_elses_authority_is_told(server: Server, asking: Asking) -> None:
    foreign = Certificates(Authority.create().certificate.decode())

    assert asking.reason(replace(asking.target(server), tls=foreign)) == "CertificateUntrusted"


def test_a_certificate_for_another_name_is_told(server: Server, asking: Asking) -> None:
    assert asking.reason(asking.target(server, "127.0.0.1")) == "CertificateNameMismatch"


def test_certificates_that_are_none_are_told(server: Server, asking: Asking) -> None:
    none = Certificates(authority="no certificate")

    assert asking.reason(replace(asking.target(server), tls=none)) == "CertificateUnusable"


def test_a_server_that_never_answers_is_told_within_the_timeout(
    server: Server, asking: Asking
) -> None:
    began_s = time.monotonic()
    with server.hung():
        assert asking.reason(asking.target(server)) == "Timeout"
    assert time.monotonic() - began_s < TIMEOUT_S + 1
    asking.becomes("Healthy", server)


def test_a_server_that_is_stopped_and_started_again_is_told_both_times(
    server: Server, asking: Asking
) -> None:
    server.stop()
    stopped = asking.reason(asking.target(server))
    server.start()

    assert stopped == "ConnectionRefused"
    asking.becomes("Healthy", server)


def test_an_expired_certificate_is_told(
    server: Server, asking: Asking, authority: Authority
) -> None:
    server.stop()
    server.certify(*authority.server([], ["localhost"], expired_for=timedelta(days=1)))
    server.start()

    assert asking.reason(asking.target(server)) == "CertificateExpired"
