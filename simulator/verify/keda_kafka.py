"""Recordings of KEDA's kafka trigger: ``e2e/oracle-keda``, TestKafkaVectors."""

from __future__ import annotations

from collections.abc import Mapping

from prism_operator.api.meta import Json
from simulator.autoscaling.keda.kafka import (
    BrokerError,
    BrokerFaults,
    KafkaConfig,
    KafkaTrigger,
    Lag,
    Partition,
)
from simulator.autoscaling.keda.metadata import MetadataError
from simulator.autoscaling.keda.triggers import external_metric
from simulator.verify.agreement import Agreement

NAME = "keda-kafka"
REQUIRED: Mapping[str, float] = {}


def recognises(case: Json) -> bool:
    """Whether a case is one of these recordings."""
    return {"metadata", "triggerIndex", "polls"} <= case.keys()


def replay(case: Json, agreement: Agreement) -> None:
    """Reads the metadata and looks at the broker as often as was recorded."""
    settings = {key: case[key] for key in ("metadata", "metricType", "triggerIndex")}
    compare = agreement.at(case["name"], "its metadata", settings)
    metric: Json | None = None
    try:
        config = KafkaConfig.parse(case["metadata"])
        metric = external_metric(
            "kafka", case["metadata"], case["metricType"], case["triggerIndex"]
        )
    except MetadataError:
        compare("configError", "configError" in case, True)
        compare("metric", case["metric"], None)
        return
    compare("configError", "configError" in case, False)
    named = {"name": metric["metric"]["name"], "target": metric["target"]}
    compare("metric", case["metric"], named)
    trigger = KafkaTrigger(config)
    for number, poll in enumerate(case["polls"]):
        lag = _look(trigger, poll)
        compare = agreement.at(case["name"], f"poll {number}", {**settings, "poll": poll})
        compare("value", poll["value"], None if lag is None else lag.value)
        compare("isActive", poll["isActive"], lag is not None and lag.is_active)


def _look(trigger: KafkaTrigger, poll: Json) -> Lag | None:
    partitions = [
        Partition(
            topic=p["topic"],
            number=p["partition"],
            earliest=p["earliest"],
            latest=p["latest"],
            committed=None if p["committed"] < 0 else p["committed"],
        )
        for p in poll["partitions"]
    ]
    fail, first = poll.get("fail", ""), partitions[0]
    faults = BrokerFaults(
        group=fail == "group",
        topics=frozenset({first.topic} if fail == "topic" else ()),
        partitions=frozenset({(first.topic, first.number)} if fail == "partition" else ()),
    )
    try:
        return trigger.look(partitions, faults)
    except BrokerError:
        return None
