from __future__ import annotations

import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from prism_operator.api.meta import Json
from prism_operator.planning import checks, plan_backend
from prism_operator.planning.checks import Check, Depth, Finding, Trouble
from prism_operator.planning.observed import Observed
from prism_operator.planning.plan import Plan
from prism_operator.planning.settings import Settings

from .builders import NAMESPACE, NOW, a_backend, an_object, condition, observed

SECOND = timedelta(seconds=1)
CHECKING = Settings(check_backends=True)


def plan(observed: Observed, finding: Finding | None = None) -> Plan:
    now = finding.at if finding is not None else NOW
    return plan_backend(replace(observed, finding=finding), CHECKING, now)


def check_of(backend: Json, *others: Json) -> Check:
    check = plan(observed(backend, *others)).check
    assert check is not None
    return check


def after(backend: Json, *found: Trouble | None, step_s: float = 1.0) -> Json:
    """The status once these were found, one after the other."""
    target = check_of(backend).target
    for count, trouble in enumerate(found):
        finding = Finding(target, NOW + count * step_s * SECOND, trouble, 0.0124)
        planned = plan(observed(backend), finding)
        if planned.status is not None:
            backend = {**backend, "status": planned.status}
    status: Json = backend["status"]
    return status


def ready_of(status: Json) -> Json:
    found: Json = next(c for c in status["conditions"] if c["type"] == "Ready")
    return found


def a_secret(name: str = "creds", *, namespace: str = NAMESPACE, to: str = "", **data: str) -> Json:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    annotations = {"prism.io/allowed-namespaces": to} if to else {}
    metadata = {"namespace": namespace, "annotations": annotations}
    return an_object("v1", "Secret", name, data=encoded, metadata=metadata)


def by_secret(**reference: Any) -> Json:
    return a_backend(connection={"secretRef": {"name": "creds", **reference}})


def test_a_backend_that_answers_is_ready_with_its_latency() -> None:
    status = after(a_backend(), None)

    assert (status["phase"], status["healthy"], status["latency"]) == ("Ready", True, "12ms")
    assert status["lastChecked"] == "2026-01-02T03:04:05Z"
    assert ready_of(status)["reason"] == "Healthy"
    assert ready_of(status)["message"] == "kafka:9092: it answers by its protocol"


@pytest.mark.parametrize(
    ("trouble", "phase"),
    [
        (checks.NAME, "Unreachable"),
        (checks.REFUSED, "Unreachable"),
        (checks.TIMEOUT, "Unreachable"),
        (checks.ADDRESS, "Unreachable"),
        (checks.AUTHENTICATION, "Degraded"),
        (checks.TLS_EXPIRED, "Degraded"),
        (checks.PROTOCOL, "Degraded"),
    ],
)
def test_phase_tells_whether_anybody_answers(trouble: Trouble, phase: str) -> None:
    status = after(a_backend(), trouble)

    assert (status["phase"], status["healthy"]) == (phase, False)
    assert ready_of(status)["reason"] == trouble.reason


def test_a_backend_is_pending_until_it_was_checked() -> None:
    planned = plan(observed(a_backend()))

    assert planned.status is not None
    assert planned.status["phase"] == "Pending"
    assert condition(planned, "Ready")["status"] == "Unknown"
    assert condition(planned, "Ready")["reason"] == "CheckPending"


def test_what_an_earlier_operator_found_stands_until_the_first_check() -> None:
    backend = a_backend()
    backend["status"] = after(backend, None)

    planned = plan(observed(backend))

    assert planned.is_empty
    assert planned.check is not None


def test_a_new_spec_is_not_ready_for_what_was_found_before_it() -> None:
    backend = a_backend()
    found = Finding(check_of(backend).target, NOW)
    backend["status"] = after(backend, None)
    edited = a_backend(connection={"url": "kafka://elsewhere:9092"}, metadata={"generation": 2})
    edited["status"] = backend["status"]

    assert condition(plan(observed(edited), found), "Ready")["reason"] == "CheckPending"


def test_checks_that_find_the_same_are_told_once_a_minute() -> None:
    backend, writes = a_backend(), 0
    target = check_of(backend).target
    for second in range(0, 600, 10):
        finding = Finding(target, NOW + second * SECOND, latency_s=0.001 * (1 + second % 7))
        planned = plan(observed(backend), finding)
        if planned.status is not None:
            writes, backend = writes + 1, {**backend, "status": planned.status}

    assert writes == 10


