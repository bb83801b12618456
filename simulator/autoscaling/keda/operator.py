"""KEDA's operator and metrics server over the API: ScaledObjects, their HPAs and scale loops.

What they decide is in the modules beside this one. A scale loop looks when it starts and every
``pollingInterval``; the HPA's metrics are read live.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from decimal import ROUND_CEILING

from prism_operator.api.meta import (
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    SCALED_OBJECT,
    Json,
    ReadOnlyJson,
    Ref,
    ref_of,
    uid_of,
)
from prism_operator.api.quantities import parse_quantity
from prism_operator.ports import Reason
from simulator.autoscaling.keda.controller import NAME_LABEL, Applied, ScaledObjectController
from simulator.autoscaling.keda.cron import Cron
from simulator.autoscaling.keda.executor import (
    Polled,
    Seen,
    Wanted,
    refused,
    request_scale,
    written,
)
from simulator.autoscaling.keda.fallback import Answer, MetricError, MetricTarget, answer
from simulator.autoscaling.keda.kafka import (
    BrokerError,
    KafkaConfig,
    KafkaTrigger,
    Partition,
)
from simulator.autoscaling.keda.metadata import MetadataError, flag, number, required
from simulator.autoscaling.keda.status import Status
from simulator.autoscaling.keda.triggers import QUEUES, RESOURCES, external_metric, sees_held
from simulator.autoscaling.prometheus import Prometheus
from simulator.cluster.api import ApiWorld
from simulator.controllers.objects import (
    annotations_of,
    condition,
    created_ns,
    is_deleting,
    labels_of,
    owner_reference,
    timestamp,
)
from simulator.controllers.world import Change, RefusedError
from simulator.inputs import BadInputError
from simulator.kernel import SECOND_US, Us
from simulator.workloads.ports import Broker

FINALIZER = "finalizer.keda.sh"
POLLING_INTERVAL_S = 30


@dataclass(frozen=True, slots=True)
class Looked:
    """What a trigger found: its metric in thousandths, and whether it is active.

    ``activation`` is what the value must exceed for that, where it is a number. A kafka trigger
    adds itself, with what it remembered before, and the partitions that it saw.
    """

    value_milli: int
    is_active: bool
    activation: float | None = None
    kafka: KafkaTrigger | None = None
    partitions: tuple[Partition, ...] = ()


@dataclass(frozen=True, slots=True)
class Answered:
    """One metric as KEDA answered it, to the HPA or to its own scale loop."""

    scaled_object: Ref
    target: MetricTarget
    looked: Looked | None  # None: the trigger failed
    answer: Answer | None  # None: so there is no metric


@dataclass(frozen=True, slots=True)
class Poll:
    """One look of a scale loop: all that it was decided from, and the decision.

    ``before`` is the status when it began.
    """

    scaled_object: Ref
    at_us: Us
    next_us: Us
    obj: Json
    before: Status
    polled: Polled
    seen: Seen
    wanted: Wanted | None


@dataclass(slots=True)
class _Trigger:
    """An external trigger: its metric, and how it is looked up."""

    target: MetricTarget
    look: Callable[[], Looked]  # raises BrokerError


@dataclass(slots=True)
class _Held:
    """One ScaledObject as KEDA remembers it."""

    controller: ScaledObjectController = field(default_factory=ScaledObjectController)
    applied_hpa: Json | None = None  # what was last written of controller.hpa
    triggers: tuple[_Trigger, ...] = ()
    due_us: Us | None = None  # of the scale loop's next look


class KedaOperator:
    """KEDA as a whole; while it ``is_down`` it neither scales nor answers for metrics.

    ``on_answer`` and ``on_poll`` hear of every metric and every look of a scale loop.
    """

    def __init__(
        self, world: ApiWorld, broker: Broker, prometheus: Prometheus | None = None
    ) -> None:
        self._world, self._broker, self._prometheus = world, broker, prometheus
        self._held: dict[Ref, _Held] = {}
        self._dirty: set[Ref] = set()
        self.is_down = False
        self.on_answer: Callable[[Answered], None] = lambda _: None
        self.on_poll: Callable[[Poll], None] | None = None

    def changed(self, change: Change) -> bool:
        """Takes notice of ScaledObjects and their HPAs; whether there is something to do."""
        ref = change.ref
        if ref.resource == SCALED_OBJECT:
            spec_is_old = (
                change.old is not None
                and change.new is not None
                and all(_asked(change.old)[k] == v for k, v in _asked(change.new).items())
            )
            if spec_is_old:
                return False
            self._dirty.add(ref)
            return True
        if ref.resource == HORIZONTAL_POD_AUTOSCALER and change.new is None:
            owner = labels_of(change.latest).get(NAME_LABEL, "")
            mine = Ref(SCALED_OBJECT, ref.namespace, owner)
            if mine in self._held:
                self._held[mine].controller.hpa = self._held[mine].applied_hpa = None
                self._dirty.add(mine)
                return True
        return False

    def step(self) -> Us | None:
        """Reconciles what changed and polls what is due; answers when next, since 1970."""
        if self.is_down:
            return None
        while self._dirty:
            ref = min(self._dirty)
            self._dirty.discard(ref)
            self._reconcile(ref)
        now_us = self._world.unix_us()
        for ref, held in sorted(self._held.items(), key=lambda item: item[0]):
            if held.due_us is not None and held.due_us <= now_us:
                self._poll(ref, held, now_us)
        if self._dirty:
            return now_us
        return min((h.due_us for h in self._held.values() if h.due_us is not None), default=None)

    def external(self, namespace: str, name: str, labels: Mapping[str, str]) -> int | None:
        """An external metric in thousandths, as the metrics server answers an HPA; None: failed."""
        held = self._held.get(Ref(SCALED_OBJECT, namespace, labels.get(NAME_LABEL, "")))
        obj = self._world.get(Ref(SCALED_OBJECT, namespace, labels.get(NAME_LABEL, "")))
        if held is None or obj is None or self.is_down:
            return None
        for trigger in held.triggers:
            if trigger.target.name == name:
                return self._answer(obj, held, trigger)[0]
        return None

    # ScaledObjects

    def _reconcile(self, ref: Ref) -> None:
        obj = self._world.get(ref)
        if obj is None:
            self._held.pop(ref, None)
            return
        held = self._held.setdefault(ref, _Held())
        applied = Applied(ref.name, ref.namespace, labels_of(obj), annotations_of(obj), obj["spec"])
        if is_deleting(obj):
            done = held.controller.finalize(applied)
            self._scale_to(applied, done.scale_to)
            self._held.pop(ref)
            self._finalizers(obj, add=False)
            return
        if FINALIZER not in (obj["metadata"].get("finalizers") or ()):
            obj = self._finalizers(obj, add=True)
        target = self._target(applied)
        if target is None:
            held.controller.status.conditions["Ready"] = ("False", "ScaledObjectCheckFailed")
            held.due_us = None
            self._write_status(ref, held)
            return
        done = held.controller.reconcile(applied, target["spec"]["replicas"])
        self._scale_to(applied, done.scale_to)
        self._apply_hpa(obj, held)
        match done.loop:
            case "started":
                held.triggers = self._triggers(applied)
                held.due_us = self._world.unix_us()
            case "stopped":
                held.due_us = None
        self._write_status(ref, held)

    def _finalizers(self, obj: Json, *, add: bool) -> Json:
        others = [f for f in obj["metadata"].get("finalizers") or () if f != FINALIZER]
        finalizers = [*others, FINALIZER] if add else others
        meta = {**obj["metadata"], "finalizers": finalizers}
        return self._world.update({**obj, "metadata": meta})

    def _apply_hpa(self, obj: Json, held: _Held) -> None:
        wanted, applied = held.controller.hpa, held.applied_hpa
        if wanted is applied:
            return
        namespace = obj["metadata"]["namespace"]
        if applied is not None and (wanted is None or wanted["name"] != applied["name"]):
            old = self._world.get(Ref(HORIZONTAL_POD_AUTOSCALER, namespace, applied["name"]))
            held.applied_hpa = None
            if old is not None:
                self._world.delete(ref_of(old), uid_of(old))
        if wanted is not None:
            hpa: Json = {
                "apiVersion": HORIZONTAL_POD_AUTOSCALER.api_version,
                "kind": HORIZONTAL_POD_AUTOSCALER.kind,
                "metadata": {
                    "name": wanted["name"],
                    "namespace": namespace,
                    "labels": wanted["labels"],
                    "annotations": wanted["annotations"],
                    "ownerReferences": [owner_reference(obj)],
                },
                "spec": wanted["spec"],
            }
            live = self._world.get(Ref(HORIZONTAL_POD_AUTOSCALER, namespace, wanted["name"]))
            if live is None:
                self._world.create(hpa)
            else:
                self._world.update(
                    {**live, **hpa, "metadata": {**live["metadata"], **hpa["metadata"]}}
                )
        held.applied_hpa = wanted

    def _target(self, applied: Applied) -> Json | None:
        _, kind, name = applied.target
        if kind != DEPLOYMENT.kind:
            return None
        return self._world.get(Ref(DEPLOYMENT, applied.namespace, name))

    def _scale_to(self, applied: Applied, replicas: int | None) -> bool:
        """Writes the scale; whether that went well."""
        target = self._target(applied)
        if replicas is None or target is None:
            return replicas is None
        try:
            self._world.scale(target, replicas)
        except RefusedError:
            return False
        return True

    # Scale loops

    def _poll(self, ref: Ref, held: _Held, now_us: Us) -> None:
        obj = self._world.get(ref)
        if obj is None:
            return
        spec = obj["spec"]
        applied = Applied(ref.name, ref.namespace, labels_of(obj), annotations_of(obj), spec)
        interval_s = spec.get("pollingInterval")
        held.due_us = (
            now_us + (POLLING_INTERVAL_S if interval_s is None else interval_s) * SECOND_US
        )
        active, is_error = set(), False
        for trigger in held.triggers:
            value, is_active = self._answer(obj, held, trigger)
            is_error |= value is None
            if is_active:
                active.add(trigger.target.name)
        only_resources = all(t["type"] in RESOURCES for t in spec["triggers"])
        polled = Polled(
            bool(active) or (only_resources and not is_error), is_error, frozenset(active)
        )
        target = self._target(applied)
        hpa = self._world.get(
            Ref(HORIZONTAL_POD_AUTOSCALER, ref.namespace, held.controller.status.hpa_name)
        )
        scaling = condition(hpa, "ScalingActive") if hpa is not None else None
        status = held.controller.status
        remembered = None if self.on_poll is None else deepcopy(status)
        seen = Seen(
            None if target is None else target["spec"]["replicas"],
            None if scaling is None else (scaling["status"], scaling["reason"]),
        )
        wanted = request_scale(
            spec,
            annotations_of(obj),
            status,
            polled,
            seen,
            created_us=created_ns(obj) // 1000,
            now_us=now_us,
        )
        if self.on_poll is not None and remembered is not None:
            self.on_poll(Poll(ref, now_us, held.due_us, obj, remembered, polled, seen, wanted))
        if wanted is not None:
            if self._scale_to(applied, wanted.replicas):
                written(status, wanted, now_us)
                why = (
                    "KEDAScaleTargetActivated" if wanted.activates else "KEDAScaleTargetDeactivated"
                )
                before = target["spec"]["replicas"] if target else 0
                self._world.event(
                    obj,
                    "Normal",
                    why,
                    f"Scaled {applied.target[2]} from {before} to {wanted.replicas}",
                )
            else:
                refused(status)
        self._write_status(ref, held)

    def _answer(self, obj: Json, held: _Held, trigger: _Trigger) -> tuple[int | None, bool]:
        """The metric in thousandths, None if there is none, and whether the trigger is active."""
        looked = None
        with suppress(BrokerError):
            looked = trigger.look()
        target = self._world.get(
            Ref(DEPLOYMENT, obj["metadata"]["namespace"], obj["spec"]["scaleTargetRef"]["name"])
        )
        answered = None
        with suppress(MetricError):
            answered = answer(
                obj["spec"],
                held.controller.status,
                trigger.target,
                None if looked is None else looked.value_milli,
                replicas=None if target is None else target["spec"]["replicas"],
                ready_replicas=lambda: (target or {}).get("status", {}).get("readyReplicas"),
            )
        self.on_answer(Answered(ref_of(obj), trigger.target, looked, answered))
        if answered is None:
            return None, False
        is_active = looked is not None and looked.is_active
        return answered.value_milli, is_active or answered.is_fallback

    def _triggers(self, applied: Applied) -> tuple[_Trigger, ...]:
        triggers = []
        for index, spec in enumerate(applied.spec["triggers"]):
            type_, metadata = spec["type"], spec.get("metadata") or {}
            if type_ in RESOURCES:
                continue
            try:
                metric = external_metric(
                    type_, metadata, spec.get("metricType", ""), index, applied.namespace
                )
                look = self._look(type_, metadata)
            except MetadataError as error:
                raise BadInputError(
                    [f"ScaledObject {applied.namespace}/{applied.name}: triggers[{index}]: {error}"]
                ) from None
            kind = metric["target"]["type"]
            quantity = metric["target"][kind[0].lower() + kind[1:]]
            milli = int((parse_quantity(quantity) * 1000).to_integral_value(ROUND_CEILING))
            triggers.append(_Trigger(MetricTarget(metric["metric"]["name"], kind, milli), look))
        return tuple(triggers)

    def _look(self, type_: str, metadata: Mapping[str, str]) -> Callable[[], Looked]:
        if type_ == "kafka":
            config = KafkaConfig.parse(metadata)
            trigger = KafkaTrigger(config)

            def kafka() -> Looked:
                partitions = tuple(self._broker.partitions(config.topic, config.group))
                before = KafkaTrigger(config, dict(trigger.previous))
                lag = trigger.look(partitions)
                activation = config.activation_lag_threshold
                return Looked(lag.value * 1000, lag.is_active, activation, before, partitions)

            return kafka
        if type_ == "cron":
            cron = Cron.parse(metadata)
            return lambda: Looked(*cron.look(self._world.unix_us()))
        if type_ == "prometheus":
            return self._query(metadata)
        if type_ not in QUEUES:
            raise MetadataError("type", f'"{type_}" has no model in scenarios')
        keys, activation_key = QUEUES[type_]
        name = "/".join(metadata[key] for key in keys)
        activation, held = float(metadata.get(activation_key, 0)), sees_held(type_, metadata)

        def queue() -> Looked:
            depth = self._broker.depth(type_, name, held=held)
            return Looked(depth * 1000, depth > activation, activation)

        return queue

    def _query(self, metadata: Mapping[str, str]) -> Callable[[], Looked]:
        text, prometheus = required(metadata, "query"), self._prometheus
        if prometheus is None or not prometheus.has_query(text):
            raise MetadataError(
                "query",
                f'"{text}" is not in cluster.autoscaling.prometheus.queries: say there what it '
                "answers",
            )
        activation = number(metadata, "activationThreshold", 0)
        ignores = flag(metadata, "ignoreNullValues", default=True)

        def query() -> Looked:
            value = prometheus.answer(text)
            if value is None:
                if not ignores:
                    raise BrokerError("the query has no result")
                value = 0.0
            return Looked(round(value * 1000), value > activation, activation)

        return query

    def _write_status(self, ref: Ref, held: _Held) -> None:
        obj = self._world.get(ref)
        if obj is None:
            return
        told, old = held.controller.status, obj.get("status") or {}
        status: Json = {
            **old,
            "conditions": [
                {"type": type_, "status": state, "reason": reason}
                for type_, (state, reason) in told.conditions.items()
            ],
            "hpaName": told.hpa_name,
            "externalMetricNames": list(told.external_metrics or ()),
            "originalReplicaCount": told.original_replicas,
            "triggersActivity": {k: {"isActive": v} for k, v in sorted(told.activity.items())},
        }
        if told.last_active_us is not None:
            status["lastActiveTime"] = timestamp(told.last_active_us)
        if status == old:
            return
        try:
            self._world.update({**obj, "status": status}, "status")
        except RefusedError as error:
            if error.reason is not Reason.NOT_FOUND:
                raise


def _asked(obj: ReadOnlyJson) -> Json:
    """What of a ScaledObject is KEDA's to follow; its own status is not."""
    meta = obj["metadata"]
    return {
        "uid": uid_of(obj),
        "spec": obj["spec"],
        "labels": labels_of(obj),
        "annotations": annotations_of(obj),
        "deleting": "deletionTimestamp" in meta,
    }
