"""What happens to an object between a request and the storage: the life cycle of every kind.

The order of the checks, and so which error wins, is that of
``k8s.io/apiserver/pkg/registry/generic/registry/store.go`` and ``pkg/endpoints/handlers``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from prism_operator.api.meta import NAMESPACE, SERVICE, Json, Resource
from prism_operator.ports import Clock
from prism_operator.runtime.randomness import Streams
from simulator.apiserver import managedfields
from simulator.apiserver.causes import INVALID, Cause
from simulator.apiserver.deletion import decide, timestamp
from simulator.apiserver.reads import Query, Reads
from simulator.apiserver.request import DeleteOptions, WriteOptions
from simulator.apiserver.services import ServiceAllocator
from simulator.apiserver.statuses import (
    ApiError,
    already_exists,
    bad_request,
    conflict,
    details_of,
    failure,
    forbidden,
    generate_name_conflict,
    invalid,
    not_found,
    success,
)
from simulator.apiserver.storage import Collection, Storage
from simulator.apiserver.types import Kind

# What an update makes of the live object; None where there is none.
Change: TypeAlias = Callable[[Json | None], Json]

# Names end in five of these (k8s.io/apimachinery/pkg/util/rand): no vowels, so no words.
_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
_GENERATED_NAME_ATTEMPTS: Final = 8
_GENERATED_BASE_MAX: Final = 58
_IMMORTAL_NAMESPACES: Final = ("default", "kube-system", "kube-public")

# Whose delete answers with the object (ReturnDeletedObject in kubernetes/pkg/registry).
_RETURNED_WHEN_DELETED: Final = frozenset(
    {"pods", "services", "serviceaccounts", "namespaces", "resourcequotas"}
    | {"persistentvolumeclaims", "persistentvolumes", "podtemplates"}
)


class Registry:
    """Reads and writes the objects of all kinds. Every refusal is an ``ApiError``."""

    def __init__(self, storage: Storage, clock: Clock, streams: Streams) -> None:
        self.storage = storage
        self._clock = clock
        # Who wants uids that do not depend on the order of creations sets this.
        self.uids: Callable[[Resource, str, str], str] | None = None
        self._uids = streams.stream("apiserver", "uid")
        self._names = streams.stream("apiserver", "name")
        self._services = ServiceAllocator()
        self.reads = Reads(storage, clock, streams.stream("apiserver", "watch-timeout"))

    def fork(self, storage: Storage, clock: Clock) -> Registry:
        """The same over a fork of the storage: it draws the same uids, names and addresses."""
        twin = copy.copy(self)
        twin.storage, twin._clock = storage, clock
        twin._uids, twin._names = copy.copy(self._uids), copy.copy(self._names)
        twin._services = copy.deepcopy(self._services)
        twin.reads = self.reads.fork(storage, clock)
        return twin

    def get(self, kind: Kind, namespace: str, name: str) -> Json:
        """One object as it is served."""
        stored = self._collection(kind).objects.get(_key(namespace, name))
        if stored is None:
            raise not_found(kind.resource, name)
        return kind.from_storage(kind.read(stored))

    # Create

    def create(
        self, kind: Kind, namespace: str, obj: Json, options: WriteOptions, warn: list[str]
    ) -> Json:
        """Stores a decoded object that must not exist yet."""
        meta = {k: v for k, v in obj["metadata"].items() if k not in _SYSTEM_FIELDS}
        obj = _placed(kind, namespace, {**obj, "metadata": meta})
        owned = managedfields.update(kind, None, obj, options.manager, self.now())
        self._require_namespace(kind, namespace, meta.get("name", ""))
        owned = kind.admit(owned)
        attempts = 1 if owned["metadata"].get("name") else _GENERATED_NAME_ATTEMPTS
        while True:
            attempts -= 1
            try:
                return self._create(kind, namespace, owned, options, warn)
            except ApiError as error:
                if error.reason != "AlreadyExists" or not attempts:
                    raise

    def _create(
        self,
        kind: Kind,
        namespace: str,
        obj: Json,
        options: WriteOptions,
        warn: list[str],
    ) -> Json:
        meta = {
            **obj["metadata"],
            "uid": self._new_uid(kind.resource, namespace, obj["metadata"].get("name", "")),
            "creationTimestamp": self.now(),
        }
        generated = not meta.get("name") and bool(meta.get("generateName"))
        if generated:
            meta["name"] = self._generated_name(meta["generateName"])
        name = meta.get("name", "")
        collection, key = self._collection(kind), _key(namespace, name)
        obj = {**obj, "metadata": meta}
        if kind.resource == SERVICE:
            obj = self._services.fill_in(obj, None, dry_run=options.dry_run)
        obj = kind.prepare_create(obj)
        causes = kind.validate(obj)
        if causes:
            raise invalid(kind.storage.group, kind.resource.kind, name, causes)
        warn.extend(kind.warnings(obj))
        if not options.dry_run and meta.get("resourceVersion", "0") != "0":
            message = "resourceVersion should not be set on objects to be created"
            raise failure(500, "", message)
        existing = collection.objects.get(key)
        if existing is not None:
            if generated:
                raise generate_name_conflict(kind.resource, name)
            deleting = "deletionTimestamp" in existing["metadata"]
            raise already_exists(kind.resource, name, being_deleted=deleting)
        return self._commit(kind, collection, key, obj, options.dry_run)

    # Update

    def update(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        change: Change,
        options: WriteOptions,
        warn: list[str],
        *,
        subresource: str = "",
        uid: str = "",
        creates: bool = False,
    ) -> tuple[Json, bool]:
        """Stores what ``change`` makes of the live object; True when that created it.

        ``uid`` is a precondition; ``creates`` lets an absent object be created.
        """
        collection, key = self._collection(kind), _key(namespace, name)
        stored = collection.objects.get(key)
        if stored is None:
            if not creates and (subresource or not kind.allows_create_on_update):
                raise not_found(kind.resource, name)
            if uid:
                raise conflict(kind.resource, name, _uid_mismatch(kind, key, uid, "", options))
            obj = _placed(kind, namespace, change(None))
            meta = {k: v for k, v in obj["metadata"].items() if k not in _SYSTEM_FIELDS}
            if not options.dry_run:
                meta.pop("resourceVersion", None)
            obj = {**obj, "metadata": meta}
            self._require_namespace(kind, namespace, name)
            obj = kind.admit(obj)
            return self._create(kind, namespace, obj, options, warn), True
        live_uid = stored["metadata"]["uid"]
        if uid and uid != live_uid:
            raise conflict(kind.resource, name, _uid_mismatch(kind, key, uid, live_uid, options))
        live = kind.from_storage(kind.read(stored))
        obj = self._versioned(kind, name, change(live), live)
        obj = _placed(kind, namespace, obj)
        if kind.resource == SERVICE and not subresource:
            obj = self._services.fill_in(obj, live, dry_run=options.dry_run)
        if not subresource:
            obj = kind.admit_update(obj, live)
        obj = kind.prepare_update(obj, live, subresource)
        obj = _with_system_fields(obj, live)
        causes = kind.validate(obj, live, subresource)
        if causes:
            raise invalid(kind.storage.group, kind.resource.kind, name, causes)
        warn.extend(kind.warnings(obj, live))
        obj = managedfields.keep_timestamps(live, obj)
        if _was_last_finalizer(obj, live):
            if not options.dry_run:
                self._remove(kind, collection, key)
            return obj, False
        if obj == live:
            return live, False
        return self._commit(kind, collection, key, obj, options.dry_run), False

    def _versioned(self, kind: Kind, name: str, obj: Json, live: Json) -> Json:
        """``obj`` under the live resourceVersion, if it was made from that one or may ignore it."""
        version = obj["metadata"].get("resourceVersion", "")
        live_version = live["metadata"]["resourceVersion"]
        if version in ("", "0"):
            if not kind.allows_unconditional_update:
                message = "Invalid value: 0: must be specified for an update"
                cause = Cause(INVALID, message, "metadata.resourceVersion")
                raise invalid(kind.resource.group, kind.resource.plural, name, [cause])
        elif version != live_version:
            raise conflict(kind.resource, name)
        meta = {**obj["metadata"], "resourceVersion": live_version}
        return {**obj, "metadata": meta}

    # Delete

    def delete(
        self, kind: Kind, namespace: str, name: str, options: DeleteOptions
    ) -> tuple[Json, bool]:
        """Deletes an object or marks it; the object or a Status, and whether it is gone."""
        collection, key = self._collection(kind), _key(namespace, name)
        stored = collection.objects.get(key)
        if kind.resource == NAMESPACE and name in _IMMORTAL_NAMESPACES:
            raise forbidden(kind.resource, name, "this namespace may not be deleted")
        if stored is None:
            raise not_found(kind.resource, name)
        deletion = decide(kind, kind.from_storage(stored), options, self._clock.now())
        obj = kind.from_storage(kind.read(stored))
        if deletion.marked is not None:
            obj = self._commit(kind, collection, key, deletion.marked, options.dry_run)
        if not deletion.removes:
            return obj, False
        if not options.dry_run:
            obj = self._remove(kind, collection, key)
        return self._deleted(kind, obj), True

    def delete_collection(
        self, kind: Kind, namespace: str, query: Query, options: DeleteOptions
    ) -> Json:
        """Deletes every selected object; answers with the list of them as they were."""
        listed = self.reads.list_page(kind, namespace, query)
        for obj in listed["items"]:
            meta = obj["metadata"]
            try:
                self.delete(kind, meta.get("namespace", ""), meta["name"], options)
            except ApiError as error:
                if error.code != 404:
                    raise
        return listed

    def let_go(self, kind: Kind, name: str) -> Json | None:
        """Removes a namespace that nothing holds any more; None when something does."""
        collection = self._collection(kind)
        stored = collection.objects[name]
        meta = stored["metadata"]
        held = meta.get("finalizers") or stored["spec"].get("finalizers")
        if held or "deletionTimestamp" not in meta:
            return None
        return self._remove(kind, collection, name)

    def store(self, kind: Kind, namespace: str, obj: Json) -> Json:
        """Stores ``obj`` as it is, unless it is so already: for what the server does by itself."""
        collection = self._collection(kind)
        key = _key(namespace, obj["metadata"]["name"])
        if collection.objects.get(key) == obj:
            return obj
        return self._commit(kind, collection, key, obj, dry_run=False)

    def objects(self, kind: Kind, namespace: str = "") -> Iterable[Json]:
        """All stored objects of a kind in order of their keys; a snapshot."""
        collection = self._collection(kind)
        return [collection.objects[key] for key in collection.keys_in(namespace)]

    def now(self) -> str:
        """The time as API objects carry it: RFC 3339, whole seconds."""
        return timestamp(self._clock.now())

    # Parts

    def _collection(self, kind: Kind) -> Collection:
        return self.storage.collection(kind.storage)

    def _commit(
        self, kind: Kind, collection: Collection, key: str, obj: Json, dry_run: bool
    ) -> Json:
        if dry_run:
            return obj
        if kind.resource == SERVICE:
            self._services.commit(collection.objects.get(key), obj)
        stored = self.storage.put(collection, key, kind.to_storage(obj))
        return kind.from_storage(stored)

    def _remove(self, kind: Kind, collection: Collection, key: str) -> Json:
        gone = self.storage.remove(collection, key)
        if kind.resource == SERVICE:
            self._services.commit(gone, None)
        return kind.from_storage(kind.read(gone))

    def _deleted(self, kind: Kind, obj: Json) -> Json:
        if kind.resource.plural in _RETURNED_WHEN_DELETED and not kind.custom:
            return obj
        meta = obj["metadata"]
        return success(details_of(kind.resource, meta["name"], uid=meta["uid"]))

    def _require_namespace(self, kind: Kind, namespace: str, name: str) -> None:
        if not kind.resource.namespaced:
            return
        found = self.storage.collection(NAMESPACE).objects.get(namespace)
        if found is None:
            raise not_found(NAMESPACE, namespace)
        if (found.get("status") or {}).get("phase") == "Terminating":
            why = f"unable to create new content in namespace {namespace} because it is being"
            cause = {
                "reason": "NamespaceTerminating",
                "message": f"namespace {namespace} is being terminated",
                "field": "metadata.namespace",
            }
            raise forbidden(kind.resource, name, f"{why} terminated", causes=[cause])

    def _new_uid(self, resource: Resource, namespace: str, name: str) -> str:
        if self.uids is not None:
            return self.uids(resource, namespace, name)
        # Version 4, variant 1: what clients expect of random UUIDs.
        bits = self._uids.getrandbits(128) & ~(0xF << 76) & ~(0x3 << 62)
        text = f"{bits | 4 << 76 | 2 << 62:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def _generated_name(self, base: str) -> str:
        suffix = "".join(self._names.choices(_ALPHABET, k=5))
        return base[:_GENERATED_BASE_MAX] + suffix


_SYSTEM_FIELDS: Final = frozenset(
    {"uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"}
)


def _key(namespace: str, name: str) -> str:
    return f"{namespace}/{name}" if namespace else name


def _placed(kind: Kind, namespace: str, obj: Json) -> Json:
    """``obj`` in the namespace of the request, which it may name but not contradict."""
    meta = obj["metadata"]
    namespace = namespace if kind.resource.namespaced else ""
    own = meta.get("namespace", "")
    if own == namespace:
        return obj
    if own and namespace:
        raise bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    meta = {**meta, "namespace": namespace}
    if not namespace:
        del meta["namespace"]
    return {**obj, "metadata": meta}


def _with_system_fields(new: Json, old: Json) -> Json:
    """``new`` with what no update can change."""
    meta, kept = dict(new["metadata"]), old["metadata"]
    meta["uid"] = meta.get("uid") or kept["uid"]
    meta["creationTimestamp"] = kept["creationTimestamp"]
    if "deletionTimestamp" in kept:
        meta["deletionTimestamp"] = kept["deletionTimestamp"]
    if "deletionGracePeriodSeconds" in kept:
        meta.setdefault("deletionGracePeriodSeconds", kept["deletionGracePeriodSeconds"])
    return {**new, "metadata": meta}


def _was_last_finalizer(new: Json, old: Json) -> bool:
    """Whether an update let go of an object that only waited for finalizers."""
    meta = old["metadata"]
    waits = "deletionTimestamp" in meta and not meta.get("deletionGracePeriodSeconds")
    held = new["metadata"].get("finalizers") or (
        new["kind"] == "Namespace" and (new.get("spec") or {}).get("finalizers")
    )
    return waits and not held


def _uid_mismatch(kind: Kind, key: str, wanted: str, actual: str, options: WriteOptions) -> str:
    resource = kind.resource
    root = f"{resource.group}/{resource.plural}" if kind.custom else resource.plural
    root = {"services": "services/specs", "nodes": "minions"}.get(root, root)
    # A dry run checks above the layer that knows etcd's prefix.
    prefix = "" if options.dry_run else "/registry"
    return (
        f"StorageError: invalid object, Code: 4, Key: {prefix}/{root}/{key}, ResourceVersion: 0,"
        f" AdditionalErrorMsg: Precondition failed: UID in precondition: {wanted}, UID in object"
        f" meta: {actual}"
    )
