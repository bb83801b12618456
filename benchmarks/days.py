"""A day of a cluster that grows with its nodes, as a scenario: what S5 and S6 are measured on."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prism_operator.documents import Document
from simulator.scenario import LoadedScenario, Manifest, Scenario

NODES_A_HPA, NODES_A_KEDA_GROUP = 5, 10  # S5: 20 HPAs and 10 groups on 100 nodes
PODS_A_NODE, PODS_A_PATTERN = 20, 50


def day(
    nodes: int,
    *,
    minutes: int = 24 * 60,
    price: float = 0.0,
    timeline: Sequence[Mapping[str, Any]] = (),
) -> LoadedScenario:
    """20 pods a node on the mean; an HPA for every 5 nodes, a KEDA group for every 10.

    The other pods belong to patterns of constant size. Load has a
    day's course with Poisson noise, each workload with a peak of its own.
    """
    chance = random.Random(nodes)
    hpas, groups = nodes // NODES_A_HPA, nodes // NODES_A_KEDA_GROUP
    # HPAs come to 12 pods on the mean and groups to 10; the rest do not scale.
    fixed = max(0, nodes * PODS_A_NODE - 12 * hpas - 10 * groups)
    objects = [_pattern(f"fixed-{i:04d}", PODS_A_PATTERN) for i in range(fixed // PODS_A_PATTERN)]
    workloads: dict[str, Any] = {}
    for i in range(hpas):
        name = f"web-{i:04d}"
        objects.append(_pattern(name, 6, autoscaling=_CPU))
        cores = {"low": 0.9, "high": 2.7, "peak": _time_of_day(chance)}
        course = {"diurnal": cores, "noise": "poisson"}
        workloads[name] = {"target": f"PrismPattern/{name}", "cpu": {"cores": course}}
    for i in range(groups):
        name = f"queue-{i:04d}"
        objects.append(_pattern(name, 4, autoscaling=_lag(name)))
        course = {"low": 200, "high": 2800, "peak": _time_of_day(chance)}
        workloads[name] = {
            "target": f"PrismPattern/{name}",
            "kafka": {"topic": name, "group": name, "partitions": 24},
            "produce": {"diurnal": course, "noise": "poisson"},
            "consumer": {"rate": 200},
        }
    parsed = Scenario.model_validate(
        {
            "question": "How fast is a day simulated?",
            "seed": 1,
            "duration": f"{minutes}m",
            "cluster": {
                "pools": {"base": {"count": nodes, "allocatable": _ALLOCATABLE, "price": price}},
                "autoscaling": {"keda": True},
            },
            "timeline": list(timeline),
            "manifests": ["patterns"],
            "workloads": workloads,
            "expect": [{"atEnd": {"count": {"of": "PrismPattern", "ready": True, "atLeast": 1}}}],
        }
    )
    manifests = tuple(Manifest(obj, Document("generated", obj)) for obj in objects)
    return LoadedScenario(Path(f"day-of-{nodes}-nodes"), parsed, {"patterns": manifests})


_ALLOCATABLE = {"cpu": "16", "memory": "64Gi", "pods": "110"}
_REQUESTS = {"cpu": "250m", "memory": "256Mi"}
_CPU = {
    "enabled": True,
    "scaler": "hpa",
    "minReplicas": 2,
    "maxReplicas": 40,
    "targetCPUUtilizationPercentage": 60,
}


def _lag(name: str) -> dict[str, Any]:
    metadata = {
        "bootstrapServers": "kafka.default.svc.cluster.local:9092",
        "consumerGroup": name,
        "topic": name,
        "lagThreshold": "1000",
    }
    trigger = {"type": "kafka", "metadata": metadata}
    bounds = {"minReplicas": 1, "maxReplicas": 24}
    return {"enabled": True, "scaler": "keda", **bounds, "triggers": [trigger]}


def _pattern(
    name: str, replicas: int, *, autoscaling: dict[str, Any] | None = None
) -> dict[str, Any]:
    spec = {
        "pattern": "consumer",
        "backend": "memstore",
        "replicas": replicas,
        "resources": {"requests": _REQUESTS},
        **({} if autoscaling is None else {"autoscaling": autoscaling}),
    }
    metadata = {"name": name, "namespace": "default"}
    kind = {"apiVersion": "prism.io/v1alpha1", "kind": "PrismPattern"}
    return {**kind, "metadata": metadata, "spec": spec}


def _time_of_day(chance: random.Random) -> str:
    return f"{chance.randrange(24):02d}:{chance.randrange(0, 60, 5):02d}"
