"""Conditions: what they are called, how verdicts become them, and when their times move.

Ready, Reconciling and Stalled follow kstatus (``sigs.k8s.io/cli-utils/pkg/kstatus``), which
Flux and other tools understand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

from prism_operator.api.meta import Json
from prism_operator.planning.secrecy import redacted
from prism_operator.planning.verdict import State, Verdict

Truth: TypeAlias = Literal["True", "False", "Unknown"]

READY: Final = "Ready"
PROGRESSING: Final = "Progressing"
DEGRADED: Final = "Degraded"
RECONCILING: Final = "Reconciling"
STALLED: Final = "Stalled"
BACKENDS_HEALTHY: Final = "BackendsHealthy"
NAMESPACES_PROVISIONED: Final = "NamespacesProvisioned"
BACKEND_RESOLVED: Final = "BackendResolved"
SCALER_READY: Final = "ScalerReady"
MONITORS_READY: Final = "MonitorsReady"
PROVISIONED: Final = "Provisioned"
QUOTAS_ENFORCED: Final = "QuotasEnforced"
PATTERNS_RESOLVED: Final = "PatternsResolved"
# These stand there only once there was reason to; from then on they say whether there still is.
NAME_CONFLICT: Final = "NameConflict"
PAUSED: Final = "Paused"
PLACEMENT_REFUSED: Final = "PlacementRefused"
PLACEMENT_UNSATISFIABLE: Final = "PlacementUnsatisfiable"
PLACEMENT_INEFFECTIVE: Final = "PlacementIneffective"
FOREIGN_SCALER: Final = "ForeignScaler"
TRIGGER_INVALID: Final = "TriggerInvalid"
EVEN_ADMIN_REPLICAS: Final = "EvenAdminReplicas"
REPLICAS_EXCEED_PARTITIONS: Final = "ReplicasExceedPartitions"
EXPIRING: Final = "Expiring"
_OCCASIONAL: Final = {
    NAME_CONFLICT: "Resolved",
    PAUSED: "Resolved",
    PLACEMENT_REFUSED: "Resolved",
    PLACEMENT_UNSATISFIABLE: "Resolved",
    PLACEMENT_INEFFECTIVE: "Resolved",
    FOREIGN_SCALER: "Resolved",
    TRIGGER_INVALID: "Resolved",
    EVEN_ADMIN_REPLICAS: "Resolved",
    REPLICAS_EXCEED_PARTITIONS: "Resolved",
    SCALER_READY: "NotEnabled",
    MONITORS_READY: "NotEnabled",
    EXPIRING: "Resolved",
}
# Types that tell of something bad when they are true.
BAD_WHEN_TRUE: Final = (
    DEGRADED,
    STALLED,
    *(name for name in _OCCASIONAL if name not in (PAUSED, SCALER_READY, MONITORS_READY)),
)

NOT_CHECKED: Final = "NotChecked"
CHECK_PENDING: Final = "CheckPending"
INVALID_SPEC: Final = "InvalidSpec"

_SHOWN_MAX: Final = 3
_MESSAGE_CHARS_MAX: Final = 1024


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition, before it has a time."""

    type: str
    status: Truth
    reason: str
    message: str


def is_true(condition: str, truth: bool, reason: str, message: str) -> Condition:
    """A condition that is known."""
    return Condition(condition, "True" if truth else "False", reason, message)


def conditions_of(
    verdicts: Sequence[Verdict],
    *,
    ready_reason: str,
    ready_message: str,
    degraded_by: Sequence[Condition] = (),
    retries: Sequence[str] = (),
) -> list[Condition]:
    """The five conditions every kind has.

    ``degraded_by`` are false conditions that do not stop Ready. ``retries`` are writes that failed
    for reasons that pass.
    """
    worst = max(verdicts, key=lambda verdict: verdict.state)
    if worst.state is State.READY:
        about = Condition(READY, "True", ready_reason, ready_message)
    else:
        about = Condition(READY, "False", worst.reason, _listed(verdicts, worst.state))
    under_way = [v for v in verdicts if v.state is State.PROGRESSING]
    failures = [v for v in verdicts if v.state is State.FAILED]
    lost = [v for v in verdicts if v.state >= State.UNAVAILABLE]
    return [
        about,
        _from_verdicts(PROGRESSING, under_way, about),
        Condition(DEGRADED, "True", degraded_by[0].reason, degraded_by[0].message)
        if degraded_by and not lost
        else _from_verdicts(DEGRADED, lost, Condition("", "False", "AsExpected", "")),
        Condition(RECONCILING, "True", "Retrying", _shortened(retries))
        if retries
        else _from_verdicts(RECONCILING, under_way, about),
        _from_verdicts(STALLED, failures, Condition("", "False", "AsExpected", "")),
    ]


def _from_verdicts(condition: str, verdicts: Sequence[Verdict], otherwise: Condition) -> Condition:
    if not verdicts:
        return Condition(condition, "False", otherwise.reason, otherwise.message)
    worst = max(verdicts, key=lambda verdict: verdict.state)
    return Condition(condition, "True", worst.reason, _listed(verdicts, worst.state))


def _listed(verdicts: Sequence[Verdict], state: State) -> str:
    return _shortened([v.text for v in verdicts if v.state is state])


def _shortened(texts: Sequence[str]) -> str:
    shown = "; ".join(texts[:_SHOWN_MAX])
    return f"{shown}; and {len(texts) - _SHOWN_MAX} more" if len(texts) > _SHOWN_MAX else shown


def with_times(
    conditions: Sequence[Condition], previous: Sequence[Json], now: datetime
) -> list[Json]:
    """The conditions as they are stored; lastTransitionTime moves only when the status does.

    An occasional condition that is over stays, as false: dropping it would leave it to whoever
    else may own it, and nobody could wait for its end.
    """
    before = {c["type"]: c for c in previous}
    current = {c.type for c in conditions}
    over = [
        Condition(name, "False", reason, "")
        for name, reason in _OCCASIONAL.items()
        if name in before and name not in current
    ]
    return [
        _stored(condition, before.get(condition.type), now) for condition in (*conditions, *over)
    ]


def _stored(condition: Condition, before: Json | None, now: datetime) -> Json:
    unchanged = before is not None and before["status"] == condition.status
    return {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        "message": redacted(condition.message)[:_MESSAGE_CHARS_MAX],
        "lastTransitionTime": before["lastTransitionTime"]
        if before and unchanged
        else time_text(now),
    }


def time_text(now: datetime) -> str:
    """A time as statuses hold it."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
