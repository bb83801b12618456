"""What child custom resources say of themselves, as their stack repeats it."""

from __future__ import annotations

from collections.abc import Sequence

from prism_operator.api.meta import Json, Ref
from prism_operator.planning.conditions import (
    CHECK_PENDING,
    DEGRADED,
    NOT_CHECKED,
    READY,
    STALLED,
    Condition,
)
from prism_operator.planning.rollout import IN_PROGRESS
from prism_operator.planning.tenancy import EXPIRED
from prism_operator.planning.verdict import Verdict, failed, progressing, ready, unavailable


def judge_child(subject: str, child: Json | None, *, settled: bool) -> Verdict:
    """The verdict on a child whose status is about its newest spec, if ``settled`` says so too."""
    if child is None:
        return progressing(subject, IN_PROGRESS, "does not exist yet")
    status = child.get("status") or {}
    seen = status.get("observedGeneration", 0) >= child["metadata"].get("generation", 0)
    conditions = _conditions(child)
    if not settled or not seen or READY not in conditions:
        return progressing(subject, IN_PROGRESS, "its newest spec is not looked at yet")
    message = conditions[READY].get("message", "")
    if conditions[READY]["status"] == "True":
        return ready(subject, message)
    for trouble, verdict in ((STALLED, failed), (DEGRADED, unavailable)):
        found = conditions.get(trouble)
        if found is not None and found["status"] == "True":
            return verdict(subject, found["reason"], found.get("message", ""))
    return progressing(subject, IN_PROGRESS, message)


def health_of(condition: str, noun: str, children: Sequence[tuple[Ref, Json | None]]) -> Condition:
    """One condition about the Ready of many: false if one is, else unknown if one is."""
    if not children:
        return Condition(condition, "True", "NoneDeclared", f"the stack declares no {noun}s")
    told: dict[str, list[str]] = {"True": [], "False": [], "Unknown": []}
    unchecked: list[str] = []
    for ref, child in children:
        found = _conditions(child).get(READY) if child is not None else None
        if found and found["reason"] == EXPIRED:
            continue  # it ended as it was meant to
        told[found["status"] if found else "Unknown"].append(ref.name)
        if found and found["reason"] == NOT_CHECKED:
            unchecked.append(ref.name)
    if told["False"]:
        return Condition(condition, "False", "NotReady", f"not ready: {', '.join(told['False'])}")
    if told["Unknown"]:
        names = ", ".join(told["Unknown"])
        if told["Unknown"] == unchecked:
            return Condition(condition, "Unknown", NOT_CHECKED, f"not checked: {names}")
        return Condition(condition, "Unknown", CHECK_PENDING, f"not known yet: {names}")
    return Condition(condition, "True", "AllReady", f"ready: {', '.join(told['True']) or 'none'}")


def _conditions(child: Json) -> dict[str, Json]:
    return {c["type"]: c for c in (child.get("status") or {}).get("conditions") or ()}
