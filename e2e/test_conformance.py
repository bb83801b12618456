"""The in-memory API server answers as a real one: the promise the simulator stands on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from e2e.cluster import LocalCluster, Programs
from e2e.conformance.__main__ import run, summary

DEEP = bool(os.environ.get("PRISM_DEEP"))
REQUESTS = 50_000 if DEEP else 5_000
# Always the same requests, but for the deep tests, which ask what nobody has asked before.
SEED = Random().randrange(1_000_000) if DEEP else 6


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A control plane without controllers, which would write between our requests."""
    with LocalCluster.start(
        tmp_path_factory.mktemp("conformance"),
        programs=Programs.built(),
        nodes=(),
        kwok=False,
        controllers=False,
        scheduler=False,
    ) as cluster:
        yield cluster


def test_the_in_memory_server_answers_as_a_real_one(server: LocalCluster) -> None:
    report = run(Path(server.kubeconfig), seed=SEED, requests=REQUESTS)

    print(f"seed {SEED}\n{summary(report)}")
    differences = "\n\n".join(map(str, report.differences))
    assert not report.differences, f"seed {SEED}:\n{differences}"
