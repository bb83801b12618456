"""A cluster small enough to be obvious: carries plans out, adds what a real one adds, rolls out.

It has only what the planner's laws need: create, a server-side apply that keeps what others own,
delete, defaults, and Deployments that become complete when told to.
"""

from __future__ import annotations

import copy
import itertools
from typing import Any

from prism_operator.api.meta import (
    DEPLOYMENT,
    FIELD_MANAGER,
    PRISM_RESOURCES,
    SCALED_OBJECT,
    TRIGGER_AUTHENTICATION,
    Json,
    Ref,
    Resource,
    ref_of,
    uid_of,
)
from prism_operator.api.quantities import canonical_quantity
from prism_operator.planning import PLANNERS
from prism_operator.planning.observed import FrozenSnapshot, Observed
from prism_operator.planning.plan import Apply, Create, Delete, Emit, HandOver, Plan
from prism_operator.planning.settings import Settings

from .builders import NOW, SETTINGS

_LIST_KEYS = {
    "containers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "imagePullSecrets": "name",
    "ownerReferences": "uid",
}


KEDA = frozenset({SCALED_OBJECT, TRIGGER_AUTHENTICATION})


class World:
    """Objects by reference, and what the planners said on the way."""

    def __init__(
        self, *objects: Json, settings: Settings = SETTINGS, served: frozenset[Resource] = KEDA
    ) -> None:
        self.served = served
        self.objects: dict[Ref, Json] = {}
        self.applied: dict[Ref, Json] = {}
        self.handed_over: set[Ref] = set()
        self.settings = settings
        self.writes: list[str] = []
        self.events: list[tuple[Ref, Emit]] = []
        self.created: list[Json] = []
        self.versions = itertools.count(100)
        for obj in objects:
            self.put(obj)

    def put(self, obj: Json) -> None:
        """Stores an object that somebody wrote; a changed spec is a new generation."""
        obj = copy.deepcopy(obj)
        ref = ref_of(obj)
        metadata = obj["metadata"]
        old = self.objects.get(ref)
        metadata["resourceVersion"] = str(next(self.versions))
        if old is None:
            metadata.setdefault("uid", f"uid-of-{ref.resource.kind}-{ref.name}")
            metadata["generation"] = 1
        else:
            changed = _but(old, "metadata", "status") != _but(obj, "metadata", "status")
            metadata["generation"] = old["metadata"].get("generation", 1) + changed
        self.objects[ref] = obj

    def edit(self, ref: Ref, **spec: Any) -> None:
        """Changes fields of a spec; None removes one."""
        obj = copy.deepcopy(self.objects[ref])
        merged = {**obj["spec"], **spec}
        obj["spec"] = {key: value for key, value in merged.items() if value is not None}
        self.put(obj)

    def plan(self, ref: Ref) -> Plan:
        """What the planner says of one object now."""
        obj = self.objects[ref]
        snapshot = FrozenSnapshot(self.objects.values(), served=self.served)
        return PLANNERS[ref.resource](Observed(obj, snapshot), self.settings, NOW)

    def carry_out(self, plan: Plan) -> None:
        """Does what a plan says, in its order."""
        for write in plan.writes:
            self.writes.append(f"{type(write).__name__.lower()} {write.ref}")
            match write:
                case Create():
                    assert write.ref not in self.objects, f"{write.ref} exists"
                    self.created.append(write.obj)
                    self.put(_holding(with_defaults(write.obj), write.obj))
                case Apply():
                    live = self.objects[write.ref]
                    assert uid_of(live) == write.uid
                    before = self.applied[write.ref]
                    if write.ref in self.handed_over:
                        before = {**before, "spec": _but(before["spec"], "replicas")}
                        self.handed_over.discard(write.ref)
                    merged = with_defaults(server_side_apply(live, before, write.obj))
                    self.put(_holding(merged, write.obj))
                case HandOver():
                    live = self.objects[write.ref]
                    assert uid_of(live) == write.uid
                    assert live["metadata"]["resourceVersion"] == write.resource_version
                    self.handed_over.add(write.ref)
                    self.put({**live, "spec": {**live["spec"], "replicas": write.replicas}})
                    continue
                case Delete():
                    live = self.objects.pop(write.ref)
                    assert uid_of(live) == write.uid
                    assert live["metadata"]["resourceVersion"] == write.resource_version
                    continue
            self.applied[write.ref] = write.obj
        if plan.status is not None:
            self.writes.append(f"status {plan.ref}")
            self.put({**self.objects[plan.ref], "status": plan.status})
        for event in plan.events:
            self.writes.append(f"event {plan.ref}")
            self.events.append((plan.ref, event))

    def converge(self, *, rolling_out: bool = True, passes_max: int = 20) -> None:
        """Plans and carries out until no plan says anything new."""
        for _ in range(passes_max):
            busy = False
            for ref in sorted(r for r in self.objects if r.resource in PRISM_RESOURCES):
                if ref not in self.objects:
                    continue
                plan = self.plan(ref)
                busy = busy or not plan.is_empty
                self.carry_out(plan)
            self.collect_garbage()
            if rolling_out:
                busy = self.roll_out() or busy
            if not busy:
                return
        raise AssertionError(f"not settled after {passes_max} passes: {self.writes[-10:]}")

    def roll_out(self) -> bool:
        """Completes every Deployment; whether one was not."""
        busy = False
        for ref, obj in list(self.objects.items()):
            if ref.resource == DEPLOYMENT:
                status = complete(obj)
                if obj.get("status") != status:
                    busy = True
                    self.put({**obj, "status": status})
        return busy

    def collect_garbage(self) -> None:
        """Removes what belongs to owners that are gone."""
        uids = {uid_of(obj) for obj in self.objects.values()}
        for ref, obj in list(self.objects.items()):
            owners = obj["metadata"].get("ownerReferences") or []
            if owners and not any(owner["uid"] in uids for owner in owners):
                del self.objects[ref]


