"""Secrets that plans ask for, fetched one by one by name: never listed, never watched.

All Secrets of a large cluster are gigabytes, and the right to list them is the right to everything.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import structlog

from prism_operator.api.meta import SECRET, Json, Ref
from prism_operator.planning.consent import ALLOWED_NAMESPACES
from prism_operator.ports import Clock, Ok, Reader, Reason
from prism_operator.runtime.cache import Cache
from prism_operator.runtime.dependencies import Question

LOOK_PERIOD_S: Final = 60.0
RETRY_S: Final = 5.0  # after an answer that says nothing about the Secret
_FORGET_S: Final = 10 * LOOK_PERIOD_S
_log = structlog.get_logger("prism_operator.runtime.secrets")
_KEPT: Final = ("apiVersion", "kind", "data", "type")
_METADATA: Final = ("name", "namespace", "uid", "resourceVersion", "deletionTimestamp")


def data_of(secret: Json) -> Json:
    """What plans look at; annotations may hold the data once more, so only our own is kept."""
    kept: Json = {key: secret[key] for key in _KEPT if key in secret}
    metadata = secret["metadata"]
    told: Json = {key: metadata[key] for key in _METADATA if key in metadata}
    consent = (metadata.get("annotations") or {}).get(ALLOWED_NAMESPACES)
    if consent is not None:
        told["annotations"] = {ALLOWED_NAMESPACES: consent}
    return {**kept, "metadata": told}


class Secrets:
    """Keeps in the cache the Secrets that were asked for lately. Hold no lock when calling."""

    def __init__(self, *, reader: Reader, cache: Cache, clock: Clock) -> None:
        self._reader = reader
        self._cache = cache
        self._clock = clock
        self._due_s: dict[Ref, float] = {}
        self._asked_s: dict[Ref, float] = {}
        self._unread: set[Ref] = set()

    def look(self, asked: Iterable[Question], by: Ref) -> bool:
        """Fetches the Secrets among ``asked`` whose time has come, for the pass over ``by``.

        Returns whether there were any, so that the plan that asked may be outdated.
        """
        now_s = self._clock.monotonic_s()
        with self._cache.lock:
            wanted = _secrets(asked)
            due = [ref for ref in wanted if self._due_s.get(ref, now_s) <= now_s]
            self._asked_s.update(dict.fromkeys(wanted, now_s))
            # Whoever comes meanwhile goes on with what is known.
            self._due_s.update(dict.fromkeys(due, now_s + LOOK_PERIOD_S))
        for ref in due:
            self._fetch(ref, by)
        if due:
            self._forget_unused(now_s)
        return bool(due)

    def unread(self, asked: Iterable[Question]) -> bool:
        """Whether nothing is known of one of the Secrets among ``asked``, not even its absence."""
        with self._cache.lock:
            return not self._unread.isdisjoint(_secrets(asked))

    def next_look_s(self, asked: Iterable[Question]) -> float | None:
        """Seconds until one of the Secrets among ``asked`` is due; None without any."""
        with self._cache.lock:
            due_s = min((self._due_s[ref] for ref in _secrets(asked)), default=None)
        return None if due_s is None else max(0.0, due_s - self._clock.monotonic_s())

    def _fetch(self, ref: Ref, by: Ref) -> None:
        answer = self._reader.get(ref)
        if isinstance(answer, Ok):
            self._cache.put(answer.obj, by=by)
        elif answer.reason in (Reason.NOT_FOUND, Reason.FORBIDDEN):
            self._cache.forget(ref, by=by)
        else:
            _log.warning("Cannot read a Secret", secret=str(ref), reason=answer.reason.value)
            with self._cache.lock:
                wait_s = max(RETRY_S, answer.retry_after_s or 0.0)
                self._due_s[ref] = self._clock.monotonic_s() + wait_s
                if self._cache.get(ref) is None:
                    self._unread.add(ref)
            return
        with self._cache.lock:
            self._unread.discard(ref)

    def _forget_unused(self, now_s: float) -> None:
        with self._cache.lock:
            for ref in [r for r, asked_s in self._asked_s.items() if now_s - asked_s > _FORGET_S]:
                del self._asked_s[ref], self._due_s[ref]
                self._unread.discard(ref)
                self._cache.forget(ref)


def _secrets(asked: Iterable[Question]) -> list[Ref]:
    return sorted(q for q in asked if isinstance(q, Ref) and q.resource == SECRET)
