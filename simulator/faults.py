"""What goes wrong between an operator and the API server, for a while.

Only this operator's calls are struck: controllers, scheduler and kubelets go on meanwhile.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from prism_operator.api.meta import Json, Ref, Resource
from prism_operator.ports import (
    Failed,
    Listed,
    Outcome,
    Reader,
    Reason,
    Watch,
    WatchEvent,
    Writer,
)
from simulator.kernel import Us


class Fault(StrEnum):
    """What happens to calls and watches."""

    DOWN = "down"  # no connection; watches end
    THROTTLED = "throttled"  # 429
    UNAVAILABLE = "unavailable"  # 503
    CONFLICT = "conflict"  # 409 for what changes an object
    SLOW = "slow"  # calls take long, one after the other
    LOST = "lost"  # writes are done, but no answer comes
    STALE = "stale"  # watches tell late
    SILENT = "silent"  # watches tell nothing, and end
    WATCH_CLOSED = "watchClosed"  # watches end at once
    WATCH_GONE = "watchGone"  # watches end with 410


_FAILURES: Final = {
    Fault.DOWN: (Reason.TRANSIENT, "connection refused"),
    Fault.THROTTLED: (Reason.THROTTLED, "too many requests"),
    Fault.UNAVAILABLE: (Reason.TRANSIENT, "the server is currently unable to handle the request"),
    Fault.CONFLICT: (Reason.CONFLICT, "the object has been modified"),
    Fault.LOST: (Reason.TRANSIENT, "no answer in time"),
}
_ENDED: Final = Failed(Reason.TRANSIENT, "the watch ended")
_ENDINGS: Final = {
    Fault.DOWN: _ENDED,
    Fault.WATCH_CLOSED: _ENDED,
    Fault.WATCH_GONE: Failed(Reason.GONE, "too old resource version"),
}


@dataclass(frozen=True, slots=True)
class Upset:
    """One fault; ``share`` of the calls are struck."""

    fault: Fault
    share: float = 1.0
    retry_after_s: float | None = None
    latency_us: Us = 0


class Faults:
    """The faults that one operator has to live with at the moment."""

    def __init__(self, stream: random.Random) -> None:
        self._stream = stream
        self._upsets: list[Upset] = []
        self._watches: list[_Watch] = []
        self._waits_us: Us = 0

    def waited_us(self) -> Us:
        """How long the calls took since this was asked last."""
        waits_us, self._waits_us = self._waits_us, 0
        return waits_us

    @property
    def active(self) -> bool:
        """Whether there are any."""
        return bool(self._upsets)

    def begin(self, upset: Upset) -> None:
        """From now on this happens."""
        self._upsets.append(upset)
        if (ending := _ENDINGS.get(upset.fault)) is not None:
            self._end(ending)

    def end(self, upset: Upset) -> None:
        """This happens no more."""
        self._upsets.remove(upset)
        if upset.fault is Fault.SILENT and not self.holds(Fault.SILENT):
            self._end(_ENDED)

    def holds(self, *faults: Fault) -> bool:
        """Whether one of these is going on."""
        return any(upset.fault in faults for upset in self._upsets)

    def struck(self, *faults: Fault) -> Failed | None:
        """What becomes of one call, of these possibilities."""
        if Fault.DOWN in faults:  # the call as a whole, not its answer
            self._waits_us += sum(upset.latency_us for upset in self._upsets)
        for upset in self._upsets:
            if upset.fault in faults and self._stream.random() < upset.share:
                reason, message = _FAILURES[upset.fault]
                if upset.fault is Fault.UNAVAILABLE and upset.retry_after_s is not None:
                    reason = Reason.THROTTLED
                return Failed(reason, message, upset.retry_after_s)
        return None

    def watched(self, watch: Watch) -> Watch:
        """A watch that suffers from the faults."""
        failed = self.struck(*_REFUSING)
        mine = _Watch(self, watch, failed)
        self._watches = [w for w in self._watches if w.ended() is None]
        self._watches.append(mine)
        return mine

    def _end(self, ending: Failed) -> None:
        for watch in self._watches:
            watch.end(ending)
        self._watches.clear()


_REFUSING: Final = (Fault.DOWN, Fault.THROTTLED, Fault.UNAVAILABLE)
_WRITING: Final = (*_REFUSING, Fault.CONFLICT)


class FaultyReader:
    """A ``Reader`` that the faults strike."""

    def __init__(self, reader: Reader, faults: Faults) -> None:
        self._reader, self._faults = reader, faults

    def list(self, resource: Resource, namespace: str = "") -> Listed | Failed:
        """See ``Reader``."""
        return self._faults.struck(*_REFUSING) or self._reader.list(resource, namespace)

    def watch(self, resource: Resource, namespace: str, resource_version: str) -> Watch:
        """See ``Reader``."""
        return self._faults.watched(self._reader.watch(resource, namespace, resource_version))

    def get(self, ref: Ref) -> Outcome:
        """See ``Reader``."""
        return self._faults.struck(*_REFUSING) or self._reader.get(ref)


class _Watch:
    """A ``Watch`` that may fall silent, tell late, or end before its time."""

    def __init__(self, faults: Faults, watch: Watch, failed: Failed | None) -> None:
        self._faults, self._watch, self._failed = faults, watch, failed

    def end(self, ending: Failed) -> None:
        """It ends, and what it has not told it never will."""
        self._failed = self._failed or ending
        self._watch.close()

    def poll(self) -> Sequence[WatchEvent]:
        """See ``Watch``."""
        if self._failed is not None or self._faults.holds(Fault.STALE, Fault.SILENT):
            return ()
        return self._watch.poll()

    def ended(self) -> Failed | None:
        """See ``Watch``."""
        if self._failed is None and self._faults.holds(Fault.STALE, Fault.SILENT):
            return None
        return self._failed or self._watch.ended()

    def close(self) -> None:
        """See ``Watch``."""
        self._watch.close()


class FaultyWriter:
    """A ``Writer`` that the faults strike."""

    def __init__(self, writer: Writer, faults: Faults) -> None:
        self._writer, self._faults = writer, faults

    def create(self, obj: Json, field_manager: str) -> Outcome:
        """See ``Writer``. What is new conflicts with nothing."""
        failed = self._faults.struck(*_REFUSING)
        return failed or self._answered(self._writer.create(obj, field_manager))

    def apply(
        self, obj: Json, field_manager: str, *, force: bool, subresource: str = ""
    ) -> Outcome:
        """See ``Writer``."""
        return self._faults.struck(*_WRITING) or self._answered(
            self._writer.apply(obj, field_manager, force=force, subresource=subresource)
        )

    def replace(self, obj: Json, field_manager: str, *, subresource: str = "") -> Outcome:
        """See ``Writer``."""
        return self._faults.struck(*_WRITING) or self._answered(
            self._writer.replace(obj, field_manager, subresource=subresource)
        )

    def patch_json(self, ref: Ref, operations: Sequence[Json], field_manager: str) -> Outcome:
        """See ``Writer``."""
        return self._faults.struck(*_WRITING) or self._answered(
            self._writer.patch_json(ref, operations, field_manager)
        )

    def delete(self, ref: Ref, *, uid: str, resource_version: str | None = None) -> Outcome:
        """See ``Writer``."""
        return self._faults.struck(*_WRITING) or self._answered(
            self._writer.delete(ref, uid=uid, resource_version=resource_version)
        )

    def _answered(self, outcome: Outcome) -> Outcome:
        return self._faults.struck(Fault.LOST) or outcome
