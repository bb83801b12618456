"""KEDA and the HorizontalPodAutoscaler controller, as far as an operator notices them."""

from __future__ import annotations

from prism_operator.api.meta import (
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    SCALED_OBJECT,
    Json,
    Ref,
    Resource,
    ref_of,
    uid_of,
)
from simulator.autoscaling.keda.crds import keda_crds

from .world import World

FINALIZER = "finalizer.keda.sh"
NAMESPACE = "default"


def install(world: World) -> None:
    for crd in keda_crds():
        world.create(crd)


def scale(world: World, name: str, replicas: int) -> None:
    world.edit(Ref(DEPLOYMENT, NAMESPACE, name), {"spec": {"replicas": replicas}}, "scale")


def _serves_keda(world: World) -> bool:
    key = (SCALED_OBJECT.group, SCALED_OBJECT.version, SCALED_OBJECT.plural)
    return world.server.catalog.get(*key) is not None


def step(world: World, demand: int) -> None:
    """Lets KEDA, the HorizontalPodAutoscalers and the garbage collector act once."""
    if _serves_keda(world):
        for scaled in world.objects(SCALED_OBJECT):
            _step_keda(world, {**scaled, **_kind(SCALED_OBJECT)}, demand)
    for hpa in world.objects(HORIZONTAL_POD_AUTOSCALER):
        _step_hpa(world, {**hpa, **_kind(HORIZONTAL_POD_AUTOSCALER)}, demand)


def _step_keda(world: World, scaled: Json, demand: int) -> None:
    ref, name, spec = ref_of(scaled), scaled["metadata"]["name"], scaled["spec"]
    hpa = Ref(HORIZONTAL_POD_AUTOSCALER, NAMESPACE, f"keda-hpa-{name}")
    if scaled["metadata"].get("deletionTimestamp"):
        world.edit(ref, {"metadata": {"finalizers": []}})
        if world.get(hpa) is not None:
            world.delete(hpa)  # the garbage collector
        return
    if FINALIZER not in (scaled["metadata"].get("finalizers") or ()):
        world.edit(ref, {"metadata": {"finalizers": [FINALIZER]}})
    if world.get(hpa) is None:
        world.create(_hpa_of(scaled, hpa))
    replicas = _replicas(world, name)
    if replicas is None:
        return
    if demand == 0 and spec["minReplicaCount"] == 0:
        scale(world, name, 0)
    elif replicas == 0:
        scale(world, name, max(1, spec["minReplicaCount"]))


def _step_hpa(world: World, hpa: Json, demand: int) -> None:
    spec = hpa["spec"]
    replicas = _replicas(world, spec["scaleTargetRef"]["name"])
    if not replicas:
        return
    wanted = max(spec["minReplicas"], min(demand, spec["maxReplicas"]))
    if wanted != replicas:
        scale(world, spec["scaleTargetRef"]["name"], wanted)
    status = {"desiredReplicas": wanted, "currentReplicas": replicas, "currentMetrics": []}
    world.edit(ref_of(hpa), {"status": status}, "status")


def _hpa_of(scaled: Json, ref: Ref) -> Json:
    owner = {
        **_kind(SCALED_OBJECT),
        "name": scaled["metadata"]["name"],
        "uid": uid_of(scaled),
        "controller": True,
    }
    return {
        **_kind(HORIZONTAL_POD_AUTOSCALER),
        "metadata": {"name": ref.name, "namespace": ref.namespace, "ownerReferences": [owner]},
        "spec": {
            "scaleTargetRef": scaled["spec"]["scaleTargetRef"],
            "minReplicas": max(1, scaled["spec"]["minReplicaCount"]),
            "maxReplicas": scaled["spec"]["maxReplicaCount"],
        },
    }


def an_hpa(name: str, target: str) -> Json:
    return {
        **_kind(HORIZONTAL_POD_AUTOSCALER),
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
            "minReplicas": 1,
            "maxReplicas": 9,
        },
    }


def _replicas(world: World, name: str) -> int | None:
    deployment = world.get(Ref(DEPLOYMENT, NAMESPACE, name))
    return None if deployment is None else int(deployment["spec"]["replicas"])


def _kind(resource: Resource) -> Json:
    return {"apiVersion": resource.api_version, "kind": resource.kind}
