"""What a scenario expects is not met once the policy that it shows is broken."""

from typing import Any

import pytest

from simulator.cli import SCENARIOS
from simulator.run import Simulation
from simulator.scenario import load
from simulator.scenario.settings import Setting

ZONES = "PrismStack/prism-multi-zone/prism-multi-zone:spec.admin.placement"
SINGLE = "PrismStack/prism-single-zone/prism-single-zone:spec.admin.placement"
NEAR = "PrismStack/prism-backend-proximity/prism-backend-proximity:spec.proxy.placement"


@pytest.mark.parametrize(
    ("name", "params", "edit", "expected"),
    [
        ("three-proxies", {"proxies": 1}, "", "clients.errors.increase"),
        ("scale-down-drops", {"stop": "1s"}, "", "clients.errors.increase"),
        ("cooldown", {"cooldown": 60}, "", "invoices.delay.p99"),
        ("admin-single-zone", {}, f"{SINGLE}.affinity=null", "node: control-a-0"),
        ("admin-multi-zone", {}, f"{ZONES}.topologySpreadConstraints[0].maxSkew=5", "zone: b"),
        ("proxy-near-backend", {}, f"{NEAR}.affinity=null", "node: cache-a-0"),
        ("proxy-on-spot", {}, "timeline[0].spotInterruption.unseen=true", "atLeast: 18"),
    ],
)
def test_a_scenario_fails_when_its_policy_is_broken(
    name: str, params: dict[str, Any], edit: str, expected: str
) -> None:
    settings = [Setting.parse(edit)] if edit else []

    result = Simulation(load(SCENARIOS / f"{name}.yaml", params, settings)).run()

    assert any(expected in failure for failure in result.failures), result.failures
