"""The HorizontalPodAutoscaler controller over the API: when it syncs, what it reads and writes.

What it decides is ``simulator.autoscaling.hpa``. An HPA is looked at one sync period after it was
made, and one after each look (``NewDefaultHPARateLimiter`` in ``pkg/controller/podautoscaler``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from decimal import ROUND_CEILING
from typing import Protocol

from prism_operator.api.meta import (
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    POD,
    REPLICA_SET,
    Json,
    ReadOnlyJson,
    Ref,
    uid_of,
)
from prism_operator.api.quantities import parse_quantity
from prism_operator.ports import Reason
from simulator.autoscaling.hpa import Autoscaler, ControllerFlags, Decision, HpaSpec, Scale
from simulator.autoscaling.replicas import PodFacts, Readings, Sample, Target
from simulator.cluster.api import ApiWorld
from simulator.controllers.objects import condition, is_deleting, phase, timestamp, unix_ns
from simulator.controllers.world import Change, RefusedError
from simulator.kernel import Us

_MESSAGES = {
    "SucceededGetScale": "the HPA controller was able to get the target's current scale",
    "FailedGetScale": "the HPA controller was unable to get the target's current scale",
    "SucceededRescale": "the HPA controller was able to update the target scale",
    "ScalingDisabled": "scaling is disabled since the replica count of the target is zero",
    "ValidMetricFound": "the HPA was able to successfully calculate a replica count",
}


class MetricsApi(Protocol):
    """What the metrics APIs answer; what is missing they fail to answer."""

    def resource(self, pod_uid: str, name: str) -> Sample | None:
        """``metrics.k8s.io``: ``cpu`` in milli-cores or ``memory`` in milli-bytes of a pod."""

    def custom(self, pod_uid: str, name: str) -> Sample | None:
        """``custom.metrics.k8s.io``: a metric of a pod, in thousandths."""

    def external(self, namespace: str, name: str, labels: Mapping[str, str]) -> int | None:
        """``external.metrics.k8s.io``: a value in thousandths."""


@dataclass(slots=True)
class _Held:
    """One HPA as the controller remembers it."""

    uid: str
    due_us: Us
    autoscaler: Autoscaler = field(default_factory=lambda: Autoscaler(ControllerFlags()))


@dataclass(frozen=True, slots=True)
class Sync:
    """One sync of an HPA: all that it was decided from, and the decision.

    ``before`` is what the controller remembered when it began.
    """

    hpa: Ref
    at_us: Us
    next_us: Us
    spec: HpaSpec
    scale: Scale
    readings: Readings
    before: Autoscaler
    decision: Decision


class PodAutoscalers:
    """The controller with all its HPAs. ``on_sync`` hears of every sync that could decide."""

    def __init__(self, world: ApiWorld, metrics: MetricsApi, period_us: Us) -> None:
        self._world, self._metrics, self._period_us = world, metrics, period_us
        self._held: dict[Ref, _Held] = {}
        self._facts: dict[str, tuple[Json, PodFacts]] = {}  # of a pod's last version, by uid
        self.on_sync: Callable[[Sync], None] | None = None

    def changed(self, change: Change) -> bool:
        """Takes notice of HPAs that come and go; whether this was one."""
        if change.ref.resource == POD and change.new is None:
            self._facts.pop(uid_of(change.latest), None)
        if change.ref.resource != HORIZONTAL_POD_AUTOSCALER:
            return False
        held = self._held.get(change.ref)
        if change.new is None:
            self._held.pop(change.ref, None)
        elif held is None or held.uid != uid_of(change.new):
            due_us = self._world.unix_us() + self._period_us
            self._held[change.ref] = _Held(uid_of(change.new), due_us)
        return True

    def step(self) -> Us | None:
        """Syncs every HPA that is due; answers when the next one is, since 1970."""
        now_us = self._world.unix_us()
        for ref in sorted(ref for ref, held in self._held.items() if held.due_us <= now_us):
            held = self._held.get(ref)
            if held is not None:
                held.due_us = now_us + self._period_us
                self._sync(ref, held, now_us)
        return min((held.due_us for held in self._held.values()), default=None)

    def _sync(self, ref: Ref, held: _Held, now_us: Us) -> None:
        hpa = self._world.get(ref)
        if hpa is None:
            return
        autoscaler, spec = held.autoscaler, HpaSpec.parse(hpa["spec"])
        target = hpa["spec"]["scaleTargetRef"]
        scaled = None
        if target["kind"] == DEPLOYMENT.kind:
            scaled = self._world.get(Ref(DEPLOYMENT, ref.namespace, target["name"]))
        if scaled is None:
            autoscaler.unreadable()
            self._write_status(hpa, autoscaler, None, None, now_us)
            return
        pods = self._pods_of(scaled)
        scale = Scale(
            scaled["spec"]["replicas"],
            (scaled.get("status") or {}).get("replicas", 0),
            tuple(map(self._facts_of, pods)),
        )
        readings = self._readings(hpa, spec.targets, pods)
        before = None if self.on_sync is None else deepcopy(autoscaler)
        decision = autoscaler.decide(spec, scale, readings, now_us)
        if self.on_sync is not None and before is not None:
            due_us = held.due_us
            self.on_sync(Sync(ref, now_us, due_us, spec, scale, readings, before, decision))
        if decision.scale_to is not None:
            self._rescale(hpa, spec, autoscaler, scaled, decision.scale_to, now_us)
        self._write_status(hpa, autoscaler, scale, decision, now_us)

    def _rescale(
        self,
        hpa: Json,
        spec: HpaSpec,
        autoscaler: Autoscaler,
        scaled: Json,
        wanted: int,
        now_us: Us,
    ) -> None:
        before = scaled["spec"]["replicas"]
        try:
            self._world.scale(scaled, wanted)
        except RefusedError:
            autoscaler.refused()
            return
        autoscaler.rescaled(spec, before, wanted, now_us)
        self._world.event(hpa, "Normal", "SuccessfulRescale", f"New size: {wanted}")

    def _pods_of(self, deployment: Json) -> list[Json]:
        pods: list[Json] = []
        for rs in self._world.controlled_by(uid_of(deployment), REPLICA_SET):
            pods += self._world.controlled_by(uid_of(rs), POD)
        return sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))

    def _facts_of(self, pod: Json) -> PodFacts:
        known = self._facts.get(uid_of(pod))
        if known is None or known[0] is not pod:
            known = self._facts[uid_of(pod)] = pod, pod_facts(pod)
        return known[1]

    def _readings(self, hpa: Json, targets: Sequence[Target], pods: Sequence[Json]) -> Readings:
        by_pod: dict[str, dict[str, Sample]] = {}
        external: dict[str, tuple[int, ...]] = {}
        for target in targets:
            if target.source == "External":
                namespace = hpa["metadata"]["namespace"]
                value = self._metrics.external(namespace, target.name, _selector(hpa, target.name))
                if value is not None:
                    external[target.name] = (value,)
                continue
            read = self._metrics.custom if target.source == "Pods" else self._metrics.resource
            samples = {p["metadata"]["name"]: read(uid_of(p), target.name) for p in pods}
            found = {name: sample for name, sample in samples.items() if sample is not None}
            if found:
                by_pod[target.key] = found
        return Readings(pods=by_pod, external=external)

    def _write_status(
        self,
        hpa: Json,
        autoscaler: Autoscaler,
        scale: Scale | None,
        decision: Decision | None,
        now_us: Us,
    ) -> None:
        current = self._world.get(Ref(HORIZONTAL_POD_AUTOSCALER, *_place(hpa)))
        if current is None:
            return
        old = current.get("status") or {}
        status: Json = {**old, "desiredReplicas": autoscaler.desired}
        if scale is not None:
            status["currentReplicas"] = scale.spec_replicas
        if decision is not None and decision.scale_to is not None:
            status["lastScaleTime"] = timestamp(now_us)
        status["conditions"] = [
            self._condition(old, type_, *said, now_us)
            for type_, said in autoscaler.conditions.items()
        ]
        if status == old:
            return
        try:
            self._world.update({**current, "status": status}, "status")
        except RefusedError as refused:
            if refused.reason is not Reason.NOT_FOUND:
                raise

    def _condition(self, old: Json, type_: str, state: str, reason: str, now_us: Us) -> Json:
        before = condition({"status": old}, type_)
        since = timestamp(now_us)
        if before is not None and before["status"] == state:
            since = before["lastTransitionTime"]
        return {
            "type": type_,
            "status": state,
            "lastTransitionTime": since,
            "reason": reason,
            "message": _MESSAGES.get(reason, ""),
        }


def pod_facts(pod: ReadOnlyJson) -> PodFacts:
    """What the controller looks at in a pod."""
    status = pod.get("status") or {}
    ready = condition(pod, "Ready")
    started = status.get("startTime")
    since = (ready or {}).get("lastTransitionTime")
    return PodFacts(
        name=pod["metadata"]["name"],
        phase=phase(pod),
        started_us=None if started is None else unix_ns(started) // 1000,
        ready="" if ready is None else ready["status"],
        ready_since_us=unix_ns(since) // 1000 if since else 0,
        is_deleting=is_deleting(pod),
        requests={c["name"]: _requests(c) for c in pod["spec"]["containers"]},
    )


def _requests(container: ReadOnlyJson) -> dict[str, int]:
    requests = (container.get("resources") or {}).get("requests") or {}
    return {
        name: int((parse_quantity(value) * 1000).to_integral_value(ROUND_CEILING))
        for name, value in requests.items()
    }


def _selector(hpa: ReadOnlyJson, name: str) -> Mapping[str, str]:
    for metric in hpa["spec"].get("metrics") or ():
        identifier = (metric.get("external") or {}).get("metric") or {}
        if identifier.get("name") == name:
            return (identifier.get("selector") or {}).get("matchLabels") or {}
    return {}


def _place(obj: ReadOnlyJson) -> tuple[str, str]:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]
