"""Fleets as users run them, compiled. The compiler takes half a minute: not for the fast tests."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

from simulator.fleet import FleetSimulation, fleet_of
from simulator.kernel import HOUR_US
from simulator.scenario import load

SCENARIO = Path(__file__).parents[1] / "scenarios" / "fleets" / "spot-day.yaml"


def test_a_compiled_fleet_tells_what_it_tells_in_plain_python() -> None:
    spec = replace(fleet_of(load(SCENARIO)), duration_us=2 * HOUR_US, churn=0.2)
    plain, compiled = io.BytesIO(), io.BytesIO()
    by_python = FleetSimulation(spec, log=plain, compiled=False).run()
    by_machine = FleetSimulation(spec, log=compiled).run()
    assert by_python == by_machine
    assert plain.getvalue() == compiled.getvalue()
