"""What every answer holds: what would have changed the outcome, and how that was tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WhatIf:
    """A change, and what was decided when the deciding code was asked again with it."""

    change: str
    outcome: str


def smallest(holds: Callable[[int], bool], most: int) -> int | None:
    """A number up to ``most`` that holds where the one below it does not; None: none was found.

    Exact where everything above a number that holds does too, and near it else.
    """
    below, step = 0, 1
    while not holds(min(step, most)):
        if step >= most:
            return None
        below, step = step, step * 2
    above = min(step, most)
    while above - below > 1:
        middle = (below + above) // 2
        below, above = (below, middle) if holds(middle) else (middle, above)
    return above
