"""From what is to be written and what is known to a plan: the part that all kinds share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from prism_operator.api.meta import Json, ref_of
from prism_operator.api.validation import InvalidObject
from prism_operator.planning.children import Children
from prism_operator.planning.conditions import (
    DEGRADED,
    INVALID_SPEC,
    NAME_CONFLICT,
    PAUSED,
    PROGRESSING,
    READY,
    RECONCILING,
    STALLED,
    Condition,
    conditions_of,
    with_times,
)
from prism_operator.planning.events import events_of
from prism_operator.planning.names import PAUSED_ANNOTATION
from prism_operator.planning.observed import Failure, Observed
from prism_operator.planning.plan import Plan
from prism_operator.planning.status import status_to_write
from prism_operator.planning.verdict import State, Verdict, failed, waiting

# Failures that the same write will meet again until somebody changes something.
_LASTING: Final = frozenset({"Forbidden", "Invalid", "NoKindMatch", "Unauthorized"})
_PHASES: Final = {
    State.READY: "Running",
    State.PROGRESSING: "Pending",
    State.WAITING: "Pending",
    State.UNAVAILABLE: "Degraded",
    State.FAILED: "Failed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a planner found out about its object."""

    children: Children
    verdicts: Sequence[Verdict]
    ready_reason: str
    ready_message: str
    announce_ready: bool
    status_fields: Json
    conditions: Sequence[Condition] = ()
    degraded_by: Sequence[Condition] = ()
    paused_by: str | None = None


def conclude(observed: Observed, findings: Findings, now: datetime) -> Plan:
    """The plan: the writes unless paused, the status when it says something new, and the Events."""
    obj = observed.obj
    children = findings.children
    verdicts = [*findings.verdicts, *_trouble(observed, children)]
    conditions = list(findings.conditions)
    writes = children.writes
    if children.conflicts:
        conditions.append(
            Condition(NAME_CONFLICT, "True", NAME_CONFLICT, "; ".join(children.conflicts[:5]))
        )
    if findings.paused_by is not None:
        held_back = f"writes held back: {len(writes)}"
        message = f"annotation {PAUSED_ANNOTATION} on {findings.paused_by}, {held_back}"
        conditions.append(Condition(PAUSED, "True", PAUSED, message))
        if writes:
            verdicts = [waiting("", PAUSED, message)]
        writes = ()
    standard = conditions_of(
        verdicts,
        ready_reason=findings.ready_reason,
        ready_message=findings.ready_message,
        degraded_by=findings.degraded_by,
        retries=[_told(failure) for failure in _passing(observed)],
    )
    stored = obj.get("status") or {}
    before = stored.get("conditions") or []
    worst = max(verdict.state for verdict in verdicts)
    new = {
        "observedGeneration": obj["metadata"].get("generation", 0),
        "phase": _PHASES[worst],
        **findings.status_fields,
        "conditions": with_times([*standard, *conditions], before, now),
    }
    status, requeue_after_s = status_to_write(new, stored, now)
    # What a new spec asks for had not been missing, and what is held back is not repaired.
    is_repair = bool(writes) and stored.get("observedGeneration") == new["observedGeneration"]
    return Plan(
        ref=ref_of(obj),
        writes=writes,
        status=status,
        requeue_after_s=requeue_after_s,
        events=events_of(
            before,
            new["conditions"],
            repairs=children.repairs if is_repair else (),
            announce_ready=findings.announce_ready,
        ),
    )


def refuse(observed: Observed, error: InvalidObject, now: datetime) -> Plan:
    """The plan for an object that makes no sense: it says why, and nothing is touched."""
    obj = observed.obj
    stored = obj.get("status") or {}
    before = stored.get("conditions") or []
    message = str(error)
    conditions = [
        Condition(READY, "False", INVALID_SPEC, message),
        Condition(PROGRESSING, "False", INVALID_SPEC, message),
        Condition(DEGRADED, "True", INVALID_SPEC, message),
        Condition(RECONCILING, "False", INVALID_SPEC, message),
        Condition(STALLED, "True", INVALID_SPEC, message),
    ]
    new = {
        "observedGeneration": obj["metadata"].get("generation", 0),
        "phase": _PHASES[State.FAILED],
        "conditions": with_times(conditions, before, now),
    }
    # What else the status held was true of what runs on, and leaving it out would drop it.
    new = {**stored, **new}
    return Plan(
        ref=ref_of(obj),
        status=status_to_write(new, stored, now)[0],
        events=events_of(before, new["conditions"], repairs=(), announce_ready=False),
    )


def _trouble(observed: Observed, children: Children) -> list[Verdict]:
    conflicts = [failed("", NAME_CONFLICT, message) for message in children.conflicts]
    own = ref_of(observed.obj)
    return conflicts + [
        failed("", failure.reason, _told(failure))
        for failure in observed.failures
        if failure.reason in _LASTING and failure.ref != own
    ]


def _passing(observed: Observed) -> list[Failure]:
    own = ref_of(observed.obj)
    return [f for f in observed.failures if f.reason not in _LASTING and f.ref != own]


def _told(failure: Failure) -> str:
    return f"cannot {failure.verb} {failure.ref}: {failure.message}"
