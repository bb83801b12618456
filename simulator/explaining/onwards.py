"""What comes of it when nothing is changed: the run goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from simulator.kernel import SECOND_US
from simulator.run import Simulation

_PARTS: Final = 200  # of what is left of a run


def run_on(simulation: Simulation, has_come: Callable[[], bool]) -> bool:
    """Goes on until something has come, or to the end of the run; whether it has."""
    end_us, kernel = simulation.scenario.duration, simulation.kernel
    step_us = max(SECOND_US, (end_us - kernel.now_us) // _PARTS)
    while not has_come():
        if kernel.now_us >= end_us:
            return False
        kernel.run_until(min(end_us, kernel.now_us + step_us))
    return True
