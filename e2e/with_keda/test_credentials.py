"""Credentials from a Secret, for a server that asks for them."""

from __future__ import annotations

import json

from e2e.backend_servers import PASSWORD, USER, Kafka
from e2e.cluster import Json, LocalCluster
from e2e.stacks import assert_equal
from e2e.timeline import Timeline
from e2e.waiting import eventually, throughout
from e2e.with_keda.queues import Topic
from e2e.with_keda.story import POLL_S

TOPIC, GROUP = "guarded", "guarded-group"


def a_secret(kafka: Kafka, password: str) -> Json:
    ca = (kafka.directory / "ca.crt").read_text()
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "kafka-credentials"},
        "stringData": {"sasl": "plaintext", "username": USER, "password": password, "ca": ca},
    }


def a_consumer(kafka: Kafka) -> Json:
    trigger = {
        "type": "kafka",
        "metadata": {
            "bootstrapServers": f"localhost:{kafka.port}",
            "topic": TOPIC,
            "consumerGroup": GROUP,
            "lagThreshold": "10",
            "tls": "enable",
        },
        "authenticationRef": {"name": "kafka-credentials"},
    }
    scaling = {
        "enabled": True,
        "scaler": "keda",
        "minReplicas": 0,
        "maxReplicas": 6,
        "pollingInterval": POLL_S,
        "triggers": [trigger],
    }
    return {
        "apiVersion": "prism.io/v1alpha1",
        "kind": "PrismPattern",
        "metadata": {"name": "orders"},
        "spec": {
            "pattern": "consumer",
            "backend": "kafka",
            "image": "consumer:1",
            "replicas": 2,
            "autoscaling": scaling,
        },
    }


def test_a_wrong_password_is_told_and_a_right_one_noticed_without_a_restart(
    cluster: LocalCluster, namespace: str, kafka: Kafka
) -> None:
    Topic(kafka, TOPIC, GROUP, partitions=6).add(40)
    place = f"--namespace={namespace}"

    def apply(obj: Json) -> None:
        cluster.kubectl("apply", "--filename=-", place, stdin=json.dumps(obj))

    def scaler() -> Json:
        status = cluster.get("prismpattern", "orders", place).get("status", {})
        found = [c for c in status.get("conditions", []) if c["type"] == "ScalerReady"]
        assert found
        condition: Json = found[0]
        return condition

    def is_ready(status: str) -> None:
        assert scaler()["status"] == status, scaler()

    apply(a_secret(kafka, "wrong-word"))
    with Timeline(cluster, "orders", namespace) as seen:
        apply(a_consumer(kafka))
        eventually(lambda: is_ready("False"))
        assert "SASL Authentication failed" in scaler()["message"]
        told = json.dumps(cluster.get("prismpattern", "orders", place))
        assert "wrong-word" not in told
        throughout(lambda: assert_equal(seen.replicas, 2), for_s=3 * POLL_S)

        apply(a_secret(kafka, PASSWORD))

        eventually(lambda: assert_equal(seen.replicas, 4), within_s=90)
        eventually(lambda: is_ready("True"))
