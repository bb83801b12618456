"""client-go's rate-limited, delaying work queue, stepped by hand.

Source: k8s.io/client-go/util/workqueue: keys are handled once however often they are added,
of several delayed additions the earliest stands, failures are retried after 5 ms · 2ⁿ, and all
retries together at most 10 a second beyond a burst of 100.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from simulator.kernel import SECOND_US, Us

RETRY_BASE_US = 5_000
RETRY_MAX_US = 1_000 * SECOND_US
RETRIES_PER_SECOND = 10
RETRY_BURST = 100

K = TypeVar("K")


class WorkQueue(Generic[K]):
    """The keys that wait; ``order`` decides which of several ready ones is handled first."""

    def __init__(self, now_us: Callable[[], Us], order: Callable[[K], object]) -> None:
        self._now_us, self._order = now_us, order
        self._ready: set[K] = set()
        self._delayed: dict[K, Us] = {}
        self._failures: dict[K, int] = {}
        self._tokens = float(RETRY_BURST)
        self._refilled_at = now_us()

    def add(self, key: K) -> None:
        """Makes a key ready."""
        self._ready.add(key)

    def add_after(self, key: K, delay_us: Us) -> None:
        """Makes a key ready after a while, unless an earlier addition is under way."""
        if delay_us <= 0:
            self.add(key)
            return
        self._ripen()  # one that is due now does not stand in the way of this one
        due = self._now_us() + delay_us
        self._delayed[key] = min(due, self._delayed.get(key, due))

    def retry(self, key: K) -> None:
        """Adds a key whose handling failed, after a delay that doubles every time."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        backoff = min(RETRY_BASE_US << min(failures, 40), RETRY_MAX_US)
        self.add_after(key, max(backoff, self._take_token_us()))

    def forget(self, key: K) -> None:
        """Says that a key was handled well, so that its next failure is its first."""
        self._failures.pop(key, None)

    def take(self) -> K | None:
        """The next key that is ready, or None."""
        self._ripen()
        if not self._ready:
            return None
        key = min(self._ready, key=self._order)  # type: ignore[arg-type]
        self._ready.remove(key)
        return key

    def next_due_us(self) -> Us | None:
        """When the next key becomes ready by itself; now, if one is; None when nothing waits."""
        if self._ready:
            return self._now_us()
        return min(self._delayed.values(), default=None)

    def _ripen(self) -> None:
        now = self._now_us()
        for key in [k for k, due in self._delayed.items() if due <= now]:
            del self._delayed[key]
            self._ready.add(key)

    def _take_token_us(self) -> Us:
        now = self._now_us()
        refill = (now - self._refilled_at) * RETRIES_PER_SECOND / SECOND_US
        self._tokens = min(float(RETRY_BURST), self._tokens + refill) - 1
        self._refilled_at = now
        return 0 if self._tokens >= 0 else round(-self._tokens * SECOND_US / RETRIES_PER_SECOND)
