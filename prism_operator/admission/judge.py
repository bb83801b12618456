"""Judges a request by planning it: what the plan's status would complain of is said beforehand.

So nothing is decided twice, and everything that is denied here would be a condition without a
webhook. Denied is only what the request itself brings: what was as bad before is warned of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from prism_operator.admission.overlay import Overlay
from prism_operator.admission.references import warnings_of_references
from prism_operator.admission.remarks import remarks_on_annotations, remarks_on_spec
from prism_operator.admission.review import Judgement, Review
from prism_operator.api.meta import (
    FIELD_MANAGER,
    PRISM_NAMESPACE,
    PRISM_RESOURCES,
    STATUS_FIELD_MANAGER,
    Json,
    Ref,
    ref_of,
)
from prism_operator.planning import PLANNERS
from prism_operator.planning.conditions import (
    BACKEND_RESOLVED,
    BAD_WHEN_TRUE,
    DEGRADED,
    INVALID_SPEC,
    NAME_CONFLICT,
    PLACEMENT_REFUSED,
    READY,
    SCALER_READY,
    STALLED,
)
from prism_operator.planning.observed import Observed, Snapshot
from prism_operator.planning.plan import Apply, Create, Plan
from prism_operator.planning.settings import Settings
from prism_operator.planning.tenancy import holder_of

ALLOWED: Final = Judgement()
_KINDS: Final = {(r.api_version, r.kind) for r in PRISM_RESOURCES}
_DENIED: Final = (NAME_CONFLICT, PLACEMENT_REFUSED)
_WARNED: Final = tuple(name for name in BAD_WHEN_TRUE if name not in (DEGRADED, STALLED, *_DENIED))
# Why there would be no scaler that its user should know before; the rest takes its time.
_SCALER_TROUBLE: Final = ("KedaNotInstalled", "AuthenticationNotFound")
# Of an object that is not stored yet.
_NEW_UID: Final = "not-stored-yet"


@dataclass(frozen=True, slots=True)
class World:
    """What a request is judged by. ``secrets`` holds those that were looked for, None if absent."""

    cluster: Snapshot
    settings: Settings
    now: datetime
    secrets: Mapping[Ref, Json | None]


def judge(review: Review, world: World) -> Judgement:
    """Whether the request may go on, and what its user should know."""
    obj, old = review.obj, review.old
    if obj is None or not is_judged(review):
        return ALLOWED
    remarks = remarks_on_annotations(obj, old)
    if old is not None and old.get("spec") == obj.get("spec"):
        return Judgement(warnings=remarks)
    found = _assess(obj, world)
    denials, known = list(found.denials), list[str]()
    if old is not None and denials:
        before = set(_assess(old, world).denials)
        known = [text for text in denials if text in before]
        denials = [text for text in denials if text not in before]
    warnings = [*remarks, *known, *remarks_on_spec(obj, old), *found.warnings]
    return Judgement(denials, tuple(dict.fromkeys(warnings)))


def is_judged(review: Review) -> bool:
    """Whether there is anything to judge.

    Never a deletion or what waits for its end; nor what the operator writes, whoever it runs as.
    """
    obj = review.obj
    return (
        review.operation in ("CREATE", "UPDATE")
        and obj is not None
        and (obj.get("apiVersion"), obj.get("kind")) in _KINDS
        and bool(obj["metadata"].get("name"))
        and isinstance(obj.get("spec"), dict)
        and not obj["metadata"].get("deletionTimestamp")
        and review.field_manager not in (FIELD_MANAGER, STATUS_FIELD_MANAGER)
    )


def _assess(obj: Json, world: World) -> Judgement:
    """What is to be said of an object, and of those that it would bring about."""
    candidate = _as_stored(obj)
    ref = ref_of(candidate)
    plan = _plan(candidate, Overlay(world.cluster, {ref: candidate}), world)
    made = {
        write.ref: _as_stored(write.obj)
        for write in plan.writes
        if isinstance(write, Create | Apply)
    }
    cluster = Overlay(world.cluster, {**made, ref: candidate, **world.secrets})
    denials, warnings = _said(candidate, plan, cluster, world)
    for child_ref, child in made.items():
        if child_ref.resource in PRISM_RESOURCES:
            more = _said(child, _plan(child, cluster, world), cluster, world)
            prefix = f"{child_ref.resource.kind} {child_ref.name}: "
            denials += [prefix + text for text in more[0]]
            warnings += [prefix + text for text in more[1]]
    return Judgement(denials, warnings)


def _plan(obj: Json, cluster: Snapshot, world: World) -> Plan:
    planner = PLANNERS[ref_of(obj).resource]
    return planner(Observed(obj, cluster), world.settings, world.now)


def _as_stored(obj: Json) -> Json:
    """As it would be read back, with no status, so that the plan says all it has to say."""
    metadata = {"uid": _NEW_UID, "resourceVersion": "0", "generation": 1, **obj["metadata"]}
    return {**{key: value for key, value in obj.items() if key != "status"}, "metadata": metadata}


def _said(obj: Json, plan: Plan, cluster: Snapshot, world: World) -> tuple[list[str], list[str]]:
    """Reasons to deny, and warnings."""
    conditions: Iterable[Json] = (plan.status or {}).get("conditions") or ()
    denials: list[str] = []
    warnings: list[str] = []
    for condition in conditions:
        kind, status, reason = condition["type"], condition["status"], condition["reason"]
        if kind == READY and reason == INVALID_SPEC:
            return [condition["message"]], []
        if status == "True" and kind in _DENIED:
            denials.append(condition["message"])
        elif (
            (status == "True" and kind in _WARNED)
            or (status == "False" and kind == BACKEND_RESOLVED)
            or (kind == SCALER_READY and reason in _SCALER_TROUBLE)
        ):
            warnings.append(condition["message"])
    if ref_of(obj).resource == PRISM_NAMESPACE:
        holder = holder_of(obj, cluster)
        if holder is not None and not holder["metadata"].get("deletionTimestamp"):
            denials.append(
                f"spec.namespaceId: {obj['spec']['namespaceId']} is taken on this proxy by "
                f"{ref_of(holder)}: choose another"
            )
    return denials, [*warnings, *warnings_of_references(obj, cluster, world.secrets)]
