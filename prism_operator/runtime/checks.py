"""When backends are checked, and who hears what was found.

The schedule is here, the connections are a ``Prober``'s. A check never holds up a pass: a pass says
what it wants checked, and is made again when there is news.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from prism_operator.api.meta import Ref
from prism_operator.planning.backend import TELL_PERIOD
from prism_operator.planning.checks import Check, Finding, Trouble
from prism_operator.ports import Clock, Metrics, Prober
from prism_operator.runtime.randomness import Streams

# Enough for 1,000 backends that all hang for 5 of every 10 s, within a usual limit of open files.
AT_A_TIME: Final = 512
# After failures the interval doubles up to four times its length, or a minute if that is shorter:
# servers lock users out who knock too often with a wrong password.
BACKOFF_INTERVALS: Final = 4.0
BACKOFF_MAX_S: Final = 60.0
# The interval is shortened at random by up to so much, so that checks do not come all at once.
JITTER: Final = 0.1


@dataclass(slots=True)
class _Checked:
    check: Check
    due_s: float
    failures: int = 0
    is_first: bool = True
    running: Check | None = None
    finding: Finding | None = None
    told_s: float = 0.0
    told: Trouble | None = None


class Checks:
    """Checks what plans ask to have checked. Thread-safe; ``on_news`` is called without a lock."""

    def __init__(
        self,
        prober: Prober,
        *,
        clock: Clock,
        streams: Streams,
        metrics: Metrics,
        on_news: Callable[[Ref], None],
    ) -> None:
        self._prober = prober
        self._clock = clock
        self._rng = streams.stream("checks")
        self._metrics = metrics
        self._on_news = on_news
        self._lock = threading.Lock()
        self._checked: dict[Ref, _Checked] = {}
        self._due: list[tuple[float, int, Ref]] = []  # outdated entries differ from due_s
        self._order = itertools.count()
        self._running = 0
        self.awake = threading.Event()
        prober.notify_with(self.awake.set)

    def expect(self, key: Ref, check: Check | None) -> None:
        """From now on ``key`` is checked so, at once if it is another target; None: not at all."""
        with self._lock:
            before = self._checked.get(key)
            if check is None:
                if before is not None:
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
            self._plan(key, self._clock.monotonic_s())
        self.awake.set()

    def finding(self, key: Ref) -> Finding | None:
        """The newest finding about ``key``."""
        with self._lock:
            checked = self._checked.get(key)
            return checked.finding if checked is not None else None

    def step(self, *, may: bool) -> bool:
        """Takes in the answers and begins what is due; forgets all while it ``may`` not check."""
        answers = self._prober.poll()
        with self._lock:
            if not may:
                self._checked.clear()
            news = [key for key, finding in answers if self._take_in(key, finding)]
            begun = [] if not may else self._begin()
        for key, check in begun:
            self._prober.begin(key, check)
        for key in news:
            self._on_news(key)
        return bool(answers or begun)

    def next_due_s(self) -> float | None:
        """When ``step`` has something to do by itself, on the monotonic clock."""
        with self._lock:
            self._drop_outdated()
            waits = self._running < AT_A_TIME and bool(self._due)
            own_s = self._due[0][0] if waits else None
        times = [t for t in (own_s, self._prober.next_due_s()) if t is not None]
        return min(times, default=None)

    def _begin(self) -> list[tuple[Ref, Check]]:
        now_s = self._clock.monotonic_s()
        begun: list[tuple[Ref, Check]] = []
        while self._running < AT_A_TIME:
            self._drop_outdated()
            if not self._due or self._due[0][0] > now_s:
                break
            due_s, _, key = heapq.heappop(self._due)
            checked = self._checked[key]
            checked.running = checked.check
            checked.due_s = -1.0
            self._running += 1
            self._metrics.check_began(now_s - due_s)
            begun.append((key, checked.check))
        return begun

    def _take_in(self, key: Ref, finding: Finding) -> bool:
        """Notes a finding and plans the next check; returns whether it is news."""
        self._running -= 1
        now_s = self._clock.monotonic_s()
        trouble = finding.trouble
        reason = trouble.reason if trouble is not None else "Healthy"
        self._metrics.checked(finding.target.provider, reason, finding.latency_s)
        checked = self._checked.get(key)
        if checked is None or checked.running is None:
            return False  # it is no longer wanted
        checked.running = None
        if finding.target != checked.check.target:
            self._plan(key, now_s)
            return False
        checked.failures = 0 if trouble is None else checked.failures + 1
        is_first, checked.is_first = checked.is_first, False
        self._plan(key, now_s + self._wait_s(checked, is_first))
        before, checked.finding = checked.finding, finding
        is_news = before is None or before.target != finding.target or trouble != checked.told
        if not is_news and now_s - checked.told_s < TELL_PERIOD.total_seconds():
            return False
        checked.told, checked.told_s = trouble, now_s
        return True

    def _wait_s(self, checked: _Checked, is_first: bool) -> float:
        interval_s = checked.check.interval_s
        if checked.failures:
            longest_s = max(interval_s, min(BACKOFF_INTERVALS * interval_s, BACKOFF_MAX_S))
            interval_s = min(interval_s * 2.0 ** min(checked.failures - 1, 8), longest_s)
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


class NoProber:
    """Looks at nothing: for whoever runs the operator without connections to backends."""

    def notify_with(self, notify: Callable[[], None]) -> None:
        """See ``Prober``."""

    def begin(self, key: Ref, check: Check) -> None:
        """See ``Prober``."""

    def poll(self) -> list[tuple[Ref, Finding]]:
        """See ``Prober``."""
        return []

    def next_due_s(self) -> float | None:
        """See ``Prober``."""
        return None