def _holding(obj: Json, applied: Json) -> Json:
    """``obj`` with a record of whether we hold its number of replicas."""
    fields = {"f:spec": {"f:replicas": {}}} if "replicas" in applied.get("spec", {}) else {}
    entry = {"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": fields}
    return {**obj, "metadata": {**obj["metadata"], "managedFields": [entry]}}


def complete(deployment: Json) -> Json:
    """The status of a Deployment whose newest spec is rolled out."""
    replicas = deployment["spec"]["replicas"]
    return {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": replicas,
        "updatedReplicas": replicas,
        "readyReplicas": replicas,
        "availableReplicas": replicas,
        "conditions": [
            {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
            {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
        ],
    }


def server_side_apply(live: Json, before: Json, new: Json) -> Json:
    """``live`` with ``new`` in it and without what only ``before`` had."""
    merged: Json = _merge(live, before, new, "")
    return merged


def with_defaults(obj: Json) -> Json:
    """What the API server makes of it: defaults, canonical quantities, dropped zero values."""
    obj = copy.deepcopy(obj)
    if obj["kind"] == "Service":
        obj["spec"].setdefault("clusterIP", "10.0.0.1")
        obj["spec"].setdefault("sessionAffinity", "None")
    if obj["kind"] == "Deployment":
        obj["metadata"].setdefault("annotations", {})["deployment.kubernetes.io/revision"] = "1"
        spec = obj["spec"]
        spec.setdefault("progressDeadlineSeconds", 600)
        strategy = spec.setdefault("strategy", {"type": "RollingUpdate"})
        if strategy["type"] == "RollingUpdate":
            rolling = strategy.setdefault("rollingUpdate", {})
            for bound in ("maxSurge", "maxUnavailable"):
                rolling.setdefault(bound, "25%")
        pod = spec["template"]["spec"]
        pod |= {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst"}
        pod.setdefault("terminationGracePeriodSeconds", 30)
        for item in pod["containers"]:
            item.setdefault("imagePullPolicy", "Always")
            item.setdefault("terminationMessagePath", "/dev/termination-log")
            for amounts in (item.get("resources") or {}).values():
                amounts |= {name: canonical_quantity(value) for name, value in amounts.items()}
            for entry in item.get("env") or ():
                if entry.get("value") == "":
                    del entry["value"]
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                for field, value in (("periodSeconds", 10), ("timeoutSeconds", 1)):
                    item.get(probe, {}).setdefault(field, value)
    return obj


def _merge(live: Any, before: Any, new: Any, name: str) -> Any:
    if isinstance(live, dict) and isinstance(new, dict):
        before = before if isinstance(before, dict) else {}
        kept = {key: value for key, value in live.items() if key in new or key not in before}
        changed = {key: _merge(live.get(key), before.get(key), new[key], key) for key in new}
        return {**kept, **changed}
    key = _LIST_KEYS.get(name)
    if key and isinstance(live, list) and isinstance(new, list):
        ours = {item[key]: item for item in new}
        lives = {item[key]: item for item in live}
        befores = {item[key]: item for item in before or ()}
        kept_items = [item for k, item in lives.items() if k not in ours and k not in befores]
        merged = [_merge(lives.get(k), befores.get(k), item, "") for k, item in ours.items()]
        return merged + kept_items
    return copy.deepcopy(new)


def _but(obj: Json, *fields: str) -> Json:
    return {key: value for key, value in obj.items() if key not in fields}
