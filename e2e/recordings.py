"""Records what the real components decide: ``python -m e2e.recordings DIRECTORY [SEED]``.

The Go tests of ``e2e/oracle`` and ``e2e/oracle-keda`` run the scheduler, the HPA, Deployment,
ReplicaSet and disruption controllers and KEDA in virtual time, and write gzipped JSON lines that
``prism-sim verify`` replays. The same seed gives the same recordings.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from e2e.build import KEDA_ORACLE, ORACLE, BuildError, Program, build

_TIMEOUT_S = 1800.0


@dataclass(frozen=True, slots=True)
class Oracle:
    """Tests of one program that record, with how much: cases ``N`` and the like."""

    program: Program
    tests: str
    size: Mapping[str, str] = field(default_factory=dict)


KUBERNETES = Oracle(ORACLE, "Test(HPA|Scheduler|Sampling|Rollout)Vectors", {"N": "40"})
KEDA = Oracle(KEDA_ORACLE, "Test(Executor|Kafka|HPA)Vectors", {"N": "100"})


class RecordingError(Exception):
    """A component could not be recorded; the message has what its test printed."""


def record(oracle: Oracle, directory: Path, seed: int) -> list[Path]:
    """The files that an oracle wrote into ``directory``, made if it is missing.

    Raises:
        BuildError: when its program cannot be built.
        RecordingError: when a test of it fails.
    """
    directory.mkdir(parents=True, exist_ok=True)
    before = set(directory.iterdir())
    result = subprocess.run(
        [str(build(oracle.program)), f"-test.run=^{oracle.tests}$", "-test.v"],
        env={**os.environ, **oracle.size, "OUT": str(directory), "SEED": str(seed)},
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
    )
    if result.returncode:
        tail = "\n".join((result.stdout + result.stderr).strip().splitlines()[-30:])
        raise RecordingError(f"{oracle.program.binary}, seed {seed}:\n{tail}")
    return sorted(set(directory.iterdir()) - before)


def seed_of_commit(root: Path) -> int:
    """A seed that every commit has of its own; 1 outside a checkout."""
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False
    )
    if head.returncode:
        return 1
    return int(hashlib.sha256(head.stdout.strip().encode()).hexdigest()[:6], 16)


def main() -> int:
    """Records everything; 1 when something could not be."""
    if len(sys.argv) not in (2, 3) or (len(sys.argv) == 3 and not sys.argv[2].isdecimal()):
        print("usage: python -m e2e.recordings DIRECTORY [SEED]", file=sys.stderr)
        return 2
    directory = Path(sys.argv[1]).absolute()
    seed = int(sys.argv[2]) if len(sys.argv) == 3 else seed_of_commit(Path(__file__).parent)
    print(f"seed {seed}")
    try:
        for oracle, name in ((KUBERNETES, "kubernetes"), (KEDA, "keda")):
            for path in record(oracle, directory / name, seed):
                print(path)
    except (BuildError, RecordingError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
