"""The simulator decides as the real components do, also where no recording was at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from e2e.recordings import KEDA, KUBERNETES, Oracle, record, seed_of_commit
from simulator.verify import verify

_VECTORS = Path(__file__).parents[1] / "tests" / "vectors"


# KEDA's module has so many dependencies that its tests alone take longer to build than all else.
_ORACLES = [
    pytest.param(KUBERNETES, {"scheduler", "sampling", "hpa", "rollout"}, id="kubernetes"),
    pytest.param(KEDA, {"keda-executor", "keda-kafka", "keda-hpa"}, id="keda"),
][: None if os.environ.get("PRISM_DEEP") else 1]


@pytest.mark.parametrize(("oracle", "kinds"), _ORACLES)
def test_fresh_recordings_are_decided_as_the_real_components_did(
    oracle: Oracle, kinds: set[str], tmp_path: Path
) -> None:
    seed = seed_of_commit(_VECTORS)
    print(f"python -m e2e.recordings DIRECTORY {seed}")  # shown by pytest when it fails

    results = verify(record(oracle, tmp_path, seed))

    assert {verified.kind.NAME for verified in results} == kinds
    for verified in results:
        assert not verified.short, verified.agreement.differences[0]


def test_every_recording_of_the_project_is_decided_as_recorded() -> None:
    results = verify(sorted(_VECTORS.glob("*.gz")))

    assert len(results) == 7
    for verified in results:
        assert not verified.short, verified.agreement.differences[0]
