"""What the HorizontalPodAutoscaler controller decides in one sync, with its memory of earlier ones.

After ``reconcileAutoscaler`` in ``pkg/controller/podautoscaler/horizontal.go`` of Kubernetes 1.37,
with its default feature gates (scale to zero by object and external metrics, tolerances of one's
own). Recorded decisions of the real one are in ``tests/vectors/hpa.jsonl.gz``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_CEILING
from typing import Any, Final

from prism_operator.api.meta import Json, ReadOnlyJson
from prism_operator.api.quantities import canonical_quantity, parse_quantity
from simulator.autoscaling.behavior import (
    SECOND_US,
    Behavior,
    History,
    Limits,
    Normalized,
    Policy,
    Rules,
    normalize,
)
from simulator.autoscaling.replicas import (
    NoProposalError,
    PodFacts,
    Proposal,
    Readings,
    Situation,
    Target,
    Tolerances,
    propose,
)

_FAILED: Final = {
    "Resource": "FailedGetResourceMetric",
    "ContainerResource": "FailedGetContainerResourceMetric",
    "Pods": "FailedGetPodsMetric",
    "Object": "FailedGetObjectMetric",
    "External": "FailedGetExternalMetric",
}
_BELOW_ONE: Final = {"n": 1e-9, "u": 1e-6, "m": 1e-3}


@dataclass(frozen=True, slots=True)
class ControllerFlags:
    """kube-controller-manager's ``--horizontal-pod-autoscaler-…`` flags, with their defaults."""

    tolerance: float = 0.1
    downscale_stabilization_s: int = 300
    cpu_initialization_s: int = 300
    initial_readiness_s: int = 30


@dataclass(frozen=True, slots=True)
class HpaSpec:
    """An HPA's spec as far as it decides."""

    least: int
    most: int
    targets: tuple[Target, ...]
    behavior: Behavior | None

    @classmethod
    def parse(cls, spec: ReadOnlyJson) -> HpaSpec:
        """Reads an autoscaling/v2 spec with the API server's defaults in it."""
        behavior = spec.get("behavior")
        least = spec.get("minReplicas")
        return cls(
            least=1 if least is None else least,
            most=spec["maxReplicas"],
            targets=tuple(_target(metric) for metric in spec.get("metrics") or ()),
            behavior=behavior
            and Behavior(up=_rules(behavior["scaleUp"]), down=_rules(behavior["scaleDown"])),
        )

    @property
    def may_reach_zero(self) -> bool:
        """Whether a metric can be known without pods."""
        return any(target.source in ("Object", "External") for target in self.targets)


@dataclass(frozen=True, slots=True)
class Scale:
    """What the scale subresource of the target answers, and which pods its selector selects."""

    spec_replicas: int
    status_replicas: int
    pods: tuple[PodFacts, ...]


