"""A cluster as it is, read piece by piece as it is asked for, with writes that stay in memory."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from prism_operator.api.meta import (
    HORIZONTAL_POD_AUTOSCALER,
    NODE,
    PRISM_RESOURCES,
    REPLICAS_FIELD_MANAGER,
    SCALED_OBJECT,
    Json,
    Ref,
    Resource,
    ref_of,
    uid_of,
)
from prism_operator.api.structural import completed
from prism_operator.planning.plan import Apply, Create, Delete, HandOver, Write
from prism_operator.ports import Failed, Ok, Reader, Reason
from prism_operator.preview.merge import applied, created
from prism_operator.runtime.cache import Cache
from prism_operator.runtime.operator import WATCHED

# Later than any version of a server.
_FIRST_VERSION: Final = 10**18

Changed = Callable[[Ref, Json | None, Json | None], None]


class UnreadableError(Exception):
    """The cluster does not answer, so that nothing can be said about it."""


class PreviewCluster:
    """A ``planning.observed.Snapshot``. Without a ``reader`` the cluster is empty.

    ``serves`` says which kinds the server has. ``on_change`` is told of every write in memory.
    """

    def __init__(
        self, reader: Reader | None, serves: Callable[[Resource], bool | None], on_change: Changed
    ) -> None:
        self._reader = reader
        self._serves = serves
        self._on_change = on_change
        self._live: dict[Ref, Json] = {}
        self._now: dict[Ref, Json] = {}  # with managedFields, which the cache leaves out
        self._cache = Cache(trims={}, listener=lambda *_: None, on_availability=lambda *_: None)
        self._read: set[tuple[Resource, str] | Ref] = set()
        self._namespaces: dict[str, str] = {}  # of the object with a uid
        self._version = _FIRST_VERSION
        self.forbidden: set[tuple[Resource, str]] = set()

    # -- planning.observed.Snapshot

    def get(self, ref: Ref) -> Json | None:
        """See ``Snapshot``."""
        self._look(ref)
        return self._cache.get(ref)

    def owned_by(self, uid: str) -> Sequence[Json]:
        """See ``Snapshot``."""
        if (namespace := self._namespaces.get(uid)) is not None:
            for resource in WATCHED:
                if resource.namespaced:
                    self._load(resource, namespace)
        return self._cache.owned_by(uid)

    def list(self, resource: Resource, namespace: str = "") -> Sequence[Json]:
        """See ``Snapshot``."""
        self._load(resource, namespace)
        return self._cache.list(resource, namespace)

    def scalers_of(self, deployment: Ref) -> Sequence[Json]:
        """See ``Snapshot``."""
        for resource in (HORIZONTAL_POD_AUTOSCALER, SCALED_OBJECT):
            self._load(resource, deployment.namespace)
        return self._cache.scalers_of(deployment)

    def serves(self, resource: Resource) -> bool | None:
        """See ``Snapshot``."""
        return self._serves(resource)

    def can_read(self, resource: Resource) -> bool:
        """See ``Snapshot``. Of an empty cluster's nodes nothing is known."""
        if self._reader is None:
            return resource != NODE
        if not resource.namespaced:
            self._load(resource, "")
        return all(resource != unread for unread, _ in self.forbidden)

    # -- what was, and what is now

    def live(self, ref: Ref) -> Json | None:
        """The object as the cluster has it."""
        self._look(ref)
        return self._live.get(ref)

    def now(self, ref: Ref) -> Json | None:
        """The object as it has become."""
        self._look(ref)
        return self._now.get(ref)

    def note(self, obj: Json) -> None:
        """Takes ``obj`` for what the cluster has."""
        self._live[ref_of(obj)] = obj
        self._store(obj)

    def put(self, obj: Json, *, status: bool = False) -> None:
        """Stores an object as the server would: completed, with an identity and a generation."""
        ref = ref_of(obj)
        old = self.now(ref)
        if ref.resource in PRISM_RESOURCES:
            obj = {**completed(obj), **({"status": obj["status"]} if "status" in obj else {})}
        metadata = dict(obj["metadata"])
        if old is None:
            metadata |= {"uid": f"preview of {ref}", "generation": 1}
        elif not status:
            parts = (part for part in {**old, **obj} if part not in ("metadata", "status"))
            changed = any(old.get(part) != obj.get(part) for part in parts)
            metadata["generation"] = old["metadata"].get("generation", 1) + changed
        stored = {**obj, "metadata": metadata}
        self._store(stored)
        self._on_change(ref, old, stored)

    def carry_out(self, write: Write) -> Iterator[tuple[Ref, str]]:
        """Makes a write in memory; yields what goes away with what it deletes, and why."""
        match write:
            case Create():
                self.put(created(copy.deepcopy(write.obj)))
            case Apply():
                self.put(applied(self._now[write.ref], copy.deepcopy(write.obj)))
            case HandOver():
                replicas = {"spec": {"replicas": write.replicas}, "metadata": {}}
                self.put(applied(self._now[write.ref], replicas, REPLICAS_FIELD_MANAGER))
            case Delete():
                yield from self._delete(write.ref)

    def _delete(self, ref: Ref) -> Iterator[tuple[Ref, str]]:
        old = self._now[ref]
        dependents = [ref_of(obj) for obj in self.owned_by(uid_of(old))]
        del self._now[ref]
        self._cache.forget(ref)
        self._on_change(ref, old, None)
        for dependent in dependents:
            yield dependent, f"its owner, {ref}, is deleted"
            yield from self._delete(dependent)

    def _store(self, obj: Json) -> None:
        ref = ref_of(obj)
        self._version += 1
        metadata = {**obj["metadata"], "resourceVersion": str(self._version)}
        self._now[ref] = {**obj, "metadata": metadata}
        self._namespaces[uid_of(obj)] = ref.namespace
        self._cache.put(self._now[ref])

    # -- reading

    def _look(self, ref: Ref) -> None:
        # Secrets and the like one by one: all of them are more than a plan needs, or its user may.
        if ref.resource in WATCHED:
            self._load(ref.resource, ref.namespace)
        elif self._is_news(ref):
            found = self._reader.get(ref) if self._reader is not None else None
            if isinstance(found, Ok):
                self.note(found.obj)
            elif found is not None and found.reason is not Reason.NOT_FOUND:
                self._could_not(found, ref.resource, ref.namespace)

    def _load(self, resource: Resource, namespace: str) -> None:
        is_known = (resource, "") in self._read or not self._is_news((resource, namespace))
        if self._reader is None or is_known or self._serves(resource) is False:
            return
        listed = self._reader.list(resource, namespace)
        if isinstance(listed, Failed):
            self._could_not(listed, resource, namespace)
            return
        for obj in listed.items:
            # What was read before may have been written to since.
            if ref_of(obj) not in self._live:
                self.note(obj)

    def _is_news(self, what: tuple[Resource, str] | Ref) -> bool:
        is_news = what not in self._read
        self._read.add(what)
        return is_news

    def _could_not(self, failed: Failed, resource: Resource, namespace: str) -> None:
        if failed.reason is Reason.FORBIDDEN:
            self.forbidden.add((resource, namespace))
        elif failed.reason is not Reason.NO_KIND:
            where = f" in namespace {namespace}" if namespace else ""
            raise UnreadableError(f"cannot read {resource.plural}{where}: {failed.message}")
