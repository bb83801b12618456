"""What the fake API server was taught is still what a real one answers."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pykube
import pytest

from e2e import record_schemas, record_tables
from e2e.cluster import LocalCluster


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pykube.HTTPClient]:
    """A real API server without controllers, so that nobody else writes."""
    with LocalCluster.start(
        tmp_path_factory.mktemp("cluster"),
        nodes=(),
        kwok=False,
        controllers=False,
        scheduler=False,
    ) as cluster:
        yield pykube.HTTPClient(pykube.KubeConfig.from_file(str(cluster.kubeconfig)))


def test_recorded_answers_are_those_of_this_server(api: pykube.HTTPClient) -> None:
    answers = record_tables.record(api.session, api.url)

    recorded = record_tables.recorded()
    assert [case["name"] for case in answers] == [case["name"] for case in recorded]
    differing = [a["name"] for a, b in zip(answers, recorded, strict=True) if a != b]
    assert not differing, "run python -m e2e.record_tables against this server"


def test_recorded_schemas_are_those_of_this_server(api: pykube.HTTPClient) -> None:
    published = record_schemas.published(api.session, api.url)

    recorded = json.loads((record_schemas.SCHEMAS / "openapi.json").read_text())
    assert {name: published[name] for name in recorded} == recorded