@dataclass(frozen=True, slots=True)
class Heard:
    """What one metric said in a sync: a proposal, or why there is none."""

    target: Target
    proposal: Proposal | None
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What one sync did. ``scale_to`` is to be written to the target, None leaves it.

    ``heard`` and ``normalized`` say how it came about; without metrics they are empty.
    """

    scale_to: int | None
    heard: tuple[Heard, ...] = ()
    normalized: Normalized | None = None


@dataclass(slots=True)
class Autoscaler:
    """One HPA: its status and what the controller remembers of it.

    ``conditions`` holds status and reason by type. Every sync is ``decide``, then ``rescaled`` or
    ``refused`` when a scale was to be written. When the scale cannot be read, ``unreadable``.
    """

    flags: ControllerFlags
    desired: int = 0
    conditions: dict[str, tuple[str, str]] = field(default_factory=dict)
    history: History = field(default_factory=History)

    def unreadable(self) -> None:
        """The scale subresource could not be read: nothing is decided."""
        self.conditions["AbleToScale"] = ("False", "FailedGetScale")

    def decide(self, spec: HpaSpec, scale: Scale, readings: Readings, now_us: int) -> Decision:
        """Looks at the metrics and says what to write to the scale subresource."""
        current = scale.spec_replicas
        self.conditions["AbleToScale"] = ("True", "SucceededGetScale")
        self.history.begin(current, now_us)
        was_scaled_to_zero = self.conditions.get("ScaledToZero", ("", ""))[0] == "True"
        if current == 0 and not (was_scaled_to_zero and (spec.least or spec.may_reach_zero)):
            self.conditions["ScalingActive"] = ("False", "ScalingDisabled")
            self.desired = current
            return Decision(None)
        if current > spec.most:
            return Decision(spec.most)
        if 0 < current < spec.least:
            return Decision(spec.least)
        return self._by_metrics(spec, scale, readings, now_us)

    def _by_metrics(self, spec: HpaSpec, scale: Scale, readings: Readings, now_us: int) -> Decision:
        heard = self._hear(spec, scale, readings, now_us)
        current = scale.spec_replicas
        recommended = 0
        for each in heard:
            if each.proposal is not None and (
                not recommended or each.proposal.replicas > recommended
            ):
                recommended = each.proposal.replicas
        failed = [each for each in heard if each.proposal is None]
        # One metric that cannot be read must not let the others scale down.
        if len(failed) == len(heard) or (failed and recommended < current):
            reason = _FAILED[failed[0].target.source]
            self.conditions["ScalingActive"] = ("False", reason)
            return Decision(None, heard)
        self.conditions["ScalingActive"] = ("True", "ValidMetricFound")
        normalized = normalize(
            self.history,
            max(recommended, 0),
            Limits(current, spec.least, spec.most),
            behavior=spec.behavior,
            downscale_stabilization_s=self.flags.downscale_stabilization_s,
            now_us=now_us,
        )
        self.conditions["AbleToScale"] = ("True", normalized.able_to_scale)
        self.conditions["ScalingLimited"] = (str(normalized.limited), normalized.limit)
        desired = normalized.replicas
        if current == 0:
            desired = max(desired, spec.least)  # the minimum was raised while nothing ran
        if desired == current:
            self.desired = current
            return Decision(None, heard, normalized)
        return Decision(desired, heard, normalized)

    def rescaled(self, spec: HpaSpec, before: int, after: int, now_us: int) -> None:
        """The scale was written."""
        self.conditions["AbleToScale"] = ("True", "SucceededRescale")
        self.history.remember_rescale(spec.behavior, before, after, now_us)
        # Only who was scaled to zero by its HPA is scaled up from there by it.
        to_zero = before > 0 and after == 0 and spec.least == 0 and spec.may_reach_zero
        reason = "ScaledToZero" if to_zero else "NotScaledToZero"
        self.conditions["ScaledToZero"] = (str(to_zero), reason)
        self.desired = after

    def refused(self) -> None:
        """The scale could not be written. The recommendation is remembered all the same."""
        self.conditions["AbleToScale"] = ("False", "FailedUpdateScale")

    def _hear(
        self, spec: HpaSpec, scale: Scale, readings: Readings, now_us: int
    ) -> tuple[Heard, ...]:
        situation = Situation(
            spec_replicas=scale.spec_replicas,
            status_replicas=scale.status_replicas,
            pods=scale.pods,
            readings=readings,
            now_us=now_us,
            cpu_initialization_us=self.flags.cpu_initialization_s * SECOND_US,
            initial_readiness_us=self.flags.initial_readiness_s * SECOND_US,
        )
        tolerances = self._tolerances(spec)
        heard = []
        for target in spec.targets:
            try:
                heard.append(Heard(target, propose(target, situation, tolerances)))
            except NoProposalError as error:
                heard.append(Heard(target, None, str(error)))
        return tuple(heard)

    def _tolerances(self, spec: HpaSpec) -> Tolerances:
        own = spec.behavior
        down = own.down.tolerance if own else None
        up = own.up.tolerance if own else None
        general = self.flags.tolerance
        return Tolerances(general if down is None else down, general if up is None else up)


def _target(metric: Json) -> Target:
    source = metric["type"]
    found = metric[source[0].lower() + source[1:]]
    target = found["target"]
    name = found["name"] if "name" in found else found["metric"]["name"]
    container = found.get("container", "")
    if source in ("Resource", "ContainerResource"):
        # As the controller: the average value counts where both are set.
        average = target.get("averageValue")
        if average is None:
            percent = target["averageUtilization"]
            return Target(source, name, "Utilization", percent, container)
        return Target(source, name, "AverageValue", _milli(average), container)
    if source == "Pods" or (source == "External" and target.get("averageValue") is not None):
        return Target(source, name, "AverageValue", _milli(target["averageValue"]))
    kind = target["type"]
    return Target(source, name, kind, _milli(target[kind[0].lower() + kind[1:]]))


def _rules(rules: Json) -> Rules:
    tolerance = rules.get("tolerance")
    return Rules(
        select=rules["selectPolicy"],
        policies=tuple(
            Policy(p["type"], p["value"], p["periodSeconds"]) for p in rules.get("policies") or ()
        ),
        stabilization_s=rules.get("stabilizationWindowSeconds"),
        tolerance=None if tolerance is None else _approximately(tolerance),
    )


def _milli(quantity: Any) -> int:
    """``Quantity.MilliValue``: thousandths, rounded up."""
    return int((parse_quantity(quantity) * 1000).to_integral_value(ROUND_CEILING))


def _approximately(quantity: Any) -> float:
    """``Quantity.AsApproximateFloat64``: the mantissa times a power of ten, in floats."""
    text = canonical_quantity(quantity)
    if text[-1] in _BELOW_ONE:
        return float(text[:-1]) * _BELOW_ONE[text[-1]]
    return float(parse_quantity(quantity))
