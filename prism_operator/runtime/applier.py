"""Carries out a plan: every write fenced by the leadership term, every answer taken into the cache.

No write here is blind. A create is a POST, an apply carries the uid of the object it means, a
delete its uid and resourceVersion: an object that came, went or changed hands in the meantime
answers with a conflict, is looked at again, and the next plan sees what there is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from prism_operator.api.meta import (
    FIELD_MANAGER,
    FINALIZER_FIELD_MANAGER,
    REPLICAS_FIELD_MANAGER,
    STATUS_FIELD_MANAGER,
    Json,
    Ref,
    ref_of,
    resource_of,
    uid_of,
)
from prism_operator.planning.names import PROVISIONED_ON_ANNOTATION
from prism_operator.planning.observed import Failure
from prism_operator.planning.plan import Apply, Create, Delete, HandOver, Hold, Plan, Write
from prism_operator.planning.tenancy import FINALIZER
from prism_operator.ports import Failed, Metrics, Ok, Outcome, Reader, Reason, Writer
from prism_operator.runtime.cache import Cache, says_the_same

# Our picture of the object was outdated: it is looked at again, and the next plan knows.
_OUTDATED = (Reason.CONFLICT, Reason.UID_MISMATCH, Reason.NOT_FOUND)
# Whatever else is asked for would meet the same: it waits for the next pass.
_HOPELESS = (Reason.THROTTLED, Reason.UNAUTHORIZED)
# A webhook that fails for one kind must not hold up the others; a server that is down for every
# call must not keep a worker for as many timeouts as there are writes.
_TRANSIENT_MAX = 3
_MEANT = ("name", "namespace", "uid")
_SEEN = ("resourceVersion",)
_NO_LONGER_LEADER = Failed(Reason.CONFLICT, "no longer the leader")


@dataclass(slots=True)
class Result:
    """What came of the writes of one plan."""

    written: list[Write] = field(default_factory=list)
    failures: tuple[Failure, ...] = ()
    retry_after_s: float | None = None
    fenced: bool = False  # the term was over: nothing more may be written
    ending: bool = False  # the namespace goes, and what we work for with it
    given_up: bool = False  # the server wants no more for now: what follows was not tried


class Applier:
    """Writes plans through a ``Writer``. Thread-safe as far as its ports are."""

    def __init__(
        self,
        *,
        reader: Reader,
        writer: Writer,
        cache: Cache,
        metrics: Metrics,
        may_write: Callable[[int], bool],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._cache = cache
        self._metrics = metrics
        self._may_write = may_write

    def carry_out(self, plan: Plan, term: int) -> Result:
        """Makes the writes in order.

        One that is refused holds up only those to the same object, and those that need it.
        """
        result = Result()
        refused: set[Ref] = set()
        for write in plan.writes:
            if write.ref in refused or _needs(write) in refused:
                refused.add(write.ref)
                continue
            if not self._may_write(term):
                result.fenced = True
                return result
            failed = self._make(write, plan.ref, term)
            if failed is None:
                result.written.append(write)
                continue
            if failed.reason is Reason.TERMINATING:
                result.ending = True
                return result
            refused.add(write.ref)
            if _is_outdated(write, failed.reason):
                uid = _uid_meant(write)
                self._look_again(write.ref, uid, plan.ref)
                continue
            verb = type(write).__name__.lower()
            failure = Failure(write.ref, verb, failed.reason.value, failed.message)
            result.failures += (failure,)
            if failed.reason in _HOPELESS:
                result.given_up = True
                result.retry_after_s = failed.retry_after_s
                return result
            transient = [f for f in result.failures if f.reason == Reason.TRANSIENT.value]
            if len(transient) == _TRANSIENT_MAX:
                return result
        return result

    def set_status(
        self, obj: Json, status: Json, term: int, *, as_seen: bool = False
    ) -> Outcome | None:
        """Applies the status of ``obj`` under its own manager; None when the term is over.

        ``as_seen``: only if nobody has written to the object since it was as ``obj`` says.
        """
        if not self._may_write(term):
            return None
        metadata = obj["metadata"]
        patch = {
            "apiVersion": obj["apiVersion"],
            "kind": obj["kind"],
            "metadata": {key: metadata[key] for key in (*_MEANT, *(_SEEN if as_seen else ()))},
            "status": status,
        }
        answer = self._writer.apply(patch, STATUS_FIELD_MANAGER, force=True, subresource="status")
        self._count("apply_status", obj, answer)
        if isinstance(answer, Ok):
            # The answer may hold an edit whose own event will come too late to be news.
            only_status = says_the_same(obj, answer.obj, but="status")
            self._cache.put(answer.obj, by=ref_of(obj) if only_status else None)
        elif answer.reason in _OUTDATED:
            self._look_again(ref_of(obj), uid_of(obj), None)
        return answer

    def _make(self, write: Write, by: Ref, term: int) -> Failed | None:
        match write:
            case Create():
                answer = self._writer.create(write.obj, FIELD_MANAGER)
                self._count("create", write.obj, answer)
            case Apply():
                failed = self._own_by_apply(write, term)
                if failed is not None:
                    return failed
                if not self._may_write(term):
                    return _NO_LONGER_LEADER
                metadata = {**write.obj["metadata"], "uid": write.uid}
                answer = self._writer.apply(
                    {**write.obj, "metadata": metadata}, FIELD_MANAGER, force=True
                )
                self._count("apply", write.obj, answer)
            case HandOver():
                answer = self._writer.apply(_replicas_of(write), REPLICAS_FIELD_MANAGER, force=True)
                self._count("apply", _replicas_of(write), answer)
            case Delete():
                return self._delete(write, by)
            case Hold():
                return self._hold(write, by)
        if isinstance(answer, Failed):
            return answer
        self._cache.put(answer.obj, by=by)
        return None

    def _delete(self, write: Delete, by: Ref) -> Failed | None:
        answer = self._writer.delete(
            write.ref, uid=write.uid, resource_version=write.resource_version
        )
        result = answer.reason.value if isinstance(answer, Failed) else "ok"
        self._metrics.wrote("delete", write.ref.resource, result)
        if isinstance(answer, Failed):
            return answer
        # The answer is a Status, or the object, waiting for its finalizers.
        if answer.obj.get("metadata", {}).get("deletionTimestamp"):
            self._cache.put(answer.obj, by=by)
        else:
            self._cache.gone(write.ref, write.uid, by=by)
        return None

    def _hold(self, write: Hold, by: Ref) -> Failed | None:
        operations = finalizer_operations(write.live, write.place)
        answer = self._writer.patch_json(write.ref, operations, FINALIZER_FIELD_MANAGER)
        self._count("patch", write.live, answer)
        if isinstance(answer, Failed):
            # The server calls a failed "test" invalid.
            outdated = answer.reason is Reason.INVALID
            return Failed(Reason.CONFLICT, answer.message) if outdated else answer
        metadata = answer.obj["metadata"]
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            self._cache.gone(write.ref, uid_of(write.live), by=by)
        else:
            self._cache.put(answer.obj, by=by)
        return None

    def _own_by_apply(self, write: Apply, term: int) -> Failed | None:
        """Turns our ``Update`` entry of managedFields, left by the create, into ``Apply``.

        Without it, fields that leave what we apply would stay in the cluster: the create would
        still own them. After ``k8s.io/client-go/util/csaupgrade``.
        """
        if not any(_is_our_update(entry) for entry in _managed_fields(write.live)):
            return None
        # The cache has no field sets: they are wanted once in an object's life.
        current = self._reader.get(write.ref)
        if isinstance(current, Failed):
            return current
        if uid_of(current.obj) != write.uid:
            return Failed(Reason.UID_MISMATCH, f"{write.ref} was created anew")
        upgraded = upgrade_managed_fields(_managed_fields(current.obj))
        if upgraded is None:
            return None
        if not self._may_write(term):
            return _NO_LONGER_LEADER
        version = current.obj["metadata"]["resourceVersion"]
        answer = self._writer.patch_json(
            write.ref,
            [
                {"op": "test", "path": "/metadata/resourceVersion", "value": version},
                {"op": "replace", "path": "/metadata/managedFields", "value": upgraded},
            ],
            FIELD_MANAGER,
        )
        self._count("patch", write.obj, answer)
        if isinstance(answer, Failed):
            # The server calls a failed "test" invalid.
            outdated = answer.reason is Reason.INVALID
            return Failed(Reason.CONFLICT, answer.message) if outdated else answer
        return None

    def _look_again(self, ref: Ref, uid: str, by: Ref | None) -> None:
        """Brings one object of the cache up to date; ``uid`` is the one we believed in."""
        current = self._reader.get(ref)
        if isinstance(current, Ok):
            if uid_of(current.obj) != uid:
                self._cache.gone(ref, uid, by=by)
            self._cache.put(current.obj, by=by)
        elif current.reason is Reason.NOT_FOUND:
            self._cache.gone(ref, uid, by=by)

    def _count(self, verb: str, obj: Json, answer: Outcome) -> None:
        result = answer.reason.value if isinstance(answer, Failed) else "ok"
        self._metrics.wrote(verb, resource_of(obj), result)


def _uid_meant(write: Write) -> str:
    match write:
        case Create():
            return ""
        case Hold():
            return uid_of(write.live)
        case _:
            return write.uid


def _needs(write: Write) -> Ref | None:
    return write.needs if isinstance(write, Create | Apply) else None


def _replicas_of(write: HandOver) -> Json:
    return {
        "apiVersion": write.ref.resource.api_version,
        "kind": write.ref.resource.kind,
        "metadata": {
            "name": write.ref.name,
            "namespace": write.ref.namespace,
            "uid": write.uid,
            "resourceVersion": write.resource_version,
        },
        "spec": {"replicas": write.replicas},
    }


def _is_outdated(write: Write, reason: Reason) -> bool:
    if isinstance(write, Create):
        # Its namespace is not found, a quota changed meanwhile: that is no picture of ours.
        return reason is Reason.ALREADY_EXISTS
    return reason in _OUTDATED


def upgrade_managed_fields(fields: list[Json]) -> list[Json] | None:
    """``fields`` with our ``Update`` entries merged into one ``Apply``; None if there are none."""
    ours = [entry for entry in fields if _is_our_update(entry)]
    if not ours:
        return None
    applied = [entry for entry in fields if _is_ours(entry) and entry["operation"] == "Apply"]
    merged: Json = {}
    for entry in (*applied, *ours):
        merged = _union(merged, entry.get("fieldsV1") or {})
    base = (applied or ours)[0]
    kept = [entry for entry in fields if entry not in ours and entry not in applied]
    return [*kept, {**base, "operation": "Apply", "fieldsV1": merged}]


def finalizer_operations(live: Json, place: str | None) -> list[Json]:
    """The JSON patch that puts our finalizer and the annotation beside it on, or takes both off.

    It fails on an object that is no longer as ``live`` is: another may have been created since.
    """
    metadata = live["metadata"]
    others = [f for f in metadata.get("finalizers") or () if f != FINALIZER]
    annotations = metadata.get("annotations") or {}
    path = "/metadata/annotations/" + PROVISIONED_ON_ANNOTATION.replace("/", "~1")
    operations: list[Json] = [
        {"op": "test", "path": "/metadata/uid", "value": metadata["uid"]},
        {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
        {
            "op": "add",
            "path": "/metadata/finalizers",
            "value": others if place is None else [*others, FINALIZER],
        },
    ]
    if place is None:
        if PROVISIONED_ON_ANNOTATION in annotations:
            operations.append({"op": "remove", "path": path})
    elif annotations:
        operations.append({"op": "add", "path": path, "value": place})
    else:
        value = {PROVISIONED_ON_ANNOTATION: place}
        operations.append({"op": "add", "path": "/metadata/annotations", "value": value})
    return operations


def _managed_fields(obj: Json) -> list[Json]:
    return obj["metadata"].get("managedFields") or []


def _is_ours(entry: Json) -> bool:
    return entry.get("manager") == FIELD_MANAGER and not entry.get("subresource")


def _is_our_update(entry: Json) -> bool:
    return _is_ours(entry) and entry.get("operation") == "Update"


def _union(one: Json, other: Json) -> Json:
    """Two field sets (``fieldsV1``) as one."""
    merged = dict(one)
    for key, value in other.items():
        merged[key] = _union(merged[key], value) if key in merged else value
    return merged
