"""How fast work arrives: rates that are linear between points in time, and whole counts of them."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from simulator.kernel import SECOND_US, Us
from simulator.workloads.poisson import Floats, counts, uniforms

CELL_US = 10 * SECOND_US  # the interval for which a number of arrivals is drawn
DAY_US = 86_400 * SECOND_US
_BLOCK_CELLS = 360  # drawn at a time


@dataclass(frozen=True, slots=True)
class Knot:
    """A point where a rate bends or jumps: its value just before, and from then on."""

    at_us: Us
    before: float
    after: float


class Rate:
    """A number a second over time: linear between its knots, constant after the last."""

    def __init__(self, knots: Iterable[Knot]) -> None:
        self.knots = tuple(knots)
        self._times = [knot.at_us for knot in self.knots]
        self._sums = [0.0]  # expected up to each knot
        for i in range(1, len(self.knots)):
            old, new = self.knots[i - 1], self.knots[i]
            area = (old.after + new.before) / 2 * (new.at_us - old.at_us) / SECOND_US
            self._sums.append(self._sums[-1] + area)

    @classmethod
    def constant(cls, per_s: float) -> Rate:
        """Always the same."""
        return cls([Knot(0, per_s, per_s)])

    @classmethod
    def through(cls, points: Sequence[tuple[Us, float]]) -> Rate:
        """Linear between points; two at the same time are a jump, the first reaches back to 0."""
        knots: list[Knot] = []
        for at_us, value in points:
            if knots and knots[-1].at_us == at_us:
                knots[-1] = Knot(at_us, knots[-1].before, value)
            else:
                knots.append(Knot(at_us, value, value))
        if knots[0].at_us > 0:
            knots.insert(0, Knot(0, knots[0].before, knots[0].before))
        return cls(knots)

    def at(self, at_us: Us) -> float:
        """The rate from a point in time on."""
        return self._between(self._index(at_us), at_us)

    def expected(self, from_us: Us, to_us: Us) -> float:
        """The integral between two points in time."""
        return self._until(to_us) - self._until(from_us)

    def next_change(self, at_us: Us) -> Us | None:
        """The next knot after a point in time."""
        i = bisect_right(self._times, at_us)
        return self._times[i] if i < len(self._times) else None

    def is_level(self, at_us: Us) -> bool:
        """Whether it stays the same until the next knot."""
        i = self._index(at_us)
        return i + 1 == len(self.knots) or self.knots[i + 1].before == self.knots[i].after

    def knot_before(self, at_us: Us) -> Knot:
        """The last knot up to a point in time."""
        return self.knots[self._index(at_us)]

    def then(self, at_us: Us, other: Rate) -> Rate:
        """This one, and from a point in time on another."""
        kept = [knot for knot in self.knots if knot.at_us < at_us]
        jump = Knot(at_us, self._between(self._index(max(0, at_us - 1)), at_us), other.at(at_us))
        return Rate([*kept, jump, *(knot for knot in other.knots if knot.at_us > at_us)])

    def times(self, factor: float) -> Rate:
        """The same, so many times as much."""
        return Rate(Knot(k.at_us, k.before * factor, k.after * factor) for k in self.knots)

    def plus(self, other: Rate) -> Rate:
        """Both together."""
        times = sorted({*self._times, *other._times})
        return Rate(
            Knot(t, self._left(t) + other._left(t), self.at(t) + other.at(t)) for t in times
        )

    def _left(self, at_us: Us) -> float:
        return self._between(self._index(max(0, at_us - 1)), at_us)

    def _index(self, at_us: Us) -> int:
        return max(0, bisect_right(self._times, at_us) - 1)

    def _between(self, i: int, at_us: Us) -> float:
        """The value at a point in time by the line that begins at knot ``i``."""
        knot = self.knots[i]
        if i + 1 == len(self.knots):
            return knot.after
        after = self.knots[i + 1]
        share = (at_us - knot.at_us) / (after.at_us - knot.at_us)
        return knot.after + (after.before - knot.after) * share

    def _until(self, at_us: Us) -> float:
        i = self._index(at_us)
        knot = self.knots[i]
        mean = (knot.after + self._between(i, at_us)) / 2
        return self._sums[i] + mean * (at_us - knot.at_us) / SECOND_US


def diurnal(low: float, high: float, peak_us: Us, start_us: Us, until_us: Us) -> Rate:
    """A day's course: a cosine through its 24 hours, from ``high`` at the time of day ``peak_us``.

    ``start_us`` is the time of day at which simulated time begins.
    """
    return Rate.through(_hourly(lambda _: 1.0, low, high, peak_us, start_us, until_us))


def weekly(
    low: float,
    high: float,
    peak_us: Us,
    start_us: Us,
    until_us: Us,
    *,
    weekday: int,
    weekend: float,
) -> Rate:
    """Days as of ``diurnal``, Saturdays and Sundays times ``weekend``; begins on ``weekday``."""

    def factor(day: int) -> float:
        return weekend if (weekday + day) % 7 >= 5 else 1.0

    return Rate.through(_hourly(factor, low, high, peak_us, start_us, until_us))


def _hourly(
    factor: Callable[[int], float], low: float, high: float, peak_us: Us, start_us: Us, until_us: Us
) -> list[tuple[Us, float]]:
    hour_us = DAY_US // 24
    points: list[tuple[Us, float]] = []
    first = -((start_us - peak_us) % hour_us)
    for at_us in range(first, until_us + hour_us, hour_us):
        hours = round((start_us + at_us - peak_us) / hour_us)
        day = (start_us + at_us) // DAY_US
        points.append((at_us, factor(day) * (low + (high - low) * (1 + _COSINE[hours % 24]) / 2)))
    # Everything before the start is cut off, at its value there.
    (t0, v0), (t1, v1) = points[0], points[1]
    points[0] = (0, v0 + (v1 - v0) * (0 - t0) / (t1 - t0))
    return points


def _cosines() -> tuple[float, ...]:
    """The cosine of 24 steps of 15°, of roots: the same on every machine."""
    r2, r3, r6 = math.sqrt(2), math.sqrt(3), math.sqrt(6)
    quarter = [1.0, (r6 + r2) / 4, r3 / 2, r2 / 2, 0.5, (r6 - r2) / 4, 0.0]
    half = [*quarter, *(-value for value in reversed(quarter[:-1]))]
    return (*half, *reversed(half[1:-1]))


_COSINE = _cosines()


@dataclass(frozen=True, slots=True)
class Cell:
    """What arrives between two points in time, evenly: a number for each partition."""

    begin_us: Us
    end_us: Us
    arrivals: Floats


class Arrivals:
    """A rate as numbers of arrivals, for each of some shares of it.

    Without noise the numbers are what is expected, fractions included; with it, a Poisson count for
    each interval of 10 s and each share. Drawn by ``key`` and time alone: whoever asks, and when,
    meets the same arrivals, and more where the rate is higher.
    """

    def __init__(self, rate: Rate, shares: Sequence[float], key: int | None = None) -> None:
        """``key`` None: no noise."""
        self.rate, self._shares, self._key = rate, np.array(shares, np.float64), key
        self._cells: list[Cell] = []
        self._salts = [
            int(x) for x in np.random.SeedSequence(key or 0).generate_state(len(shares), np.uint64)
        ]

    def change(self, at_us: Us, rate: Rate) -> None:
        """From a point in time on the rate is another."""
        self.rate = self.rate.then(at_us, rate)
        self._cells = []

    def cell(self, at_us: Us) -> Cell:
        """The interval that a point in time is in."""
        if not self._cells or not self._cells[0].begin_us <= at_us < self._cells[-1].end_us:
            self._cells = self._drawn_from(at_us)
        i = bisect_right(self._cells, at_us, key=lambda cell: cell.begin_us) - 1
        return self._cells[i]

    def _drawn_from(self, at_us: Us) -> list[Cell]:
        begins = [self._begin_of(at_us)]
        while len(begins) <= _BLOCK_CELLS:
            begins.append(self._end_of(begins[-1]))
        expected = [self.rate.expected(begin, end) for begin, end in pairwise(begins)]
        means = np.multiply.outer(np.array(expected), self._shares)
        if self._key is not None:
            times = np.array(begins[:-1], np.uint64)
            draws = np.stack([uniforms(salt, times) for salt in self._salts], axis=1)
            means = counts(means, draws)
        return [
            Cell(begin, end, arrivals)
            for begin, end, arrivals in zip(begins[:-1], begins[1:], means, strict=True)
        ]

    def _begin_of(self, at_us: Us) -> Us:
        still = self._key is None and self.rate.is_level(at_us)
        cell_us = DAY_US if still else CELL_US
        return max(at_us // cell_us * cell_us, self.rate.knot_before(at_us).at_us)

    def _end_of(self, begin_us: Us) -> Us:
        change = self.rate.next_change(begin_us)
        # Without noise a number is drawn only where the rate moves.
        still = self._key is None and self.rate.is_level(begin_us)
        cell_us = DAY_US if still else CELL_US
        grid = (begin_us // cell_us + 1) * cell_us
        return grid if change is None else min(grid, change)


def zipf(partitions: int, exponent: float) -> list[float]:
    """Shares of a key skew: that of rank r is as r^−exponent; they add up to one."""
    weights = [1.0 / _power(rank, exponent) for rank in range(1, partitions + 1)]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def _power(base: int, exponent: float) -> float:
    """base^exponent by square roots, the exponent to 2^-20: the same on every machine."""
    whole, root, power = int(exponent), float(base), float(base) ** 0
    for _ in range(whole):
        power *= base
    left = exponent - whole
    for _ in range(20):
        root, left = math.sqrt(root), left * 2
        if left >= 1:
            power, left = power * root, left - 1
    return power
