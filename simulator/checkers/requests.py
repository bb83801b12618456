"""Every request is answered, given up, or still under way."""

from __future__ import annotations

from collections.abc import Iterable
from math import isclose

from simulator.kernel import Kernel, Us
from simulator.workloads.rates import Arrivals
from simulator.workloads.requests import Counted, RequestLoad


class RequestsConserved:
    """Counts what comes from the arrivals themselves, and what pods say became of it."""

    name = "requests-conserved"

    def __init__(self, load: RequestLoad, kernel: Kernel) -> None:
        self._load, self._kernel = load, kernel
        self._served = self._failed = self._come = 0.0
        self._counted_us: Us = 0
        load.on_counted = self._counted
        load.on_asked = self._count

    def _counted(self, counted: Counted) -> None:
        self._served += counted.served
        self._failed += counted.failed

    def _count(self) -> None:
        arrivals: Arrivals = self._load.arrivals
        while self._counted_us < self._kernel.now_us:
            cell = arrivals.cell(self._counted_us)
            end = min(cell.end_us, self._kernel.now_us)
            share = (end - self._counted_us) / (cell.end_us - cell.begin_us)
            self._come += float(cell.arrivals[0]) * share
            self._counted_us = end

    def violations(self) -> Iterable[str]:
        """What does not add up by now."""
        self._load.advance(self._kernel.now_us)
        self._count()
        accounted = self._served + self._failed + self._load.waiting
        if not isclose(self._come, accounted, rel_tol=1e-9, abs_tol=1e-6):
            yield (
                f"{self._load.name}: {self._come:g} requests came; {self._served:g} were answered, "
                f"{self._failed:g} given up, {self._load.waiting:g} wait"
            )
