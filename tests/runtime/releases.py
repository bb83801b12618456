"""The clusters that releases left behind, recorded so that later ones can be upgraded to in a test.

``make release-goldens VERSION=v0.2.0`` records those of the operator as it is now; they are never
written again. A file holds one cluster, an object a line, exactly as the API server stored it.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import structlog
import yaml

from prism_operator.api.meta import (
    DEPLOYMENT,
    PRISM_PATTERN,
    PRISM_STACK,
    SECRET,
    Json,
    Ref,
    Resource,
    ref_of,
)
from prism_operator.planning.settings import Settings
from prism_operator.runtime.operator import WATCHED

from . import keda
from .world import World

FOLDER = Path(__file__).parent / "releases"
SAMPLES = Path(__file__).parents[2] / "samples"
RECORDED: tuple[Resource, ...] = (*WATCHED, SECRET)
NAMESPACE = "default"
DEMAND = 4
# The key that v0.1.0 had everywhere; since then every installation has one of its own.
SETTINGS = Settings(hash_key=b"prism-operator")

KAFKA = {
    "type": "kafka",
    "metadata": {"bootstrapServers": "kafka:9092", "consumerGroup": "g", "topic": "t"},
}
HPA = {"minReplicas": 2, "maxReplicas": 6, "targetCPUUtilizationPercentage": 70}
KEDA = {"minReplicas": 2, "maxReplicas": 6, "triggers": [KAFKA]}
KEDA_WITH_SECRET = {**KEDA, "triggers": [{**KAFKA, "authenticationRef": {"name": "credentials"}}]}
BEHAVIOR = {"scaleDown": {"policies": [{"type": "Percent", "value": 50, "periodSeconds": 60}]}}
SCALINGS: dict[str, Json | None] = {
    "none": None,
    "hpa": HPA,
    "hpa-memory-behavior": {
        "minReplicas": 1,
        "maxReplicas": 3,
        "targetMemoryUtilizationPercentage": 80,
        "behavior": BEHAVIOR,
    },
    "keda": KEDA,
    "keda-secret": KEDA_WITH_SECRET,
    "keda-to-zero": {**KEDA, "minReplicas": 0},
}


def main() -> None:
    if len(sys.argv) != 2 or not re.fullmatch(r"v\d+\.\d+\.\d+", sys.argv[1]):
        sys.exit("which release? make release-goldens VERSION=v1.2.3")
    folder = FOLDER / sys.argv[1]
    if folder.exists():
        sys.exit(f"{folder} exists: what a release left behind does not change any more")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    clusters = {name: make() for name, make in sorted(cases().items())}
    folder.mkdir(parents=True)
    for name, world in clusters.items():
        lines = [json.dumps(obj, separators=(",", ":")) + "\n" for obj in _recorded(world)]
        (folder / f"{name}.jsonl").write_text("".join(lines))
    print(f"{len(clusters)} clusters in {folder}")


def cases() -> dict[str, Callable[[], World]]:
    """Every cluster to record, by name."""
    made: dict[str, Callable[[], World]] = {}
    for sample in sorted(SAMPLES.glob("*.yaml")):
        made[f"sample-{sample.stem}"] = lambda sample=sample: _converged(*_sample(sample))
    for name, scaling in SCALINGS.items():
        made[f"pattern-{name}"] = lambda s=scaling: _converged(_pattern(s), _credentials())
        made[f"stack-{name}"] = lambda s=scaling: _converged(_stack(s), _credentials())
    for name in ("none", "hpa", "keda-secret"):
        made[f"edited-{name}"] = lambda s=SCALINGS[name]: _edited(s)
    made["pattern-keda-absent"] = lambda: _converged(_pattern(KEDA), with_keda=False)
    made["pattern-restarted"] = _restarted
    return made


def load(path: Path) -> World:
    """A cluster as it was recorded, uids and managedFields included."""
    world = World()
    objects = [json.loads(line) for line in path.read_text().splitlines()]
    if any(obj["apiVersion"].startswith("keda.sh/") for obj in objects):
        keda.install(world)
    for obj in objects:
        kind = world.server.catalog.of(obj)
        assert kind is not None, obj["kind"]
        metadata = obj["metadata"]
        world.server.registry.store(kind, metadata.get("namespace", ""), obj)
    return world


def settle(world: World, settings: Settings = SETTINGS) -> None:
    """Lets the operator, the scalers and a rollout act until nothing is left to do."""
    operator = world.operator(settings=settings)
    for _ in range(6):
        world.run(operator, seconds=5)
        keda.step(world, DEMAND)
        for deployment in world.objects(DEPLOYMENT):
            _roll_out(world, {**deployment, **_kind(DEPLOYMENT)})
    world.run(operator, seconds=600)


def objects(world: World) -> Iterator[Json]:
    """Everything that a release must find again."""
    for resource in RECORDED:
        served = (resource.group, resource.version, resource.plural)
        if world.server.catalog.get(*served) is not None:
            for obj in world.objects(resource, NAMESPACE if resource.namespaced else ""):
                yield {**_kind(resource), **obj}


def _recorded(world: World) -> Iterator[Json]:
    for obj in objects(world):
        stored = {k: v for k, v in obj["metadata"].items() if k != "resourceVersion"}
        yield {**obj, "metadata": stored}


def _converged(*declared: Json, with_keda: bool = True) -> World:
    world = World()
    if with_keda:
        keda.install(world)
    for obj in declared:
        world.create(obj)
    settle(world)
    return world


def _edited(scaling: Json | None) -> World:
    """A stack whose objects were changed after they were created, and a budget that came later."""
    world = _converged(_stack(scaling), _credentials())
    stack = Ref(PRISM_STACK, NAMESPACE, "demo")
    world.edit(
        stack, {"spec": {"proxy": {"image": "proxy:2", "env": [{"name": "A", "value": ""}]}}}
    )
    settle(world)
    world.edit(stack, {"spec": {"proxy": {"replicas": 3}, "admin": {"replicas": 3}}})
    settle(world)
    return world


def _restarted() -> World:
    world = _converged(_pattern(None))
    deployment = Ref(DEPLOYMENT, NAMESPACE, "orders")
    stamp = {"kubectl.kubernetes.io/restartedAt": "2026-03-02T00:00:00Z", "injected": "yes"}
    world.edit(deployment, {"spec": {"template": {"metadata": {"annotations": stamp}}}})
    settle(world)
    return world


def _sample(path: Path) -> list[Json]:
    """What a sample declares, in one namespace, with the credentials it rightly does not hold."""
    documents = [obj for obj in yaml.safe_load_all(path.read_text()) if obj]
    declared = [obj for obj in documents if obj["kind"] != "Namespace"]
    for obj in declared:
        obj["metadata"]["namespace"] = NAMESPACE
    return [*declared, _secret("kafka-credentials"), _secret("aws-credentials")]


def _pattern(scaling: Json | None) -> Json:
    return {
        **_kind(PRISM_PATTERN),
        "metadata": {"name": "orders", "namespace": NAMESPACE},
        "spec": {
            "pattern": "consumer",
            "backend": "kafka",
            "replicas": 2,
            "config": {"retries": 3, "topics": ["a", "b"]},
            "backendConfig": {"kafka": {"bootstrapServers": "kafka:9092", "topics": ["t"]}},
            **_scaled(scaling),
        },
    }


def _stack(scaling: Json | None) -> Json:
    pattern: dict[str, Any] = {"type": "consumer", "backend": "kafka", "config": {"a": "b"}}
    return {
        **_kind(PRISM_STACK),
        "metadata": {"name": "demo", "namespace": NAMESPACE},
        "spec": {
            "proxy": {"replicas": 2, "placement": {"strategy": "Spot"}, **_scaled(scaling)},
            "admin": {"replicas": 3, "placement": {"strategy": "ControlPlaneIsolation"}},
            "patterns": [{"name": "orders", **pattern, **_scaled(scaling)}],
            "backends": [
                {"name": "kafka", "type": "queue", "secretRef": {"name": "credentials"}},
                {"name": "cache", "type": "cache", "connectionString": "redis://redis:6379"},
            ],
            "namespaces": [{"name": "acme", "namespaceId": "acme"}],
            "observability": {"enabled": True, "tracing": {"endpoint": "http://otel:4317"}},
        },
    }


def _scaled(scaling: Json | None) -> Json:
    return {} if scaling is None else {"autoscaling": {"enabled": True, **scaling}}


def _credentials() -> Json:
    return _secret("credentials", url="a2Fma2E6Ly9rYWZrYTo5MDky")


def _secret(name: str, **data: str) -> Json:
    return {
        **_kind(SECRET),
        "metadata": {"name": name, "namespace": NAMESPACE},
        "data": {"username": "cHJpc20=", "password": "c2VjcmV0", **data},
    }


def _roll_out(world: World, deployment: Json) -> None:
    replicas = deployment["spec"]["replicas"]
    counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    conditions = [
        {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
        {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
    ]
    status = {
        "observedGeneration": deployment["metadata"]["generation"],
        **dict.fromkeys(counts, replicas),
        "conditions": conditions,
    }
    world.edit(ref_of(deployment), {"status": status}, "status")


def _kind(resource: Resource) -> Json:
    return {"apiVersion": resource.api_version, "kind": resource.kind}


if __name__ == "__main__":
    main()
