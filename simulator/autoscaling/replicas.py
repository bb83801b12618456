"""How many replicas one metric of an HPA asks for.

After ``pkg/controller/podautoscaler/replica_calculator.go`` and ``metrics/utilization.go`` of
Kubernetes 1.37. Metric values are milli-units, as in the controller; where it divides integers it
truncates, where it divides floats so do we, in the same order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

_INT32_MAX: Final = 2**31 - 1
_INT64_MAX: Final = 2**63 - 1


class NoProposalError(Exception):
    """A metric could not be turned into a number of replicas; the message says why."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One pod's value of a metric, averaged over ``window_us`` until ``at_us``."""

    value_milli: int
    at_us: int
    window_us: int


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What the controller looks at in a pod.

    ``ready`` is the status of the Ready condition, ``""`` when the pod has none. ``requests`` are
    milli-units by container and resource.
    """

    name: str
    phase: str
    started_us: int | None
    ready: str
    ready_since_us: int
    is_deleting: bool
    requests: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Target:
    """A metric of the spec. ``type`` says what ``value`` is: percent or milli-units."""

    source: Literal["Resource", "ContainerResource", "Pods", "Object", "External"]
    name: str
    type: Literal["Utilization", "AverageValue", "Value"]
    value: int
    container: str = ""

    @property
    def key(self) -> str:
        """Names the metric among those of a pod: ``cpu``, or ``app/cpu`` of one container."""
        return f"{self.container}/{self.name}" if self.container else self.name


@dataclass(frozen=True, slots=True)
class Readings:
    """What the metrics APIs answer. What is missing here they failed to answer.

    ``pods`` is by metric (``Target.key``) and pod, ``external`` and ``objects`` by metric.
    """

    pods: Mapping[str, Mapping[str, Sample]] = field(default_factory=dict)
    external: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    objects: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tolerances:
    """Ratios of usage to target within which nothing changes, both ends included."""

    down: float
    up: float

    def hold(self, ratio: float) -> bool:
        """Whether a ratio is too close to 1 to act on."""
        return 1.0 - self.down <= ratio <= 1.0 + self.up


@dataclass(frozen=True, slots=True)
class Situation:
    """What all metrics of one sync are judged by."""

    spec_replicas: int
    status_replicas: int
    pods: tuple[PodFacts, ...]
    readings: Readings
    now_us: int
    cpu_initialization_us: int
    initial_readiness_us: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """The replicas a metric asks for, and its measured value in the target's unit.

    ``ratio`` is of use to target, with what is assumed of missing and unready pods; None without
    pods. ``clause`` says what decided: the ratio, times ``pods``; that it is within the tolerance;
    or that assumptions for pods that are not measured turned or reversed it.
    """

    replicas: int
    measured: int
    ratio: float | None = None
    clause: Literal["ratio", "tolerance", "assumed"] = "ratio"
    pods: int = 0


def propose(target: Target, situation: Situation, tolerances: Tolerances) -> Proposal:
    """How many replicas the metric asks for. Raises NoProposalError when it cannot be told."""
    match target.source, target.type:
        case (("Resource" | "ContainerResource" | "Pods"), _):
            return _by_pods(target, situation, tolerances)
        case "External", "AverageValue":
            return _per_pod(target, _external(target, situation), situation, tolerances)
        case "External", _:
            return _whole(target, _external(target, situation), situation, tolerances)
        case _, "AverageValue":
            return _per_pod(target, _object(target, situation), situation, tolerances)
        case _:
            return _whole(target, _object(target, situation), situation, tolerances)


def _by_pods(target: Target, situation: Situation, tolerances: Tolerances) -> Proposal:
    """Metrics of the pods themselves: missing and unready pods are assumed to ask for no change."""
    samples = situation.readings.pods.get(target.key)
    if not samples:
        raise NoProposalError(f"no metrics returned for {target.key}")
    if not situation.pods:
        raise NoProposalError("no pods returned by selector while calculating replica count")
    groups = _group(target, samples, situation)
    values = {pod: s.value_milli for pod, s in samples.items() if pod not in groups.left_out}
    if not values:
        raise NoProposalError("did not receive metrics for targeted pods (pods might be unready)")
    measure: _Utilization | _Average
    if target.type == "Utilization":
        requests = {pod.name: _request(pod, target) for pod in situation.pods}
        measure = _Utilization(target.value, requests)
    else:
        measure = _Average(target.value)
    ratio, measured = measure.of(values)
    current = situation.spec_replicas
    grows_with_unready = bool(groups.unready) and ratio > 1.0
    if not grows_with_unready and not groups.missing:
        if tolerances.hold(ratio):
            return Proposal(current, measured, ratio, "tolerance")
        return Proposal(_ceil(ratio * groups.ready), measured, ratio, "ratio", groups.ready)
    for pod in groups.missing:
        if ratio < 1.0:
            values[pod] = measure.full(pod)
        elif ratio > 1.0:
            values[pod] = 0
    if grows_with_unready:
        values.update(dict.fromkeys(groups.unready, 0))
    new_ratio, _ = measure.of(values)
    turned = (ratio < 1.0 < new_ratio) or (new_ratio < 1.0 < ratio)
    if tolerances.hold(new_ratio) or turned:
        return Proposal(current, measured, new_ratio, "assumed" if turned else "tolerance")
    replicas = _ceil(new_ratio * len(values))
    if (new_ratio < 1.0 and replicas > current) or (new_ratio > 1.0 and replicas < current):
        return Proposal(current, measured, new_ratio, "assumed")
    return Proposal(replicas, measured, new_ratio, "ratio", len(values))


@dataclass(frozen=True, slots=True)
class _Utilization:
    """Use in percent of what the pods request."""

    target_percent: int
    requests_milli: Mapping[str, int]

    def of(self, values: Mapping[str, int]) -> tuple[float, int]:
        requested = sum(self.requests_milli[pod] for pod in values)
        if requested == 0:
            raise NoProposalError("no metrics returned matched known pods")
        percent = _divide(sum(values.values()) * 100, requested)
        return percent / self.target_percent, percent

    def full(self, pod: str) -> int:
        return _divide(self.requests_milli[pod] * max(100, self.target_percent), 100)


@dataclass(frozen=True, slots=True)
class _Average:
    """The plain average over the pods."""

    target_milli: int

    def of(self, values: Mapping[str, int]) -> tuple[float, int]:
        average = _divide(sum(values.values()), len(values))
        return average / self.target_milli, average

    def full(self, _: str) -> int:
        return self.target_milli


@dataclass(slots=True)
class _Groups:
    ready: int = 0
    unready: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    left_out: set[str] = field(default_factory=set)  # their samples do not count


def _group(target: Target, samples: Mapping[str, Sample], situation: Situation) -> _Groups:
    groups = _Groups()
    for pod in situation.pods:
        sample = samples.get(pod.name)
        if pod.is_deleting or pod.phase == "Failed":
            groups.left_out.add(pod.name)
        elif pod.phase == "Pending":
            groups.unready.append(pod.name)
        elif sample is None:
            groups.missing.append(pod.name)
        elif target.name == "cpu" and target.source != "Pods" and _starts(pod, sample, situation):
            groups.unready.append(pod.name)
        else:
            groups.ready += 1
    groups.left_out.update(groups.unready)
    return groups


def _starts(pod: PodFacts, sample: Sample, situation: Situation) -> bool:
    """Whether a pod's use of cpu is still that of its start."""
    if not pod.ready or pod.started_us is None:
        return True
    if pod.started_us + situation.cpu_initialization_us > situation.now_us:
        too_early = sample.at_us < pod.ready_since_us + sample.window_us
        return pod.ready == "False" or too_early
    never_ready = pod.started_us + situation.initial_readiness_us > pod.ready_since_us
    return pod.ready == "False" and never_ready


