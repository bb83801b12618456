"""Fleets as users run them, compiled. The compiler takes half a minute: not for the fast tests."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

from typer.testing import CliRunner

from simulator.cli import app
from simulator.fleet import FleetSimulation, fleet_of
from simulator.kernel import HOUR_US
from simulator.scenario import load

SCENARIO = Path(__file__).parents[1] / "scenarios" / "fleets" / "spot-day.yaml"
VARIANT = "PrismPattern/orders:spec.autoscaling.minReplicas=40"


def test_a_compiled_fleet_tells_what_it_tells_in_plain_python() -> None:
    spec = replace(fleet_of(load(SCENARIO)), duration_us=2 * HOUR_US, churn=0.2)
    plain, compiled = io.BytesIO(), io.BytesIO()
    by_python = FleetSimulation(spec, log=plain, compiled=False).run()
    by_machine = FleetSimulation(spec, log=compiled).run()
    assert by_python == by_machine
    assert plain.getvalue() == compiled.getvalue()


def test_variants_are_compared_as_fleets_by_the_same_rules() -> None:
    asked = ["--fleet", "--seeds", "4", "--workers", "1", "--primary", "orders.replicas.mean=2"]
    result = CliRunner().invoke(app, ["compare", str(SCENARIO), *asked, "--variant", VARIANT])
    assert result.exit_code == 1
    assert f"{VARIANT} against as it is: worse in orders.replicas.mean" in result.stdout
    assert "no expectation was judged" in result.stdout


def test_what_a_fleet_does_not_measure_is_refused_with_what_it_does() -> None:
    asked = ["compare", str(SCENARIO), "--fleet", "--workers", "1", "--seeds", "2"]
    result = CliRunner().invoke(app, [*asked, "--variant", VARIANT, "--primary", "evictions=1"])
    assert result.exit_code == 2
    assert "orders.lag.max" in result.stderr
