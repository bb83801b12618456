"""Credentials from a Secret, for a server that asks for them."""

from __future__ import annotations

import json

from e2e.backend_servers import PASSWORD, USER, Kafka
from e2e.cluster import Json, LocalCluster
from e2e.stacks import assert_equal
from e2e.timeline import Timeline
from e2e.waiting import eventually, throughout
from e2e.with_keda.patterns import a_consumer, a_secret, by_keda
from e2e.with_keda.queues import Topic
from e2e.with_keda.story import POLL_S

TOPIC, GROUP, SECRET = "guarded", "guarded-group", "kafka-credentials"


def test_a_wrong_password_is_told_and_a_right_one_noticed_without_a_restart(
    cluster: LocalCluster, namespace: str, kafka: Kafka
) -> None:
    Topic(kafka, TOPIC, GROUP, partitions=6).add(40)
    place = f"--namespace={namespace}"
    ca = (kafka.directory / "ca.crt").read_text()
    metadata = {
        "bootstrapServers": f"localhost:{kafka.port}",
        "topic": TOPIC,
        "consumerGroup": GROUP,
        "lagThreshold": "10",
        "tls": "enable",
    }
    scaling = by_keda("kafka", metadata, secret=SECRET)
    consumer = a_consumer("orders", scaling, namespace=namespace, replicas=2)

    def apply(obj: Json) -> None:
        cluster.kubectl("apply", "--filename=-", place, stdin=json.dumps(obj))

    def secret(password: str) -> Json:
        words = {"sasl": "plaintext", "username": USER, "password": password, "ca": ca}
        return a_secret(SECRET, namespace, **words)

    def scaler() -> Json:
        status = cluster.get("prismpattern", "orders", place).get("status", {})
        found = [c for c in status.get("conditions", []) if c["type"] == "ScalerReady"]
        assert found
        condition: Json = found[0]
        return condition

    def is_ready(status: str) -> None:
        assert scaler()["status"] == status, scaler()

    apply(secret("wrong-word"))
    with Timeline(cluster, "orders", namespace) as seen:
        apply(consumer)
        eventually(lambda: is_ready("False"))
        assert "SASL Authentication failed" in scaler()["message"]
        told = json.dumps(cluster.get("prismpattern", "orders", place))
        assert "wrong-word" not in told
        throughout(lambda: assert_equal(seen.replicas, 2), for_s=3 * POLL_S)

        apply(secret(PASSWORD))

        eventually(lambda: assert_equal(seen.replicas, 4), within_s=90)
        eventually(lambda: is_ready("True"))
