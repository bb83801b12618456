"""The in-memory API server answers as a real one: the promise the simulator stands on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from e2e.cluster import LocalCluster, Programs
from e2e.conformance.__main__ import run, summary

REQUESTS = 50_000 if os.environ.get("PRISM_DEEP") else 5_000
# One sequence of requests is always the same; another is new with every run, and printed.
SEEDS = (20260302, Random().randrange(1_000_000))


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


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"seed-{seed}")
def test_the_in_memory_server_answers_as_a_real_one(server: LocalCluster, seed: int) -> None:
    report = run(Path(server.kubeconfig), seed=seed, requests=REQUESTS // len(SEEDS))

    print(summary(report))
    differences = "\n\n".join(map(str, report.differences))
    assert not report.differences, f"seed {seed}:\n{differences}"
