"""The rate limit of an API client: a token bucket, as client-go's ``flowcontrol`` has it.

A component that has used its tokens up begins nothing new until there is one again; what it is at,
it finishes at once, on credit. The real one waits before each call: over a second both come to the
same number of calls.
"""

from __future__ import annotations

from collections.abc import Callable

from simulator.kernel import SECOND_US, Us


class ClientLimit:
    """``qps`` calls a second, ``burst`` at once; ``qps`` 0 is no limit."""

    def __init__(self, unix_us: Callable[[], int], qps: float, burst: int) -> None:
        self._unix_us, self._qps, self._burst = unix_us, qps, burst
        self._tokens, self._as_of_us = float(burst), unix_us()

    def take(self) -> None:
        """One call."""
        if self._qps:
            self._refill()
            self._tokens -= 1

    def free_at(self) -> Us | None:
        """When something new may begin, since 1970; None: now."""
        if not self._qps:
            return None
        self._refill()
        missing = 1 - self._tokens
        if missing <= 1e-9:
            return None
        return self._as_of_us + max(1, -int(-missing * SECOND_US / self._qps // 1))

    def _refill(self) -> None:
        now_us = self._unix_us()
        more = (now_us - self._as_of_us) * self._qps / SECOND_US
        self._tokens, self._as_of_us = min(float(self._burst), self._tokens + more), now_us
