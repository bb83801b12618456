"""The bill is that of the machines: hours from launch to end, times the price of their pool."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isclose

from prism_operator.api.meta import NODE
from simulator.cluster.api import Cache
from simulator.kernel import HOUR_US, Kernel, Us
from simulator.series import Series


class CostIsNodeHours:
    """Keeps its own books of launches and ends, and looks whether each Node is paid for."""

    name = "cost-is-node-hours"

    def __init__(
        self, kernel: Kernel, cache: Cache, rate: Series, price_per_h: Mapping[str, float]
    ) -> None:
        self._kernel, self._cache, self._rate = kernel, cache, rate
        self._price_per_h = price_per_h
        self._running: dict[str, tuple[str, Us]] = {}  # pool and launch, by name
        self._paid = 0.0

    def launched(self, name: str, pool: str) -> None:
        """A machine is paid for from now on."""
        self._running[name] = (pool, self._kernel.now_us)

    def ended(self, name: str) -> None:
        """A machine is paid for no longer."""
        pool, since_us = self._running.pop(name)
        self._paid += self._price_of(pool, since_us)

    def violations(self) -> Iterable[str]:
        """What does not add up by now."""
        nodes = {node["metadata"]["name"] for node in self._cache.list(NODE)}
        for name in sorted(nodes - set(self._running)):
            yield f"Node {name} is there, and nobody pays for it"
        expected = self._paid + sum(self._price_of(*machine) for machine in self._running.values())
        billed = self._rate.integral(0, self._kernel.now_us) / HOUR_US
        if not isclose(billed, expected, rel_tol=1e-9, abs_tol=1e-9):
            yield f"the nodes' hours come to {expected:g}, the bill says {billed:g}"

    def _price_of(self, pool: str, since_us: Us) -> float:
        return (self._kernel.now_us - since_us) / HOUR_US * self._price_per_h[pool]
