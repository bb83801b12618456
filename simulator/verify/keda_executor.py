"""Recordings of KEDA's scale loop and fallback: ``e2e/oracle-keda``, TestExecutorVectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prism_operator.api.meta import Json
from simulator.autoscaling.keda.executor import (
    Polled,
    Seen,
    Wanted,
    refused,
    request_scale,
    written,
)
from simulator.autoscaling.keda.fallback import MetricError, MetricTarget, answer
from simulator.autoscaling.keda.status import Status
from simulator.verify.agreement import Agreement

NAME = "keda-executor"
REQUIRED: Mapping[str, float] = {}


def recognises(case: Json) -> bool:
    """Whether a case is one of these recordings."""
    return {"creationTimestamp", "object", "triggers", "steps"} <= case.keys()


def replay(case: Json, agreement: Agreement) -> None:
    """Takes the steps that were recorded, from the same status, and compares what comes of each."""
    targets = [MetricTarget(t["metric"], t["targetType"], t["target"]) for t in case["triggers"]]
    status = Status(external_metrics=tuple(target.name for target in targets))
    before = case["status"]
    if before["lastActiveTime"] is not None:
        status.last_active_us = _us(before["lastActiveTime"])
    obj = case["object"]
    for step in case["steps"]:
        obj = step.get("edit") or obj
        inputs = {"object": obj, "created": case["creationTimestamp"], "step": step}
        compare = agreement.at(case["name"], f"t={step['t']:g}", inputs)
        polled, answers = _poll(obj, status, targets, step)
        compare("triggers", [_without_inputs(t) for t in step.get("triggers", [])], answers)
        compare("isActive", step["isActive"], polled.is_active)
        compare("isError", step["isError"], polled.is_error)
        scaled_to, failed = _scale(obj, status, polled, step, case["creationTimestamp"])
        compare("scaledTo", step["scaledTo"], scaled_to)
        compare("error", "error" in step, failed)
        ours = _view(status)
        for field in ("lastActiveTime", "health", "triggersActivity"):
            compare(f"status.{field}", step["status"].get(field, _OMITTED[field]), ours[field])
        recorded, conditions = step["status"]["conditions"], ours["conditions"]
        for type_ in sorted(recorded.keys() | conditions.keys()):
            compare(f"conditions.{type_}", recorded.get(type_), conditions.get(type_))


# What a recording leaves out when it is empty.
_OMITTED: Mapping[str, Any] = {"health": {}, "triggersActivity": {}, "lastActiveTime": None}


def _poll(
    obj: Json, status: Status, targets: list[MetricTarget], step: Json
) -> tuple[Polled, list[Json]]:
    pushed = step.get("push")
    if pushed:
        return Polled(True, False, frozenset({pushed}), pushed), []
    fail = step.get("fail", "")
    active, answers, is_error = set(), list[Json](), False
    for target, observed in zip(targets, step["triggers"], strict=True):
        try:
            answered = answer(
                obj["spec"],
                status,
                target,
                observed["value"],
                replicas=None if fail == "target" else step["replicas"],
                ready_replicas=lambda: None if fail == "get" else step["readyReplicas"],
            )
        except MetricError:
            is_error = True
            answers.append({"metric": None, "fallback": False})
            continue
        if observed["active"] or answered.is_fallback:
            active.add(target.name)
        answers.append({"metric": answered.value_milli, "fallback": answered.is_fallback})
    return Polled(bool(active), is_error, frozenset(active)), answers


def _without_inputs(observed: Json) -> Json:
    return {"metric": observed["metric"], "fallback": observed.get("fallback", False)}


def _scale(
    obj: Json, status: Status, polled: Polled, step: Json, created_s: float
) -> tuple[int | None, bool]:
    """What was written, and whether something failed."""
    fail, now_us = step.get("fail", ""), _us(step["t"])
    seen = Seen(None if fail == "target" else step["replicas"], _condition(step))
    wanted: Wanted | None = request_scale(
        obj["spec"],
        obj.get("annotations") or {},
        status,
        polled,
        seen,
        created_us=_us(created_s),
        now_us=now_us,
    )
    if wanted is None:
        return None, seen.replicas is None
    if fail:
        refused(status)
        return None, True
    written(status, wanted, now_us)
    return wanted.replicas, False


def _condition(step: Json) -> tuple[str, str] | None:
    said = step.get("hpaScalingActive", "none")
    if said in ("none", "missing"):
        return None
    state, _, reason = said.partition("/")
    return state, reason


def _view(status: Status) -> Json:
    last_us = status.last_active_us
    return {
        "lastActiveTime": None if last_us is None else last_us / 1_000_000,
        "conditions": {type_: "/".join(said) for type_, said in status.conditions.items()},
        "health": {
            name: {"failures": health.failures, "status": health.status}
            for name, health in status.health.items()
        },
        "triggersActivity": status.activity,
    }


def _us(seconds: float) -> int:
    return round(seconds * 1000) * 1000
