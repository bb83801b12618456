"""Recordings of the Deployment, ReplicaSet and disruption controllers: TestRolloutVectors.

They are replayed in a minimal API server. It is what stood around the real controllers when they
were recorded: resource versions and conflicts, generations, status apart from spec, graceful
deletion, whole-second timestamps with a serial below the second in creationTimestamp, so that
nothing is left to the order of a map.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import Any

from prism_operator.api.meta import (
    DEPLOYMENT,
    POD,
    POD_DISRUPTION_BUDGET,
    REPLICA_SET,
    Json,
    Ref,
    Resource,
    controller_uid_of,
    ref_of,
    uid_of,
)
from prism_operator.ports import Reason
from simulator.controllers.deployment import DeploymentController
from simulator.controllers.disruption import DisruptionController
from simulator.controllers.objects import condition, is_deleting, labels_of, phase, unix_ns
from simulator.controllers.replicaset import ReplicaSetController
from simulator.controllers.world import Change, RefusedError
from simulator.verify.agreement import Agreement

NAME = "rollout"
INSTANTS, FINAL = "instants", "final state"
REQUIRED: Mapping[str, float] = {INSTANTS: 0.99}

T0_S = 946_684_800  # 2000-01-01, when recordings begin
T0 = "2000-01-01T00:00:00"
NAMESPACE, APP = "default", "runner"


def recognises(case: Json) -> bool:
    """Whether a case is one of these recordings."""
    return {"fates", "inputs", "timeline", "until"} <= case.keys()


def replay(case: Json, agreement: Agreement) -> None:
    """Compares the timeline instant by instant, and where it ends."""
    ours, recorded = timeline_of(case), case["timeline"]
    ours_at = {step["t"]: step for step in ours}
    recorded_at = {step["t"]: step for step in recorded}
    inputs = {key: case[key] for key in ("spec", "pdb", "inputs")}
    for t in sorted(ours_at.keys() | recorded_at.keys()):
        compare = agreement.at(case["name"], f"t={t:g}", inputs)
        compare(INSTANTS, recorded_at.get(t), ours_at.get(t))
    compare = agreement.at(case["name"], "the end", inputs)
    compare(FINAL, _last_state(recorded), _last_state(ours))


def _last_state(timeline: list[Json]) -> Json:
    """What the steps of a timeline, each with only what changed, add up to."""
    state: Json = {"replicaSets": {}}
    for step in timeline:
        state["replicaSets"] |= step.get("replicaSets", {})
        state |= {part: step[part] for part in ("deployment", "pdb") if part in step}
    return state


def us(seconds: float) -> int:
    """Recorded seconds, which have whole milliseconds, as microseconds."""
    return round(seconds * 1000) * 1000


class RecordedWorld:
    """``World`` for the controllers; also the kubelet and the clock."""

    def __init__(self, case: Json) -> None:
        self.case, self.now_us = case, 0
        self.objects: dict[Ref, Json] = {}
        self.created: list[str] = []
        self.deleted: list[str] = []
        self.template_of: dict[Ref, int] = {}
        self._made: dict[int, int] = {}
        self._version = self._serial = 0
        self._pod_events: list[tuple[int, str, int, Any]] = []
        self._pods_of: dict[str, dict[str, Ref]] = {}
        self._by_resource: dict[Resource, dict[Ref, Json]] = {}
        self.deployments = DeploymentController(self)
        self.replica_sets = ReplicaSetController(self, self.template_of)
        self.budgets = DisruptionController(self)

    # World

    def unix_us(self) -> int:
        """See ``World``."""
        return T0_S * 1_000_000 + self.now_us

    def get(self, ref: Ref) -> Json | None:
        """See ``World``."""
        return self.objects.get(ref)

    def list(self, resource: Resource, namespace: str = "") -> Sequence[Json]:  # noqa: ARG002 - one namespace
        """See ``World``."""
        return list(self._by_resource.get(resource, {}).values())

    def controlled_by(self, uid: str, resource: Resource) -> Sequence[Json]:
        """See ``World``."""
        if resource == POD:
            return [self.objects[r] for _, r in sorted(self._pods_of.get(uid, {}).items())]
        mine = (o for o in self.list(resource) if controller_uid_of(o) == uid)
        return sorted(mine, key=uid_of)

    def orphans(self, resource: Resource, namespace: str) -> Sequence[Json]:
        """See ``World``."""
        if resource == POD:
            refs = self._pods_of.get("", {}).values()
            return [self.objects[ref] for ref in sorted(refs)]
        return [o for o in self.list(resource, namespace) if controller_uid_of(o) is None]

    def pods_with(self, namespace: str, labels: Mapping[str, str]) -> Sequence[Json]:
        """See ``World``."""
        pods = self.list(POD, namespace)
        return [pod for pod in pods if labels.items() <= labels_of(pod).items()]

    def event(self, about: Json, type_: str, reason: str, message: str) -> None:
        """See ``World``; nobody reads Events here."""

    def create(self, obj: Json) -> Json:
        """See ``World``."""
        self._serial += 1
        meta = {**obj["metadata"], "uid": f"u{self._serial:06d}", "generation": 1}
        if obj["kind"] == "Pod":
            meta |= self._begin_pod(obj)
        ref = ref_of({**obj, "metadata": meta})
        if ref in self.objects:
            raise RefusedError(Reason.ALREADY_EXISTS, f"{ref} already exists")
        if obj["kind"] == "ReplicaSet":
            image = obj["spec"]["template"]["spec"]["containers"][0]["image"]
            self.template_of[ref] = int(image.removeprefix("app:"))
        second = self.now_us // 1_000_000
        whole = f"2000-01-01T00:{second // 60:02d}:{second % 60:02d}"
        meta["creationTimestamp"] = f"{whole}.{self._serial:09d}Z"
        status = {"phase": "Pending"} if obj["kind"] == "Pod" else {}
        return self._store(ref, {**obj, "metadata": meta, "status": status})

    def update(self, obj: Json, subresource: str = "") -> Json:
        """See ``World``."""
        ref = ref_of(obj)
        old = self.objects.get(ref)
        if old is None or uid_of(old) != uid_of(obj):
            raise RefusedError(Reason.NOT_FOUND, f"{ref} not found")
        if obj["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"]:
            raise RefusedError(Reason.CONFLICT, f"{ref} has been modified")
        if ref.resource == POD:
            new = obj
        elif subresource == "status":
            new = {**obj, "spec": old["spec"]}
        else:
            new = {**obj, "status": old["status"]}
        if new["spec"] != old["spec"] and ref.resource != POD:
            generation = old["metadata"]["generation"] + 1
            new = {**new, "metadata": {**new["metadata"], "generation": generation}}
        return old if new == old else self._store(ref, new)

    def delete(self, ref: Ref, uid: str) -> None:  # noqa: ARG002 - nothing comes back under its name
        """See ``World``."""
        old = self.objects.get(ref)
        if old is None:
            raise RefusedError(Reason.NOT_FOUND, f"{ref} not found")
        if ref.resource == POD:
            if is_deleting(old):
                return
            self.deleted.append(ref.name)
            if old["spec"].get("nodeName") and phase(old) != "Failed":
                leave = self._fate(ref.name)["leave"]
                gone = dict(old["metadata"], deletionTimestamp=f"{T0}Z")
                self._store(ref, {**old, "metadata": gone})
                self._plan(uid_of(old), leave, 1 << 30, None)
                return
        self._remove(ref)
        if ref.resource == REPLICA_SET:  # the garbage collector
            for pod in sorted(self.list(POD), key=lambda p: _number(p["metadata"]["name"])):
                if controller_uid_of(pod) == uid_of(old):
                    self.delete(ref_of(pod), uid_of(pod))

    # Storage

    def _store(self, ref: Ref, obj: Json) -> Json:
        self._version += 1
        stored = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self._version)}}
        old = self.objects.get(ref)
        self.objects[ref] = stored
        self._by_resource.setdefault(ref.resource, {})[ref] = stored
        if ref.resource == POD:
            self._pods_of.setdefault(controller_uid_of(stored) or "", {})[uid_of(stored)] = ref
        self._tell(Change(ref, old, stored))
        return stored

    def _remove(self, ref: Ref) -> None:
        old = self.objects.pop(ref)
        del self._by_resource[ref.resource][ref]
        if ref.resource == POD:
            del self._pods_of[controller_uid_of(old) or ""][uid_of(old)]
        self._tell(Change(ref, old, None))

    def _tell(self, change: Change) -> None:
        for controller in (self.deployments, self.replica_sets, self.budgets):
            controller.changed(change)

    # Pods

    def _begin_pod(self, pod: Json) -> Json:
        live = sum(phase(p) != "Failed" for p in self.list(POD))
        if self.case.get("podLimit") and live >= self.case["podLimit"]:
            raise RefusedError(Reason.FORBIDDEN, "exceeded quota")
        owner = pod["metadata"]["ownerReferences"][0]["name"]
        i = self.template_of[Ref(REPLICA_SET, NAMESPACE, owner)]
        k = self._made.get(i, 0)
        self._made[i] = k + 1
        self.created.append(f"{i}-{k}")
        uid = f"{i:03d}-{k:06d}"
        self._live(uid, self._fate(f"{i}-{k}"))
        return {"name": f"{i}-{k}", "uid": uid}

    def _fate(self, name: str) -> Json:
        i, k = _number(name)
        fates: list[Json] = self.case["fates"][i]
        return fates[k % len(fates)]

    def _live(self, uid: str, fate: Json) -> None:
        steps: list[tuple[float, Any]] = []
        if fate["schedule"] is not None:
            steps.append((fate["schedule"], {"node": fate["node"]}))
            if fate["run"] is not None:
                steps.append((fate["run"], {"phase": "Running", "restarts": 0, "ready": False}))
                if fate["ready"] is not None:
                    at = fate["ready"]
                    steps.append((at, {"ready": True}))
                    for crash in range(fate.get("crashes", 0)):
                        at += fate["up"]
                        steps.append((at, {"restarts": crash + 1, "ready": False}))
                        at += fate["down"]
                        steps.append((at, {"ready": True}))
        if fate.get("fail") is not None:
            steps.append((fate["fail"], {"phase": "Failed", "ready": False}))
        for n, (after, change) in enumerate(steps):
            self._plan(uid, after, n, change)

    def _plan(self, uid: str, after: float, n: int, change: Any) -> None:
        heapq.heappush(self._pod_events, (self.now_us + us(after), uid, n, change))

    def next_pod_event_us(self) -> int | None:
        """When something next happens to a pod."""
        return self._pod_events[0][0] if self._pod_events else None

    def let_pods_live(self) -> bool:
        """Everything that is due happens to pods; whether anything was due."""
        some = False
        while self._pod_events and self._pod_events[0][0] <= self.now_us:
            some = True
            _, uid, _, change = heapq.heappop(self._pod_events)
            i, k = (int(n) for n in uid.split("-"))
            ref = Ref(POD, NAMESPACE, f"{i}-{k}")
            pod = self.objects.get(ref)
            if pod is None:
                continue
            if change is None:
                self._remove(ref)
            elif not is_deleting(pod) and phase(pod) != "Failed":
                self.update(self._changed_pod(pod, change))
        return some

    def _changed_pod(self, pod: Json, change: Json) -> Json:
        status, spec = dict(pod["status"]), pod["spec"]
        if "node" in change:
            spec = {**spec, "nodeName": change["node"]}
        if "phase" in change:
            status["phase"] = change["phase"]
        if "restarts" in change:
            status["containerStatuses"] = [{"name": "app", "restartCount": change["restarts"]}]
        if "ready" in change:
            second = self.now_us // 1_000_000
            ready = {
                "type": "Ready",
                "status": str(change["ready"]),
                "lastTransitionTime": f"2000-01-01T00:{second // 60:02d}:{second % 60:02d}Z",
            }
            status["conditions"] = [ready]
        return {**pod, "spec": spec, "status": status}

    # Replay

    def settle(self) -> None:
        """Syncs run one at a time until nothing is left to do at this instant."""
        for _ in range(5000):
            if not (
                self.deployments.sync_next()
                or self.replica_sets.sync_next()
                or self.budgets.sync_next()
            ):
                return
        raise AssertionError(f"no rest at {self.now_us / 1e6}")

    def next_us(self) -> int | None:
        """When there will be something to do without another input."""
        queues = (self.deployments.queue, self.replica_sets.queue, self.budgets.queue)
        dues = [q.next_due_us() for q in queues]
        relative = [d - T0_S * 1_000_000 for d in dues if d is not None]
        return min([*relative, *filter(None, [self.next_pod_event_us()])], default=None)


def _number(name: str) -> tuple[int, int]:
    i, _, k = name.partition("-")
    return int(i), int(k)


def deployment_spec(recorded: Json) -> Json:
    """A recorded spec with the template that its number stands for."""
    template = {
        "metadata": {"labels": {"app": APP}},
        "spec": {"containers": [{"name": "app", "image": f"app:{recorded['template']}"}]},
    }
    kept = {k: v for k, v in recorded.items() if k != "template"}
    return {**kept, "selector": {"matchLabels": {"app": APP}}, "template": template}


DEPLOYMENT_REF = Ref(DEPLOYMENT, NAMESPACE, APP)
BUDGET_REF = Ref(POD_DISRUPTION_BUDGET, NAMESPACE, APP)


def _whole(ref: Ref, spec: Json) -> Json:
    return {
        "apiVersion": ref.resource.api_version,
        "kind": ref.resource.kind,
        "metadata": {"name": ref.name, "namespace": ref.namespace},
        "spec": spec,
    }


def timeline_of(case: Json) -> list[Json]:
    """The timeline that our controllers make of a recorded case."""
    world = RecordedWorld(case)
    if case["pdb"]:
        world.create(_whole(BUDGET_REF, case["pdb"]))
    world.create(_whole(DEPLOYMENT_REF, deployment_spec(case["spec"])))
    inputs, end_us = list(case["inputs"]), us(case["until"])
    last: Json = {"deployment": {}, "replicaSets": {}, "pdb": None}
    timeline = []
    while world.now_us < end_us:
        world.created.clear()
        world.deleted.clear()
        while inputs and us(inputs[0]["t"]) <= world.now_us:
            _edit(world, inputs.pop(0))
        world.let_pods_live()
        world.settle()
        while world.let_pods_live():
            world.settle()
        view = _view(world)
        step = _difference(world, last, view)
        if len(step) > 1:
            timeline.append(step)
        last = view
        upcoming = [world.next_us(), us(inputs[0]["t"]) if inputs else None, end_us]
        world.now_us = min(t for t in upcoming if t is not None)
    return timeline


def _edit(world: RecordedWorld, recorded: Json) -> None:
    for field, ref in (("spec", DEPLOYMENT_REF), ("pdb", BUDGET_REF)):
        if recorded.get(field):
            spec = deployment_spec(recorded["spec"]) if field == "spec" else recorded["pdb"]
            world.update({**world.objects[ref], "spec": spec})
    for name in recorded.get("delete", ()):
        pod = world.get(Ref(POD, NAMESPACE, name))
        if pod is not None:
            world.delete(ref_of(pod), uid_of(pod))


def _view(world: RecordedWorld) -> Json:
    deployment = world.objects[DEPLOYMENT_REF]
    status = deployment["status"]
    conditions = status.get("conditions", ())
    progressing = condition(deployment, "Progressing")
    counts = ("replicas", "readyReplicas", "availableReplicas", "terminatingReplicas")
    view: Json = {
        "deployment": {
            "observedGeneration": status.get("observedGeneration", 0),
            **{c: status.get(c, 0) for c in (*counts, "updatedReplicas", "unavailableReplicas")},
            "conditions": {c["type"]: f"{c['status']}/{c['reason']}" for c in conditions},
            "progressUpdateAt": progressing
            and (unix_ns(progressing["lastUpdateTime"]) // 10**9 - T0_S),
        },
        "replicaSets": {},
        "pdb": None,
    }
    for rs in world.list(REPLICA_SET):
        view["replicaSets"][str(world.template_of[ref_of(rs)])] = {
            "revision": rs["metadata"]["annotations"]["deployment.kubernetes.io/revision"],
            "specReplicas": rs["spec"]["replicas"],
            **{c: rs["status"].get(c, 0) for c in counts},
        }
    budget = world.get(BUDGET_REF)
    if budget is not None:
        allowed = condition(budget, "DisruptionAllowed")
        counts = ("expectedPods", "desiredHealthy", "currentHealthy", "disruptionsAllowed")
        view["pdb"] = {c: budget["status"].get(c, 0) for c in counts} | {
            "condition": f"{allowed['status']}/{allowed['reason']}" if allowed else ""
        }
    return view


def _difference(world: RecordedWorld, last: Json, view: Json) -> Json:
    step: Json = {"t": world.now_us / 1_000_000}
    sets = {k: v for k, v in view["replicaSets"].items() if v != last["replicaSets"].get(k)}
    sets |= {k: None for k in last["replicaSets"] if k not in view["replicaSets"]}
    if sets:
        step["replicaSets"] = sets
    for part in ("deployment", "pdb"):
        if view[part] != last[part]:
            step[part] = view[part]
    if world.created:
        step["created"] = sorted(world.created, key=_number)
    if world.deleted:
        step["deleted"] = sorted(world.deleted, key=_number)
    return step
