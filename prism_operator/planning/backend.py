"""The plan for a PrismBackend: what is to be checked, and what its status says of the findings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from prism_operator.api.backend import PrismBackend
from prism_operator.api.meta import Json, ref_of
from prism_operator.api.validation import InvalidObject
from prism_operator.planning.checks import Certificates, Check, Depth, Finding, Target
from prism_operator.planning.conclusion import refuse
from prism_operator.planning.conditions import (
    CHECK_PENDING,
    DEGRADED,
    NOT_CHECKED,
    PROGRESSING,
    READY,
    RECONCILING,
    STALLED,
    Condition,
    is_true,
    time_text,
    with_times,
)
from prism_operator.planning.endpoints import MalformedUrlError, endpoint_of
from prism_operator.planning.events import events_of
from prism_operator.planning.memo import parsed
from prism_operator.planning.observed import Observed, Snapshot
from prism_operator.planning.plan import Plan
from prism_operator.planning.secret_data import ObstacleError, certificates_in, credentials_of
from prism_operator.planning.settings import Settings
from prism_operator.planning.status import status_to_write

# How often a status is written in which only the time and the latency are new.
TELL_PERIOD: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class _Standing:
    """What is to be said of the backend; ``truth`` is that of Ready."""

    phase: str
    truth: str
    reason: str
    message: str
    healthy: bool | None = None
    stalled: bool = False


def plan_backend(observed: Observed, settings: Settings, now: datetime) -> Plan:
    """What to check, and the status that the newest finding stands for."""
    obj = observed.obj
    if obj["metadata"].get("deletionTimestamp"):
        return Plan(ref_of(obj))
    try:
        backend = parsed(obj, PrismBackend)
    except InvalidObject as error:
        return refuse(observed, error, now)
    if not settings.check_backends:
        message = "this operator does not connect to backends; patterns use it as it is"
        return _conclude(observed, _unchecked(message), None, None, now)
    try:
        target = _target(backend, observed.cluster)
    except ObstacleError as obstacle:
        reason, message = obstacle.reason, obstacle.message
        standing = _Standing("Degraded", "False", reason, message, stalled=True)
        return _conclude(observed, standing, None, None, now)
    if target is None:
        message = "it lives in the runners' memory: there is nothing to connect to"
        standing = _Standing("Ready", "True", "InMemory", message, healthy=True)
        return _conclude(observed, standing, None, None, now)
    health = backend.spec.health_check
    if not health.enabled:
        message = "spec.healthCheck.enabled is false; patterns use it as it is"
        return _conclude(observed, _unchecked(message), None, None, now)
    check = Check(target, health.interval_s, health.timeout_s)
    finding = observed.finding
    if finding is None or finding.target != target:
        return _pending(observed, check, now)
    return _conclude(observed, _found(finding, _place(backend, target)), check, finding, now)


def _unchecked(message: str) -> _Standing:
    return _Standing("Pending", "Unknown", NOT_CHECKED, message)


def _pending(observed: Observed, check: Check, now: datetime) -> Plan:
    """Until the first finding: what was found before us stands, if it was of this generation."""
    stored = observed.obj.get("status") or {}
    is_told = stored.get("observedGeneration") == observed.obj["metadata"].get("generation", 0)
    if is_told and stored.get("lastChecked"):
        return Plan(ref_of(observed.obj), check=check)
    standing = _Standing("Pending", "Unknown", CHECK_PENDING, "the first check is under way")
    return _conclude(observed, standing, check, None, now)


def _found(finding: Finding, place: str) -> _Standing:
    trouble = finding.trouble
    if trouble is not None:
        message = f"{place}{trouble.message}"
        return _Standing(trouble.phase, "False", trouble.reason, message, healthy=False)
    message = f"{place}{finding.depth.value}"
    reason = "Healthy" if finding.depth is Depth.PROTOCOL else "Connected"
    return _Standing("Ready", "True", reason, message, healthy=True)


def _place(backend: PrismBackend, target: Target) -> str:
    """Where it was looked for, unless only a Secret says so."""
    connection = backend.spec.connection
    shown = connection is not None and connection.url is not None
    return f"{target.endpoint.text}: " if shown else ""


def _conclude(
    observed: Observed,
    standing: _Standing,
    check: Check | None,
    finding: Finding | None,
    now: datetime,
) -> Plan:
    obj = observed.obj
    stored = obj.get("status") or {}
    before = stored.get("conditions") or []
    reason, message = standing.reason, standing.message
    is_bad = standing.truth == "False"
    pending = reason == CHECK_PENDING
    conditions = [
        Condition(READY, standing.truth, reason, message),  # type: ignore[arg-type]  # one of three
        is_true(PROGRESSING, pending, reason, message if pending else ""),
        is_true(DEGRADED, is_bad, reason, message if is_bad else ""),
        is_true(RECONCILING, pending, reason, message if pending else ""),
        is_true(STALLED, standing.stalled, reason, message if standing.stalled else ""),
    ]
    new: Json = {
        "observedGeneration": obj["metadata"].get("generation", 0),
        "phase": standing.phase,
        "message": message,
        "conditions": with_times(conditions, before, now),
    }
    if standing.healthy is not None:
        new["healthy"] = standing.healthy
    status = status_to_write(new, stored, now)[0]
    if finding is not None:
        if status is None and not _is_old(stored, finding):
            return Plan(ref_of(obj), check=check)
        status = {**new, **_times(finding)}
    return Plan(
        ref=ref_of(obj),
        status=status,
        events=events_of(before, new["conditions"], repairs=(), announce_ready=False),
        check=check,
    )


def _is_old(stored: Json, finding: Finding) -> bool:
    """Whether the time in the status lags so far behind that it is worth a write."""
    try:
        told = datetime.fromisoformat(stored.get("lastChecked") or "")
    except ValueError:
        return True
    # A time to come is from a clock that was wrong: it must not silence us.
    return told.tzinfo is None or not finding.at - TELL_PERIOD < told <= finding.at


def _times(finding: Finding) -> Json:
    times = {"lastChecked": time_text(finding.at)}
    if finding.latency_s is not None:
        times["latency"] = f"{max(1, round(finding.latency_s * 1e3))}ms"
    return times


def _target(backend: PrismBackend, cluster: Snapshot) -> Target | None:
    """What to connect to; None when there is nothing to connect to. Raises ObstacleError."""
    connection = backend.spec.connection
    if connection is None or backend.spec.provider == "memstore":
        return None
    url, username, password = connection.url, None, None
    if connection.secret_ref is not None:
        url, username, password = credentials_of(connection.secret_ref, backend.namespace, cluster)
    try:
        endpoint = endpoint_of(url or "", backend.spec.provider)
    except MalformedUrlError as error:
        raise ObstacleError("MalformedUrl", str(error)) from error
    return Target(
        provider=backend.spec.provider,
        endpoint=endpoint,
        tls=_certificates(backend, endpoint.tls, cluster),
        username=username or endpoint.username,
        password=password or endpoint.password,
    )


def _certificates(backend: PrismBackend, wanted: bool, cluster: Snapshot) -> Certificates | None:
    tls = backend.spec.tls
    if tls is None or not tls.enabled:
        return Certificates() if wanted else None
    if tls.secret_ref is None:
        return Certificates()
    return certificates_in(tls.secret_ref, backend.namespace, cluster, field="spec.tls.secretRef")
