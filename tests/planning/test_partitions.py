"""A Kafka consumer with more pods than partitions is told so, where the partitions are known."""

from __future__ import annotations

from typing import Any

import pytest

from prism_operator.api.meta import PRISM_PATTERN, Json, Ref

from .builders import NAMESPACE, a_backend, a_pattern, condition
from .world import World

ORDERS = Ref(PRISM_PATTERN, NAMESPACE, "orders")
REMARK = "ReplicasExceedPartitions"
REFERENCE = {"name": "broker"}


def scaled(*topics: str, most: int = 10) -> Json:
    metadata = {"bootstrapServers": "kafka:9092", "consumerGroup": "g"}
    triggers = [{"type": "kafka", "metadata": {**metadata, "topic": topic}} for topic in topics]
    return {"maxReplicas": most, "triggers": triggers}


def inline(**kafka: Any) -> Json:
    return {"kafka": {"bootstrapServers": "kafka:9092", **kafka}}


def a_broker(**partitions: int) -> Json:
    backend = a_backend()
    topics = [{"name": name, "partitions": count} for name, count in partitions.items()]
    return {**backend, "status": {**backend.get("status", {}), "topics": topics}}


def remark(world: World) -> str | None:
    conditions = (world.plan(ORDERS).status or {}).get("conditions", [])
    return next((c["message"] for c in conditions if c["type"] == REMARK), None)


BY_CPU = {"maxReplicas": 10, "targetCPUUtilizationPercentage": 70}


@pytest.mark.parametrize(
    ("spec", "partitions", "said"),
    [
        ({"autoscaling": scaled("a"), "backendConfig": REFERENCE}, {"a": 4}, True),
        ({"autoscaling": scaled("a"), "backendConfig": REFERENCE}, {"a": 10}, False),
        ({"autoscaling": scaled("a", "b"), "backendConfig": REFERENCE}, {"a": 4, "b": 5}, True),
        ({"autoscaling": scaled("a", "b"), "backendConfig": REFERENCE}, {"a": 4, "b": 6}, False),
        # Not known of one: nothing is said.
        ({"autoscaling": scaled("a", "b"), "backendConfig": REFERENCE}, {"a": 4}, False),
        ({"autoscaling": scaled("a"), "backendConfig": REFERENCE}, {}, False),
        ({"autoscaling": scaled(""), "backendConfig": REFERENCE}, {"a": 4}, False),
        (
            {"autoscaling": scaled("a"), "backendConfig": inline(topics=["a"], partitions=4)},
            {},
            True,
        ),
        (
            {"autoscaling": scaled("a"), "backendConfig": inline(topics="a, b", partitions=4)},
            {},
            True,
        ),
        (
            {"autoscaling": scaled("a"), "backendConfig": inline(topic="a", partitions="4")},
            {},
            False,
        ),
        ({"autoscaling": scaled("a"), "backendConfig": inline(topics={"a": 1})}, {}, False),
        ({"autoscaling": scaled("a"), "backendConfig": {"kafka": "kafka:9092"}}, {}, False),
        # Scaled by CPU: a consumer idles as well, a producer does not.
        (
            {
                "autoscaling": BY_CPU,
                "backendConfig": inline(topics=["a"], consumerGroup="g", partitions=4),
            },
            {},
            True,
        ),
        ({"autoscaling": BY_CPU, "backendConfig": inline(topics=["a"], partitions=4)}, {}, False),
        ({"replicas": 10, "backendConfig": inline(topics=["a"], partitions=4)}, {}, False),
    ],
)
def test_the_remark_is_made_where_it_is_known_to_be_true(
    spec: Json, partitions: dict[str, int], said: bool
) -> None:
    world = World(a_pattern(**spec), a_broker(**partitions))

    assert (remark(world) is not None) == said


def test_it_names_the_numbers_and_what_to_do_and_ready_stands() -> None:
    world = World(a_pattern(autoscaling=scaled("a"), backendConfig=REFERENCE), a_broker(a=4))
    planned = world.plan(ORDERS)

    assert condition(planned, REMARK)["message"] == (
        "spec.autoscaling.maxReplicas is 10, and a consumer group has one reader for each "
        "partition (a has 4): beyond 4 replicas the rest idles, so lower maxReplicas or add "
        "partitions"
    )
    assert condition(planned, "Degraded")["status"] == "False"
    assert "MoreReplicasThanPartitions" in [event.reason for event in planned.events]


def test_it_is_over_when_partitions_were_added() -> None:
    world = World(a_pattern(autoscaling=scaled("a"), backendConfig=REFERENCE), a_broker(a=4))
    world.carry_out(world.plan(ORDERS))
    world.put(a_broker(a=12))

    assert condition(world.plan(ORDERS), REMARK)["status"] == "False"
