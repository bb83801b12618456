"""A watch as something to poll: it reads the history of a collection from where it stands.

Which event a change becomes for a filtered watch, and what a bookmark looks like, follow
``k8s.io/apiserver/pkg/storage/cacher``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from prism_operator.api.meta import Json
from prism_operator.ports import Clock
from simulator.apiserver.selectors import Matcher
from simulator.apiserver.storage import Change, Collection, Storage
from simulator.apiserver.types import Kind

BOOKMARK_INTERVAL_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a watch: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR."""

    type: str
    object: Json

    def as_json(self) -> Json:
        """The line as it goes over the wire."""
        return {"type": self.type, "object": self.object}


class Subscription:
    """A running watch. It costs nothing until it is polled."""

    def __init__(
        self,
        storage: Storage,
        collection: Collection,
        kind: Kind,
        clock: Clock,
        *,
        namespace: str,
        selects: Matcher | None,
        after: int,
        timeout_s: float,
        bookmarks: bool,
        initial: Iterable[Event] = (),
    ) -> None:
        self._storage = storage
        self._collection = collection
        self._kind = kind
        self._clock = clock
        self._prefix = f"{namespace}/" if namespace else ""
        self._selects = selects
        self._after = after
        self._position = collection.position_after(after)
        self._pending = list(initial)
        self._bookmarks = bookmarks
        now_s = clock.monotonic_s()
        self._ends_at = now_s + timeout_s
        self._bookmark_at = now_s + BOOKMARK_INTERVAL_S
        self.ended = False

    @classmethod
    def failed(cls, status: Json, clock: Clock, storage: Storage, kind: Kind) -> Subscription:
        """A watch that says one ERROR and ends, as one from a forgotten resourceVersion does."""
        subscription = cls(
            storage,
            storage.collection(kind.storage),
            kind,
            clock,
            namespace="",
            selects=None,
            after=storage.revision,
            timeout_s=0.0,
            bookmarks=False,
            initial=[Event("ERROR", status)],
        )
        subscription.ended = True
        return subscription

    @property
    def ends_at_s(self) -> float:
        """The monotonic time when the server ends this watch."""
        return self._ends_at

    def poll(self) -> list[Event]:
        """The events since the last poll. Never blocks; nothing more comes once ``ended``."""
        events, self._pending = self._pending, []
        if self.ended:
            return events
        collection = self._collection
        if self._position < collection.first:
            # The history this watch stands in was compacted: the server closes such a laggard.
            self.ended = True
            return events
        if self._position < collection.end:
            for change in collection.changes[self._position - collection.first :]:
                if change.revision > self._after and change.key.startswith(self._prefix):
                    event = self._event(change)
                    if event is not None:
                        events.append(event)
            self._position = collection.end
        now_s = self._clock.monotonic_s()
        if now_s >= self._ends_at:
            self.ended = True
        if self._bookmarks and (self.ended or now_s >= self._bookmark_at):
            self._bookmark_at = now_s + BOOKMARK_INTERVAL_S
            events.append(bookmark(self._kind, self._storage.revision))
        return events

    def stop(self) -> None:
        """Ends the watch from the client's side."""
        self.ended = True
        self._pending = []

    def _event(self, change: Change) -> Event | None:
        new = self._view(change.new)
        old = self._view(change.old)
        selects = self._selects
        was = old is not None and (selects is None or selects(old))
        now = new is not None and (selects is None or selects(new))
        if now and new is not None:
            return Event("MODIFIED" if was else "ADDED", new)
        if was and old is not None:
            # The last state that was selected, under the revision at which it ceased to be.
            meta = {**old["metadata"], "resourceVersion": str(change.revision)}
            return Event("DELETED", {**old, "metadata": meta})
        return None

    def _view(self, stored: Json | None) -> Json | None:
        return None if stored is None else self._kind.from_storage(self._kind.read(stored))


def bookmark(kind: Kind, revision: int, *, initial_events_end: bool = False) -> Event:
    """A BOOKMARK that everything up to ``revision`` was sent."""
    meta: Json = {"resourceVersion": str(revision)}
    if initial_events_end:
        meta["annotations"] = {"k8s.io/initial-events-end": "true"}
    resource = kind.resource
    return Event(
        "BOOKMARK", {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta}
    )
