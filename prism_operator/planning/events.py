"""Events, derived from what changed between the stored and the new conditions.

They are writes too, so there are few: one when trouble begins or changes its reason, one when a
stack becomes ready or trouble ends, one for what somebody else broke.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from prism_operator.api.meta import Json
from prism_operator.planning.conditions import (
    BACKEND_RESOLVED,
    DEGRADED,
    EVEN_ADMIN_REPLICAS,
    EXPIRING,
    FOREIGN_SCALER,
    NAME_CONFLICT,
    PATTERNS_RESOLVED,
    PLACEMENT_INEFFECTIVE,
    PLACEMENT_REFUSED,
    PLACEMENT_UNSATISFIABLE,
    READY,
    REPLICAS_EXCEED_PARTITIONS,
    STALLED,
)
from prism_operator.planning.plan import Emit

_TROUBLE: Final = {
    NAME_CONFLICT: "True",
    PLACEMENT_REFUSED: "True",
    PLACEMENT_UNSATISFIABLE: "True",
    PLACEMENT_INEFFECTIVE: "True",
    EVEN_ADMIN_REPLICAS: "True",
    REPLICAS_EXCEED_PARTITIONS: "True",
    FOREIGN_SCALER: "True",
    STALLED: "True",
    DEGRADED: "True",
    BACKEND_RESOLVED: "False",
    PATTERNS_RESOLVED: "False",
    EXPIRING: "True",
}


def events_of(
    stored: Sequence[Json],
    new: Sequence[Json],
    *,
    repairs: Sequence[str],
    announce_ready: bool,
) -> tuple[Emit, ...]:
    """What to tell, trouble first.

    Repairs are told only about what had been ready, the end of trouble always, becoming ready
    without any only when ``announce_ready``.
    """
    before = {condition["type"]: condition for condition in stored}
    events: dict[str, Emit] = {}
    for condition in new:
        if _is_new_trouble(condition, before.get(condition["type"])):
            reason = condition["reason"]
            events.setdefault(reason, Emit("Warning", reason, condition["message"]))
    was_ready = before.get(READY, {}).get("status") == "True"
    if repairs and was_ready:
        events["Repaired"] = Emit("Normal", "Repaired", "; ".join(repairs[:5]))
    ready = next(condition for condition in new if condition["type"] == READY)
    if ready["status"] == "True" and not was_ready:
        recovered = any(
            before.get(kind, {}).get("status") == "True" for kind in (DEGRADED, STALLED)
        )
        if recovered or announce_ready:
            events["Ready"] = Emit("Normal", "Ready", ready["message"])
    return tuple(events.values())


def _is_new_trouble(condition: Json, before: Json | None) -> bool:
    if _TROUBLE.get(condition["type"]) != condition["status"]:
        return False
    if before is None or before["status"] != condition["status"]:
        return True
    return bool(before["reason"] != condition["reason"])
