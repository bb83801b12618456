"""Events about our objects: folded into series, rate-limited, and never in anybody's way.

``record`` only remembers; ``flush`` writes, from a thread of its own or between two steps. The
limits are those of client-go's recorder (``k8s.io/client-go/tools/record/events_cache.go``), the
series those of ``events.k8s.io/v1`` (KEP-383).
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from prism_operator.api.meta import EVENT, FIELD_MANAGER, Json, Ref, ref_of, uid_of
from prism_operator.planning.plan import Emit
from prism_operator.ports import Clock, Failed, Reason, Writer
from prism_operator.runtime.elector import micro_time
from prism_operator.runtime.workqueue import TokenBucket

NOTE_MAX_BYTES = 1024
OBJECT_BURST = 25
OBJECT_EVENTS_PER_S = 1 / 300
SERIES_IDLE_S = 360.0  # a repeat after a longer silence is a new Event
SERIES_PERIOD_S = 60.0  # the count of a series is written at most so often
PENDING_MAX = 1000
REMEMBERED_MAX = 4096

# Written before we knew, or about something that goes with its namespace.
_EXPECTED = (Reason.ALREADY_EXISTS, Reason.TERMINATING)

_log = structlog.get_logger("prism_operator.runtime.events")


@dataclass(slots=True)
class _Series:
    event: Json
    first_write_done: bool = False
    count: int = 1
    last_s: float = 0.0
    last_time: str = ""
    next_write_s: float = 0.0


class Recorder:
    """Writes Events to the cluster while ``may_write`` says so."""

    def __init__(
        self, *, writer: Writer, clock: Clock, identity: str, may_write: Callable[[], bool]
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._identity = identity[:128]
        self._may_write = may_write
        self._lock = threading.Lock()
        self._series: OrderedDict[tuple[str, ...], _Series] = OrderedDict()
        self._pending: deque[_Series] = deque()
        self._repeats: dict[int, _Series] = {}  # those with a count not yet written, by id()
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()
        self.dropped = 0
        self.pending = threading.Event()

    def record(self, obj: Json, emit: Emit) -> None:
        """Remembers an Event about ``obj``; drops it when there are too many."""
        now_s = self._clock.monotonic_s()
        key = (uid_of(obj), emit.type, emit.reason, emit.action, emit.message)
        with self._lock:
            series = self._series.get(key)
            if series is not None and now_s - series.last_s <= SERIES_IDLE_S:
                series.count += 1
                self._repeats[id(series)] = series
            elif self._is_allowed(uid_of(obj), now_s):
                series = self._series[key] = _Series(self._event(obj, emit))
                self._pending.append(series)
            else:
                self.dropped += 1
                return
            series.last_s = now_s
            series.last_time = micro_time(self._clock.now())
            self._series.move_to_end(key)
            while len(self._series) > REMEMBERED_MAX:
                self._series.popitem(last=False)
            while len(self._pending) > PENDING_MAX:
                self._pending.popleft()
                self.dropped += 1
        self.pending.set()

    def flush(self, until_s: float = float("inf")) -> bool:
        """Writes what is due, begins no call after ``until_s``; returns whether anything was."""
        wrote = False
        self.pending.clear()
        while self._may_write() and self._clock.monotonic_s() < until_s:
            series = self._next_to_write()
            if series is None:
                break
            self._write(series)
            wrote = True
        return wrote

    def next_due_s(self) -> float | None:
        """When ``flush`` has something to write, on the monotonic clock."""
        with self._lock:
            if self._pending:
                return self._clock.monotonic_s()
            return min((s.next_write_s for s in self._repeats.values()), default=None)

    def _is_allowed(self, uid: str, now_s: float) -> bool:
        bucket = self._buckets.get(uid)
        if bucket is None:
            bucket = self._buckets[uid] = TokenBucket(OBJECT_EVENTS_PER_S, OBJECT_BURST, now_s)
        self._buckets.move_to_end(uid)
        while len(self._buckets) > REMEMBERED_MAX:
            self._buckets.popitem(last=False)
        return bucket.take(now_s)

    def _next_to_write(self) -> _Series | None:
        now_s = self._clock.monotonic_s()
        with self._lock:
            if self._pending:
                return self._pending.popleft()
            for series in self._repeats.values():
                if now_s >= series.next_write_s:
                    return series
        return None

    def _write(self, series: _Series) -> None:
        with self._lock:
            count, last_time = series.count, series.last_time
            self._repeats.pop(id(series), None)
            series.next_write_s = self._clock.monotonic_s() + SERIES_PERIOD_S
        repeats: Json = {"count": count, "lastObservedTime": last_time}
        if series.first_write_done:
            ref = ref_of(series.event)
            operation = {"op": "add", "path": "/series", "value": repeats}
            answer = self._writer.patch_json(ref, [operation], FIELD_MANAGER)
            if not (isinstance(answer, Failed) and answer.reason is Reason.NOT_FOUND):
                return self._say(answer)
            # Events expire after an hour: begin again.
        event = series.event if count == 1 else {**series.event, "series": repeats}
        series.first_write_done = True
        return self._say(self._writer.create(event, FIELD_MANAGER))

    def _say(self, answer: object) -> None:
        # Events are a courtesy: one that cannot be written is not tried again.
        if isinstance(answer, Failed) and answer.reason not in _EXPECTED:
            _log.warning("Event not written", reason=answer.reason.value, error=answer.message)

    def _event(self, obj: Json, emit: Emit) -> Json:
        ref = ref_of(obj)
        now = micro_time(self._clock.now())
        identity = "\n".join((uid_of(obj), emit.type, emit.reason, emit.action, emit.message, now))
        suffix = hashlib.sha256(identity.encode()).hexdigest()[:16]
        return {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.kind,
            "metadata": {
                "name": f"{ref.name[:230]}.{suffix}",
                # Events about cluster-scoped objects live in "default", as the API demands.
                "namespace": ref.namespace or "default",
            },
            "eventTime": now,
            "reportingController": FIELD_MANAGER,
            "reportingInstance": self._identity,
            "type": emit.type,
            "reason": emit.reason[:128],
            "action": emit.action[:128],
            "note": _cut(emit.message, NOTE_MAX_BYTES),
            "regarding": _regarding(ref, obj),
        }


def _regarding(ref: Ref, obj: Json) -> Json:
    return {
        "apiVersion": ref.resource.api_version,
        "kind": ref.resource.kind,
        "namespace": ref.namespace,
        "name": ref.name,
        "uid": uid_of(obj),
        "resourceVersion": obj["metadata"].get("resourceVersion", ""),
    }


def _cut(text: str, max_bytes: int) -> str:
    """At most ``max_bytes`` of UTF-8, ending in ``…`` when something was cut off."""
    data = text.encode()
    if len(data) <= max_bytes:
        return text
    return data[: max_bytes - 3].decode(errors="ignore") + "…"
