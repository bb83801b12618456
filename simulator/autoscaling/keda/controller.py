"""What KEDA's controller makes of a ScaledObject: an HPA, a scale loop, a status.

After ``controllers/keda/scaledobject_controller.go``, ``hpa.go`` and ``scaledobject_finalizer.go``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from prism_operator.api.meta import Json, ReadOnlyJson
from simulator.autoscaling.keda import annotations as ask
from simulator.autoscaling.keda.metadata import MetadataError
from simulator.autoscaling.keda.status import Status
from simulator.autoscaling.keda.triggers import metric_specs

VERSION: Final = "2.21.0"
NAME_LABEL: Final = "scaledobject.keda.sh/name"
_LABEL_LENGTH_MAX: Final = 63
_MAX_REPLICAS: Final = 100
_UNCACHED: Final = ("cpu", "memory", "cron")


class CheckFailedError(Exception):
    """KEDA cannot use the ScaledObject; the message says why."""


@dataclass(frozen=True, slots=True)
class Applied:
    """A ScaledObject as a user wrote it."""

    name: str
    namespace: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    spec: ReadOnlyJson

    @property
    def target(self) -> tuple[str, str, str]:
        """API version, kind and name of what is scaled."""
        ref = self.spec["scaleTargetRef"]
        return ref.get("apiVersion") or "apps/v1", ref.get("kind") or "Deployment", ref["name"]

    @property
    def hpa_name(self) -> str:
        """The HPA's name."""
        return self._hpa_config.get("name") or f"keda-hpa-{self.name}"

    @property
    def behavior(self) -> Json | None:
        """The HPA's behavior; a paused direction is disabled there."""
        behavior: Json | None = self._hpa_config.get("behavior")
        for annotation, direction in (
            (ask.PAUSED_SCALE_IN, "scaleDown"),
            (ask.PAUSED_SCALE_OUT, "scaleUp"),
        ):
            if ask.is_set(self.annotations, annotation):
                rules = {**((behavior or {}).get(direction) or {}), "selectPolicy": "Disabled"}
                behavior = {**(behavior or {}), direction: rules}
        return behavior

    @property
    def restores_replicas(self) -> bool:
        """Whether the target gets its original replicas back at the end."""
        return bool((self.spec.get("advanced") or {}).get("restoreToOriginalReplicaCount"))

    @property
    def _hpa_config(self) -> Json:
        advanced = self.spec.get("advanced") or {}
        return advanced.get("horizontalPodAutoscalerConfig") or {}


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What one pass did. ``scale_to`` was written to the target."""

    scale_to: int | None = None
    loop: Literal["", "started", "stopped"] = ""
    error: str = ""


@dataclass(slots=True)
class ScaledObjectController:
    """KEDA's controller for one ScaledObject, with the HPA that it keeps in the cluster.

    ``version`` is what KEDA says of itself in labels.
    """

    version: str = VERSION
    status: Status = field(default_factory=Status)
    hpa: Json | None = None
    _looped_spec: ReadOnlyJson | None = None  # that of the running scale loop

    def reconcile(self, obj: Applied, replicas: int) -> Reconciled:
        """One pass; ``replicas`` is the target's number."""
        try:
            done = self._reconcile(obj, replicas)
            self.status.conditions["Ready"] = ("True", "ScaledObjectReady")
        except CheckFailedError as error:
            self.status.conditions["Ready"] = ("False", "ScaledObjectCheckFailed")
            self.status.conditions["Active"] = ("Unknown", "UnknownState")
            done = Reconciled(error=str(error))
        if obj.spec.get("fallback") is None:
            self.status.conditions["Fallback"] = ("False", "NoFallbackFound")
        return done

    def finalize(self, obj: Applied) -> Reconciled:
        """The last pass, when the ScaledObject is being deleted. The HPA goes with its owner."""
        restored = None
        if obj.restores_replicas and self.status.target_kind:
            restored = self.status.original_replicas
        return Reconciled(scale_to=restored, loop="stopped")

    def _reconcile(self, obj: Applied, replicas: int) -> Reconciled:
        if ask.is_paused(obj.annotations):
            return self._pause(obj, replicas)
        self._note_partial_pause(obj)
        self._note_target(obj, replicas)
        _check_bounds(obj.spec)
        _check_triggers(obj.spec["triggers"])
        created = self._ensure_hpa(obj)
        if not created and self._looped_spec == obj.spec:
            return Reconciled()
        self._looped_spec = obj.spec
        return Reconciled(loop="started")

    def _pause(self, obj: Applied, replicas: int) -> Reconciled:
        self.status.conditions["Paused"] = ("True", "ScaledObjectPaused")
        self._looped_spec = None
        self.hpa = None
        try:
            wanted = ask.paused_replicas(obj.annotations)
        except ValueError as error:
            raise CheckFailedError(f"failed to parse paused replica count: {error}") from error
        self.status.paused_replicas = wanted
        return Reconciled(None if wanted == replicas else wanted, loop="stopped")

    def _note_partial_pause(self, obj: Applied) -> None:
        conditions = self.status.conditions
        if ask.is_set(obj.annotations, ask.PAUSED_SCALE_IN) or ask.is_set(
            obj.annotations, ask.PAUSED_SCALE_OUT
        ):
            conditions["Paused"] = ("True", "ScaledObjectPaused")
        elif conditions["Paused"][0] == "True":
            conditions["Paused"] = ("False", "ScaledObjectUnpaused")
            self.status.paused_replicas = None

    def _note_target(self, obj: Applied, replicas: int) -> None:
        version, kind, _ = obj.target
        self.status.target_kind = f"{version}.{kind}"
        if self.status.original_replicas is None:
            self.status.original_replicas = replicas
        if ask.PAUSED not in obj.annotations and ask.PAUSED_REPLICAS not in obj.annotations:
            self.status.paused_replicas = None

    def _ensure_hpa(self, obj: Applied) -> bool:
        """Creates, renames or updates the HPA; whether it is a new one."""
        if self.hpa is not None and self.hpa["name"] != obj.hpa_name:
            self.hpa = None  # the old one goes before the new one is known to be possible
        wanted = self._build_hpa(obj)
        created = self.hpa is None
        if self.hpa is None or _differs(wanted, self.hpa):
            self.hpa = wanted
        self.status.hpa_name = obj.hpa_name
        return created

    def _build_hpa(self, obj: Applied) -> Json:
        metrics = self._metrics(obj)
        version, kind, name = obj.target
        least = obj.spec.get("minReplicaCount") or 0
        most = obj.spec.get("maxReplicaCount")
        spec: Json = {
            "scaleTargetRef": {"kind": kind, "name": name, "apiVersion": version},
            "minReplicas": max(1, least),
            "maxReplicas": _MAX_REPLICAS if most is None else most,
            "metrics": metrics,
        }
        behavior = obj.behavior
        if behavior is not None:
            spec["behavior"] = behavior
        return {
            "name": obj.hpa_name,
            "labels": self._labels(obj),
            "annotations": dict(obj.annotations),
            "owner": f"ScaledObject/{obj.name}",
            "spec": spec,
        }

    def _metrics(self, obj: Applied) -> list[Json]:
        try:
            metrics = metric_specs(obj.spec["triggers"], obj.namespace)
        except MetadataError as error:
            raise CheckFailedError(str(error)) from error
        external = []
        for metric in metrics:
            if metric["type"] == "External":
                identifier = metric["external"]["metric"]
                if identifier["name"] in external:
                    raise CheckFailedError(f"metricName {identifier['name']} is there twice")
                identifier["selector"] = {"matchLabels": {NAME_LABEL: obj.name}}
                external.append(identifier["name"])
        resources = [m["resource"]["name"] for m in metrics if m["type"] == "Resource"]
        self.status.external_metrics = tuple(external) or None
        self.status.resource_metrics = tuple(resources) or None
        health = self.status.health
        self.status.health = {name: health[name] for name in external if name in health}
        return metrics

    def _labels(self, obj: Applied) -> dict[str, str]:
        name = obj.hpa_name[:_LABEL_LENGTH_MAX]
        while len(obj.hpa_name) > _LABEL_LENGTH_MAX and not name[-1].isalnum():
            name = name[:-1]
        excluded = obj.annotations.get(ask.EXCLUDED_LABELS, "").split(",")
        own = {NAME_LABEL: obj.name, **obj.labels}
        return {
            "app.kubernetes.io/name": name,
            "app.kubernetes.io/version": self.version,
            "app.kubernetes.io/part-of": obj.name,
            "app.kubernetes.io/managed-by": "keda-operator",
            **{key: value for key, value in own.items() if key not in excluded},
        }


