"""Keeps one collection in the cache: list, watch, and again whenever the watch cannot go on.

After client-go's Reflector (``k8s.io/client-go/tools/cache/reflector.go``), as a value that is
stepped: nothing here waits.
"""

from __future__ import annotations

import random
from collections import Counter

import structlog

from prism_operator.api.meta import Resource
from prism_operator.ports import Clock, EventType, Failed, Reader, Reason, Watch
from prism_operator.runtime.cache import Cache

RECONNECT_FIRST_S = 0.1
RECONNECT_MAX_S = 2.0  # a server that ends a watch at once is asked again soon
RELIST_MAX_S = 30.0
PROBE_PERIOD_S = 30.0  # for a resource that is not served, or that we may not read
PROBE_MAX_S = 240.0  # a right that was refused again and again is asked for less and less often
# An API server that has just started refuses everybody until it has read its roles.
REGAIN_FIRST_S = 1.0

_log = structlog.get_logger("prism_operator.runtime.reflector")


class Reflector:
    """Mirrors one resource, in one namespace or (``""``) in all, into a cache."""

    def __init__(
        self,
        resource: Resource,
        namespace: str,
        *,
        reader: Reader,
        cache: Cache,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self.resource = resource
        self.namespace = namespace
        self.synced = False  # the cache holds what there is, as far as we may know it
        self.restarts: Counter[str] = Counter()  # of watches that ended, by the reason
        self._heard_s = clock.monotonic_s()  # when the server last said anything
        self._opened_s = self._heard_s  # when the watch was begun
        self._reader = reader
        self._cache = cache
        self._clock = clock
        self._rng = rng
        self._watch: Watch | None = None
        self._version: str | None = None  # where the watch goes on; None: list first
        self._next_s = clock.monotonic_s()
        self._attempts = 0
        self._probe_at_s = self._next_s  # what is not served or not readable is asked for again
        self._trouble: Reason | None = None
        self._refusals = 0
        self._had_access = False

    def __str__(self) -> str:
        return f"{self.resource.plural} in {self.namespace or 'all namespaces'}"

    @property
    def must_list(self) -> bool:
        """Whether the next ``step`` lists, which over a network takes its time."""
        return self._version is None and self._clock.monotonic_s() >= self._next_s

    @property
    def is_refused(self) -> bool:
        """Whether we may not read the resource here."""
        return self._trouble is Reason.FORBIDDEN

    @property
    def silent_s(self) -> float:
        """How long the watch has told nothing, not even a bookmark; 0 while there is none."""
        if self._watch is None:
            return 0.0
        return self._clock.monotonic_s() - max(self._heard_s, self._opened_s)

    @property
    def deaf_s(self) -> float:
        """How long nothing was heard of the collection, however often it was asked for.

        While it is left alone for a time, because it is not served or may not be read, nothing is
        asked and so nothing is overdue.
        """
        return max(0.0, self._clock.monotonic_s() - max(self._heard_s, self._probe_at_s))

    def next_due_s(self) -> float | None:
        """When ``step`` has something to do by itself; None while only the watch can tell."""
        return self._next_s if self._watch is None else None

    def step(self) -> bool:
        """Does what can be done now; returns whether anything came of it."""
        if self._watch is None:
            if self._clock.monotonic_s() < self._next_s:
                return False
            if self._version is None:
                return self._list()
            self._watch = self._reader.watch(self.resource, self.namespace, self._version)
            self._opened_s = self._clock.monotonic_s()
        return self._poll(self._watch)

    def close(self) -> None:
        """Ends the watch."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _list(self) -> bool:
        listed = self._reader.list(self.resource, self.namespace)
        if isinstance(listed, Failed):
            self._cannot(listed)
            return self.synced
        self._cache.replace(self.resource, self.namespace, listed)
        self._heard()
        self._had_access = True
        self._available(served=True, readable=True)
        self._version = listed.resource_version
        self._watch = self._reader.watch(self.resource, self.namespace, self._version)
        return True

    def _poll(self, watch: Watch) -> bool:
        news = False
        for event in watch.poll():
            self._heard()
            self._version = event.obj["metadata"]["resourceVersion"]
            match event.type:
                case EventType.BOOKMARK:
                    continue
                case EventType.DELETED:
                    self._cache.delete(event.obj)
                case _:
                    self._cache.put(event.obj)
            news = True
        ended = watch.ended()
        if ended is not None:
            self.close()
            self.restarts[ended.reason.value] += 1
            self._cannot(ended)
        return news

    def _heard(self) -> None:
        self._heard_s = self._clock.monotonic_s()
        self._attempts = 0

    def _cannot(self, failed: Failed) -> None:
        """Decides what to do after a list or a watch that failed or ended."""
        now_s = self._clock.monotonic_s()
        match failed.reason:
            case Reason.GONE:
                self._version = None
                self._next_s = now_s + (self._backoff_s(RELIST_MAX_S) if self._attempts else 0.0)
                self._attempts += 1
            case Reason.NO_KIND | Reason.FORBIDDEN:
                # Said once, asked again slowly; the rest of the operator goes on without it.
                self._version = None
                self._heard()
                if failed.reason is Reason.NO_KIND:
                    self._cache.clear(self.resource, self.namespace)
                self._available(
                    served=failed.reason is not Reason.NO_KIND,
                    readable=failed.reason is not Reason.FORBIDDEN,
                )
                self._say(failed)
                self._next_s = now_s + self._probe_s(failed.reason) * (1 + self._rng.random() / 4)
                self._probe_at_s = self._next_s
            case _:
                self._say(failed, at_level="debug" if self._version else "warning")
                max_s = RECONNECT_MAX_S if self._version else RELIST_MAX_S
                # A watch that told something before it ended goes on at once.
                at_once = self._version and not self._attempts
                backoff_s = 0.0 if at_once else self._backoff_s(max_s)
                self._next_s = now_s + max(backoff_s, failed.retry_after_s or 0.0)
                self._attempts += 1

    def _probe_s(self, reason: Reason) -> float:
        if reason is not Reason.FORBIDDEN:
            return PROBE_PERIOD_S
        first_s = REGAIN_FIRST_S if self._had_access else PROBE_PERIOD_S
        self._refusals += 1
        return min(PROBE_MAX_S, first_s * 2.0 ** (self._refusals - 1))

    def _backoff_s(self, max_s: float) -> float:
        whole_s = min(max_s, RECONNECT_FIRST_S * 2.0 ** min(self._attempts, 30))
        return whole_s * (1 - self._rng.random() / 2)

    def _available(self, *, served: bool, readable: bool) -> None:
        self.synced = True
        if served and readable:
            self._trouble = None
            self._refusals = 0
        self._cache.set_availability(
            self.resource, self.namespace, served=served, readable=readable
        )

    def _say(self, failed: Failed, at_level: str = "warning") -> None:
        if failed.reason is self._trouble:
            return
        self._trouble = failed.reason
        getattr(_log, at_level)(
            f"Cannot watch {self}", reason=failed.reason.value, error=failed.message
        )
