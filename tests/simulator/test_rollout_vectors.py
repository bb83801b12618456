"""Our Deployment, ReplicaSet and disruption controllers decide what the recorded real ones did."""

from pathlib import Path
from typing import Any

import pytest

from simulator.verify.files import read_cases
from simulator.verify.rollout import timeline_of

VECTORS = Path(__file__).parents[1] / "vectors" / "rollout.jsonl.gz"
CASES: list[dict[str, Any]] = [case for _, case in read_cases(VECTORS)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_rollout_goes_as_recorded_at_every_instant(case: dict[str, Any]) -> None:
    ours = {step["t"]: step for step in timeline_of(case)}
    real = {step["t"]: step for step in case["timeline"]}

    assert ours == real


def test_vectors_hold_what_they_are_meant_to() -> None:
    assert len(CASES) == 80
    assert sum(len(case["timeline"]) for case in CASES) > 3000
