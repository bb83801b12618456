"""What a DELETE does to an object: removes it at once, or marks it and waits for somebody.

From ``pkg/registry/rest/delete.go`` and ``pkg/registry/generic/registry/store.go`` of
``k8s.io/apiserver``, and the storages of pods, namespaces and CustomResourceDefinitions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from prism_operator.api.meta import CUSTOM_RESOURCE_DEFINITION, NAMESPACE, POD, Json
from simulator.apiserver.request import DeleteOptions
from simulator.apiserver.statuses import ApiError, conflict, details_of, qualified
from simulator.apiserver.types import Kind

ORPHAN: Final = "orphan"
FOREGROUND: Final = "foregroundDeletion"
CRD_CLEANUP: Final = "customresourcecleanup.apiextensions.k8s.io"


@dataclass(frozen=True, slots=True)
class Deletion:
    """``marked`` is to be stored, if it is not None; then the object is removed, or kept."""

    marked: Json | None
    removes: bool


def decide(kind: Kind, stored: Json, options: DeleteOptions, now: datetime) -> Deletion:
    """What to do with ``stored`` when it is deleted with ``options``.

    Raises:
        ApiError: 409, a precondition does not hold.
    """
    _check_preconditions(kind, stored, options)
    meta = dict(stored["metadata"])
    if kind.resource == NAMESPACE:
        if "deletionTimestamp" not in meta:
            return Deletion(_terminating_namespace(stored, meta, options, now), removes=False)
        if stored["spec"].get("finalizers"):
            return Deletion(None, removes=False)
    if kind.resource == CUSTOM_RESOURCE_DEFINITION and "deletionTimestamp" not in meta:
        return Deletion(_terminating_definition(stored, meta, now), removes=False)
    graceful = False
    if kind.resource == POD:
        if _asks_nothing_sooner(meta, options):
            return Deletion(None, removes=False)
        graceful = _mark_pod(stored, meta, options, now)
    finalizers = _finalizers_for(kind, meta.get("finalizers") or (), options)
    _set_finalizers(meta, finalizers)
    if not graceful:
        if not finalizers:
            return Deletion(None, removes=True)
        _mark(meta, now)
    marked = {**stored, "metadata": meta}
    waits = bool(finalizers) or bool(meta["deletionGracePeriodSeconds"])
    return Deletion(marked if marked != stored else None, removes=not waits)


def timestamp(time: datetime) -> str:
    """A time as API objects carry it: RFC 3339, whole seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _check_preconditions(kind: Kind, stored: Json, options: DeleteOptions) -> None:
    meta = stored["metadata"]
    for what, wanted, actual, happened in (
        ("UID", options.uid, meta["uid"], "deleted and then recreated"),
        ("ResourceVersion", options.resource_version, meta["resourceVersion"], "modified"),
    ):
        if wanted is None or wanted == actual:
            continue
        resource = kind.resource
        if resource in (NAMESPACE, CUSTOM_RESOURCE_DEFINITION):
            failed = "Precondition" if resource == NAMESPACE else "precondition"
            difference = f"{what} in precondition: {wanted}, {what} in object meta: {actual}"
            raise conflict(resource, meta["name"], f"{failed} failed: {difference}")
        error = conflict(
            resource,
            meta["name"],
            f"the {what} in the precondition ({wanted}) does not match the {what} in record"
            f" ({actual}). The object might have been {happened}",
        )
        # The real server names the stored kind here, not the resource.
        resource = kind.storage
        named = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
        message = error.status["message"].replace(qualified(kind.resource), named, 1)
        details = details_of(resource, meta["name"]) | {"kind": resource.kind}
        raise ApiError({**error.status, "message": message, "details": details})


def _terminating_namespace(stored: Json, meta: Json, options: DeleteOptions, now: datetime) -> Json:
    meta["deletionTimestamp"] = timestamp(now)
    finalizers = meta.get("finalizers") or ()
    kept = [f for f in finalizers if f not in (ORPHAN, FOREGROUND)]
    _set_finalizers(meta, kept + _propagation(finalizers, options))
    status = {**(stored.get("status") or {}), "phase": "Terminating"}
    return {**stored, "metadata": meta, "status": status}


