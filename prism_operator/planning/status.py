"""When a status is worth a write."""

from __future__ import annotations

from typing import Final

from prism_operator.api.meta import Json
from prism_operator.planning.conditions import PROGRESSING
from prism_operator.planning.rollout import IN_PROGRESS

# Counts that change several times on the way to one more available pod.
_TRANSIENT_COUNTS: Final = frozenset({"replicas", "updatedReplicas", "readyReplicas"})


def status_to_write(new: Json, stored: Json) -> Json | None:
    """``new``, or None when ``stored`` says it already.

    What others added to ``stored`` does not count. While a rollout is under way its intermediate
    counts are not worth a write; every available replica and every change of a condition is.
    """
    if _is_in(new, stored):
        return None
    if _is_under_way(new) and _is_in(_without_transient(new), _without_transient(stored)):
        return None
    return new


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


def _is_under_way(status: Json) -> bool:
    return any(c["type"] == PROGRESSING and c["status"] == "True" for c in status["conditions"])


def _without_transient(status: Json) -> Json:
    return {key: _settled(value) for key, value in status.items() if key not in _TRANSIENT_COUNTS}


def _settled(value: object) -> object:
    if isinstance(value, list):
        return [_settled(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("reason") == IN_PROGRESS:
        return {key: inner for key, inner in value.items() if key != "message"}
    return _without_transient(value)