def test_a_change_is_told_at_once_and_with_an_event() -> None:
    backend = a_backend()
    backend["status"] = after(backend, None)
    target = check_of(backend).target

    planned = plan(observed(backend), Finding(target, NOW + SECOND, checks.TIMEOUT))

    assert planned.status is not None
    assert planned.status["phase"] == "Unreachable"
    assert [(e.type, e.reason) for e in planned.events] == [("Warning", "Timeout")]


def test_the_time_of_transition_moves_only_with_the_truth() -> None:
    status = after(a_backend(), checks.REFUSED, checks.TIMEOUT)

    assert ready_of(status)["reason"] == "Timeout"
    assert ready_of(status)["lastTransitionTime"] == "2026-01-02T03:04:05Z"


@pytest.mark.parametrize("told", ["2999-01-01T00:00:00Z", "yesterday", "2026-01-02T03:04:05"])
def test_a_time_that_cannot_be_true_does_not_silence_the_checks(told: str) -> None:
    backend = a_backend()
    backend["status"] = {**after(backend, None), "lastChecked": told}

    planned = plan(observed(backend), Finding(check_of(backend).target, NOW + SECOND))

    assert planned.status is not None


def test_a_connection_without_its_protocol_is_not_called_more_than_it_is() -> None:
    backend = a_backend(provider="mongodb", connection={"url": "mongodb://db:27017"})
    target = check_of(backend).target

    planned = plan(observed(backend), Finding(target, NOW, depth=Depth.UNKNOWN_PROVIDER))

    assert condition(planned, "Ready")["reason"] == "Connected"
    assert "no check for this provider" in condition(planned, "Ready")["message"]


def test_memory_needs_no_check() -> None:
    planned = plan(observed(a_backend(provider="memstore", connection=None)))

    assert planned.check is None
    assert condition(planned, "Ready")["status"] == "True"


def test_checks_that_are_switched_off_leave_ready_unknown() -> None:
    backend = a_backend(healthCheck={"enabled": False})

    planned = plan(observed(backend))

    assert planned.check is None
    assert condition(planned, "Ready")["status"] == "Unknown"
    assert "healthCheck.enabled" in condition(planned, "Ready")["message"]


def test_credentials_of_the_secret_come_before_those_of_its_url() -> None:
    secret = a_secret(url="redis://a:b@r", username="me", password="s3cret\n")
    target = check_of(by_secret(), secret).target

    assert (target.username, target.password) == ("me", "s3cret")
    assert "s3cret" not in repr(target)


REFUSED = {
    "SecretNotFound": (by_secret(), []),
    "SecretKeyMissing": (by_secret(), [a_secret(password="s3cret")]),
    "MalformedUrl": (by_secret(), [a_secret(url="redis://me:s3cret@host:port")]),
    "SecretNotAllowed": (
        by_secret(namespace="vault"),
        [a_secret(namespace="vault", to="others", url="redis://me:s3cret@r")],
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_be_checked_says_why_and_nothing_secret(reason: str) -> None:
    backend, others = REFUSED[reason]

    planned = plan(observed(backend, *others))

    assert planned.check is None
    assert condition(planned, "Ready")["reason"] == reason
    assert condition(planned, "Stalled")["status"] == "True"
    assert "s3cret" not in str(planned)


def test_a_secret_of_another_namespace_needs_its_owners_consent() -> None:
    secret = a_secret(namespace="vault", to=f"others, {NAMESPACE}", url="redis://r")

    assert check_of(by_secret(namespace="vault"), secret).target.endpoint.text == "r:9092"


TLS = {
    "only half of a pair": {"tls.crt": "x"},
    "nothing": {"other": "x"},
}


@pytest.mark.parametrize("data", TLS.values(), ids=TLS)
def test_a_tls_secret_that_lacks_a_key_is_said(data: dict[str, str]) -> None:
    backend = a_backend(tls={"secretRef": {"name": "creds"}})

    planned = plan(observed(backend, a_secret(**data)))

    assert condition(planned, "Ready")["reason"] == "SecretKeyMissing"


def test_a_tls_secret_gives_the_check_its_certificates() -> None:
    backend = a_backend(tls={"secretRef": {"name": "creds"}})
    tls = check_of(backend, a_secret(**{"ca.crt": "ca", "tls.crt": "c", "tls.key": "k"})).target.tls

    assert tls is not None
    assert (tls.authority, tls.certificate, tls.key) == ("ca", "c", "k")
