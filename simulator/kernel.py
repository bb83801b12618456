"""The event loop of simulated time: SimPy, with integer microseconds and a total order of events.

SimPy breaks ties by the order in which events were scheduled. Here an event carries what decides
instead: ``(time, phase, key, sequence)``, where the key names the object or component it is about.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator
from enum import IntEnum
from typing import Any, TypeAlias

import simpy

SECOND_US = 1_000_000
HOUR_US = 3600 * SECOND_US
MILLISECOND_US = 1_000

Us: TypeAlias = int  # a point in simulated time or a span, in microseconds


class Phase(IntEnum):
    """What goes first within one instant; the world before those who watch it."""

    SCENARIO = 0  # what a user, the weather or a cloud does
    NODE = 1  # machines and what runs on them
    CONTROLLER = 2  # kube-controller-manager
    SCHEDULER = 3
    OPERATOR = 4
    CHECK = 5  # nobody acts here


class LivelockError(Exception):
    """Components kept waking each other without time going on."""


class Kernel(simpy.Environment):
    """A SimPy environment whose queue is ordered by (time, phase, key, sequence)."""

    # More wake-ups than any cluster needs within one instant.
    WAKEUPS_PER_INSTANT_MAX = 100_000

    def __init__(self) -> None:
        super().__init__(initial_time=0)
        self._sequence = 0
        self._instant: tuple[Us, int] = (-1, 0)

    def schedule(
        self,
        event: simpy.Event,
        priority: int = 0,  # noqa: ARG002 - SimPy's signature
        delay: float = 0,
    ) -> None:
        """SimPy's hook for its own events, such as the start of a process: first in an instant."""
        self._push(event, int(delay), -1, "")

    def at(self, when: Us, phase: Phase, key: str, action: Callable[[], None]) -> Alarm:
        """Calls ``action`` at ``when``, or now if that is past, in its place within the instant."""
        return Alarm(self, max(when, self.now_us), phase, key, action)

    @property
    def now_us(self) -> Us:
        """Microseconds since the simulation began."""
        return int(self.now)

    def step(self) -> None:
        """Processes the next event.

        Raises:
            LivelockError: An instant does not end.
        """
        super().step()
        now, count = self._instant
        self._instant = (self.now_us, count + 1) if self.now_us == now else (self.now_us, 0)
        if count > self.WAKEUPS_PER_INSTANT_MAX:
            raise LivelockError(
                f"no rest after {count} wake-ups at {self.now_us / SECOND_US:.6f} s"
            )

    def run_until(self, end: Us) -> None:
        """Processes everything up to and including ``end``."""
        while self._queue and self._queue[0][0] <= end:
            self.step()
        self._now = end

    def _push(self, event: simpy.Event, delay: Us, phase: int, key: str) -> None:
        self._sequence += 1
        entry = (self.now_us + delay, phase, (key, self._sequence), event)
        heapq.heappush(self._queue, entry)  # type: ignore[misc]  # SimPy has a number third


class Alarm(simpy.Event):
    """One entry of the calendar."""

    def __init__(
        self, kernel: Kernel, when: Us, phase: Phase, key: str, action: Callable[[], None]
    ) -> None:
        super().__init__(kernel)
        self.when = when
        self._action: Callable[[], None] | None = action
        self._ok, self._value = True, None
        self.callbacks.append(self._ring)
        kernel._push(self, when - kernel.now_us, phase, key)

    def cancel(self) -> None:
        """Makes sure that nothing happens. Idempotent; also after the fact."""
        self._action = None

    def _ring(self, _: simpy.Event) -> None:
        if self._action is not None:
            self._action()


class Component:
    """A part of the cluster that sleeps until something concerns it: one SimPy process.

    ``step`` does all that can be done now and answers when to be called again without a change,
    or None. ``reaction_us`` is the time from a change to the component acting on it.
    """

    def __init__(
        self,
        kernel: Kernel,
        phase: Phase,
        name: str,
        step: Callable[[], Us | None],
        reaction_us: Us = 0,
    ) -> None:
        self._kernel, self._phase, self.name = kernel, phase, name
        self._step, self._reaction_us = step, reaction_us
        self._alarm: Alarm | None = None
        self._bell = kernel.event()
        self._running = True
        kernel.process(self._live())

    def wake(self) -> None:
        """Something changed that the component should look at."""
        self.wake_at(self._kernel.now_us + self._reaction_us)

    def wake_at(self, when: Us) -> None:
        """Has the component look again no later than ``when``."""
        if not self._running or (self._alarm is not None and self._alarm.when <= when):
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._kernel.at(when, self._phase, self.name, self._ring)

    def stop(self) -> None:
        """Ends the component: it will not act any more."""
        self._running = False
        if self._alarm is not None:
            self._alarm.cancel()

    def _ring(self) -> None:
        self._alarm = None
        bell, self._bell = self._bell, self._kernel.event()
        bell.succeed()

    def _live(self) -> Generator[simpy.Event, Any, None]:
        while self._running:
            yield self._bell
            if not self._running:
                return
            again = self._step()
            if again is not None:
                self.wake_at(again)
