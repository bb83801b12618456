"""What the operator knows of the cluster: watch events and the answers to its own writes.

Two sources tell of one object: its watch, late but complete, and the answer to our own write, at
once. The higher resourceVersion wins (they compare as numbers since KEP-5504), so a pass sees what
the one before it wrote, and the echo of our own write is no news.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeVar

import orjson

from prism_operator.api.meta import (
    FIELD_MANAGER,
    Json,
    Ref,
    Resource,
    controller_uid_of,
    ref_of,
    uid_of,
)
from prism_operator.planning.targets import scale_target_of
from prism_operator.ports import Listed

Key = TypeVar("Key")
Trim = Callable[[Json], Json]
# Told of every change that is news: the object's coordinates, before and after, and whose pass
# brought it about, if it was ours: that one looks again anyway.
Listener = Callable[[Ref, Json | None, Json | None, Ref | None], None]


class Cache:
    """Objects by reference, with indexes; a ``planning.observed.Snapshot``.

    Hold ``lock`` for a consistent view. Listeners are called with it held and must not block.
    """

    def __init__(
        self,
        *,
        trims: Mapping[Resource, Trim],
        listener: Listener,
        on_availability: Callable[[Resource], None],
    ) -> None:
        self.lock = threading.RLock()
        self._trims = trims
        self._listener = listener
        self._on_availability = on_availability
        self._objects: dict[Resource, dict[Ref, Json]] = {}
        self._by_owner: dict[str, dict[Ref, Json]] = {}
        # Plans share what they make of a list, as long as it is the same one.
        self._listed: dict[tuple[Resource, str], tuple[Json, ...]] = {}
        self._by_target: dict[Ref, dict[Ref, Json]] = {}
        # uid of objects whose deletion we were told before the watch said so: what the watch still
        # has to say about them is outdated.
        self._deleted: dict[Ref, str] = {}
        self._served: dict[Resource, bool] = {}
        self._unreadable: set[tuple[Resource, str]] = set()

    # -- planning.observed.Snapshot

    def get(self, ref: Ref) -> Json | None:
        """See ``Snapshot``."""
        objects = self._objects.get(ref.resource)
        return objects.get(ref) if objects else None

    def owned_by(self, uid: str) -> Sequence[Json]:
        """See ``Snapshot``."""
        owned = self._by_owner.get(uid)
        return [owned[ref] for ref in sorted(owned)] if owned else []

    def scalers_of(self, deployment: Ref) -> Sequence[Json]:
        """See ``Snapshot``."""
        scalers = self._by_target.get(deployment)
        return [scalers[ref] for ref in sorted(scalers)] if scalers else []

    def list(self, resource: Resource, namespace: str = "") -> Sequence[Json]:
        """See ``Snapshot``. The same tuple while nothing in it changes but resourceVersions."""
        objects = self._objects.get(resource)
        if not objects:
            return ()
        listed = self._listed.get((resource, namespace))
        if listed is None:
            found = [item for item in objects.items() if namespace in ("", item[0].namespace)]
            found.sort(key=lambda item: (item[0].namespace, item[0].name))
            listed = tuple(obj for _, obj in found)
            self._listed[resource, namespace] = listed
        return listed

    def serves(self, resource: Resource) -> bool | None:
        """See ``Snapshot``."""
        return self._served.get(resource)

    def can_read(self, resource: Resource) -> bool:
        """See ``Snapshot``."""
        return all(unreadable != resource for unreadable, _ in self._unreadable)

    def refs(self, resource: Resource, namespace: str = "") -> Iterable[Ref]:
        """The references of all objects of a resource, in the order they came."""
        objects = self._objects.get(resource, {})
        return [ref for ref in objects if namespace in ("", ref.namespace)]

    def everything(self) -> dict[Resource, Sequence[Json]]:
        """All objects by resource, in no order: a copy, so that no lock is held to look at it."""
        with self.lock:
            return {resource: tuple(found.values()) for resource, found in self._objects.items()}

    # -- what the reflectors say

    def replace(self, resource: Resource, namespace: str, listed: Listed) -> None:
        """Takes a whole collection over; what it lacks was deleted, unless written after it."""
        with self.lock:
            seen = set()
            for obj in listed.items:
                seen.add(ref_of(obj))
                self.put(obj)
            for ref in self.refs(resource, namespace):
                if ref in seen:
                    continue
                if not _is_newer(_version(self._objects[resource][ref]), listed.resource_version):
                    self._remove(ref)
            for ref in [r for r in self._deleted if r.resource == resource and r not in seen]:
                if namespace in ("", ref.namespace):
                    del self._deleted[ref]

    def put(self, obj: Json, *, by: Ref | None = None) -> None:
        """Takes an object over, unless what is known of it is as new."""
        ref = ref_of(obj)
        with self.lock:
            if uid_of(obj) and self._deleted.get(ref) == uid_of(obj):
                return
            old = self.get(ref)
            if old is not None and not _is_newer(_version(obj), _version(old)):
                return
            new = kept(self._trims.get(ref.resource), obj)
            self._store(ref, old, new)
            if old is None or not says_the_same(old, new):
                self._forget_listed(ref)
                self._listener(ref, old, new, by)

    def delete(self, obj: Json) -> None:
        """Takes over a DELETED event, unless a newer object has the name."""
        ref = ref_of(obj)
        with self.lock:
            if self._deleted.get(ref) == uid_of(obj):
                del self._deleted[ref]
            old = self.get(ref)
            if old is not None and (
                uid_of(old) == uid_of(obj) or not _is_newer(_version(old), _version(obj))
            ):
                self._remove(ref)

    def clear(self, resource: Resource, namespace: str) -> None:
        """The resource is no longer served: all its objects are gone."""
        with self.lock:
            for ref in self.refs(resource, namespace):
                self._remove(ref)

    def set_availability(
        self, resource: Resource, namespace: str, *, served: bool, readable: bool
    ) -> None:
        """Notes whether the cluster serves a resource, and lets us list it in ``namespace``."""
        with self.lock:
            before = self._served.get(resource), self.can_read(resource)
            self._served[resource] = served
            if readable:
                self._unreadable.discard((resource, namespace))
            else:
                self._unreadable.add((resource, namespace))
            if before != (served, self.can_read(resource)):
                self._on_availability(resource)

    # -- what the applier learns

    def gone(self, ref: Ref, uid: str, *, by: Ref | None = None) -> None:
        """A write's answer said that the object with ``uid`` does not exist (any more)."""
        with self.lock:
            old = self.get(ref)
            if old is not None and uid_of(old) == uid:
                self._deleted[ref] = uid
                self._remove(ref, by=by)

    def forget(self, ref: Ref, *, by: Ref | None = None) -> None:
        """Drops an object that no watch tells of; it may be put again."""
        with self.lock:
            if self.get(ref) is not None:
                self._remove(ref, by=by)

    def _store(self, ref: Ref, old: Json | None, new: Json) -> None:
        if old is not None:
            self._unindex(ref, old)
        self._objects.setdefault(ref.resource, {})[ref] = new
        owner = controller_uid_of(new)
        if owner:
            self._by_owner.setdefault(owner, {})[ref] = new
        target = scale_target_of(new)
        if target:
            self._by_target.setdefault(target, {})[ref] = new

    def _remove(self, ref: Ref, *, by: Ref | None = None) -> None:
        old = self._objects[ref.resource].pop(ref)
        self._forget_listed(ref)
        self._unindex(ref, old)
        self._listener(ref, old, None, by)

    def _unindex(self, ref: Ref, old: Json) -> None:
        _drop(self._by_owner, controller_uid_of(old), ref)
        _drop(self._by_target, scale_target_of(old), ref)

    def _forget_listed(self, ref: Ref) -> None:
        self._listed.pop((ref.resource, ref.namespace), None)
        self._listed.pop((ref.resource, ""), None)


