"""The HPA's metrics of the trigger types that Prism's backends have."""

from typing import Any

import pytest

from simulator.autoscaling.keda.metadata import MetadataError
from simulator.autoscaling.keda.triggers import external_metric, metric_specs, sees_held

# Names and targets as GetMetricSpecForScaling of each scaler of KEDA 2.21 makes them.
OF_BACKENDS = [
    (
        "kafka",
        {"consumerGroup": "prism", "topic": "orders", "lagThreshold": "1000"},
        ("s2-kafka-orders", "1k"),
    ),
    (
        "nats-jetstream",
        {"stream": "EVENTS", "consumer": "prism-consumer", "lagThreshold": "100"},
        ("s2-nats-jetstream-EVENTS", "100"),
    ),
    (
        "aws-sqs-queue",
        {
            "queueURL": "https://sqs.us-east-1.amazonaws.com/123456789/orders-queue",
            "queueLength": "1000",
            "awsRegion": "us-east-1",
        },
        ("s2-aws-sqs-orders-queue", "1k"),
    ),
    ("rabbitmq", {"queueName": "a/b", "queueLength": "500"}, ("s2-rabbitmq-a-2Fb", "500")),
    ("redis", {"listName": "jobs:new"}, ("s2-redis-jobs-new", "5")),
    ("postgresql", {"query": "SELECT 1", "targetQueryValue": "2.5"}, ("s2-postgresql", "2500m")),
]


@pytest.mark.parametrize(("type_", "metadata", "expected"), OF_BACKENDS, ids=lambda v: str(v)[:16])
def test_metric_of_a_backend_is_named_as_keda_names_it(
    type_: str, metadata: dict[str, str], expected: tuple[str, str]
) -> None:
    metric = external_metric(type_, metadata, "", 2)

    name, target = expected
    assert metric["metric"]["name"] == name
    assert metric["target"] == {"type": "AverageValue", "averageValue": target}


def test_metrics_are_sorted_by_type_and_keep_the_index_of_their_trigger() -> None:
    triggers: list[dict[str, Any]] = [
        {"type": "cpu", "metadata": {"value": "80"}, "metricType": "Utilization"},
        {"type": "redis", "metadata": {"listName": "jobs"}},
    ]

    external, cpu = metric_specs(triggers, "default")

    assert external["external"]["metric"]["name"] == "s1-redis-jobs"
    assert cpu["resource"]["target"] == {"type": "Utilization", "averageUtilization": 80}


@pytest.mark.parametrize(
    ("trigger", "told"),
    [
        ({"type": "azure-queue", "metadata": {}}, '"azure-queue" is not simulated'),
        ({"type": "redis", "metadata": {}}, "listName is required"),
        ({"type": "redis", "metadata": {"listName": "a", "listLength": "few"}}, "no whole number"),
        ({"type": "cpu", "metadata": {"value": "80"}}, "metricType is Utilization or AverageValue"),
        (
            {"type": "kafka", "metadata": {"consumerGroup": "g"}, "metricType": "Utilization"},
            "metricType is Value or AverageValue",
        ),
    ],
)
def test_trigger_that_keda_or_the_simulator_cannot_use_is_refused(
    trigger: dict[str, Any], told: str
) -> None:
    with pytest.raises(MetadataError, match=told):
        metric_specs([trigger], "default")


@pytest.mark.parametrize(
    ("type_", "metadata", "expected"),
    [
        ("nats-jetstream", {}, True),
        ("postgresql", {}, True),
        ("redis", {}, False),
        ("aws-sqs-queue", {}, True),
        ("aws-sqs-queue", {"scaleOnInFlight": "false"}, False),
        ("rabbitmq", {"host": "http://rabbitmq:15672"}, True),
        ("rabbitmq", {"host": "http://rabbitmq:15672", "excludeUnacknowledged": "true"}, False),
        ("rabbitmq", {"host": "amqp://rabbitmq:5672"}, False),
        ("rabbitmq", {"protocol": "http"}, True),
        ("rabbitmq", {}, False),
    ],
)
def test_a_scaler_counts_what_pods_hold_where_its_source_does(
    type_: str, metadata: dict[str, str], expected: bool
) -> None:
    assert sees_held(type_, metadata) is expected


def test_a_rabbitmq_trigger_on_rates_has_no_model() -> None:
    with pytest.raises(MetadataError, match="MessageRate"):
        sees_held("rabbitmq", {"mode": "MessageRate", "host": "http://rabbitmq:15672"})
