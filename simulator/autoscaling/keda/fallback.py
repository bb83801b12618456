"""The metric that KEDA answers for a trigger that fails (``pkg/fallback/fallback.go``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from prism_operator.api.meta import ReadOnlyJson
from simulator.autoscaling.keda.status import Health, Status


class MetricError(Exception):
    """There is neither a metric nor a fallback for it."""


@dataclass(frozen=True, slots=True)
class MetricTarget:
    """An external metric of the HPA that KEDA makes, and its target in milli-units."""

    name: str
    type: Literal["AverageValue", "Value"]
    target_milli: int


@dataclass(frozen=True, slots=True)
class Answer:
    """A metric in milli-units, and whether it is a fallback."""

    value_milli: int
    is_fallback: bool


def answer(
    spec: ReadOnlyJson,
    status: Status,
    target: MetricTarget,
    value_milli: int | None,
    *,
    replicas: int | None,
    ready_replicas: Callable[[], int | None],
) -> Answer:
    """The metric to answer with, and the health that follows in ``status``.

    ``value_milli`` is None when the trigger failed; ``replicas`` and what ``ready_replicas``
    returns are None when the target cannot be read. Raises MetricError.
    """
    fallback = spec.get("fallback")
    if fallback is None:
        if value_milli is None:
            raise MetricError(f"{target.name}: the trigger failed and there is no fallback")
        return Answer(value_milli, is_fallback=False)
    health = status.health.setdefault(target.name, Health())
    health.failures = 0 if value_milli is not None else health.failures + 1
    threshold = fallback["failureThreshold"]
    falling_back = any(entry.failures > threshold for entry in status.health.values())
    status.conditions["Fallback"] = (
        ("True", "FallbackExists") if falling_back else ("False", "NoFallbackFound")
    )
    if value_milli is not None:
        return Answer(value_milli, is_fallback=False)
    if health.failures <= threshold:
        raise MetricError(f"{target.name}: failed {health.failures} times, fallback is not due yet")
    wanted = _replicas(fallback, replicas)
    if target.type == "Value":
        ready = ready_replicas()
        if not ready:
            raise MetricError(f"{target.name}: no ready replicas to divide the fallback by")
        wanted /= ready
    # In floats and in this order, as KEDA does.
    return Answer(int(target.target_milli * 1e-3 * 1000 * wanted), is_fallback=True)


def _replicas(fallback: ReadOnlyJson, current: int | None) -> float:
    behavior, fixed = fallback.get("behavior", "static"), fallback["replicas"]
    if behavior == "static":
        return float(fixed)
    if current is None:
        raise MetricError("the current replicas cannot be read")
    if behavior == "currentReplicasIfHigher":
        return float(max(current, fixed))
    if behavior == "currentReplicasIfLower":
        return float(min(current, fixed))
    return float(current)
