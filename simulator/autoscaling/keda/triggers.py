"""The metrics of the HPA that KEDA makes of triggers (``GetMetricSpecForScaling`` of each scaler).

The table has the types of triggers that can be simulated; another one is refused, not ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias
from urllib.parse import quote_plus, urlsplit

from prism_operator.api.meta import Json, ReadOnlyJson
from prism_operator.api.quantities import canonical_quantity
from simulator.autoscaling.keda.kafka import KafkaConfig
from simulator.autoscaling.keda.metadata import (
    MetadataError,
    flag,
    integer,
    metric_name,
    number,
    required,
)

RESOURCES = ("cpu", "memory")
# The metadata that names the queue, and the one above which a trigger is active.
QUEUES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "aws-sqs-queue": (("queueURL",), "activationQueueLength"),
    "nats-jetstream": (("stream", "consumer"), "activationLagThreshold"),
    "postgresql": (("query",), "activationTargetQueryValue"),
    "rabbitmq": (("queueName",), "activationValue"),
    "redis": (("listName",), "activationListLength"),
}
# What a scenario can play; of the others only the metric is known.
MODELLED: Final = tuple(sorted((*QUEUES, *RESOURCES, "cron", "kafka", "prometheus")))

# Name of the metric without the trigger's index, and the target.
_Read: TypeAlias = Callable[[Mapping[str, str], str], tuple[str, float]]


def metric_specs(triggers: Sequence[ReadOnlyJson], namespace: str) -> list[Json]:
    """The HPA's metrics, sorted by type as KEDA sorts them. Raises MetadataError."""
    specs = [_metric_spec(trigger, index, namespace) for index, trigger in enumerate(triggers)]
    return sorted(specs, key=lambda spec: str(spec["type"]))


def external_metric(
    type_: str, metadata: Mapping[str, str], metric_type: str, index: int, namespace: str = ""
) -> Json:
    """The external metric of one trigger. Raises MetadataError."""
    if metric_type not in ("", "AverageValue", "Value"):
        raise MetadataError("metricType", f"is Value or AverageValue, not {metric_type}")
    read = _EXTERNAL.get(type_)
    if read is None:
        raise MetadataError("type", f'"{type_}" is not simulated; known: {", ".join(_EXTERNAL)}')
    name, target = read(metadata, namespace)
    kind = metric_type or "AverageValue"
    quantity = canonical_quantity(f"{target:.3f}" if target >= 0 else 0)
    field = kind[0].lower() + kind[1:]
    return {
        "metric": {"name": metric_name(index, name)},
        "target": {"type": kind, field: quantity},
    }


def sees_held(type_: str, metadata: Mapping[str, str]) -> bool:
    """Whether the scaler of a queue counts messages that pods hold and have not acknowledged.

    RabbitMQ tells of them over HTTP alone; a host that is not in the metadata is taken for AMQP.
    Raises MetadataError.
    """
    if type_ == "aws-sqs-queue":
        return flag(metadata, "scaleOnInFlight", default=True)
    if type_ == "rabbitmq":
        mode = metadata.get("mode", "QueueLength")
        if mode != "QueueLength":
            raise MetadataError("mode", f'"{mode}" has no model in scenarios')
        protocol = metadata.get("protocol", "auto")
        if protocol == "auto":
            protocol = urlsplit(metadata.get("host", "")).scheme
        return protocol.startswith("http") and not flag(metadata, "excludeUnacknowledged")
    # What is popped from a Redis list is in it no more; a query sees rows that are locked.
    return type_ != "redis"


def _metric_spec(trigger: ReadOnlyJson, index: int, namespace: str) -> Json:
    type_, metadata = trigger["type"], trigger.get("metadata") or {}
    metric_type = trigger.get("metricType", "")
    if type_ in ("cpu", "memory"):
        return _resource(type_, metadata, metric_type)
    external = external_metric(type_, metadata, metric_type, index, namespace)
    return {"type": "External", "external": external}


def _resource(name: str, metadata: Mapping[str, str], metric_type: str) -> Json:
    value = required(metadata, "value")
    target: Json = {"type": metric_type}
    if metric_type == "Utilization":
        target["averageUtilization"] = integer(metadata, "value", 0)
    elif metric_type == "AverageValue":
        target["averageValue"] = canonical_quantity(value)
    else:
        raise MetadataError("metricType", f"is Utilization or AverageValue, not {metric_type}")
    source: Json = {"name": name, "target": target}
    container = metadata.get("containerName", "")
    if not container:
        return {"type": "Resource", "resource": source}
    return {
        "type": "ContainerResource",
        "containerResource": {**source, "container": container},
    }


def _kafka(metadata: Mapping[str, str], _: str) -> tuple[str, float]:
    config = KafkaConfig.parse(metadata)
    return f"kafka-{config.topic or f'{config.group}-topics'}", config.lag_threshold


def _cron(metadata: Mapping[str, str], _: str) -> tuple[str, float]:
    start, end = (_crontab(required(metadata, key)) for key in ("start", "end"))
    return f"cron-{required(metadata, 'timezone')}-{start}-{end}", 1


def _crontab(text: str) -> str:
    for found, replaced in ((" ", ""), ("*", "x"), ("/", "Sl"), ("?", "Qm"), (",", "Cm")):
        text = text.replace(found, replaced)
    return text


def _prometheus(metadata: Mapping[str, str], _: str) -> tuple[str, float]:
    required(metadata, "threshold")
    return "prometheus", number(metadata, "threshold", 0)


def _workload(metadata: Mapping[str, str], namespace: str) -> tuple[str, float]:
    required(metadata, "value")
    return f"workload-{namespace}", number(metadata, "value", 0)


def _metrics_api(metadata: Mapping[str, str], _: str) -> tuple[str, float]:
    required(metadata, "targetValue")
    return f"metric-api-{required(metadata, 'valueLocation')}", number(metadata, "targetValue", 0)


def _nats_jetstream(metadata: Mapping[str, str], _: str) -> tuple[str, float]:
    required(metadata, "consumer")
    name = f"nats-jetstream-{required(metadata, 'stream')}"
    return name, integer(metadata, "lagThreshold", 10)


def _sqs(metadata: Mapping[str, str], _: str) -> tuple[str, float]:
    # A URL ends in the queue's name; what is no URL is the name itself.
    queue = required(metadata, "queueURL")
    path = urlsplit(queue).path
    return f"aws-sqs-{path.rpartition('/')[2] or queue}", integer(metadata, "queueLength", 5)


def _rabbitmq(metadata: Mapping[str, str], _: str) -> tuple[str, float]:
    target = number(metadata, "value", number(metadata, "queueLength", 0))
    return f"rabbitmq-{quote_plus(required(metadata, 'queueName'))}", target


def _redis(metadata: Mapping[str, str], _: str) -> tuple[str, float]:
    return f"redis-{required(metadata, 'listName')}", integer(metadata, "listLength", 5)


def _postgresql(metadata: Mapping[str, str], _: str) -> tuple[str, float]:
    required(metadata, "query")
    return "postgresql", number(metadata, "targetQueryValue", 0)


_EXTERNAL: Final[Mapping[str, _Read]] = {
    "kafka": _kafka,
    "nats-jetstream": _nats_jetstream,
    "aws-sqs-queue": _sqs,
    "rabbitmq": _rabbitmq,
    "redis": _redis,
    "postgresql": _postgresql,
    "cron": _cron,
    "prometheus": _prometheus,
    "kubernetes-workload": _workload,
    "metrics-api": _metrics_api,
}
