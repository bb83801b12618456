"""The work queue: every key once, one worker per key, retries with exponential backoff.

The rules are those of client-go's workqueue (``k8s.io/client-go/util/workqueue``): a key added
while it is worked on is handed out again afterwards, never at the same time. What somebody waits
for is handed out first: docs/decisions/0012-what-comes-first.md.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections import OrderedDict
from enum import IntEnum

from prism_operator.api.meta import Ref
from prism_operator.ports import Clock, Metrics
from prism_operator.runtime.randomness import Streams

BACKOFF_FIRST_S = 0.005
BACKOFF_MAX_S = 60.0
RETRIES_PER_S = 10.0
RETRIES_BURST = 100
# One hand-out of so many goes to what has the lowest priority, so that nothing waits for ever.
TURNS = 8


class Priority(IntEnum):
    """Why a key is to be looked at; the lower comes first."""

    CHANGED = 0  # somebody changed it or what it is made of, and waits
    UNSEEN = 1  # it was there before we were
    REPORTED = 2  # its objects say how they do, or it is time to look again


class TokenBucket:
    """``rate_per_s`` tokens a second, at most ``burst`` in stock. Not thread-safe."""

    def __init__(self, rate_per_s: float, burst: int, now_s: float) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._tokens = float(burst)
        self._at_s = now_s

    def reserve(self, now_s: float) -> float:
        """Takes a token, if need be a future one; returns the seconds until it may be used."""
        self._refill(now_s)
        self._tokens -= 1
        return max(0.0, -self._tokens / self._rate_per_s)

    def take(self, now_s: float) -> bool:
        """Takes a token if there is one."""
        self._refill(now_s)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _refill(self, now_s: float) -> None:
        earned = (now_s - self._at_s) * self._rate_per_s
        self._tokens = min(float(self._burst), self._tokens + earned)
        self._at_s = now_s


class WorkQueue:
    """Keys that wait for a worker. Thread-safe; nothing blocks except ``wait``."""

    def __init__(self, clock: Clock, streams: Streams, metrics: Metrics) -> None:
        self._clock = clock
        self._streams = streams
        self._metrics = metrics
        self._changed = threading.Condition()
        self._ready: dict[Priority, OrderedDict[Ref, None]] = {
            priority: OrderedDict() for priority in Priority
        }
        self._dirty: dict[Ref, tuple[Priority, float]] = {}  # to be handed out, and since when
        self._turn = 0
        self._processing: set[Ref] = set()
        self._due: dict[Ref, float] = {}
        self._timers: list[tuple[float, int, Ref]] = []  # outdated entries are not in _due
        self._order = itertools.count()
        self._retries: dict[Ref, int] = {}
        self._bucket = TokenBucket(RETRIES_PER_S, RETRIES_BURST, clock.monotonic_s())
        self._depths: dict[str, int] = {}

    def add(self, key: Ref, priority: Priority = Priority.CHANGED) -> None:
        """Hands ``key`` out as soon as a worker is free; the highest priority given counts."""
        with self._changed:
            self._add(key, priority)

    def add_after(self, key: Ref, delay_s: float) -> None:
        """Adds ``key`` after ``delay_s`` seconds; an earlier time already set stays."""
        if delay_s <= 0:
            return self.add(key, Priority.REPORTED)
        due_s = self._clock.monotonic_s() + delay_s
        with self._changed:
            if due_s < self._due.get(key, float("inf")):
                self._due[key] = due_s
                heapq.heappush(self._timers, (due_s, next(self._order), key))
                self._changed.notify()
        return None

    def retry(self, key: Ref) -> float:
        """Adds ``key`` after its next backoff delay, and returns that delay in seconds.

        The n-th delay lies between half and the whole of 5 ms · 2ⁿ, at most 60 s; all keys
        together get at most 10 retries a second after a burst of 100.
        """
        jitter = self._streams.stream("backoff", *_names(key)).random()
        with self._changed:
            n = self._retries.get(key, 0)
            self._retries[key] = n + 1
            backoff_s = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2.0 ** min(n, 30))
            delay_s = backoff_s * (1 - jitter / 2)
            delay_s = max(delay_s, self._bucket.reserve(self._clock.monotonic_s()))
        self._metrics.queue_retried(_controller(key))
        self.add_after(key, delay_s)
        return delay_s

    def forget(self, key: Ref) -> None:
        """Ends the backoff of ``key``: it succeeded, or there is nothing left to retry."""
        with self._changed:
            failed = self._retries.pop(key, None) is not None
        if failed:
            self._streams.drop("backoff", *_names(key))

    def pop(self) -> Ref | None:
        """The next key, or None; whoever takes it says ``done`` afterwards.

        A timer set for the key is dropped: the pass that begins decides anew.
        """
        with self._changed:
            self._fire_timers()
            waiting = [ready for ready in self._ready.values() if ready]
            if not waiting:
                return None
            self._turn = (self._turn + 1) % TURNS
            key, _ = waiting[0 if self._turn else -1].popitem(last=False)
            _, since_s = self._dirty.pop(key)
            self._processing.add(key)
            self._due.pop(key, None)
            self._count(key, -1)
        controller = _controller(key)
        self._metrics.queue_waited(controller, self._clock.monotonic_s() - since_s)
        return key

    def done(self, key: Ref) -> None:
        """Ends the work on ``key``; added meanwhile, it is ready again."""
        with self._changed:
            self._processing.discard(key)
            if key in self._dirty:
                priority, _ = self._dirty[key]
                self._ready[priority][key] = None
                self._changed.notify()

    def is_waited_for(self) -> bool:
        """Whether anything waits that comes before what was only reported."""
        with self._changed:
            return any(self._ready[p] for p in Priority if p < Priority.REPORTED)

    def next_due_s(self) -> float | None:
        """When ``pop`` will have a key, on the monotonic clock; None if only an ``add`` helps."""
        with self._changed:
            if any(self._ready.values()):
                return self._clock.monotonic_s()
            while self._timers and self._due.get(self._timers[0][2]) != self._timers[0][0]:
                heapq.heappop(self._timers)
            return self._timers[0][0] if self._timers else None

    def wait(self, timeout_s: float, *, for_keys: bool = True) -> None:
        """Blocks until ``wake`` is called, ``timeout_s`` passed, or ``pop`` may have a key."""
        with self._changed:
            due_s = self.next_due_s() if for_keys else None
            if due_s is not None:
                timeout_s = min(timeout_s, due_s - self._clock.monotonic_s())
            if timeout_s > 0:
                self._changed.wait(timeout_s)

    def wake(self) -> None:
        """Ends every ``wait``."""
        with self._changed:
            self._changed.notify_all()

    def _add(self, key: Ref, priority: Priority) -> None:
        if key in self._dirty:
            before, since_s = self._dirty[key]
            if priority < before:
                self._dirty[key] = (priority, since_s)
                if key in self._ready[before]:  # else it is worked on
                    del self._ready[before][key]
                    self._ready[priority][key] = None
            return
        self._dirty[key] = (priority, self._clock.monotonic_s())
        self._metrics.queue_added(_controller(key))
        self._count(key, +1)
        if key not in self._processing:
            self._ready[priority][key] = None
            self._changed.notify()

    def _fire_timers(self) -> None:
        now_s = self._clock.monotonic_s()
        while self._timers and self._timers[0][0] <= now_s:
            due_s, _, key = heapq.heappop(self._timers)
            if self._due.get(key) == due_s:
                del self._due[key]
                self._add(key, Priority.REPORTED)

    def _count(self, key: Ref, change: int) -> None:
        controller = _controller(key)
        depth = self._depths[controller] = self._depths.get(controller, 0) + change
        self._metrics.queue_changed(controller, depth)


def _controller(key: Ref) -> str:
    return key.resource.kind.lower()


def _names(key: Ref) -> tuple[str, str, str]:
    return key.resource.kind, key.namespace, key.name
