"""One PrismPattern whose scaler changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from e2e.cluster import Cluster, Json, KubectlError
from e2e.stacks import IMAGE
from e2e.waiting import eventually

NAME = "orders"
KAFKA = {
    "type": "kafka",
    "metadata": {"bootstrapServers": "kafka:9092", "consumerGroup": "g", "topic": "t"},
}


class Pattern:
    """One PrismPattern whose scaler changes."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.place = f"--namespace={namespace}"

    def apply(self, replicas: int = 1, **autoscaling: Any) -> None:
        scaling = {"autoscaling": autoscaling} if autoscaling else {}
        manifest = {
            "apiVersion": "prism.io/v1alpha1",
            "kind": "PrismPattern",
            "metadata": {"name": NAME},
            "spec": {
                "pattern": "consumer",
                "backend": "memstore",
                "image": IMAGE,
                "replicas": replicas,
                **scaling,
            },
        }
        self.cluster.kubectl("apply", "--filename=-", self.place, stdin=json.dumps(manifest))

    def replicas(self) -> int:
        found = self.cluster.get("deployment", NAME, self.place)
        return int(found["spec"]["replicas"])

    def condition(self, kind: str) -> Json:
        status = self.cluster.get("prismpattern", NAME, self.place).get("status", {})
        found = {c["type"]: c for c in status.get("conditions", [])}
        assert kind in found, f"no condition {kind} in {status}"
        condition: Json = found[kind]
        return condition

    def exists(self, kind: str) -> bool:
        try:
            self.cluster.get(kind, NAME, self.place)
        except KubectlError:
            return False
        return True

    def until(self, holds: Callable[[], bool], within_s: float = 20.0) -> None:
        def check() -> None:
            assert holds()

        eventually(check, within_s=within_s)


def hpa(least: int = 2) -> dict[str, Any]:
    return {"minReplicas": least, "maxReplicas": 6, "targetCPUUtilizationPercentage": 70}


def with_keda(least: int = 2) -> dict[str, Any]:
    return {"minReplicas": least, "maxReplicas": 6, "triggers": [KAFKA]}
