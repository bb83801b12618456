"""The clock of the simulated world."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from simulator.kernel import SECOND_US, Kernel, Us

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class VirtualClock:
    """``prism_operator.ports.Clock`` over a kernel: the day is the scenario's, time is virtual."""

    def __init__(self, kernel: Kernel, start: datetime) -> None:
        self._kernel, self._start = kernel, start.astimezone(UTC)
        self._start_us = (self._start - EPOCH) // timedelta(microseconds=1)

    def now(self) -> datetime:
        """The time of day in the scenario, UTC."""
        return self._start + timedelta(microseconds=self._kernel.now_us)

    def monotonic_s(self) -> float:
        """Seconds since the simulation began."""
        return self._kernel.now_us / SECOND_US

    def unix_us(self) -> Us:
        """Microseconds since 1970, the form in which controllers compute with API timestamps."""
        return self._start_us + self._kernel.now_us
