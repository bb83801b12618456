"""Backends as the operator's health checks find them, in virtual time."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from prism_operator.api.meta import Ref
from prism_operator.planning.checks import REFUSED, TIMEOUT, Check, Finding, Trouble
from prism_operator.ports import Clock

LATENCY_S: Final = 0.002


class BackendState(StrEnum):
    """What a backend does when it is connected to."""

    UP = "up"
    DOWN = "down"  # nobody listens
    HUNG = "hung"  # it accepts, and never answers


class SimulatedBackends:
    """The state of all backends: each is up until it is said to be otherwise."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._states: dict[tuple[str, str], BackendState] = {}

    def set(self, namespace: str, name: str, state: BackendState) -> None:
        """From now on the PrismBackend is found in this state."""
        self._states[namespace, name] = state

    def state_of(self, key: Ref) -> BackendState:
        """The state that the PrismBackend is in now."""
        return self._states.get((key.namespace, key.name), BackendState.UP)

    def prober(self) -> SimulatedProber:
        """A prober for one process of the operator."""
        return SimulatedProber(self, self._clock)


class SimulatedProber:
    """A ``Prober`` that asks nobody."""

    def __init__(self, backends: SimulatedBackends, clock: Clock) -> None:
        self._backends = backends
        self._clock = clock
        self._answers: list[tuple[float, int, Ref, Check, Trouble | None]] = []
        self._order = itertools.count()

    def notify_with(self, notify: Callable[[], None]) -> None:
        """See ``Prober``. Nobody waits in virtual time: ``next_due_s`` says when to look."""

    def begin(self, key: Ref, check: Check) -> None:
        """See ``Prober``."""
        wait_s, trouble = {
            BackendState.UP: (LATENCY_S, None),
            BackendState.DOWN: (LATENCY_S, REFUSED),
            BackendState.HUNG: (check.timeout_s, TIMEOUT),
        }[self._backends.state_of(key)]
        due_s = self._clock.monotonic_s() + wait_s
        heapq.heappush(self._answers, (due_s, next(self._order), key, check, trouble))

    def poll(self) -> list[tuple[Ref, Finding]]:
        """See ``Prober``."""
        found = []
        while self._answers and self._answers[0][0] <= self._clock.monotonic_s():
            _, _, key, check, trouble = heapq.heappop(self._answers)
            latency_s = LATENCY_S if trouble is None else None
            found.append((key, Finding(check.target, self._clock.now(), trouble, latency_s)))
        return found

    def next_due_s(self) -> float | None:
        """See ``Prober``."""
        return self._answers[0][0] if self._answers else None
