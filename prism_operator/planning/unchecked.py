"""The plan for objects whose health this version does not look at: it says just that."""

from __future__ import annotations

from datetime import datetime

from prism_operator.api.meta import ref_of
from prism_operator.api.validation import AnyPrism, InvalidObject
from prism_operator.planning.conclusion import refuse
from prism_operator.planning.conditions import (
    DEGRADED,
    NOT_CHECKED,
    PROGRESSING,
    READY,
    RECONCILING,
    STALLED,
    Condition,
    with_times,
)
from prism_operator.planning.events import events_of
from prism_operator.planning.memo import parsed
from prism_operator.planning.observed import Observed
from prism_operator.planning.plan import Plan
from prism_operator.planning.status import status_to_write


def plan_unchecked(observed: Observed, model: type[AnyPrism], message: str, now: datetime) -> Plan:
    """A plan without writes: Ready is Unknown for the reason in ``message``."""
    obj = observed.obj
    if obj["metadata"].get("deletionTimestamp"):
        return Plan(ref_of(obj))
    try:
        parsed(obj, model)
    except InvalidObject as error:
        return refuse(observed, error, now)
    stored = obj.get("status") or {}
    before = stored.get("conditions") or []
    others = (PROGRESSING, DEGRADED, RECONCILING, STALLED)
    conditions = [
        Condition(READY, "Unknown", NOT_CHECKED, message),
        *(Condition(other, "False", NOT_CHECKED, "") for other in others),
    ]
    new = {
        "observedGeneration": obj["metadata"].get("generation", 0),
        "phase": "Pending",
        "conditions": with_times(conditions, before, now),
    }
    return Plan(
        ref=ref_of(obj),
        status=status_to_write(new, stored, now)[0],
        events=events_of(before, new["conditions"], repairs=(), announce_ready=False),
    )
