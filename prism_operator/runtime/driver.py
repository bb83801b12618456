"""Runs an operator with threads: one takes in events, some work, one elects, one writes Events.

Nothing polls: whoever has something to do is woken by whoever knows, so an edit reaches the
worker within a millisecond or two.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

import structlog

from prism_operator.ports import Clock
from prism_operator.runtime.checks import Checks
from prism_operator.runtime.operator import Operator
from prism_operator.runtime.reflector import Reflector

# The longest sleep of a thread that nobody wakes: bounds what a missed wake-up can cost.
IDLE_S = 1.0
STOP_TIMEOUT_S = 2.0
EVENTS_SLICE_S = 0.2

_log = structlog.get_logger("prism_operator.runtime.driver")


class Driver:
    """Pumps an ``Operator`` until ``stop``.

    ``wake`` is set by the reader's watches whenever there are events to take in.
    """

    def __init__(
        self, operator: Operator, *, clock: Clock, workers: int, wake: threading.Event
    ) -> None:
        self._operator = operator
        self._clock = clock
        self._wake = wake
        self._stopping = threading.Event()
        self._requests: queue.SimpleQueue[None] = queue.SimpleQueue()  # its put is reentrant
        self._listing: set[Reflector] = set()
        self._workers = [self._thread(f"worker-{n}", self._work) for n in range(workers)]
        self._others = [
            self._thread("intake", self._take_in),
            self._thread("elector", self._elect),
            self._thread("events", self._write_events),
            self._thread("checks", self._pump(operator.checks, operator.check)),
            self._thread("calls", self._pump(operator.calls, operator.call)),
        ]
        self.crashed = False

    def start(self) -> None:
        """Starts all threads and returns."""
        for thread in (*self._others, *self._workers):
            thread.start()

    def wait(self) -> None:
        """Blocks until ``stop`` was asked for, or a thread met a bug (``crashed``)."""
        self._requests.get()
        self._stopping.set()

    def request_stop(self) -> None:
        """Makes ``wait`` return. May be called from any thread, and from a signal handler."""
        # Not the event: its lock would be waited for by the very thread that holds it.
        self._requests.put(None)

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> bool:
        """Lets the calls in progress end, cuts their passes off there, and releases the Lease.

        Takes at most ``timeout_s``. Returns False if a call was still on its way by then: the
        Lease is kept then and runs out by itself, because that call may still write.
        """
        until_s = self._clock.monotonic_s() + timeout_s
        self._stopping.set()
        self._wake.set()
        self._operator.recorder.pending.set()
        self._operator.checks.awake.set()
        self._operator.calls.awake.set()
        self._operator.close()
        # Workers first: nothing may be written once the Lease is free.
        ending = [*self._workers, *self._others]
        if not self._join(ending, until_s):
            _log.warning("Stopping with calls on their way", threads=_alive(ending))
            return False
        release = self._thread("release", self._operator.stop)
        release.start()
        return self._join([release], until_s)

    def _join(self, threads: list[threading.Thread], until_s: float) -> bool:
        for thread in threads:
            thread.join(max(0.0, until_s - self._clock.monotonic_s()))
        return not _alive(threads)

    def _thread(self, name: str, run: Callable[[], None]) -> threading.Thread:
        return threading.Thread(target=self._guard, args=(name, run), name=name, daemon=True)

    def _guard(self, name: str, run: Callable[[], None]) -> None:
        try:
            run()
        except Exception:  # a bug: a silent half-dead operator would be worse than a restart
            _log.exception("Thread died", thread=name)
            self.crashed = True
            self._stopping.set()
            self.request_stop()

    def _work(self) -> None:
        while not self._stopping.is_set():
            if not self._operator.reconcile_next():
                self._operator.wait_for_work(IDLE_S)

    def _take_in(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            for reflector in self._operator.reflectors:
                if reflector in self._listing:
                    continue
                if reflector.must_list:
                    # On its own, so that a slow list delays no other kind's events.
                    self._listing.add(reflector)
                    self._thread(
                        f"list-{reflector.resource.plural}", self._lister(reflector)
                    ).start()
                else:
                    reflector.step()
            self._wake.wait(self._until_due_s())

    def _lister(self, reflector: Reflector) -> Callable[[], None]:
        def run() -> None:
            try:
                reflector.step()
            finally:
                self._listing.discard(reflector)
                self._wake.set()
                self._operator.queue.wake()  # perhaps this was the last that workers wait for

        return run

    def _until_due_s(self) -> float:
        due = [r.next_due_s() for r in self._operator.reflectors if r not in self._listing]
        now_s = self._clock.monotonic_s()
        return max(0.0, min([IDLE_S, *(due_s - now_s for due_s in due if due_s is not None)]))

    def _elect(self) -> None:
        leadership = self._operator.leadership
        while not self._stopping.is_set():
            leadership.step()
            due_s = leadership.next_due_s()
            idle_s = IDLE_S if due_s is None else due_s - self._clock.monotonic_s()
            self._stopping.wait(max(0.0, min(IDLE_S, idle_s)))

    def _pump(self, checks: Checks[Any, Any], step: Callable[[], bool]) -> Callable[[], None]:
        def run() -> None:
            while not self._stopping.is_set():
                checks.awake.clear()
                step()
                due_s = checks.next_due_s()
                idle_s = IDLE_S if due_s is None else due_s - self._clock.monotonic_s()
                checks.awake.wait(max(0.0, min(IDLE_S, idle_s)))

        return run

    def _write_events(self) -> None:
        recorder = self._operator.recorder
        while not self._stopping.is_set():
            # In slices, so that a stop need not wait for a thousand of them.
            until_s = self._clock.monotonic_s() + EVENTS_SLICE_S
            recorder.flush(until_s)
            if self._clock.monotonic_s() < until_s:
                recorder.pending.wait(IDLE_S)


def _alive(threads: list[threading.Thread]) -> list[str]:
    return [thread.name for thread in threads if thread.is_alive()]
