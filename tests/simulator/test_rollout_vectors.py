"""Our Deployment, ReplicaSet and disruption controllers decide what the recorded real ones did."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.recorded import replay

VECTORS = Path(__file__).parents[1] / "vectors" / "rollout.jsonl.gz"
with gzip.open(VECTORS) as lines:
    CASES: list[dict[str, Any]] = [json.loads(line) for line in lines]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_rollout_goes_as_recorded_at_every_instant(case: dict[str, Any]) -> None:
    ours = {step["t"]: step for step in replay(case)}
    real = {step["t"]: step for step in case["timeline"]}

    assert ours == real


def test_vectors_hold_what_they_are_meant_to() -> None:
    assert len(CASES) == 80
    assert sum(len(case["timeline"]) for case in CASES) > 3000
