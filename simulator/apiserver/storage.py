"""What etcd is to a real API server: every object, one revision counter, and a window of history.

Objects are never changed in place, so a reader may keep what it was given. Every write leaves a
``Change``; watches read them, and a list at an older revision undoes them.
"""

from __future__ import annotations

import copy
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from prism_operator.api.meta import Json, Resource
from prism_operator.ports import Clock

# How often kube-apiserver compacts etcd, each time to the revision of the time before.
COMPACTION_INTERVAL_S = 300.0


class Compacted(Exception):  # noqa: N818 - a condition, named as etcd names it
    """The revision asked for is older than the history that is kept."""


@dataclass(frozen=True, slots=True)
class Change:
    """One write: ``old`` is None for a creation, ``new`` for a deletion."""

    revision: int
    key: str
    old: Json | None
    new: Json | None


@dataclass(slots=True)
class Collection:
    """All objects of one resource, by ``namespace/name`` (or name), and their recent changes."""

    resource: Resource
    objects: dict[str, Json] = field(default_factory=dict)
    # In etcd's order, which is that of the keys' bytes.
    keys: list[str] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    # Position of changes[0] among all changes there ever were.
    first: int = 0

    @property
    def end(self) -> int:
        """The position after the newest change."""
        return self.first + len(self.changes)

    def position_after(self, revision: int) -> int:
        """The position of the first kept change newer than ``revision``."""
        return self.first + bisect_right(self.changes, revision, key=lambda c: c.revision)

    def keys_in(self, namespace: str) -> list[str]:
        """The sorted keys of one namespace, or all keys for ``""``."""
        if not namespace:
            return self.keys
        # "0" is the character after "/".
        return self.keys[
            bisect_left(self.keys, namespace + "/") : bisect_left(self.keys, namespace + "0")
        ]

    def at(self, revision: int, namespace: str = "") -> Iterator[tuple[str, Json]]:
        """Keys and objects in order, as they were after ``revision``, which must still be kept."""
        undone: dict[str, Json | None] = {}
        for change in reversed(self.changes):
            if change.revision <= revision:
                break
            undone[change.key] = change.old
        keys = self.keys_in(namespace)
        if undone:
            prefix = f"{namespace}/" if namespace else ""
            keys = sorted({*keys, *(k for k in undone if k.startswith(prefix))})
        for key in keys:
            obj = undone[key] if key in undone else self.objects[key]
            if obj is not None:
                yield key, obj


class Storage:
    """The collections of all resources. Single-threaded, like everything here."""

    def __init__(self, clock: Clock) -> None:
        self.revision = 1
        self.compacted = 0
        self._clock = clock
        self._collections: dict[tuple[str, str], Collection] = {}
        self._listeners: list[Callable[[Resource, Change], None]] = []
        self._compact_at = clock.monotonic_s() + COMPACTION_INTERVAL_S
        self._compact_to = self.revision

    def fork(self, clock: Clock) -> Storage:
        """Another storage that holds the same from here on; nobody listens to it yet."""
        twin = copy.copy(self)
        twin._clock = clock
        twin._listeners = []
        twin._collections = {
            key: replace(c, objects=dict(c.objects), keys=list(c.keys), changes=list(c.changes))
            for key, c in self._collections.items()
        }
        return twin

    def collection(self, resource: Resource) -> Collection:
        """The objects of a resource; all its versions share one collection."""
        key = resource.group, resource.plural
        found = self._collections.get(key)
        if found is None:
            found = self._collections[key] = Collection(resource)
        return found

    def on_change(self, callback: Callable[[Resource, Change], None]) -> None:
        """Calls back after every write, in order of subscription."""
        self._listeners.append(callback)

    def put(self, collection: Collection, key: str, obj: Json) -> Json:
        """Stores ``obj`` under the next revision; returns it with its resourceVersion."""
        self.revision += 1
        stored = _at_revision(obj, self.revision)
        old = collection.objects.get(key)
        if old is None:
            insort(collection.keys, key)
        collection.objects[key] = stored
        self._record(collection, Change(self.revision, key, old, stored))
        return stored

    def remove(self, collection: Collection, key: str) -> Json:
        """Removes an object that is there; returns it with the revision of its removal."""
        self.revision += 1
        old = collection.objects.pop(key)
        del collection.keys[bisect_left(collection.keys, key)]
        gone = _at_revision(old, self.revision)
        self._record(collection, Change(self.revision, key, old, None))
        return gone

    def require_kept(self, revision: int) -> None:
        """Raises ``Compacted`` when the changes after ``revision`` are not all known any more."""
        if revision < self.compacted:
            raise Compacted(revision)

    def compact(self, revision: int | None = None) -> None:
        """Forgets the history up to ``revision``; all of it when None."""
        self.compacted = max(self.compacted, self.revision if revision is None else revision)
        for collection in self._collections.values():
            keep_from = collection.position_after(self.compacted)
            del collection.changes[: keep_from - collection.first]
            collection.first = keep_from

    def _record(self, collection: Collection, change: Change) -> None:
        collection.changes.append(change)
        now_s = self._clock.monotonic_s()
        if now_s >= self._compact_at:
            self.compact(self._compact_to)
            self._compact_to, self._compact_at = self.revision, now_s + COMPACTION_INTERVAL_S
        for listener in self._listeners:
            listener(collection.resource, change)


def _at_revision(obj: Json, revision: int) -> Json:
    return {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(revision)}}
