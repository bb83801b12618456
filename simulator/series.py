"""Numbers over simulated time, kept where they change."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

import numpy as np

from simulator.kernel import Us


class Series:
    """One number over time: it keeps its value until it is set again; 0 before it is first set."""

    def __init__(self, unit: str = "") -> None:
        self.unit = unit
        self.times_us = array("q")
        self.values = array("d")

    def set(self, at_us: Us, value: float) -> None:
        """The number is ``value`` from ``at_us`` on. Times never go back."""
        times, values = self.times_us, self.values
        if times and times[-1] == at_us:
            values[-1] = value
        elif not values or values[-1] != value:
            times.append(at_us)
            values.append(value)

    def at(self, at_us: Us) -> float:
        """The number at a point in time."""
        i = bisect_right(self.times_us, at_us)
        return self.values[i - 1] if i else 0.0

    @property
    def last(self) -> float:
        """The newest value."""
        return self.values[-1] if self.values else 0.0

    def integral(self, from_us: Us, to_us: Us) -> float:
        """Value × microseconds between two points in time."""
        total = 0.0
        for begin, end, value in self.spans(from_us, to_us):
            total += value * (end - begin)
        return total

    def mean(self, from_us: Us, to_us: Us) -> float:
        """The mean over time."""
        return self.integral(from_us, to_us) / (to_us - from_us)

    def max(self, from_us: Us, to_us: Us) -> float:
        """The largest value between two points in time."""
        return max(value for _, _, value in self.spans(from_us, to_us))

    def spans(self, from_us: Us, to_us: Us) -> Iterator[tuple[Us, Us, float]]:
        """The pieces of constant value between two points in time: begin, end, value."""
        first, end = bisect_right(self.times_us, from_us), bisect_left(self.times_us, to_us)
        begin, value = from_us, self.values[first - 1] if first else 0.0
        for i in range(first, end):
            yield begin, self.times_us[i], value
            begin, value = self.times_us[i], self.values[i]
        yield begin, to_us, value


class Distribution:
    """How many of something had which value: messages and how long each waited.

    Pieces are spread evenly between two values. A censored one counts things that have waited as
    long and are not done: the true values are larger.
    """

    def __init__(self, unit: str = "") -> None:
        self.unit = unit
        self.times_us = array("q")
        self._weights, self._lows, self._highs = array("d"), array("d"), array("d")
        self._censored = array("b")

    def add(
        self, at_us: Us, weight: float, low: float, high: float, *, censored: bool = False
    ) -> None:
        """``weight`` of them, come into the world at ``at_us``, with values from low to high."""
        if high < low:
            low, high = high, low
        self.times_us.append(at_us)
        self._weights.append(weight)
        self._lows.append(low)
        self._highs.append(high)
        self._censored.append(censored)

    def columns(self) -> tuple[np.ndarray, ...]:
        """Times, weights, lowest and highest values, and which are censored; by time of adding."""
        floats = (self._weights, self._lows, self._highs)
        return (
            np.frombuffer(self.times_us, np.int64),
            *(np.frombuffer(column, np.float64) for column in floats),
            np.frombuffer(self._censored, np.int8).astype(bool),
        )

    def quantile(self, share: float, from_us: Us, to_us: Us) -> tuple[float, bool]:
        """The value that this share is at or below, of those come between two points in time.

        True with it: so many are not done yet that the true one is larger.
        """
        weights, lows, highs, censored = self._between(from_us, to_us)
        if not weights.size:
            return 0.0, False
        wanted = share * _sum(weights)
        is_larger = wanted > _sum(weights[~censored])
        if not is_larger:
            # Unfinished ones are above everything; there they do the least harm to the truth.
            weights = np.where(censored, 0.0, weights)
        # Otherwise it is at least what it would be if all of them were done now.
        low, high = 0.0, float(highs.max())
        for _ in range(60):
            middle = (low + high) / 2
            spans = np.maximum(highs - lows, 1e-12)
            below = np.minimum(np.maximum((middle - lows) / spans, 0.0), 1.0)
            if _sum(weights * below) < wanted:
                low = middle
            else:
                high = middle
        return high, is_larger

    def mean(self, from_us: Us, to_us: Us) -> tuple[float, bool]:
        """The mean; True with it where some are not done, so that the true one is larger."""
        weights, lows, highs, censored = self._between(from_us, to_us)
        total, unfinished = _sum(weights), bool(censored.any())
        return (_sum(weights * (lows + highs) / 2) / total if total else 0.0), unfinished

    def _between(self, from_us: Us, to_us: Us) -> tuple[np.ndarray, ...]:
        times, *columns = self.columns()
        some = (times >= from_us) & (times < to_us)
        return tuple(column[some] for column in columns)


def _sum(values: np.ndarray) -> float:
    """The sum in the order of the values: the same on every machine, unlike numpy's own."""
    return float(np.add.accumulate(values)[-1]) if values.size else 0.0


class Recorder:
    """All series of a run, by names such as ``orders.lag`` or ``nodes.spot``."""

    def __init__(self) -> None:
        self._series: dict[str, Series] = {}
        self._distributions: dict[str, Distribution] = {}

    def series(self, name: str, unit: str = "") -> Series:
        """The series of that name, made when first asked for."""
        found = self._series.get(name)
        if found is None:
            found = self._series[name] = Series(unit)
        return found

    def distribution(self, name: str, unit: str = "") -> Distribution:
        """The distribution of that name, made when first asked for."""
        found = self._distributions.get(name)
        if found is None:
            found = self._distributions[name] = Distribution(unit)
        return found

    def get_distribution(self, name: str) -> Distribution | None:
        """The distribution of that name, if there is one."""
        return self._distributions.get(name)

    def get(self, name: str) -> Series | None:
        """The series of that name, if there is one."""
        return self._series.get(name)

    def names(self) -> list[str]:
        """The names there are, sorted."""
        return sorted([*self._series, *self._distributions])