def _drop(index: dict[Key, dict[Ref, Json]], key: Key | None, ref: Ref) -> None:
    if key is not None and key in index:
        index[key].pop(ref, None)
        if not index[key]:
            del index[key]


def _version(obj: Json) -> str:
    return str(obj["metadata"].get("resourceVersion", ""))


def _is_newer(version: str, than: str) -> bool:
    if version.isdecimal() and than.isdecimal():
        return int(version) > int(than)
    # A server without comparable versions: believe whoever speaks last.
    return version != than


def says_the_same(old: Json, new: Json, *, but: str = "") -> bool:
    """Whether two versions of an object differ in nothing but their version (and in ``but``)."""
    if old.keys() - {but} != new.keys() - {but}:
        return False
    before = {**old["metadata"], "resourceVersion": "", "managedFields": None}
    after = {**new["metadata"], "resourceVersion": "", "managedFields": None}
    return before == after and all(
        old[field] == new[field] for field in old if field not in ("metadata", but)
    )


def kept(trim: Trim | None, obj: Json) -> Json:
    """What a cache keeps of an object; of that again the very same.

    Whoever lists many keeps no more of each meanwhile: a page of 500 can take 20 MiB.
    """
    trimmed = trim(obj) if trim else obj
    if isinstance(trimmed, _Kept):
        return trimmed
    return _Kept(_compact(_without_managed_fields(trimmed)))


class _Kept(dict[str, Any]):
    """An object of which a cache needs no copy: thousands are listed at a time."""


