"""How long things wait that are done in the order in which they came."""

from __future__ import annotations

import math
from collections import deque
from itertools import islice, pairwise

from simulator.series import Distribution

Time = float  # microseconds of simulated time; a queue runs empty between two whole ones
_PIECE_US = 10_000_000.0  # those that came within it are counted at its beginning


def after(now: Time, span: float) -> Time:
    """So much later, and later in any case: a span that is lost in rounding ends all the same."""
    return max(now + span, math.nextafter(now, math.inf))


class Fifo:
    """The curve of what came when, from the oldest that waits, and the delays of what is done."""

    def __init__(self, delays: Distribution) -> None:
        self._delays = delays
        self._curve: deque[tuple[Time, float]] = deque([(0.0, 0.0)])

    def came(self, at: Time, total: float) -> None:
        """So many had come in all by then; evenly since the last time this was said."""
        self._curve.append((at, total))

    def restart(self, at: Time, total: float) -> None:
        """Nothing waits: what came before does not matter any more."""
        self._curve.clear()
        self._curve.append((at, total))

    def passed(self, at: Time, count: float, total: float) -> None:
        """So many were done as they came."""
        self._delays.add(int(at), count, 0.0, 0.0)
        self.restart(at, total)

    def done(self, begin: Time, end: Time, first: float, last: float) -> None:
        """Those from the ``first`` to the ``last`` were done, evenly between two points in time.

        What came until ``end`` must have been told.
        """
        curve, at = self._curve, first
        per = (end - begin) / (last - first)
        while at < last:
            while len(curve) > 2 and curve[1][1] <= at:
                curve.popleft()
            to = min(last, curve[1][1]) if len(curve) > 1 and curve[1][1] > at else last
            born = self.born(to)
            least = begin + (at - first) * per - self.born(at)
            most = begin + (to - first) * per - born
            self._delays.add(int(born), to - at, max(0.0, least) / 1e6, max(0.0, most) / 1e6)
            at = to

    def unfinished(self, now: Time, first: float, total: float) -> None:
        """The run is over: those from the ``first`` on wait still, each since it came."""
        if total - first < 1:
            return
        self.came(now, total)
        for (t0, a0), (t1, a1) in pairwise(self._curve):
            if a1 <= max(first, a0):
                continue
            pieces = math.ceil((t1 - t0) / _PIECE_US) or 1
            for piece in range(pieces):
                begin, end = (a0 + (a1 - a0) * i / pieces for i in (piece, piece + 1))
                if end <= first:
                    continue
                begin = max(begin, first)
                born, last = (t0 + (t1 - t0) * (x - a0) / (a1 - a0) for x in (begin, end))
                waits = (now - last) / 1e6, (now - born) / 1e6
                self._delays.add(int(born), end - begin, *waits, censored=True)

    def born(self, which: float) -> Time:
        """When the one with this number came."""
        t1, a1 = self._curve[0]
        t0, a0 = t1, a1
        for t, a in islice(self._curve, 1, None):
            t0, a0, t1, a1 = t1, a1, t, a
            if which <= a1:
                break
        return t1 if a1 == a0 else t0 + (t1 - t0) * (which - a0) / (a1 - a0)
