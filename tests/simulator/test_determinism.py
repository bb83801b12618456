import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulator.cli import SCENARIOS
from simulator.run import Simulation
from simulator.scenario import load

SCENARIO = SCENARIOS / "multi-backend.yaml"  # its pods take drawn times
PROGRAM = """
import sys
from simulator.cli import app
app(["run", sys.argv[1], "--event-log", sys.argv[2], *sys.argv[3:]], standalone_mode=False)
"""


def event_log(path: Path, *options: str, hash_seed: str) -> bytes:
    subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", PROGRAM, str(SCENARIO), str(path), *options],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )
    return path.read_bytes()


def test_one_seed_gives_the_same_bytes_under_any_hash_seed(tmp_path: Path) -> None:
    one = event_log(tmp_path / "one", hash_seed="1")
    other = event_log(tmp_path / "other", hash_seed="4711")

    assert one.count(b"\n") > 100
    assert one == other


def test_another_seed_gives_other_times() -> None:
    loaded = load(SCENARIO)
    logs = [Simulation(loaded, seed=seed).run().log_hash for seed in (1, 2, 1)]

    assert logs[0] == logs[2]
    assert logs[0] != logs[1]


@pytest.mark.parametrize("via", ["ports", "pykube"])
def test_the_client_does_not_matter_to_what_the_operator_brings_about(via: str) -> None:
    loaded = load(SCENARIO)
    operator = loaded.scenario.operator.model_copy(update={"via": via})
    scenario = loaded.scenario.model_copy(update={"operator": operator})

    result = Simulation(type(loaded)(loaded.path, scenario, loaded.manifests)).run()

    assert result.passed, result.failures
