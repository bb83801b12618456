"""What KEDA needs to know of a trigger, and what of it a trigger lacks.

Source: the metadata structs and Validate methods in ``pkg/scalers`` of KEDA 2.21. Types that are
not in the table are KEDA's to judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from prism_operator.api.autoscaling import Autoscaling, Trigger
from prism_operator.planning.resources.scaled_object import RESOURCE_TRIGGERS

_METRIC_TYPES: Final = ("Utilization", "AverageValue")


@dataclass(frozen=True, slots=True)
class _Need:
    """One of ``keys`` is in the metadata or, if ``or_secret``, perhaps among the credentials."""

    keys: tuple[str, ...]
    or_secret: bool = False


def _needs(*keys: str, or_secret: bool = False) -> tuple[_Need, ...]:
    return tuple(_Need((key,), or_secret) for key in keys)


_REDIS_ADDRESSES: Final = (
    "addresses",
    "hosts",
    "addressFromEnv",
    "addressesFromEnv",
    "hostFromEnv",
    "hostsFromEnv",
)
_POSTGRESQL_PARTS: Final = ("host", "port", "userName", "dbName", "sslmode")
_NEEDS: Final[Mapping[str, tuple[_Need, ...]]] = {
    "kafka": (
        _Need(("bootstrapServers", "bootstrapServersFromEnv")),
        _Need(("consumerGroup", "consumerGroupFromEnv")),
    ),
    "nats-jetstream": (
        *_needs("natsServerMonitoringEndpoint", or_secret=True),
        _Need(("account", "accountID"), or_secret=True),
        *_needs("stream", "consumer"),
    ),
    "aws-sqs-queue": (
        _Need(("queueURL", "queueURLFromEnv")),
        *_needs("awsRegion", or_secret=True),
    ),
    "rabbitmq": (
        *_needs("queueName"),
        _Need(("host", "hostFromEnv"), or_secret=True),
        _Need(("mode", "queueLength")),
        _Need(("value", "queueLength")),
    ),
    "redis": (
        *_needs("listName"),
        _Need(("address", "host", *_REDIS_ADDRESSES), or_secret=True),
    ),
    "postgresql": (
        *_needs("query", "targetQueryValue"),
        *(
            _Need((part, "connection", "connectionFromEnv"), or_secret=True)
            for part in _POSTGRESQL_PARTS
        ),
    ),
    "cpu": _needs("value"),
    "memory": _needs("value"),
    "cron": _needs("timezone", "start", "end", "desiredReplicas"),
    "prometheus": _needs("serverAddress", "query", "threshold"),
}


def problems_of(scaling: Autoscaling, path: str) -> list[str]:
    """What each trigger lacks, for people; ``path`` is that of the autoscaling section."""
    return [
        f"{path}.triggers[{index}] ({trigger.type}) {problem}"
        for index, trigger in enumerate(scaling.triggers)
        for problem in _problems(trigger)
    ]


def _problems(trigger: Trigger) -> list[str]:
    problems = []
    missing = [
        " or ".join(need.keys[:2])
        for need in _NEEDS.get(trigger.type, ())
        if not any(trigger.metadata.get(key) for key in need.keys)
        and not (need.or_secret and trigger.authentication_ref is not None)
    ]
    if missing:
        problems.append(f"lacks metadata: {', '.join(missing)}")
    if trigger.type in RESOURCE_TRIGGERS:
        metric_type = trigger.metric_type or trigger.metadata.get("type")
        if metric_type not in _METRIC_TYPES:
            problems.append(
                f"has metricType {metric_type or 'not set'}: use {' or '.join(_METRIC_TYPES)}"
            )
    return problems
