"""This operator's share of the objects, and how one is handed over without a gap or a double write.

1. The label of an object names its shard; ``status.shard`` the one whose operator plans for it.
2. Who holds an object that shall be another's writes the other into ``status.shard``: between two
   passes of its own, guarded by the resourceVersion. That is its last write about the object.
3. Who shall have it begins when that is written, or takes it when the holder is dead: its Lease is
   free, or was not renewed for its duration by our own clock.
4. A named shard writes itself down before its first write. The default shard does not, so that
   whoever never shards pays nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

import structlog

from prism_operator.api.meta import (
    FIELD_MANAGER,
    LEASE,
    PRISM_PATTERN,
    Json,
    Ref,
    Resource,
    controller_uid_of,
    ref_of,
    uid_of,
)
from prism_operator.planning.names import ADOPT_ANNOTATION
from prism_operator.planning.shards import DEFAULT_SHARD, held_by, holder_of, shard_of
from prism_operator.ports import Clock, Failed, Ok, Reader, Reason
from prism_operator.runtime.applier import Applier
from prism_operator.runtime.cache import (
    Cache,
    Trim,
    desired_unless_foreign,
    identity_of,
    identity_unless_ours,
)

# Scalers and the other kinds of ours are looked at across shards.
_TRIMS_OF_CHILDREN: Final = (identity_unless_ours, desired_unless_foreign)
WAIT_S = 2.0  # for a holder that has not let go: until its Lease is looked at again


_log = structlog.get_logger("prism_operator.runtime.shards")


class Turn(Enum):
    """What to do about an object now."""

    OURS = "ours"
    OTHERS = "others"
    WAIT = "wait"  # shall be ours, and is not yet
    RETRY = "retry"  # a write of its handing over did not succeed


def lease_name_of(base: str, shard: str) -> str:
    """Each shard has a Lease of its own beside the default one's."""
    return f"{base}-{shard}" if shard != DEFAULT_SHARD else base


class Share:
    """Which objects are this shard's. Needs its cache and applier before ``take_turn``."""

    def __init__(
        self,
        name: str,
        *,
        lease_namespace: str,
        lease_base: str,
        lease_duration_s: float,
        reader: Reader,
        clock: Clock,
    ) -> None:
        self.name = name
        self._lease_namespace = lease_namespace
        self._lease_base = lease_base
        self._lease_duration_s = lease_duration_s
        self._reader = reader
        self._clock = clock
        self._held: dict[Ref, str] = {}  # what we plan for, and its uid
        self._held_uids: set[str] = set()
        self._leases: dict[str, tuple[object, float]] = {}  # as they were seen, and since when

    def concerns(self, obj: Json | None) -> bool:
        """Whether a change of the object can be for us to act on."""
        return obj is None or self.name in (shard_of(obj), holder_of(obj))

    def trims(self, trims: Mapping[Resource, Trim]) -> dict[Resource, Trim]:
        """``trims``, which keep still less of what is another shard's."""

        def but_little(resource: Resource, trim: Trim) -> Trim:
            if resource == PRISM_PATTERN:
                return lambda obj: identity_and_shard(obj) if self._is_others(obj) else trim(obj)
            if trim in _TRIMS_OF_CHILDREN:
                return lambda obj: identity_of(obj) if self._is_others_child(obj) else trim(obj)
            return trim

        return {resource: but_little(resource, trim) for resource, trim in trims.items()}

    def _is_others(self, pattern: Json) -> bool:
        return not self.concerns(pattern) and controller_uid_of(pattern) not in self._held_uids

    def _is_others_child(self, obj: Json) -> bool:
        metadata = obj["metadata"]
        return (
            (metadata.get("labels") or {}).get("app.kubernetes.io/managed-by") == FIELD_MANAGER
            and shard_of(obj) != self.name
            and controller_uid_of(obj) not in self._held_uids
            and ADOPT_ANNOTATION not in (metadata.get("annotations") or {})
        )

    def take_turn(self, key: Ref, cache: Cache, applier: Applier, term: int) -> Turn:
        """Whose turn it is to plan for the object, after handing it over if that is due."""
        obj = cache.get(key)
        if obj is None:
            self._let_go(key)
            return Turn.OURS  # the pass forgets it
        shall, does = shard_of(obj), holder_of(obj)
        if shall != self.name:
            self._let_go(key)
            if does != self.name:
                return Turn.OTHERS
            return self._write_down(obj, shall, applier, term, then=Turn.OTHERS)
        if does is None and self.name == DEFAULT_SHARD:
            does = self.name
        if does != self.name:
            if does is not None and not self._is_dead(does):
                return Turn.WAIT
            turn = self._write_down(obj, self.name, applier, term, then=Turn.OURS)
            if turn is not Turn.OURS:
                return turn
        if self._held.get(key) != uid_of(obj):
            self._let_go(key)
            self._held[key] = uid_of(obj)
            self._held_uids.add(uid_of(obj))
            self._complete(uid_of(obj), cache, key)
        return Turn.OURS

    def _let_go(self, key: Ref) -> None:
        self._held_uids.discard(self._held.pop(key, ""))

    def _write_down(
        self, obj: Json, shard: str, applier: Applier, term: int, *, then: Turn
    ) -> Turn:
        status = held_by(obj.get("status") or {}, shard)
        answer = applier.set_status(obj, status, term, as_seen=True)
        return then if isinstance(answer, Ok) else Turn.RETRY

    def _is_dead(self, shard: str) -> bool:
        """Whether no operator of the shard can be writing: seen twice, a Lease's duration apart."""
        name = lease_name_of(self._lease_base, shard)
        answer = self._reader.get(Ref(LEASE, self._lease_namespace, name))
        now_s = self._clock.monotonic_s()
        if isinstance(answer, Failed):
            if answer.reason is not Reason.NOT_FOUND:
                _log.warning(
                    "Cannot tell whether another shard is alive: its objects are waited for",
                    lease=name,
                    error=answer.message,
                )
                return False
            spec: Json = {}
        else:
            spec = answer.obj.get("spec") or {}
            if not spec.get("holderIdentity"):
                return True
        seen, since_s = self._leases.get(shard, (None, now_s))
        if seen != spec:
            since_s = now_s
        self._leases[shard] = spec, since_s
        return now_s - since_s >= float(spec.get("leaseDurationSeconds") or self._lease_duration_s)

    def _complete(self, uid: str, cache: Cache, by: Ref) -> None:
        """Fetches the children of what we have just taken up, of which little was kept so far."""
        with cache.lock:
            little = [
                ref_of(child)
                for child in cache.owned_by(uid)
                if child in (identity_of(child), identity_and_shard(child))
            ]
        for ref in little:
            answer = self._reader.get(ref)
            if isinstance(answer, Ok):
                cache.forget(ref, by=by)
                cache.put(answer.obj, by=by)


def identity_and_shard(pattern: Json) -> Json:
    """Of another shard's pattern: who it is, and whose."""
    kept = identity_of(pattern)
    metadata = {**kept["metadata"], "labels": pattern["metadata"].get("labels") or {}}
    status = pattern.get("status") or {}
    shown = {key: status[key] for key in ("shard", "phase") if key in status}
    return {**kept, "metadata": metadata, "status": shown}
