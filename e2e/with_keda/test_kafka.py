"""The memo's consumer, scaled by the lag of a real topic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from e2e.backend_servers import PASSWORD, USER, Kafka
from e2e.cluster import Json, LocalCluster
from e2e.with_keda.patterns import a_secret
from e2e.with_keda.queues import Topic
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

SAMPLE = Path(__file__).parents[2] / "samples/autoscaling-consumer-keda.yaml"
NAMESPACE = "prism-system"
PARTITIONS = 6
# In place of the memo's periods of 10 s to 5 min.
COOLDOWN_S, WINDOW_S, PERIOD_S = 16, 6, 4


def the_memos_consumer(kafka: Kafka, name: str, topic: str, **autoscaling: Any) -> Json:
    """As in the memo, but for where the broker is, and sooner up and down."""
    documents = yaml.safe_load_all(SAMPLE.read_text())
    (pattern,) = (d for d in documents if d["kind"] == "PrismPattern")
    pattern["metadata"]["name"] = name
    scaling = pattern["spec"]["autoscaling"]
    (trigger,) = scaling["triggers"]
    trigger["metadata"] |= {
        "bootstrapServers": f"localhost:{kafka.login_port}",
        "topic": topic,
        "consumerGroup": f"{topic}-group",
    }
    down = {"type": "Percent", "value": 50, "periodSeconds": PERIOD_S}
    up = {"type": "Percent", "value": 100, "periodSeconds": PERIOD_S}
    scaling |= {
        "pollingInterval": POLL_S,
        "cooldownPeriod": COOLDOWN_S,
        "behavior": {
            "scaleDown": {"stabilizationWindowSeconds": WINDOW_S, "policies": [down]},
            "scaleUp": {"stabilizationWindowSeconds": 0, "policies": [up]},
        },
        **autoscaling,
    }
    result: Json = pattern
    return result


def test_the_memos_consumer_follows_its_lag_as_the_simulator_foretells(
    cluster: LocalCluster, kafka: Kafka, tmp_path: Path
) -> None:
    least = {"keeps-one": 1, "goes-to-zero": 0}
    queues = {name: Topic(kafka, name, f"{name}-group", PARTITIONS) for name in least}
    story = Story(
        NAMESPACE,
        [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
            a_secret("kafka-credentials", NAMESPACE, username=USER, password=PASSWORD),
            *(
                the_memos_consumer(kafka, name, name, minReplicas=number)
                for name, number in least.items()
            ),
        ],
        {
            name: {"kafka": {"topic": name, "group": f"{name}-group", "partitions": PARTITIONS}}
            for name in least
        },
        [Step(15, 3500), Step(40, 16500), Step(55)],
        ends_s=90,
    )

    real, simulated = play(story, cluster, queues), foretell(story, tmp_path)

    print(side_by_side(real, simulated))
    assert_alike(real, simulated)
    # The second lag is 20 times the threshold; a seventh consumer would have no partition.
    assert {name: replicas_after(course) for name, course in real.items()} == {
        "keeps-one": [1, 4, 6, 1],
        "goes-to-zero": [0, 4, 6, 0],
    }
