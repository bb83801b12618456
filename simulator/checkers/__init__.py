"""Independent judges of the simulated world: what must be true whatever the scenario says.

They look at the objects alone and share no rule with the planner or the controllers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from simulator.checkers.bounds import ReplicasWithinBounds
from simulator.checkers.eviction import BudgetKept
from simulator.checkers.ownership import NoOrphans, OneOwner, OnlyOurOwn
from simulator.checkers.placement import HardSpread, WhereTolerated, WithinAllocatable
from simulator.checkers.readiness import ReadyIsTrue
from simulator.checkers.surge import NoMoreThanSurge
from simulator.cluster.api import Cache
from simulator.controllers.world import Change
from simulator.kernel import Us


class Checker(Protocol):
    """One promise. ``name`` is how a violation is reported."""

    name: str

    def changed(self, change: Change, now_us: Us) -> Iterable[str]:
        """Violations by one write."""

    def rested(self, now_us: Us) -> Iterable[str]:
        """Violations by the state after an instant, or by one that lasts too long."""


def all_checkers(cache: Cache, operator_works: Callable[[], bool]) -> tuple[Checker, ...]:
    """One of each; ``operator_works`` says whether an operator runs and leads."""
    return (
        NoMoreThanSurge(cache),
        ReplicasWithinBounds(cache),
        WithinAllocatable(cache),
        WhereTolerated(cache),
        HardSpread(cache),
        BudgetKept(cache),
        OneOwner(),
        NoOrphans(cache),
        OnlyOurOwn(),
        ReadyIsTrue(cache, operator_works),
    )
