"""Whether a consumer of Kafka topics may be scaled beyond what can have work.

Of a consumer group, each partition has one reader: more pods than partitions idle. How many there
are is told by the PrismBackend's status, or by ``partitions`` of inline ``backendConfig.kafka``.
"""

from __future__ import annotations

from typing import Any, Final

from prism_operator.api.backend import PrismBackend
from prism_operator.api.meta import Json
from prism_operator.api.pattern import PrismPattern
from prism_operator.planning.conditions import REPLICAS_EXCEED_PARTITIONS, Condition
from prism_operator.planning.memo import parsed, remembered

_KAFKA: Final = "kafka"


@remembered(entries=512)
def remarks_on_partitions(pattern: PrismPattern, backend: Json | None) -> list[Condition]:
    """A condition when maxReplicas exceeds the partitions of all topics the pattern consumes.

    Nothing is said while the partitions of one of them are not known.
    """
    scaling = pattern.spec.effective_autoscaling
    config = pattern.spec.backend_config
    inline = (config.inline if config is not None else {}).get(_KAFKA) or {}
    inline = inline if isinstance(inline, dict) else {}
    if scaling is None or scaling.max_replicas is None:
        return []
    topics = {t.metadata.get("topic", "") for t in scaling.triggers if t.type == _KAFKA}
    if inline.get("consumerGroup"):
        topics |= set(_names(inline))
    known = _partitions_in(backend)
    in_config = inline.get("partitions")
    if isinstance(in_config, int) and not isinstance(in_config, bool) and in_config > 0:
        known = {**dict.fromkeys(_names(inline), in_config), **known}  # what is there counts
    # A trigger without a topic reads all topics of its group.
    if not topics or not topics <= known.keys():
        return []
    partitions = sum(known[topic] for topic in topics)
    if scaling.max_replicas <= partitions:
        return []
    counts = ", ".join(f"{topic} has {known[topic]}" for topic in sorted(topics))
    told = (
        f"spec.autoscaling.maxReplicas is {scaling.max_replicas}, and a consumer group has one "
        f"reader for each partition ({counts}): beyond {partitions} replicas the rest idles, so "
        f"lower maxReplicas or add partitions"
    )
    return [Condition(REPLICAS_EXCEED_PARTITIONS, "True", "MoreReplicasThanPartitions", told)]


def _names(kafka: dict[str, Any]) -> list[str]:
    """The topics of an inline configuration, which has no schema."""
    topics = kafka.get("topics") or kafka.get("topic") or ()
    if isinstance(topics, str):
        return [name.strip() for name in topics.split(",") if name.strip()]
    return [topic for topic in topics if isinstance(topic, str)] if isinstance(topics, list) else []


def _partitions_in(backend: Json | None) -> dict[str, int]:
    if backend is None:
        return {}
    return {t.name: t.partitions for t in parsed(backend, PrismBackend).status.topics}
