"""What happens to an object between a request and the storage: the life cycle of every kind.

The order of the checks, and so which error wins, is that of
``k8s.io/apiserver/pkg/registry/generic/registry/store.go`` and ``pkg/endpoints/handlers``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from prism_operator.api.meta import CUSTOM_RESOURCE_DEFINITION, NAMESPACE, POD, SERVICE, Json
from prism_operator.ports import Clock
from prism_operator.runtime.randomness import Streams
from simulator.apiserver import managedfields
from simulator.apiserver.causes import FORBIDDEN, INVALID, NOT_SUPPORTED, Cause
from simulator.apiserver.request import DeleteOptions, WriteOptions, flag, int_option
from simulator.apiserver.selectors import Matcher, SelectorError, parse_fields, parse_labels
from simulator.apiserver.services import ServiceAllocator
from simulator.apiserver.statuses import (
    ApiError,
    already_exists,
    bad_request,
    conflict,
    details_of,
    expired,
    forbidden,
    generate_name_conflict,
    invalid,
    not_found,
    qualified,
    success,
    too_large_resource_version,
)
from simulator.apiserver.storage import Collection, Compacted, Storage
from simulator.apiserver.types import Kind
from simulator.apiserver.watch import Event, Subscription, bookmark

Query: TypeAlias = Mapping[str, str]
# What an update makes of the live object; None where there is none.
Change: TypeAlias = Callable[[Json | None], Json]

ORPHAN: Final = "orphan"
FOREGROUND: Final = "foregroundDeletion"
CRD_CLEANUP: Final = "customresourcecleanup.apiextensions.k8s.io"
# Names end in five of these (k8s.io/apimachinery/pkg/util/rand): no vowels, so no words.
_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
_GENERATED_NAME_ATTEMPTS: Final = 8
_GENERATED_BASE_MAX: Final = 58
_MIN_WATCH_TIMEOUT_S: Final = 1800.0
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
        self._uids = streams.stream("apiserver", "uid")
        self._names = streams.stream("apiserver", "name")
        self._timeouts = streams.stream("apiserver", "watch-timeout")
        self._services = ServiceAllocator()

    # Reads

    def get(self, kind: Kind, namespace: str, name: str) -> Json:
        """One object as it is served."""
        stored = self._collection(kind).objects.get(_key(namespace, name))
        if stored is None:
            raise not_found(kind.resource, name)
        return kind.from_storage(kind.read(stored))

    def list_page(self, kind: Kind, namespace: str, query: Query) -> Json:
        """One page of a collection, of the state that the query names."""
        selects = _selector(kind, query)
        _check_list_options(query)
        collection = self._collection(kind)
        limit, token = int_option(query, "limit"), query.get("continue", "")
        revision, after = self.storage.revision, ""
        version, match = query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
        if token:
            revision, after = self._continued(token, version)
        elif version not in ("", "0"):
            wanted = _revision(version)
            if wanted > self.storage.revision:
                raise too_large_resource_version(wanted, self.storage.revision)
            # With a limit and no match, a version means exactly that one, for paging.
            if match == "Exact" or (limit and not match):
                revision = wanted
        if version == "0":
            limit = 0
        prefix = f"{namespace}/" if namespace else ""
        items: list[Json] = []
        meta: Json = {"resourceVersion": str(revision)}
        entries = self._entries(collection, namespace, revision, token, prefix + after)
        for position, (_, stored) in enumerate(entries):
            if limit and len(items) == limit:
                last = entries[position - 1][0].removeprefix(prefix)
                meta["continue"] = _continue_token(revision, last)
                if selects is None:
                    meta["remainingItemCount"] = len(entries) - limit
                break
            obj = kind.from_storage(kind.read(stored))
            if selects is None or selects(obj):
                items.append(obj)
        return {
            "kind": kind.list_kind,
            "apiVersion": kind.resource.api_version,
            "metadata": meta,
            "items": items,
        }

    def watch(self, kind: Kind, namespace: str, query: Query) -> Subscription:
        """A watch from where the query says."""
        selects = _selector(kind, query)
        _check_watch_options(query)
        version = query.get("resourceVersion", "")
        wanted = _revision(version) if version not in ("", "0") else 0
        initial_events = query.get("sendInitialEvents")
        bookmarks = flag(query, "allowWatchBookmarks")
        timeout_s: float = int_option(query, "timeoutSeconds")
        if not timeout_s:
            timeout_s = _MIN_WATCH_TIMEOUT_S * (1 + self._timeouts.random())
        now = self.storage.revision
        initial: list[Event] = []
        if initial_events is not None:
            with_state = initial_events in ("true", "1", "t", "True")
            after = now if with_state or not wanted else wanted
        else:
            with_state, after = not wanted, wanted or now
        if with_state:
            entries = self._entries(self._collection(kind), namespace, now, "", "")
            objects = (kind.from_storage(kind.read(stored)) for _, stored in entries)
            initial = [Event("ADDED", o) for o in objects if selects is None or selects(o)]
            if initial_events is not None and bookmarks:
                initial.append(bookmark(kind, now, initial_events_end=True))
        try:
            self.storage.require_kept(after)
        except Compacted:
            message = f"too old resource version: {after} ({self.storage.compacted})"
            return Subscription.failed(expired(message).status, self._clock, self.storage, kind)
        return Subscription(
            self.storage,
            self._collection(kind),
            kind,
            self._clock,
            namespace=namespace,
            selects=selects,
            after=after,
            timeout_s=timeout_s,
            bookmarks=bookmarks,
            initial=initial,
        )

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
        self, kind: Kind, namespace: str, obj: Json, options: WriteOptions, warn: list[str]
    ) -> Json:
        meta = {
            **obj["metadata"],
            "uid": self._new_uid(),
            "creationTimestamp": self.now(),
        }
        generated = not meta.get("name") and bool(meta.get("generateName"))
        if generated:
            meta["name"] = self._generated_name(meta["generateName"])
        name = meta.get("name", "")
        collection, key = self._collection(kind), _key(namespace, name)
        obj = {**obj, "metadata": meta}
        if kind.resource == SERVICE:
            obj = self._services.fill_in(obj, None)
        obj = kind.prepare_create(obj)
        causes = kind.validate(obj)
        if causes:
            raise invalid(kind.resource.group, kind.resource.kind, name, causes)
        warn.extend(kind.warnings(obj))
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
                raise conflict(kind.resource, name, _uid_mismatch(kind, key, uid, ""))
            obj = _placed(kind, namespace, change(None))
            meta = {k: v for k, v in obj["metadata"].items() if k not in _SYSTEM_FIELDS}
            meta.pop("resourceVersion", None)
            obj = {**obj, "metadata": meta}
            self._require_namespace(kind, namespace, name)
            return self._create(kind, namespace, kind.admit(obj), options, warn), True
        live_uid = stored["metadata"]["uid"]
        if uid and uid != live_uid:
            raise conflict(kind.resource, name, _uid_mismatch(kind, key, uid, live_uid))
        live = kind.from_storage(kind.read(stored))
        obj = self._versioned(kind, name, change(live), live)
        obj = _placed(kind, namespace, obj)
        if kind.resource == SERVICE:
            obj = self._services.fill_in(obj, live)
        obj = kind.prepare_update(obj, live, subresource)
        obj = _with_system_fields(obj, live)
        causes = kind.validate(obj, live, subresource)
        if causes:
            raise invalid(kind.resource.group, kind.resource.kind, name, causes)
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

    def delete(self, kind: Kind, namespace: str, name: str, options: DeleteOptions) -> Json:
        """Deletes an object or marks it; answers with the object or with a Status."""
        collection, key = self._collection(kind), _key(namespace, name)
        stored = collection.objects.get(key)
        if kind.resource == NAMESPACE and name in _IMMORTAL_NAMESPACES:
            raise forbidden(kind.resource, name, "this namespace may not be deleted")
        if stored is None:
            raise not_found(kind.resource, name)
        _check_preconditions(kind, stored, options)
        if kind.resource in (NAMESPACE, CUSTOM_RESOURCE_DEFINITION):
            deleting = "deletionTimestamp" in stored["metadata"]
            if not deleting:
                marked = self._mark(stored, options)
                return self._commit(kind, collection, key, marked, options.dry_run)
            if kind.resource == NAMESPACE and stored["spec"].get("finalizers"):
                return stored
        meta = dict(stored["metadata"])
        graceful = False
        if kind.resource == POD:
            if _is_pending_deletion(meta, options):
                return self._deleted(kind, stored)
            graceful = self._mark_pod(stored, meta, options)
        finalizers = _finalizers_for(kind, meta, options)
        changed = set(finalizers) != set(meta.get("finalizers") or ())
        if not (graceful or changed or finalizers):
            return self._deleted(kind, self._remove_or_not(kind, collection, key, options))
        if changed:
            meta["finalizers"] = finalizers
            if not finalizers:
                del meta["finalizers"]
        if not graceful:
            if not finalizers:
                return self._deleted(kind, self._remove_or_not(kind, collection, key, options))
            self._mark_deleting(meta)
        obj = {**stored, "metadata": meta}
        if obj != stored:
            obj = self._commit(kind, collection, key, obj, options.dry_run)
        if finalizers or meta.get("deletionGracePeriodSeconds"):
            return kind.from_storage(kind.read(obj))
        if options.dry_run:
            return obj
        return self._deleted(kind, self._remove(kind, collection, key))

    def delete_collection(
        self, kind: Kind, namespace: str, query: Query, options: DeleteOptions
    ) -> Json:
        """Deletes every selected object; answers with the list of them as they were."""
        listed = self.list_page(kind, namespace, query)
        for obj in listed["items"]:
            meta = obj["metadata"]
            try:
                self.delete(kind, meta.get("namespace", ""), meta["name"], options)
            except ApiError as error:
                if error.code != 404:
                    raise
        return listed

    def finalize(self, kind: Kind, key: str) -> Json | None:
        """Removes a namespace whose own finalizers are gone, as a write to /finalize does."""
        collection = self._collection(kind)
        stored = collection.objects.get(key)
        if stored is None:
            return None
        meta, spec = stored["metadata"], stored.get("spec") or {}
        if (
            "deletionTimestamp" in meta
            and not meta.get("finalizers")
            and not spec.get("finalizers")
        ):
            return self._remove(kind, collection, key)
        return None

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
        return _timestamp(self._clock.now())

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
        if kind.resource == SERVICE:
            self._services.commit(collection.objects[key], None)
        return kind.from_storage(kind.read(self.storage.remove(collection, key)))

    def _remove_or_not(
        self, kind: Kind, collection: Collection, key: str, options: DeleteOptions
    ) -> Json:
        if options.dry_run:
            return kind.from_storage(kind.read(collection.objects[key]))
        return self._remove(kind, collection, key)

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

    def _mark(self, stored: Json, options: DeleteOptions) -> Json:
        """A namespace or CustomResourceDefinition whose deletion begins."""
        meta = {**stored["metadata"], "deletionTimestamp": self.now()}
        status = dict(stored.get("status") or {})
        if stored["kind"] == "Namespace":
            status["phase"] = "Terminating"
            finalizers = [f for f in meta.get("finalizers") or () if f not in (ORPHAN, FOREGROUND)]
            finalizers += _propagation_finalizer(meta, options)
            meta["finalizers"] = finalizers
            if not finalizers:
                del meta["finalizers"]
        else:
            finalizers = list(meta.get("finalizers") or ())
            meta["finalizers"] = list(dict.fromkeys([*finalizers, CRD_CLEANUP]))
            pending = {
                "type": "Terminating",
                "status": "True",
                "lastTransitionTime": self.now(),
                "reason": "InstanceDeletionPending",
                "message": "CustomResourceDefinition marked for deletion; CustomResource deletion"
                " will begin soon",
            }
            conditions = status.get("conditions") or []
            status["conditions"] = [*(c for c in conditions if c["type"] != "Terminating"), pending]
        return {**stored, "metadata": meta, "status": status}

    def _mark_pod(self, pod: Json, meta: Json, options: DeleteOptions) -> bool:
        """Marks a pod for graceful deletion; False when it is already at its end."""
        if "deletionTimestamp" in meta:
            if not meta.get("deletionGracePeriodSeconds") or options.grace_period_s is None:
                return False
            self._shorten_grace(meta, options.grace_period_s)
            return True
        period_s = options.grace_period_s
        if period_s is None:
            period_s = pod["spec"].get("terminationGracePeriodSeconds") or 0
        phase = (pod.get("status") or {}).get("phase")
        if not pod["spec"].get("nodeName") or phase in ("Failed", "Succeeded"):
            period_s = 0
        ends = self._clock.now() + timedelta(seconds=period_s)
        meta["deletionTimestamp"] = _timestamp(ends)
        meta["deletionGracePeriodSeconds"] = period_s
        if meta.get("generation"):
            meta["generation"] += 1
        return True

    def _shorten_grace(self, meta: Json, period_s: int) -> None:
        ends = datetime.fromisoformat(meta["deletionTimestamp"])
        ends += timedelta(seconds=period_s - meta["deletionGracePeriodSeconds"])
        if ends < self._clock.now():
            ends = self._clock.now()
            period_s = min(period_s, 1)
        meta["deletionTimestamp"] = _timestamp(ends)
        meta["deletionGracePeriodSeconds"] = period_s

    def _mark_deleting(self, meta: Json) -> None:
        now = self.now()
        if "deletionTimestamp" not in meta:
            if meta.get("generation"):
                meta["generation"] += 1
            meta["deletionTimestamp"] = now
        meta["deletionTimestamp"] = min(meta["deletionTimestamp"], now)
        meta["deletionGracePeriodSeconds"] = 0

    def _new_uid(self) -> str:
        # Version 4, variant 1: what clients expect of random UUIDs.
        bits = self._uids.getrandbits(128) & ~(0xF << 76) & ~(0x3 << 62)
        text = f"{bits | 4 << 76 | 2 << 62:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def _generated_name(self, base: str) -> str:
        suffix = "".join(self._names.choices(_ALPHABET, k=5))
        return base[:_GENERATED_BASE_MAX] + suffix

    def _entries(
        self, collection: Collection, namespace: str, revision: int, token: str, after: str
    ) -> list[tuple[str, Json]]:
        try:
            self.storage.require_kept(revision)
        except Compacted:
            raise _too_old(token) from None
        if revision == self.storage.revision:
            keys = collection.keys_in(namespace)
            return [(key, collection.objects[key]) for key in keys if not token or key > after]
        entries = collection.at(revision, namespace)
        return [(key, obj) for key, obj in entries if not token or key > after]

    def _continued(self, token: str, version: str) -> tuple[int, str]:
        if version not in ("", "0"):
            raise bad_request("specifying resource version is not allowed when using continue")
        revision, start = _decoded_token(token)
        # -1 goes on at the newest state: the inconsistent continuation of an expired list.
        return (self.storage.revision if revision < 0 else revision), start.removesuffix("\0")


_SYSTEM_FIELDS: Final = frozenset(
    {"uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"}
)


def _key(namespace: str, name: str) -> str:
    return f"{namespace}/{name}" if namespace else name


def _timestamp(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


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


def _check_preconditions(kind: Kind, stored: Json, options: DeleteOptions) -> None:
    meta = stored["metadata"]
    for what, wanted, actual, happened in (
        ("UID", options.uid, meta["uid"], "deleted and then recreated"),
        ("ResourceVersion", options.resource_version, meta["resourceVersion"], "modified"),
    ):
        if wanted is None or wanted == actual:
            continue
        error = conflict(
            kind.resource,
            meta["name"],
            f"the {what} in the precondition ({wanted}) does not match the {what} in record"
            f" ({actual}). The object might have been {happened}",
        )
        # The real server names the kind here, not the resource.
        resource = kind.resource
        named = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
        message = error.status["message"].replace(qualified(resource), named, 1)
        details = {**error.status["details"], "kind": resource.kind}
        raise ApiError({**error.status, "message": message, "details": details})


def _is_pending_deletion(meta: Json, options: DeleteOptions) -> bool:
    """Whether a pod is being deleted and this delete asks for nothing sooner."""
    period_s = meta.get("deletionGracePeriodSeconds")
    if "deletionTimestamp" not in meta or not period_s:
        return False
    return options.grace_period_s is None or options.grace_period_s >= period_s


def _finalizers_for(kind: Kind, meta: Json, options: DeleteOptions) -> list[str]:
    """The finalizers of an object being deleted with these options."""
    finalizers = list(meta.get("finalizers") or ())
    if kind.resource.plural == "events":
        return finalizers
    kept = [f for f in finalizers if f not in (ORPHAN, FOREGROUND)]
    return kept + _propagation_finalizer(meta, options)


def _propagation_finalizer(meta: Json, options: DeleteOptions) -> list[str]:
    if options.orphan_dependents is not None:
        return [ORPHAN] if options.orphan_dependents else []
    if options.propagation:
        return {"Orphan": [ORPHAN], "Foreground": [FOREGROUND]}.get(options.propagation, [])
    return [f for f in meta.get("finalizers") or () if f in (ORPHAN, FOREGROUND)][:1]


def _uid_mismatch(kind: Kind, key: str, wanted: str, actual: str) -> str:
    resource = kind.resource
    root = f"{resource.group}/{resource.plural}" if kind.custom else resource.plural
    root = {"services": "services/specs", "nodes": "minions"}.get(root, root)
    return (
        f"StorageError: invalid object, Code: 4, Key: /registry/{root}/{key}, ResourceVersion: 0,"
        f" AdditionalErrorMsg: Precondition failed: UID in precondition: {wanted}, UID in object"
        f" meta: {actual}"
    )


def _selector(kind: Kind, query: Query) -> Matcher | None:
    labels, fields = query.get("labelSelector", ""), query.get("fieldSelector", "")
    if not labels and not fields:
        return None
    try:
        by_labels = parse_labels(labels) if labels else None
        by_fields = parse_fields(kind.resource, fields) if fields else None
    except SelectorError as error:
        raise bad_request(str(error)) from None
    if by_labels is None or by_fields is None:
        return by_labels or by_fields
    return lambda obj: by_labels(obj) and by_fields(obj)


def _check_list_options(query: Query) -> None:
    match, causes = query.get("resourceVersionMatch", ""), []
    if match:
        version = query.get("resourceVersion", "")
        if not version:
            causes.append(_match_forbidden("is forbidden unless resourceVersion is provided"))
        if query.get("continue"):
            causes.append(_match_forbidden("is forbidden when continue is provided"))
        if match not in ("Exact", "NotOlderThan"):
            causes.append(
                Cause(
                    NOT_SUPPORTED,
                    f'Unsupported value: "{match}": supported values: "", "Exact", "NotOlderThan"',
                    "resourceVersionMatch",
                )
            )
        if match == "Exact" and version == "0":
            causes.append(_match_forbidden('"exact" is forbidden for resourceVersion "0"'))
    if "sendInitialEvents" in query:
        message = "Forbidden: sendInitialEvents is forbidden for list"
        causes.append(Cause(FORBIDDEN, message, "sendInitialEvents"))
    if causes:
        raise invalid("meta.k8s.io", "ListOptions", "", causes)


def _check_watch_options(query: Query) -> None:
    match, causes = query.get("resourceVersionMatch", ""), []
    if "sendInitialEvents" in query:
        if match != "NotOlderThan":
            message = (
                "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            )
            causes.append(Cause(FORBIDDEN, message, "resourceVersionMatch"))
    elif match:
        why = "is forbidden for watch unless sendInitialEvents is provided"
        causes.append(_match_forbidden(why))
    if match and match != "NotOlderThan":
        message = f'Unsupported value: "{match}": supported values: "NotOlderThan"'
        causes.append(Cause(NOT_SUPPORTED, message, "resourceVersionMatch"))
    if causes:
        raise invalid("meta.k8s.io", "ListOptions", "", causes)


def _match_forbidden(why: str) -> Cause:
    return Cause(FORBIDDEN, f"Forbidden: resourceVersionMatch {why}", "resourceVersionMatch")


def _revision(version: str) -> int:
    if version.isdecimal():
        return int(version)
    cause = Cause(
        INVALID,
        f'Invalid value: "{version}": strconv.ParseUint: parsing "{version}": invalid syntax',
        "resourceVersion",
    )
    raise invalid("", "", "", [cause])


def _continue_token(revision: int, last: str) -> str:
    token = {"v": "meta.k8s.io/v1", "rv": revision, "start": last + "\0"}
    text = json.dumps(token, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _decoded_token(token: str) -> tuple[int, str]:
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        decoded: Any = json.loads(text)
        revision, start = decoded["rv"], decoded["start"]
        if decoded["v"] == "meta.k8s.io/v1" and isinstance(revision, int) and revision and start:
            return revision, str(start)
    except (ValueError, KeyError, TypeError):
        pass
    raise bad_request("continue key is not valid")


def _too_old(token: str) -> ApiError:
    if not token:
        return expired("The resourceVersion for the provided list is too old.")
    error = expired(
        "The provided continue parameter is too old to display a consistent list result. You can"
        " start a new list without the continue parameter, or use the continue token in this"
        " response to retrieve the remainder of the results. Continuing with the provided token"
        " results in an inconsistent list - objects that were created, modified, or deleted between"
        " the time the first chunk was returned and now may show up in the list."
    )
    _, start = _decoded_token(token)
    meta = {"continue": _continue_token(-1, start.removesuffix("\0"))}
    return ApiError({**error.status, "metadata": meta})
