"""Numbers over simulated time, kept where they change."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

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


class Recorder:
    """All series of a run, by names such as ``orders.lag`` or ``nodes.spot``."""

    def __init__(self) -> None:
        self._series: dict[str, Series] = {}

    def series(self, name: str, unit: str = "") -> Series:
        """The series of that name, made when first asked for."""
        found = self._series.get(name)
        if found is None:
            found = self._series[name] = Series(unit)
        return found

    def get(self, name: str) -> Series | None:
        """The series of that name, if there is one."""
        return self._series.get(name)

    def names(self) -> list[str]:
        """The names there are, sorted."""
        return sorted(self._series)
