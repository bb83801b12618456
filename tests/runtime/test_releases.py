"""An upgrade of the operator alone: nothing rolls, nothing is deleted, nothing is made anew."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from prism_operator.api.meta import (
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    PRISM_STACK,
    SCALED_OBJECT,
    Json,
    Ref,
    ref_of,
    uid_of,
)
from prism_operator.planning.settings import Settings

from . import releases
from .world import World

# What this version writes to a cluster that the release left behind, and why that is right. Every
# other write fails the test, and so does an entry that nothing needs.
CHANGES: Mapping[str, Mapping[str, str]] = {
    "v0.1.0": {
        "PATCH PrismStack/status": "with observability on, MonitorsReady says who reads metrics",
        "PATCH PrismBackend/status": "whether a backend was checked, and why not, is said anew",
        "PATCH PrismNamespace/status": "an operator that calls no control plane says so",
    },
}
CLUSTERS = sorted(releases.FOLDER.glob("*/*.jsonl"))
each_cluster = pytest.mark.parametrize(
    "cluster", CLUSTERS, ids=lambda path: f"{path.parent.name}-{path.stem}"
)


@functools.cache
def _upgraded(cluster: Path) -> tuple[World, dict[Ref, Json]]:
    """A recorded cluster after today's operator ran in it, and what it was before."""
    world = releases.load(cluster)
    before = {ref_of(obj): obj for obj in releases.objects(world)}
    # With a key of its own, which v0.1.0 did not have.
    releases.settle(world, Settings(hash_key=b"made when it was installed"))
    return world, before


def test_every_release_has_clusters_with_every_scaler() -> None:
    assert CLUSTERS, "nothing is recorded"
    assert {cluster.parent.name for cluster in CLUSTERS} == CHANGES.keys()
    for version in CHANGES:
        kinds: Counter[str] = Counter()
        for cluster in releases.FOLDER.glob(f"{version}/*.jsonl"):
            kinds.update(ref.resource.kind for ref in _upgraded(cluster)[1])
        assert kinds[DEPLOYMENT.kind] >= 50
        assert kinds[PRISM_STACK.kind] >= 20
        assert kinds[HORIZONTAL_POD_AUTOSCALER.kind] >= 5
        assert kinds[SCALED_OBJECT.kind] >= 5


@each_cluster
def test_no_pod_template_changes(cluster: Path) -> None:
    world, before = _upgraded(cluster)

    for ref, old in before.items():
        if ref.resource == DEPLOYMENT:
            new = world.get(ref)
            assert new is not None
            assert new["spec"]["template"] == old["spec"]["template"], f"{ref} would roll"


@each_cluster
def test_no_object_is_deleted_or_made_anew(cluster: Path) -> None:
    world, before = _upgraded(cluster)

    after = {ref_of(obj): uid_of(obj) for obj in releases.objects(world)}
    gone = {ref for ref, obj in before.items() if after.get(ref) != uid_of(obj)}
    assert not gone
    assert not [write for write in world.writes_of() if write.startswith("DELETE")]


@each_cluster
def test_nothing_is_written_without_a_reason(cluster: Path) -> None:
    world, _ = _upgraded(cluster)
    reasons = CHANGES[cluster.parent.name]

    unexplained = {write: path for write, path in _writes(world) if write not in reasons}
    assert not unexplained, f"say in CHANGES why, if it is right: {unexplained}"


@pytest.mark.parametrize("version", CHANGES)
def test_every_reason_is_needed(version: str) -> None:
    clusters = [cluster for cluster in CLUSTERS if cluster.parent.name == version]
    made = {write for cluster in clusters for write, _ in _writes(_upgraded(cluster)[0])}

    assert set(CHANGES[version]) <= made


def _writes(world: World) -> list[tuple[str, str]]:
    """The operator's writes, as ``PATCH Deployment`` or ``PATCH PrismStack/status``, and where."""
    found = []
    for user, request, _ in world.writes:
        target = world.server.target_of(request.path)
        if user == "operator" and target is not None:
            what = f"{target.kind.resource.kind}/{target.subresource}".rstrip("/")
            found.append((f"{request.method} {what}", request.path))
    return found
