"""When a status is worth a write."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from prism_operator.api.meta import Json
from prism_operator.planning.conditions import PROGRESSING
from prism_operator.planning.rollout import IN_PROGRESS

# A rollout that is over within this time is two status writes: that it began, and that it is done.
QUIET_S: Final = 30.0
_COUNTS: Final = frozenset(
    {
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "readyPatterns",
        "summary",
    }
)


def status_to_write(new: Json, stored: Json, now: datetime) -> tuple[Json | None, float | None]:
    """``new``, or None when ``stored`` says it already, and seconds after which to look again.

    What others added to ``stored`` does not count. Counts that move while a rollout is young are
    not worth a write, but are written once it takes longer.
    """
    if _is_in(new, stored):
        return None, None
    age_s = _rollout_age_s(new, now)
    if age_s is None or age_s >= QUIET_S:
        return new, None
    if _is_in(_without_counts(new), _without_counts(stored)):
        return None, QUIET_S - age_s
    return new, None


def _is_in(new: Json, stored: Json) -> bool:
    return all(
        _conditions_are_in(value, stored.get(key) or [])
        if key == "conditions"
        else stored.get(key) == value
        for key, value in new.items()
    )


def _conditions_are_in(new: list[Json], stored: list[Json]) -> bool:
    by_type = {condition["type"]: condition for condition in stored}
    return all(
        (found := by_type.get(condition["type"])) is not None
        and all(found.get(key) == value for key, value in condition.items())
        for condition in new
    )


def _rollout_age_s(status: Json, now: datetime) -> float | None:
    """For how long a rollout has been under way; None when there is none."""
    for condition in status["conditions"]:
        if condition["type"] == PROGRESSING and condition["status"] == "True":
            began = datetime.fromisoformat(condition["lastTransitionTime"])
            return (now - began).total_seconds()
    return None


def _without_counts(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_counts(item) for item in value]
    if not isinstance(value, dict):
        return value
    # The message of a rollout under way tells the counts again.
    left_out = {"message"} if value.get("reason") == IN_PROGRESS else _COUNTS
    return {key: _without_counts(inner) for key, inner in value.items() if key not in left_out}
