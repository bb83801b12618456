"""What was decided in a cluster, read off its objects, simulated or real."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from prism_operator.api.meta import (
    CONFIG_MAP,
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    NODE,
    POD,
    POD_DISRUPTION_BUDGET,
    PRISM_RESOURCES,
    REPLICA_SET,
    ROLE,
    ROLE_BINDING,
    SCALED_OBJECT,
    SERVICE,
    SERVICE_ACCOUNT,
    TRIGGER_AUTHENTICATION,
    Json,
    ref_of,
)
from simulator.controllers.objects import is_true, node_of

READ = (
    *PRISM_RESOURCES,
    DEPLOYMENT,
    REPLICA_SET,
    SERVICE,
    SERVICE_ACCOUNT,
    CONFIG_MAP,
    ROLE,
    ROLE_BINDING,
    POD_DISRUPTION_BUDGET,
    HORIZONTAL_POD_AUTOSCALER,
    SCALED_OBJECT,
    TRIGGER_AUTHENTICATION,
    POD,
    NODE,
)
_OURS = ("app.kubernetes.io/part-of", "prism")
_PRISM = {resource.kind for resource in PRISM_RESOURCES}
_FIELDS: Mapping[str, tuple[tuple[str, str], ...]] = {
    DEPLOYMENT.kind: (
        ("spec", "replicas"),
        ("status", "readyReplicas"),
        ("status", "updatedReplicas"),
    ),
    HORIZONTAL_POD_AUTOSCALER.kind: (("spec", "minReplicas"), ("spec", "maxReplicas")),
    POD_DISRUPTION_BUDGET.kind: (
        ("status", "expectedPods"),
        ("status", "currentHealthy"),
        ("status", "desiredHealthy"),
        ("status", "disruptionsAllowed"),
    ),
}


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """A decision that is another in reality; ``explanation`` is empty where nothing explains it."""

    subject: str
    what: str
    simulated: str
    real: str
    explanation: str = ""


def decisions_of(objects: Iterable[Json]) -> dict[tuple[str, str], str]:
    """What was decided, by what it is about, and which of its sides."""
    found: dict[tuple[str, str], str] = {}
    waiting: Counter[str] = Counter()
    scheduled: Counter[str] = Counter()
    for obj in objects:
        if obj["kind"] == POD.kind:
            (scheduled if node_of(obj) else waiting)[workload_of(obj)] += 1
            continue
        subject = str(ref_of(obj))
        for what, value in _decided(obj):
            found[subject, what] = value
    for workload in {*waiting, *scheduled}:
        found[workload, "pods on nodes"] = str(scheduled[workload])
        found[workload, "pods that wait"] = str(waiting[workload])
    return found


def placed_of(objects: Iterable[Json]) -> dict[str, Counter[str]]:
    """How many pods of each workload are on which node."""
    found: dict[str, Counter[str]] = {}
    for obj in objects:
        if obj["kind"] == POD.kind and node_of(obj):
            found.setdefault(workload_of(obj), Counter())[node_of(obj)] += 1
    return found


def workload_of(pod: Json) -> str:
    """The Deployment of a pod, or what else made it, or itself."""
    meta = pod["metadata"]
    for owner in meta.get("ownerReferences") or ():
        if owner.get("controller"):
            kind, name = owner["kind"], owner["name"]
            template = (meta.get("labels") or {}).get("pod-template-hash")
            if kind == REPLICA_SET.kind and template:
                kind, name = DEPLOYMENT.kind, name.removesuffix(f"-{template}")
            return f"{kind} {meta['namespace']}/{name}"
    return f"{POD.kind} {meta['namespace']}/{meta['name']}"


def _decided(obj: Json) -> Iterator[tuple[str, str]]:
    kind = obj["kind"]
    labels = obj["metadata"].get("labels") or {}
    if labels.get(_OURS[0]) == _OURS[1] and kind != REPLICA_SET.kind:
        yield "made by the operator", "yes"
    for section, name in _FIELDS.get(kind, ()):
        yield name, str((obj.get(section) or {}).get(name) or 0)
    if kind in _PRISM:
        for condition in (obj.get("status") or {}).get("conditions") or ():
            told = f"{condition['status']}, {condition.get('reason') or 'no reason'}"
            yield f"condition {condition['type']}", told
    if kind == NODE.kind:
        yield "ready", str(is_true(obj, "Ready"))
        yield "cordoned", str(bool((obj.get("spec") or {}).get("unschedulable")))