def _request(pod: PodFacts, target: Target) -> int:
    """What a pod, or one container of it, requests of a resource, in milli-units."""
    if target.container and target.container not in pod.requests:
        raise NoProposalError(f"container {target.container} not found in Pod {pod.name}")
    total = 0
    for container, requests in pod.requests.items():
        if target.container in ("", container):
            if target.name not in requests:
                told = f"missing request for {target.name} in container {container}"
                raise NoProposalError(f"{told} of Pod {pod.name}")
            total += requests[target.name]
    return total


def _whole(target: Target, usage: int, situation: Situation, tolerances: Tolerances) -> Proposal:
    """A value for all pods together, shared by those that are ready."""
    ratio = usage / target.value
    current = situation.spec_replicas
    if current == 0:
        return Proposal(_ceil(ratio), usage, ratio, "ratio", 1)
    if tolerances.hold(ratio):
        return Proposal(current, usage, ratio, "tolerance")
    if not situation.pods:
        raise NoProposalError("no pods returned by selector while calculating replica count")
    ready = sum(pod.phase == "Running" and pod.ready == "True" for pod in situation.pods)
    return Proposal(_ceil(ratio * ready), usage, ratio, "ratio", ready)


def _per_pod(target: Target, usage: int, situation: Situation, tolerances: Tolerances) -> Proposal:
    """A value for each pod: the number of pods at which the target is met."""
    replicas = situation.status_replicas
    expected = float(target.value) * float(replicas)
    # Without replicas the controller divides by zero, whose result is never within tolerance.
    ratio = usage / expected if expected else None
    if ratio is not None and tolerances.hold(ratio):
        return Proposal(replicas, usage, ratio, "tolerance")
    return Proposal(_ceil(usage / target.value), usage, ratio, "ratio", replicas)


def _external(target: Target, situation: Situation) -> int:
    values = situation.readings.external.get(target.name)
    if not values:
        raise NoProposalError(f"no external metrics for {target.name}")
    return min(_sum(values), _INT64_MAX)


def _object(target: Target, situation: Situation) -> int:
    value = situation.readings.objects.get(target.name)
    if value is None:
        raise NoProposalError(f"no object metrics for {target.name}")
    return value


def _sum(values: Iterable[int]) -> int:
    return sum(values)


def _divide(dividend: int, divisor: int) -> int:
    """Integer division as in Go: towards zero."""
    quotient = abs(dividend) // abs(divisor)
    return quotient if (dividend < 0) == (divisor < 0) else -quotient


def _ceil(replicas: float) -> int:
    """Rounded up and held within an int32, where Go leaves some cases to the processor."""
    return max(-_INT32_MAX - 1, min(_INT32_MAX, math.ceil(replicas)))
