"""Every object of every golden plan, on a real API server: accepted, and then as we want it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from e2e.cluster import Cluster
from prism_operator.api.meta import Json
from prism_operator.planning.diff import difference

GOLDENS = Path(__file__).parents[1] / "tests" / "planning" / "goldens"


def _objects(golden: Path, namespace: str) -> list[Json]:
    documents = yaml.safe_load_all(golden.read_text())
    return [
        {**obj, "metadata": {**obj["metadata"], "namespace": namespace}}
        for obj in documents
        if "apiVersion" in obj
    ]


@pytest.mark.parametrize("golden", sorted(GOLDENS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_server_accepts_every_planned_object_and_nothing_of_it_then_differs(
    cluster: Cluster, namespace: str, golden: Path, request: pytest.FixtureRequest
) -> None:
    objects = _objects(golden, namespace)
    if any(obj["apiVersion"].startswith("keda.sh/") for obj in objects):
        request.getfixturevalue("keda_crds")
    if not objects:
        return  # a lone PrismBackend or PrismNamespace makes nothing yet
    flags = ("--dry-run=server", "--validate=strict", "--output=json", "--filename=-")
    answer = cluster.kubectl("create", *flags, stdin=yaml.safe_dump_all(objects))

    for wanted, found in zip(objects, _concatenated(answer), strict=True):
        name = f"{wanted['kind']} {wanted['metadata']['name']}"
        assert difference(wanted, found) is None, name


def _concatenated(text: str) -> Iterator[Json]:
    """The JSON documents that kubectl prints one behind the other."""
    decoder, rest = json.JSONDecoder(), text.strip()
    while rest:
        obj, end = decoder.raw_decode(rest)
        yield obj
        rest = rest[end:].lstrip()
