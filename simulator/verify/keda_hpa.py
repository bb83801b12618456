"""Recordings of KEDA's controller and the HPA it keeps: ``e2e/oracle-keda``, TestHPAVectors."""

from __future__ import annotations

from collections.abc import Mapping

from prism_operator.api.meta import Json
from prism_operator.api.quantities import canonical_quantity
from simulator.autoscaling.keda.controller import Applied, ScaledObjectController
from simulator.verify.agreement import Agreement

NAME = "keda-hpa"
REQUIRED: Mapping[str, float] = {}

# What a build of KEDA from its module says of itself, and where the recordings took place.
_VERSION, _NAMESPACE = "main", "prism"


def recognises(case: Json) -> bool:
    """Whether a case is one of these recordings."""
    return case.keys() <= {"name", "steps"} and "steps" in case


def replay(case: Json, agreement: Agreement) -> None:
    """Reconciles after every recorded change, and compares the HPA and the status."""
    controller = ScaledObjectController(version=_VERSION)
    obj: Applied | None = None
    for number, step in enumerate(case["steps"]):
        if step.get("object"):
            obj = _applied(step["object"])
        if obj is None:
            raise ValueError(f"step {number}: expected an object before anything else")
        gone = bool(step.get("delete"))
        done = controller.finalize(obj) if gone else controller.reconcile(obj, step["replicas"])
        compare = agreement.at(case["name"], f"step {number}", step)
        compare("scaledTo", step["scaledTo"], done.scale_to)
        compare("loop", step.get("loop", ""), done.loop)
        compare("error", "error" in step, bool(done.error))
        compare("hpa", _canonical(step["hpa"]), None if gone else _canonical(controller.hpa))
        compare("status", step["status"], None if gone else _status(controller))


def _applied(view: Json) -> Applied:
    return Applied(
        name=view["name"],
        namespace=_NAMESPACE,
        labels=view.get("labels") or {},
        annotations=view.get("annotations") or {},
        spec=view["spec"],
    )


def _canonical(hpa: Json | None) -> Json | None:
    """An HPA with its quantities by value, and without annotations when it has none."""
    if hpa is None:
        return None
    metrics = [_canonical_metric(metric) for metric in hpa["spec"]["metrics"]]
    kept = {key: value for key, value in hpa.items() if key != "annotations" or value}
    return {**kept, "spec": {**hpa["spec"], "metrics": metrics}}


def _canonical_metric(metric: Json) -> Json:
    source = metric["type"][0].lower() + metric["type"][1:]
    target = {
        key: canonical_quantity(value) if key in ("averageValue", "value") else value
        for key, value in metric[source]["target"].items()
    }
    return {**metric, source: {**metric[source], "target": target}}


def _status(controller: ScaledObjectController) -> Json:
    status = controller.status
    external, resources = status.external_metrics, status.resource_metrics
    return {
        "scaleTargetKind": status.target_kind,
        "originalReplicaCount": status.original_replicas,
        "pausedReplicaCount": status.paused_replicas,
        "hpaName": status.hpa_name,
        "externalMetricNames": None if external is None else list(external),
        "resourceMetricNames": None if resources is None else list(resources),
        "conditions": {type_: "/".join(said) for type_, said in status.conditions.items()},
    }
