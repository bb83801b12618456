"""An HPA scales what asks for it, and its number is left to it."""

from __future__ import annotations

import json

import yaml

from e2e.cluster import Cluster
from e2e.promises.operator import Operator
from e2e.promises.samples import SAMPLES
from e2e.promises.scaled_pattern import NAME, Pattern, hpa
from e2e.stacks import assert_equal
from e2e.waiting import eventually, throughout

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


def test_the_generated_hpa_is_the_one_the_memo_shows(
    cluster: Cluster, namespace: str, operator: Operator
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
    pattern: Pattern, operator: Operator
) -> None:
    pattern.apply(replicas=4)
    pattern.until(lambda: pattern.replicas() == 4)

    pattern.apply(replicas=1, **hpa())
    pattern.until(lambda: pattern.exists("hpa"))
    throughout(lambda: assert_equal(pattern.replicas(), 4), for_s=2)

    # As its controller would, through the scale subresource.
    scale = ("scale", f"deployment/{NAME}", "--replicas=5", pattern.place)
    pattern.cluster.kubectl(*scale)
    pattern.apply(replicas=1, **hpa(least=3))
    throughout(lambda: assert_equal(pattern.replicas(), 5), for_s=2)

    pattern.apply(replicas=2)
    pattern.until(lambda: not pattern.exists("hpa"))
    pattern.until(lambda: pattern.replicas() == 2)


def test_a_foreign_hpa_is_yielded_to(pattern: Pattern, operator: Operator) -> None:
    pattern.apply(replicas=2)
    pattern.until(lambda: pattern.replicas() == 2)
    create = ("autoscale", f"deployment/{NAME}", "--name=theirs", "--max=9", "--min=3")
    pattern.cluster.kubectl(*create, "--cpu=50%", pattern.place)

    # Its controller lifts the number to its least one, and we leave it there.
    pattern.until(lambda: pattern.replicas() == 3, within_s=40)
    throughout(lambda: assert_equal(pattern.replicas(), 3), for_s=3)
    assert pattern.condition("ForeignScaler")["status"] == "True"