def _check_bounds(spec: ReadOnlyJson) -> None:
    least, most = spec.get("minReplicaCount"), spec.get("maxReplicaCount")
    least = 0 if least is None else max(1, least)
    most = _MAX_REPLICAS if most is None else most
    idle = spec.get("idleReplicaCount")
    if least > most:
        raise CheckFailedError(f"MinReplicaCount={least} exceeds MaxReplicaCount={most}")
    if idle is not None and idle >= least:
        raise CheckFailedError(f"IdleReplicaCount={idle} is not below MinReplicaCount={least}")


def _check_triggers(triggers: list[Json]) -> None:
    if not triggers:
        raise CheckFailedError("no triggers defined")
    names = [trigger["name"] for trigger in triggers if trigger.get("name")]
    for index, trigger in enumerate(triggers):
        if trigger.get("useCachedMetrics") and trigger["type"] in _UNCACHED:
            raise CheckFailedError(f"useCachedMetrics is not supported for {trigger['type']}")
        if trigger.get("name") and names.count(trigger["name"]) > 1:
            raise CheckFailedError(f"triggers[{index}]: the name {trigger['name']} is there twice")


def _differs(wanted: Json, live: Json) -> bool:
    """Whether KEDA updates the HPA.

    What merely went away does not count, but for behavior, and the last of the annotations.
    """
    spec, found = wanted["spec"], live["spec"]
    return (
        bool(live["annotations"] and not wanted["annotations"])
        or len(spec["metrics"]) != len(found["metrics"])
        or spec.get("behavior") != found.get("behavior")
        or not _derives(spec, found)
        or not _derives(wanted["labels"], live["labels"])
        or not _derives(wanted["annotations"], live["annotations"])
    )


def _derives(wanted: Any, found: Any) -> bool:
    """apimachinery's ``DeepDerivative``: all that is set in ``wanted`` is the same in ``found``."""
    if isinstance(wanted, dict):
        return all(
            value in ("", None, {}, []) or (key in found and _derives(value, found[key]))
            for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return len(wanted) <= len(found) and all(
            _derives(value, found[index]) for index, value in enumerate(wanted)
        )
    return bool(wanted == found)