def _terminating_definition(stored: Json, meta: Json, now: datetime) -> Json:
    meta["deletionTimestamp"] = timestamp(now)
    meta["finalizers"] = list(dict.fromkeys([*(meta.get("finalizers") or ()), CRD_CLEANUP]))
    status = dict(stored.get("status") or {})
    pending = {
        "type": "Terminating",
        "status": "True",
        "lastTransitionTime": timestamp(now),
        "reason": "InstanceDeletionPending",
        "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will"
        " begin soon",
    }
    conditions = [c for c in status.get("conditions") or () if c["type"] != "Terminating"]
    status["conditions"] = [*conditions, pending]
    return {**stored, "metadata": meta, "status": status}


def _asks_nothing_sooner(meta: Json, options: DeleteOptions) -> bool:
    """Whether a pod is on its way out already, and in time for these options."""
    period_s = meta.get("deletionGracePeriodSeconds")
    if "deletionTimestamp" not in meta or not period_s:
        return False
    return options.grace_period_s is None or options.grace_period_s >= period_s


def _mark_pod(pod: Json, meta: Json, options: DeleteOptions, now: datetime) -> bool:
    """Gives a pod its grace period; False when that is over."""
    if "deletionTimestamp" in meta:
        if not meta.get("deletionGracePeriodSeconds") or options.grace_period_s is None:
            return False
        _shorten_grace(meta, options.grace_period_s, now)
        return True
    period_s = options.grace_period_s
    if period_s is None:
        period_s = pod["spec"].get("terminationGracePeriodSeconds") or 0
    phase = (pod.get("status") or {}).get("phase")
    if not pod["spec"].get("nodeName") or phase in ("Failed", "Succeeded"):
        period_s = 0
    meta["deletionTimestamp"] = timestamp(now + timedelta(seconds=period_s))
    meta["deletionGracePeriodSeconds"] = period_s
    _count(meta)
    return True


def _shorten_grace(meta: Json, period_s: int, now: datetime) -> None:
    ends = datetime.fromisoformat(meta["deletionTimestamp"])
    ends += timedelta(seconds=period_s - meta["deletionGracePeriodSeconds"])
    if ends < now:
        ends, period_s = now, min(period_s, 1)
    meta["deletionTimestamp"] = timestamp(ends)
    meta["deletionGracePeriodSeconds"] = period_s


def _mark(meta: Json, now: datetime) -> None:
    if "deletionTimestamp" not in meta:
        _count(meta)
        meta["deletionTimestamp"] = timestamp(now)
    meta["deletionTimestamp"] = min(meta["deletionTimestamp"], timestamp(now))
    meta["deletionGracePeriodSeconds"] = 0


def _count(meta: Json) -> None:
    """A deletion counts as a change of what is wanted."""
    if meta.get("generation"):
        meta["generation"] += 1


def _set_finalizers(meta: Json, finalizers: list[str]) -> None:
    """Keeps the order there is when the set is the same."""
    if set(finalizers) == set(meta.get("finalizers") or ()):
        return
    meta["finalizers"] = finalizers
    if not finalizers:
        del meta["finalizers"]


def _finalizers_for(kind: Kind, finalizers: Sequence[str], options: DeleteOptions) -> list[str]:
    if kind.resource.plural == "events":
        return list(finalizers)
    kept = [f for f in finalizers if f not in (ORPHAN, FOREGROUND)]
    return kept + _propagation(finalizers, options)


def _propagation(finalizers: Sequence[str], options: DeleteOptions) -> list[str]:
    """The finalizer that tells the garbage collector how to treat dependents."""
    if options.orphan_dependents is not None:
        return [ORPHAN] if options.orphan_dependents else []
    if options.propagation:
        return {"Orphan": [ORPHAN], "Foreground": [FOREGROUND]}.get(options.propagation, [])
    return [f for f in finalizers if f in (ORPHAN, FOREGROUND)][:1]
