"""Recordings of the HorizontalPodAutoscaler controller: ``e2e/oracle``, TestHPAVectors."""

from __future__ import annotations

from collections.abc import Mapping

from prism_operator.api.meta import Json
from simulator.autoscaling.hpa import Autoscaler, ControllerFlags, HpaSpec, Scale
from simulator.autoscaling.replicas import PodFacts, Readings, Sample
from simulator.verify.agreement import Agreement

NAME = "hpa"
REQUIRED: Mapping[str, float] = {}


def recognises(case: Json) -> bool:
    """Whether a case is one of these recordings."""
    return {"spec", "controller", "steps"} <= case.keys()


def replay(case: Json, agreement: Agreement) -> None:
    """Syncs as often as was recorded, with what the controller saw, and compares each decision."""
    flags = case["controller"]
    autoscaler = Autoscaler(
        ControllerFlags(
            tolerance=flags["tolerance"],
            downscale_stabilization_s=int(flags["downscaleStabilization"]),
            cpu_initialization_s=int(flags["cpuInitializationPeriod"]),
            initial_readiness_s=int(flags["initialReadinessDelay"]),
        )
    )
    spec = HpaSpec.parse(case["spec"])
    for step in case["steps"]:
        if step.get("spec"):
            spec = HpaSpec.parse(step["spec"])
        scaled_to = _sync(autoscaler, spec, step)
        conditions = {type_: "/".join(said) for type_, said in autoscaler.conditions.items()}
        compare = agreement.at(case["name"], f"t={step['t']:g}", step)
        compare("desiredReplicas", step["desiredReplicas"], autoscaler.desired)
        compare("scaledTo", step["scaledTo"], scaled_to)
        for type_ in sorted(step["conditions"].keys() | conditions.keys()):
            compare(f"conditions.{type_}", step["conditions"].get(type_), conditions.get(type_))


def _sync(autoscaler: Autoscaler, spec: HpaSpec, step: Json) -> int | None:
    now_us = _us(step["t"])
    if step.get("scaleError") == "get":
        autoscaler.unreadable()
        return None
    pods = tuple(_pod(pod) for pod in step["pods"])
    scale = Scale(step["specReplicas"], step["statusReplicas"], pods)
    wanted = autoscaler.decide(spec, scale, _readings(step), now_us).scale_to
    if wanted is None:
        return None
    if step.get("scaleError") == "update":
        autoscaler.refused()
        return None
    autoscaler.rescaled(spec, scale.spec_replicas, wanted, now_us)
    return wanted


def _pod(pod: Json) -> PodFacts:
    # Without containers of its own a recording has only the sum of a pod that has one container.
    requests: Mapping[str, Mapping[str, int]] = pod.get("containers") or {"app": pod["requests"]}
    started = pod["startTime"]
    return PodFacts(
        name=pod["name"],
        phase=pod["phase"],
        started_us=None if started is None else _us(started),
        ready=pod["ready"],
        ready_since_us=_us(pod["readyTransition"]),
        is_deleting=pod.get("deleting", False),
        requests=requests,
    )


def _readings(step: Json) -> Readings:
    samples: dict[str, dict[str, Sample]] = {}
    for pod in step["pods"]:
        for metric, seen in (pod.get("metrics") or {}).items():
            sample = Sample(seen["value"], _us(seen["at"]), _us(seen["window"]))
            samples.setdefault(metric, {})[pod["name"]] = sample
    external = step.get("external") or {}
    return Readings(
        pods=samples,
        external={name: tuple(values) for name, values in external.items()},
        objects=step.get("object") or {},
    )


def _us(seconds: float) -> int:
    return round(seconds * 1000) * 1000
