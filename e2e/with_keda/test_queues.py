"""Consumers scaled by a list of a real Redis and by a stream of a real NATS server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.backend_servers import PASSWORD, USER, Redis
from e2e.certificates import Authority
from e2e.cluster import Json, LocalCluster
from e2e.with_keda.patterns import MOST, a_consumer, a_secret, by_keda
from e2e.with_keda.queues import JetStream, List, Queue, Stream
from e2e.with_keda.story import (
    Step,
    Story,
    assert_alike,
    foretell,
    play,
    replicas_after,
    side_by_side,
)

LIST, STREAM, READER = "jobs", "EVENTS", "runner"
SOON: Json = {
    "cooldownPeriod": 14,
    "behavior": {
        "scaleDown": {
            "stabilizationWindowSeconds": 5,
            "policies": [{"type": "Percent", "value": 100, "periodSeconds": 5}],
        }
    },
}


@pytest.fixture
def a_redis(tmp_path: Path, authority: Authority) -> Iterator[Redis]:
    (tmp_path / "redis").mkdir()
    server = Redis(tmp_path / "redis", authority)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def nats(tmp_path: Path, authority: Authority) -> Iterator[JetStream]:
    (tmp_path / "nats").mkdir()
    server = JetStream(tmp_path / "nats", authority)
    server.start()
    yield server
    server.stop()


def test_consumers_of_redis_and_nats_follow_what_waits_for_them_as_foretold(
    cluster: LocalCluster, namespace: str, a_redis: Redis, nats: JetStream, tmp_path: Path
) -> None:
    # TLS, a login, and an authority that only the Secret knows.
    ca = (a_redis.directory / "ca.crt").read_text()
    secret = a_secret("redis-credentials", namespace, username=USER, password=PASSWORD, ca=ca)
    of_redis = {
        "address": f"localhost:{a_redis.port}",
        "listName": LIST,
        "listLength": "10",
        "enableTLS": "true",
    }
    of_nats = {
        "natsServerMonitoringEndpoint": f"localhost:{nats.monitoring_port}",
        "account": "$G",
        "stream": STREAM,
        "consumer": READER,
        "lagThreshold": "10",
    }
    patterns = [
        a_consumer(
            "of-redis",
            by_keda("redis", of_redis, secret="redis-credentials", **SOON),
            namespace=namespace,
            backend="redis",
        ),
        a_consumer(
            "of-nats",
            by_keda("nats-jetstream", of_nats, **SOON),
            namespace=namespace,
            backend="nats",
        ),
    ]
    queues: dict[str, Queue] = {
        "of-redis": List(a_redis, LIST),
        "of-nats": Stream(nats, STREAM, READER),
    }
    story = Story(
        namespace,
        [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
            secret,
            *patterns,
        ],
        {
            "of-redis": {"queue": {"type": "redis", "name": LIST}},
            "of-nats": {"queue": {"type": "nats-jetstream", "name": f"{STREAM}/{READER}"}},
        },
        [Step(12, 25), Step(40, 200), Step(55)],
        ends_s=80,
    )

    real, simulated = play(story, cluster, queues), foretell(story, tmp_path)

    print(side_by_side(real, simulated))
    assert_alike(real, simulated)
    for course in real.values():
        assert replicas_after(course) == [0, 3, MOST, 0]
