"""Scalers on a real API server, with its HorizontalPodAutoscaler controller and KEDA's CRDs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e import keda
from e2e.cluster import Cluster, Json, KubectlError
from e2e.operator_process import OperatorProcess
from e2e.waiting import eventually, throughout

SAMPLES = Path(__file__).parent.parent / "samples"
# The operator asks for a missing CRD every 30 to 37.5 s.
PROBED_S = 60.0
NAME = "orders"
KAFKA = {
    "type": "kafka",
    "metadata": {"bootstrapServers": "kafka:9092", "consumerGroup": "g", "topic": "t"},
}
# What the memo shows as generated from its proxy with an autoscaling section.
GENERATED_HPA = """
scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: prism-production-proxy}
minReplicas: 3
maxReplicas: 20
metrics:
- type: Resource
  resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}
- type: Resource
  resource: {name: memory, target: {type: Utilization, averageUtilization: 80}}
- type: Pods
  pods:
    metric: {name: http_requests_per_second}
    target: {type: AverageValue, averageValue: 1k}
- type: Pods
  pods:
    metric: {name: grpc_active_connections}
    target: {type: AverageValue, averageValue: "500"}
behavior:
  scaleDown:
    stabilizationWindowSeconds: 300
    policies:
    - {type: Percent, value: 50, periodSeconds: 60}
    - {type: Pods, value: 2, periodSeconds: 60}
    selectPolicy: Min
  scaleUp:
    stabilizationWindowSeconds: 0
    policies:
    - {type: Percent, value: 100, periodSeconds: 15}
    - {type: Pods, value: 4, periodSeconds: 15}
    selectPolicy: Max
"""


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


@pytest.fixture
def pattern(cluster: Cluster, namespace: str) -> Pattern:
    return Pattern(cluster, namespace)


def hpa(least: int = 2) -> dict[str, Any]:
    return {"minReplicas": least, "maxReplicas": 6, "targetCPUUtilizationPercentage": 70}


def with_keda(least: int = 2) -> dict[str, Any]:
    return {"minReplicas": least, "maxReplicas": 6, "triggers": [KAFKA]}


def test_the_generated_hpa_is_the_one_the_memo_shows(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    documents = yaml.safe_load_all((SAMPLES / "autoscaling-proxy-hpa.yaml").read_text())
    (stack,) = (d for d in documents if d["kind"] == "PrismStack")
    stack["metadata"]["namespace"] = namespace
    cluster.kubectl("apply", "--filename=-", stdin=json.dumps(stack))
    place = f"--namespace={namespace}"

    def is_there() -> None:
        cluster.get("horizontalpodautoscaler", "prism-production-proxy", place)

    eventually(is_there)
    found = cluster.get("horizontalpodautoscaler", "prism-production-proxy", place)
    assert found["spec"] == yaml.safe_load(GENERATED_HPA)


def test_the_number_of_an_hpa_survives_changes_and_its_end(
    pattern: Pattern, operator: OperatorProcess
) -> None:
    pattern.apply(replicas=4)
    pattern.until(lambda: pattern.replicas() == 4)

    pattern.apply(replicas=1, **hpa())
    pattern.until(lambda: pattern.exists("hpa"))
    throughout(lambda: _equal(pattern.replicas(), 4), for_s=2)

    # As its controller would, through the scale subresource.
    scale = ("scale", f"deployment/{NAME}", "--replicas=5", pattern.place)
    pattern.cluster.kubectl(*scale)
    pattern.apply(replicas=1, **hpa(least=3))
    throughout(lambda: _equal(pattern.replicas(), 5), for_s=2)

    pattern.apply(replicas=2)
    pattern.until(lambda: not pattern.exists("hpa"))
    pattern.until(lambda: pattern.replicas() == 2)


def test_a_foreign_hpa_is_yielded_to(pattern: Pattern, operator: OperatorProcess) -> None:
    pattern.apply(replicas=2)
    pattern.until(lambda: pattern.replicas() == 2)
    create = ("autoscale", f"deployment/{NAME}", "--name=theirs", "--max=9", "--min=3")
    pattern.cluster.kubectl(*create, "--cpu=50%", pattern.place)

    # Its controller lifts the number to its least one, and we leave it there.
    pattern.until(lambda: pattern.replicas() == 3, within_s=40)
    throughout(lambda: _equal(pattern.replicas(), 3), for_s=3)
    assert pattern.condition("ForeignScaler")["status"] == "True"


def test_keda_is_waited_for_and_used_once_it_is_there(
    pattern: Pattern, operator: OperatorProcess
) -> None:
    pattern.apply(replicas=3, **with_keda())
    pattern.until(lambda: pattern.condition("ScalerReady")["reason"] == "KedaNotInstalled")
    assert pattern.replicas() == 3

    with keda.installed(pattern.cluster):
        pattern.until(lambda: pattern.exists("scaledobject"), within_s=PROBED_S)
        assert pattern.replicas() == 3
        assert pattern.condition("ScalerReady")["status"] == "True"


def test_between_keda_and_hpa_there_is_never_more_than_one(
    pattern: Pattern, keda_crds: None, operator: OperatorProcess
) -> None:
    pattern.apply(replicas=3, **with_keda())
    pattern.until(lambda: pattern.exists("scaledobject"))
    # As KEDA does: until it lets go, its scaler is there.
    hold = '{"metadata": {"finalizers": ["finalizer.keda.sh/test"]}}'
    scaled = ("scaledobject", NAME, pattern.place, "--type=merge")
    pattern.cluster.kubectl("patch", *scaled, f"--patch={hold}")

    pattern.apply(replicas=3, **hpa())
    pattern.until(lambda: pattern.condition("ScalerReady")["reason"] == "WaitingForOldScaler")
    throughout(lambda: _equal(pattern.exists("hpa"), False), for_s=2)

    pattern.cluster.kubectl("patch", *scaled, '--patch={"metadata": {"finalizers": null}}')
    pattern.until(lambda: pattern.exists("hpa"))
    assert not pattern.exists("scaledobject")
    assert pattern.replicas() == 3

    pattern.apply(replicas=3, **with_keda())
    pattern.until(lambda: pattern.exists("scaledobject"))
    assert not pattern.exists("hpa")
    assert pattern.replicas() == 3


def test_a_secret_gets_a_trigger_authentication(
    pattern: Pattern, keda_crds: None, operator: OperatorProcess
) -> None:
    secret = ("create", "secret", "generic", "credentials", "--from-literal=username=u")
    pattern.cluster.kubectl(*secret, pattern.place)
    trigger = {**KAFKA, "authenticationRef": {"name": "credentials"}}

    pattern.apply(maxReplicas=6, triggers=[trigger])

    pattern.until(lambda: pattern.exists("scaledobject"))
    made = pattern.cluster.get("triggerauthentication", f"{NAME}-trigger-auth", pattern.place)
    assert made["spec"]["secretTargetRef"] == [
        {"parameter": "username", "name": "credentials", "key": "username"}
    ]


def _equal(one: object, other: object) -> None:
    assert one == other
