from __future__ import annotations

import pytest

from prism_operator.api.meta import Json
from prism_operator.api.pattern import PrismPattern
from prism_operator.api.stack import PrismStack
from prism_operator.planning.memo import parsed
from prism_operator.planning.placement_strategies import BackendPods
from prism_operator.planning.proximity import (
    backend_near_pattern,
    backends_near_stack,
    namespace_of,
)

from .builders import NAMESPACE, a_backend, a_pattern, a_stack

ADDRESSES = {
    "nats://nats.prism-system.svc.cluster.local:4222": "prism-system",
    "redis://user:word@redis.data.svc:6379/0": "data",
    "kafka-0.kafka.streams.svc:9092,kafka-1.kafka.streams.svc:9092": "streams",
    "postgres.data:5432": "data",
    "nats://nats:4222": "own",
    "NATS://Nats.Data.SVC": "data",
    "db.eu-west-1.rds.amazonaws.com:5432": None,
    "redis://10.0.0.7:6379": None,
    "localhost:6379": None,
    "": None,
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_namespace_of_a_service_is_read_off_its_host_name(address: str) -> None:
    assert namespace_of(address, "own") == ADDRESSES[address]


KAFKA = {"kafka": {"bootstrapServers": "kafka.streams.svc:9092", "topics": ["a.b"]}}
PATTERNS: dict[str, tuple[Json, Json | None, str | None]] = {
    "nothing is said": ({}, None, NAMESPACE),
    "inline": ({"backendConfig": KAFKA}, None, "streams"),
    "config": ({"config": {"kafkaUrl": "kafka://kafka.streams.svc"}}, None, "streams"),
    "outside": ({"config": {"kafkaUrl": "kafka://kafka.example.com"}}, None, None),
    "a list": ({"config": {"servers": ["10.0.0.1", "kafka.streams.svc"]}}, None, "streams"),
    "PrismBackend": ({}, a_backend(connection={"url": "kafka://kafka.streams.svc"}), "streams"),
    "PrismBackend with a Secret": (
        {},
        a_backend(connection={"secretRef": {"name": "s"}}, metadata={"namespace": "elsewhere"}),
        "elsewhere",
    ),
    "memstore is part of the runner": ({"backend": "memstore"}, None, None),
}


@pytest.mark.parametrize("case", PATTERNS)
def test_a_pattern_is_near_its_backend(case: str) -> None:
    spec, backend, namespace = PATTERNS[case]
    pattern = parsed(a_pattern(**spec), PrismPattern)

    expected = () if namespace is None else (BackendPods("kafka", namespace),)
    assert backend_near_pattern(pattern, backend) == expected


def test_a_stack_is_near_its_backends_in_the_cluster() -> None:
    backends = [
        {"name": "redis", "type": "cache", "connectionString": "redis://redis.data.svc"},
        {"name": "postgres", "type": "database", "secretRef": {"name": "s"}},
        {"name": "nats", "type": "messaging", "connectionString": "nats://nats.example.com"},
        {"name": "memstore", "type": "cache"},
    ]
    stack = parsed(a_stack(backends=backends), PrismStack)

    assert backends_near_stack(stack) == (
        BackendPods("postgres", NAMESPACE),
        BackendPods("redis", "data"),
    )
