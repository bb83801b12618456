"""Consumers scaled by a list of a real Redis and by a stream of a real NATS server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.backend_servers import PASSWORD, USER, Redis
from e2e.certificates import Authority
from e2e.cluster import Json, LocalCluster
from e2e.with_keda.queues import JetStream, List, Queue, Stream
from e2e.with_keda.story import (
    POLL_S,
    Step,
    Story,
    assert_alike,
    foretell,
    play,
    replicas_after,
    side_by_side,
)

LIST, STREAM, READER = "jobs", "EVENTS", "runner"
MOST = 6


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


def a_consumer(name: str, namespace: str, backend: str, trigger: Json) -> Json:
    return {
        "apiVersion": "prism.io/v1alpha1",
        "kind": "PrismPattern",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "pattern": "consumer",
            "backend": backend,
            "image": "consumer:1",
            "autoscaling": {
                "enabled": True,
                "scaler": "keda",
                "minReplicas": 0,
                "maxReplicas": MOST,
                "pollingInterval": POLL_S,
                "cooldownPeriod": 14,
                "triggers": [trigger],
                "behavior": {
                    "scaleDown": {
                        "stabilizationWindowSeconds": 5,
                        "policies": [{"type": "Percent", "value": 100, "periodSeconds": 5}],
                    }
                },
            },
        },
    }


def test_consumers_of_redis_and_nats_follow_what_waits_for_them_as_foretold(
    cluster: LocalCluster, namespace: str, a_redis: Redis, nats: JetStream, tmp_path: Path
) -> None:
    # TLS, a login, and an authority that only the Secret knows.
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "redis-credentials", "namespace": namespace},
        "stringData": {
            "username": USER,
            "password": PASSWORD,
            "ca": (a_redis.directory / "ca.crt").read_text(),
        },
    }
    of_redis = {
        "type": "redis",
        "metadata": {
            "address": f"localhost:{a_redis.port}",
            "listName": LIST,
            "listLength": "10",
            "enableTLS": "true",
        },
        "authenticationRef": {"name": "redis-credentials"},
    }
    of_nats = {
        "type": "nats-jetstream",
        "metadata": {
            "natsServerMonitoringEndpoint": f"localhost:{nats.monitoring_port}",
            "account": "$G",
            "stream": STREAM,
            "consumer": READER,
            "lagThreshold": "10",
        },
    }
    queues: dict[str, Queue] = {
        "of-redis": List(a_redis, LIST),
        "of-nats": Stream(nats, STREAM, READER),
    }
    story = Story(
        namespace,
        [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
            secret,
            a_consumer("of-redis", namespace, "redis", of_redis),
            a_consumer("of-nats", namespace, "nats", of_nats),
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
