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


def differences(server: LocalCluster, seed: int, requests: int) -> str:
    """What differs, to be read; empty when nothing does."""
    report = run(Path(server.kubeconfig), seed=seed, requests=requests)
    print(f"seed {seed}\n{summary(report)}")
    return "\n\n".join(map(str, report.differences))


def test_the_in_memory_server_answers_as_a_real_one(server: LocalCluster) -> None:
    found = differences(server, 6, REQUESTS)

    assert not found, found


@pytest.mark.deep
def test_it_does_so_for_requests_nobody_has_seen(server: LocalCluster) -> None:
    seed = Random().randrange(1_000_000)

    found = differences(server, seed, DEEP_REQUESTS)

    assert not found, f"seed {seed}\n{found}"