def only_reports(old: Json, new: Json) -> bool:
    """Whether what is asked of an object stayed the same: somebody said how it does."""
    return says_the_same(_without_revision(old), _without_revision(new), but="status")


# An annotation by which the Deployment controller reports, beside the status.
_REVISION: Final = "deployment.kubernetes.io/revision"


def _without_revision(obj: Json) -> Json:
    metadata = obj["metadata"]
    annotations = metadata.get("annotations") or {}
    if _REVISION not in annotations:
        return obj
    others = {key: value for key, value in annotations.items() if key != _REVISION}
    return {**obj, "metadata": {**metadata, "annotations": others}}


def _without_managed_fields(obj: Json) -> Json:
    """Without managedFields, which are half of an object's size, but for what plans need of them.

    That is whether our create is not yet recorded as an apply, and whether we hold the replicas.
    """
    fields = obj["metadata"].get("managedFields")
    if not fields:
        return obj
    kept = [
        _HOLDING_REPLICAS[entry["operation"]] if _holds_replicas(entry) else _OURS_UPDATED
        for entry in fields
        if entry.get("manager") == FIELD_MANAGER
        and not entry.get("subresource")
        and (entry["operation"] == "Update" or _holds_replicas(entry))
    ]
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    if kept:
        metadata["managedFields"] = kept
    return {**obj, "metadata": metadata}


# One for all objects, since there are many and nobody changes them.
_OURS_UPDATED: Final[Json] = {"manager": FIELD_MANAGER, "operation": "Update"}
_HOLDING_REPLICAS: Final[dict[str, Json]] = {
    operation: {
        "manager": FIELD_MANAGER,
        "operation": operation,
        "fieldsV1": {"f:spec": {"f:replicas": {}}},
    }
    for operation in ("Update", "Apply")
}


def _compact(obj: Json) -> Json:
    """``obj`` with the parts that other objects have too, like probes and conditions, in common.

    Nobody changes an object of the cache, and thousands of ours differ in little but names.
    """
    return {key: _in_common(value) for key, value in obj.items()}


def _in_common(value: Any) -> Any:
    if not isinstance(value, dict | list):
        return value
    text = orjson.dumps(value)
    if len(text) <= _COMMON_BYTES_MAX:
        return _common(text)
    if isinstance(value, dict):
        return {key: _in_common(inner) for key, inner in value.items()}
    return [_in_common(inner) for inner in value]


_COMMON_BYTES_MAX: Final = 512  # what is larger is hardly ever the same


@lru_cache(maxsize=2048)
def _common(text: bytes) -> Any:
    return orjson.loads(text)


def _holds_replicas(entry: Json) -> bool:
    return "f:replicas" in (entry.get("fieldsV1") or {}).get("f:spec", {})


_IDENTITY: Final = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "ownerReferences",
    "deletionTimestamp",
)


def identity_unless_ours(obj: Json) -> Json:
    """Only who a foreign object is: enough to see that a name is taken, at a tenth of the memory.

    Ours is what one of our kinds controls, what bears our label, or what was offered for adoption.
    """
    metadata = obj["metadata"]
    annotations = metadata.get("annotations") or {}
    labels = metadata.get("labels") or {}
    if (
        labels.get("app.kubernetes.io/managed-by") == "prism-operator"
        or any(key.startswith("prism.io/") for key in annotations)
        or any(
            owner.get("apiVersion", "").startswith("prism.io/")
            for owner in metadata.get("ownerReferences") or ()
        )
    ):
        return obj
    return identity_of(obj)


def identity_of(obj: Json) -> Json:
    """Who an object is, and whose."""
    metadata = obj["metadata"]
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "metadata": {key: metadata[key] for key in _IDENTITY if key in metadata},
    }


def desired_unless_foreign(obj: Json) -> Json:
    """As ``identity_unless_ours``, and nothing of what a controller counts in its status."""
    return {key: value for key, value in identity_unless_ours(obj).items() if key != "status"}


def scaling_facts(scaler: Json) -> Json:
    """Of a scaler what it scales, wants and complains of: its metrics change all the time."""
    kept = identity_unless_ours(scaler)
    status = scaler.get("status") or {}
    facts: Json = {
        "conditions": [
            {key: condition.get(key, "") for key in ("type", "status", "reason", "message")}
            for condition in status.get("conditions") or ()
            if condition.get("status") == "False"
        ]
    }
    if "desiredReplicas" in status:
        facts["desiredReplicas"] = status["desiredReplicas"]
    spec = scaler.get("spec") or {}
    target = {key: spec[key] for key in ("scaleTargetRef",) if key in spec}
    return {**kept, "spec": kept.get("spec", target), "status": facts}
