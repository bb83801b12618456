"""What to write so that the objects an owner should have exist, are as desired, and no others.

An object is the owner's when it carries the owner's uid as an owner reference. Anything else under
a name we want is foreign: never changed, never deleted, said in ``Children.conflicts``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from prism_operator.api.meta import (
    FIELD_MANAGER,
    PRISM_RESOURCES,
    Json,
    ReadOnlyJson,
    Ref,
    Resource,
    ref_of,
    resource_of,
    uid_of,
)
from prism_operator.planning.diff import difference
from prism_operator.planning.hashing import PUBLIC_KEY, keyed_hash
from prism_operator.planning.names import ADOPT_ANNOTATION, APPLIED_ANNOTATION
from prism_operator.planning.observed import Snapshot
from prism_operator.planning.plan import Apply, Create, Delete, HandOver, Write
from prism_operator.planning.shards import SHARD_LABEL, shard_of

_PRISM_BY_KIND: Final = {(r.api_version, r.kind): r for r in PRISM_RESOURCES}


@dataclass(frozen=True, slots=True)
class Yielded:
    """A Deployment's number of replicas while it is not ours to hold.

    The Deployment is created with ``initial``; what is below ``at_least`` is lifted to it.
    """

    initial: int
    at_least: int = 0


@dataclass(frozen=True, slots=True)
class Children:
    """The outcome: ``writes`` in order, and what to tell about it.

    ``unsettled`` are the desired objects whose spec is not in the cluster yet, ``repairs`` says
    what somebody else had changed or deleted.
    """

    writes: tuple[Write, ...] = ()
    unsettled: frozenset[Ref] = frozenset()
    conflicts: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()


def finished(obj: Json, owner: ReadOnlyJson) -> Json:
    """``obj`` as it is written: without nulls, with its owner and with the hash of all that."""
    obj = _without_nulls(obj)
    metadata = {**obj["metadata"], "ownerReferences": [_owner_reference(owner)]}
    if shard := shard_of(owner):
        metadata["labels"] = {**metadata.get("labels", {}), SHARD_LABEL: shard}
    obj = {**obj, "metadata": metadata}
    metadata["annotations"] = {
        **metadata.get("annotations", {}),
        APPLIED_ANNOTATION: keyed_hash(PUBLIC_KEY, obj),
    }
    return obj


def own(live: Json | None, owner: ReadOnlyJson) -> Json | None:
    """``live`` if it belongs to ``owner``: of a foreign object nothing but its name concerns us."""
    return live if live is not None and _has_owner(live, uid_of(owner)) else None


def plan_children(
    owner: ReadOnlyJson,
    desired: Sequence[Json],
    cluster: Snapshot,
    *,
    kinds: Collection[Resource],
    kept: Collection[Ref] = (),
    yielded: Mapping[Ref, Yielded] = MappingProxyType({}),
    needs: Mapping[Ref, Ref] = MappingProxyType({}),
) -> Children:
    """The writes that make the owner's objects of ``kinds`` the ``desired`` ones.

    ``desired`` are ``finished`` objects, those of ``yielded`` without a number of replicas. What is
    in ``kept`` is neither written nor deleted. Pods that start before what they ``need`` would have
    to be replaced once it is there, so whatever needs a write that is refused waits for it.
    """
    uid = uid_of(owner)
    writes: list[Write] = []
    unsettled: set[Ref] = set()
    conflicts: list[str] = []
    repairs: list[str] = []
    wanted: set[Ref] = set(kept)

    for obj in desired:
        ref = ref_of(obj)
        wanted.add(ref)
        live = cluster.get(ref)
        if live is None:
            made = _with_replicas(obj, yielded[ref].initial) if ref in yielded else obj
            writes.append(Create(ref, made, "it does not exist", needs.get(ref)))
            unsettled.add(ref)
            repairs.append(f"{ref.resource.kind} {ref.name} was missing")
            continue
        adopted = not _has_owner(live, uid)
        if _is_terminating(live) or (adopted and _is_left_behind(live, cluster)):
            # Recreating is for the pass after it is gone: its name is still taken.
            unsettled.add(ref)
            continue
        if adopted and (foreign := _why_foreign(live, ref)):
            conflicts.append(foreign)
            continue
        where = _drift(obj, live)
        written = where is not None or adopted
        if ref in yielded and (hand_over := _hand_over(live, ref, yielded[ref], written)):
            writes.append(hand_over)
        if not written:
            continue
        is_new = not _is_applied(obj, live)
        if adopted:
            reason = f"annotation {ADOPT_ANNOTATION} hands it over"
        elif is_new:
            reason = "what is wanted of it has changed"
        else:
            reason = f"{where} is not as wanted"
            repairs.append(f"{where} of {ref.resource.kind} {ref.name} had been changed")
        writes.append(Apply(ref, uid_of(live), obj, live, reason, needs.get(ref)))
        if is_new or (where is not None and not where.startswith("metadata")):
            unsettled.add(ref)

    for live in cluster.owned_by(uid):
        ref = ref_of(live)
        if resource_of(live) in kinds and ref not in wanted and not _is_terminating(live):
            version = str(live["metadata"]["resourceVersion"])
            writes.append(Delete(ref, uid_of(live), version, "nothing asks for it any more"))

    return Children(tuple(writes), frozenset(unsettled), tuple(conflicts), tuple(repairs))


def _hand_over(live: Json, ref: Ref, yielded: Yielded, written: bool) -> HandOver | None:
    """What must be done about the number of replicas before anything else is ``written``.

    As long as nothing is, our ownership of the field does no harm: whoever scales takes it over.
    """
    current = live["spec"].get("replicas", 1)
    if current < yielded.at_least:
        replicas, reason = yielded.at_least, f"{current} replicas are too few"
    elif written and _holds_replicas(live):
        replicas, reason = current, "the number of replicas is no longer ours"
    else:
        return None
    version = str(live["metadata"]["resourceVersion"])
    return HandOver(ref, uid_of(live), version, replicas, reason)


def _holds_replicas(live: Json) -> bool:
    """Whether dropping the number of replicas from what we apply would drop it altogether."""
    return any(
        entry.get("manager") == FIELD_MANAGER
        and not entry.get("subresource")
        and "f:replicas" in (entry.get("fieldsV1") or {}).get("f:spec", {})
        for entry in live["metadata"].get("managedFields") or ()
    )


def _with_replicas(deployment: Json, replicas: int) -> Json:
    return {**deployment, "spec": {**deployment["spec"], "replicas": replicas}}


def _drift(desired: Json, live: Json) -> str | None:
    """The first difference; that of the hash only when there is no other."""
    for part, wanted in desired.items():
        if part == "metadata" or wanted == live.get(part):
            continue
        if where := difference({part: wanted}, live):
            return where
    return difference({"metadata": desired["metadata"]}, live)


def _is_applied(desired: Json, live: Json) -> bool:
    found = (live["metadata"].get("annotations") or {}).get(APPLIED_ANNOTATION)
    return bool(found == desired["metadata"]["annotations"][APPLIED_ANNOTATION])


def _is_terminating(live: Json) -> bool:
    return live["metadata"].get("deletionTimestamp") is not None


def _is_left_behind(live: Json, cluster: Snapshot) -> bool:
    """Whether one of our kinds owned the object and is gone, so that the collector comes for it.

    Deleting and creating a stack in one go meets the children of the old one.
    """
    for owner in live["metadata"].get("ownerReferences") or ():
        resource = _PRISM_BY_KIND.get((owner.get("apiVersion"), owner["kind"]))
        if owner.get("controller") and resource is not None and cluster.can_read(resource):
            found = cluster.get(Ref(resource, live["metadata"]["namespace"], owner["name"]))
            return found is None or uid_of(found) != owner["uid"]
    return False


def _has_owner(live: Json, uid: str) -> bool:
    return any(o["uid"] == uid for o in live["metadata"].get("ownerReferences") or ())


def _why_foreign(live: Json, ref: Ref) -> str | None:
    """Why an object without our owner reference stays untouched; None when it is handed to us."""
    for owner in live["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return f"{ref} belongs to {owner['kind']} {owner['name']}: rename one of the two"
    if (live["metadata"].get("annotations") or {}).get(ADOPT_ANNOTATION) == "true":
        return None
    return (
        f"{ref} exists and is not ours: rename or delete it, "
        f'or hand it over with the annotation {ADOPT_ANNOTATION}: "true"'
    )


def _owner_reference(owner: ReadOnlyJson) -> Json:
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": uid_of(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


# Free-form by its schema: a null in it means something to whoever reads it.
_FREE_FORM = frozenset({"config", "backendConfig"})
_SCALARS = frozenset({str, int, float, bool})  # most of an object: not worth a call each


def _without_nulls(value: Json) -> Json:
    return {
        key: inner if type(inner) in _SCALARS or key in _FREE_FORM else _inner_without_nulls(inner)
        for key, inner in value.items()
        if inner is not None
    }


def _inner_without_nulls(value: object) -> object:
    if isinstance(value, dict):
        return _without_nulls(value)
    if isinstance(value, list):
        return [_inner_without_nulls(item) for item in value]
    return value
