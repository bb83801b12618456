"""Who owns what."""

from __future__ import annotations

from collections.abc import Iterable

from prism_operator.api.meta import EVENT, FIELD_MANAGER, GROUP, LEASE, Json, Ref
from simulator.cluster.api import Cache
from simulator.controllers.world import Change
from simulator.kernel import SECOND_US, Us


class OneOwner:
    """No object has two controllers."""

    name = "one-owner"

    def changed(self, change: Change, now_us: Us) -> Iterable[str]:
        """See ``Checker``."""
        del now_us
        if change.new is None:
            return
        owners = change.new["metadata"].get("ownerReferences") or ()
        controllers = [f"{o['kind']} {o['name']}" for o in owners if o.get("controller")]
        if len(controllers) > 1:
            yield f"{change.ref} has the controllers {', '.join(controllers)}"

    def rested(self, now_us: Us) -> Iterable[str]:
        """See ``Checker``."""
        del now_us
        return ()


class NoOrphans:
    """What belonged to a deleted object is gone soon after, terminating pods aside."""

    name = "no-orphans"
    SOON_US = 60 * SECOND_US

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._uids: set[str] = set()
        self._children: dict[str, set[Ref]] = {}  # by the uid of their owner
        self._due: dict[str, Us] = {}  # uids of owners that are gone

    def changed(self, change: Change, now_us: Us) -> Iterable[str]:
        """See ``Checker``."""
        for obj, there in ((change.old, False), (change.new, True)):
            for owner in (obj or {}).get("metadata", {}).get("ownerReferences") or ():
                children = self._children.setdefault(owner["uid"], set())
                (children.add if there else children.discard)(change.ref)
        uid = change.latest["metadata"]["uid"]
        if change.new is None:
            self._uids.discard(uid)
            self._due[uid] = now_us + self.SOON_US
        else:
            self._uids.add(uid)
        return ()

    def rested(self, now_us: Us) -> Iterable[str]:
        """See ``Checker``."""
        for uid in sorted(uid for uid, due in self._due.items() if due <= now_us):
            del self._due[uid]
            for ref in sorted(self._children.pop(uid, ())):
                obj = self._cache.get(ref)
                owners = (obj or {}).get("metadata", {}).get("ownerReferences") or ()
                if obj is None or "deletionTimestamp" in obj["metadata"]:
                    continue
                if not any(o["uid"] in self._uids for o in owners):
                    yield f"{ref} is left over from an owner that was deleted a minute ago"


class OnlyOurOwn:
    """The operator writes only to what a Prism object controls, its Lease and Events aside."""

    name = "only-our-own"

    def changed(self, change: Change, now_us: Us) -> Iterable[str]:
        """See ``Checker``."""
        del now_us
        new = change.new
        if new is None or new["kind"] in (LEASE.kind, EVENT.kind):
            return
        if change.ref.resource.group == GROUP:
            return
        owners = [
            o
            for obj in (change.old, new)
            for o in (obj or {}).get("metadata", {}).get("ownerReferences") or ()
        ]
        ours = any(o["apiVersion"].startswith(f"{GROUP}/") for o in owners if o.get("controller"))
        if not ours and _traces(new) - _traces(change.old):
            yield f"{change.ref} was written by the operator but belongs to no Prism object"

    def rested(self, now_us: Us) -> Iterable[str]:
        """See ``Checker``."""
        del now_us
        return ()


def _traces(obj: Json | None) -> set[tuple[str, ...]]:
    """When the operator wrote, as managedFields say; others' writes only take fields away."""
    fields = (obj or {}).get("metadata", {}).get("managedFields") or ()
    return {
        (entry["operation"], entry.get("subresource", ""), entry.get("time", ""))
        for entry in fields
        if entry["manager"] == FIELD_MANAGER
    }
