"""When backends are checked and control planes are called, and who hears what came of it.

The schedule is here, the connections are a port's. Nothing here holds up a pass: a pass says what
it wants done, and is made again when there is news.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from prism_operator.api.meta import Ref
from prism_operator.planning.backend import TELL_PERIOD
from prism_operator.planning.checks import Trouble
from prism_operator.ports import Clock
from prism_operator.runtime.randomness import Streams

# Enough for 1,000 backends that all hang for 5 of every 10 s, within a usual limit of open files.
AT_A_TIME: Final = 512
# The interval is shortened at random by up to so much, so that checks do not come all at once.
JITTER: Final = 0.1


class Wanted(Protocol):
    """What is done about an object now, and again and again."""

    @property
    def target(self) -> Hashable:
        """What it is about: what was found out about another says nothing."""

    @property
    def settle_s(self) -> float:
        """How long whoever begins to lead waits before the first time."""

    def wait_s(self, failures: int) -> float:
        """Seconds until the next time, after so many failures in a row."""


class Found(Protocol):
    """What came of it."""

    @property
    def target(self) -> Hashable:
        """What it is about."""

    @property
    def trouble(self) -> Trouble | None:
        """Why it failed."""


AnyWanted = TypeVar("AnyWanted", bound=Wanted)
AnyFound = TypeVar("AnyFound", bound=Found)
_Taken = TypeVar("_Taken", bound=Wanted, contravariant=True)
_Given = TypeVar("_Given", bound=Found, covariant=True)


class Port(Protocol[_Taken, _Given]):
    """Who does it: see ``ports.Prober`` and ``ports.ControlPlane``."""

    def notify_with(self, notify: Callable[[], None]) -> None:
        """See ``Prober``."""

    def begin(self, key: Ref, check: _Taken, /) -> None:
        """See ``Prober``."""

    def poll(self) -> Sequence[tuple[Ref, _Given]]:
        """See ``Prober``."""

    def next_due_s(self) -> float | None:
        """See ``Prober``."""


@dataclass(slots=True)
class _Checked(Generic[AnyWanted, AnyFound]):
    check: AnyWanted | None  # None: no longer wanted, but what runs has not ended yet
    due_s: float
    failures: int = 0
    is_first: bool = True
    running: AnyWanted | None = None
    finding: AnyFound | None = None
    told_s: float = 0.0
    told: Trouble | None = None


class Checks(Generic[AnyWanted, AnyFound]):
    """Does what plans ask for, one at a time for each object. Thread-safe.

    ``on_news`` is called without a lock; ``began`` hears how late something begins, ``told`` what
    came of it.
    """

    def __init__(
        self,
        name: str,
        port: Port[AnyWanted, AnyFound],
        *,
        clock: Clock,
        streams: Streams,
        began: Callable[[float], None],
        told: Callable[[AnyFound], None],
        on_news: Callable[[Ref], None],
    ) -> None:
        self._port = port
        self._clock = clock
        self._rng = streams.stream(name)
        self._began = began
        self._told = told
        self._on_news = on_news
        self._lock = threading.Lock()
        self._since_s: float | None = None  # when we began to lead
        self._checked: dict[Ref, _Checked[AnyWanted, AnyFound]] = {}
        self._due: list[tuple[float, int, Ref]] = []  # outdated entries differ from due_s
        self._order = itertools.count()
        self._running = 0
        self.awake = threading.Event()
        port.notify_with(self.awake.set)

    def expect(self, key: Ref, check: AnyWanted | None) -> None:
        """From now on ``key`` is checked so, at once if it is another target; None: not at all."""
        with self._lock:
            before = self._checked.get(key)
            if check is None:
                if before is not None and before.running is not None:
                    before.check = before.finding = None
                elif before is not None:
                    del self._checked[key]
                return
            if before is None:
                self._checked[key] = _Checked(check, 0.0)
            elif before.check == check:
                return
            else:
                before.check, before.failures = check, 0
                if before.running is not None:
                    return  # its answer is about the old one, and brings the next check forward
            self._plan(key, self._soonest_s(check))
        self.awake.set()

    def finding(self, key: Ref) -> AnyFound | None:
        """The newest finding about ``key``."""
        with self._lock:
            checked = self._checked.get(key)
            return checked.finding if checked is not None else None

    def step(self, *, may: bool) -> bool:
        """Takes in the answers and begins what is due; forgets all while it ``may`` not check."""
        answers = self._port.poll()
        with self._lock:
            if not may:
                self._checked.clear()
                self._since_s = None
            news = [key for key, finding in answers if self._take_in(key, finding)]
            begun = [] if not may else self._begin()
        for key, check in begun:
            self._port.begin(key, check)
        for key in news:
            self._on_news(key)
        return bool(answers or begun)

    def next_due_s(self) -> float | None:
        """When ``step`` has something to do by itself, on the monotonic clock."""
        with self._lock:
            self._drop_outdated()
            waits = self._running < AT_A_TIME and bool(self._due)
            own_s = self._due[0][0] if waits else None
        times = [t for t in (own_s, self._port.next_due_s()) if t is not None]
        return min(times, default=None)

    def _begin(self) -> list[tuple[Ref, AnyWanted]]:
        now_s = self._clock.monotonic_s()
        begun: list[tuple[Ref, AnyWanted]] = []
        while self._running < AT_A_TIME:
            self._drop_outdated()
            if not self._due or self._due[0][0] > now_s:
                break
            due_s, _, key = heapq.heappop(self._due)
            checked = self._checked[key]
            if checked.check is None:
                continue
            checked.running = checked.check
            checked.due_s = -1.0
            self._running += 1
            self._began(now_s - due_s)
            begun.append((key, checked.check))
        return begun

    def _take_in(self, key: Ref, finding: AnyFound) -> bool:
        """Notes a finding and plans the next check; returns whether it is news."""
        self._running -= 1
        now_s = self._clock.monotonic_s()
        trouble = finding.trouble
        self._told(finding)
        checked = self._checked.get(key)
        if checked is None or checked.running is None:
            return False  # it was begun when we led before
        checked.running = None
        if checked.check is None:
            del self._checked[key]
            return False
        if finding.target != checked.check.target:
            self._plan(key, self._soonest_s(checked.check))
            return False
        checked.failures = 0 if trouble is None else checked.failures + 1
        is_first, checked.is_first = checked.is_first, False
        self._plan(key, now_s + self._wait_s(checked.check, checked.failures, is_first))
        before, checked.finding = checked.finding, finding
        is_news = before is None or before.target != finding.target or trouble != checked.told
        if not is_news and now_s - checked.told_s < TELL_PERIOD.total_seconds():
            return False
        checked.told, checked.told_s = trouble, now_s
        return True

    def _soonest_s(self, check: AnyWanted) -> float:
        now_s = self._clock.monotonic_s()
        if self._since_s is None:
            self._since_s = now_s
        return max(now_s, self._since_s + check.settle_s)

    def _wait_s(self, check: AnyWanted, failures: int, is_first: bool) -> float:
        interval_s = check.wait_s(failures)
        # Those that began together part after the first time.
        return interval_s * (1 - self._rng.random() * (0.5 if is_first else JITTER))

    def _plan(self, key: Ref, due_s: float) -> None:
        self._checked[key].due_s = due_s
        heapq.heappush(self._due, (due_s, next(self._order), key))

    def _drop_outdated(self) -> None:
        while self._due:
            due_s, _, key = self._due[0]
            checked = self._checked.get(key)
            if checked is not None and checked.due_s == due_s and checked.running is None:
                return
            heapq.heappop(self._due)


class Nobody:
    """Does nothing: for whoever runs the operator with connections to Kubernetes only."""

    def notify_with(self, notify: Callable[[], None]) -> None:
        """See ``Prober``."""

    def begin(self, key: Ref, check: Any) -> None:
        """See ``Prober``."""

    def poll(self) -> list[Any]:
        """See ``Prober``."""
        return []

    def next_due_s(self) -> float | None:
        """See ``Prober``."""
        return None
