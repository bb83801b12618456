"""The scale loop's decision: from and to zero, and what it says of itself.

After ``RequestScale`` in ``pkg/scaling/executor/scale_scaledobjects.go``. Between one and the
maximum the HPA decides; KEDA only activates and deactivates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from prism_operator.api.meta import ReadOnlyJson
from simulator.autoscaling.keda import annotations as ask
from simulator.autoscaling.keda.status import Status

SECOND_US: Final = 1_000_000
_COOLDOWN_S, _INITIAL_COOLDOWN_S = 300, 0


@dataclass(frozen=True, slots=True)
class Polled:
    """What the triggers of a ScaledObject said; ``active`` names the metrics of the active ones.

    ``pushed`` names the only trigger that spoke, when one called instead of being polled.
    """

    is_active: bool
    is_error: bool
    active: frozenset[str]
    pushed: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """The target and its HPA. ``replicas`` is None when the target cannot be read.

    ``hpa`` is the HPA's condition ScalingActive, status and reason; None without one.
    """

    replicas: int | None
    hpa: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Replicas to write to the scale subresource, and whether that counts as activity."""

    replicas: int
    activates: bool


def request_scale(
    spec: ReadOnlyJson,
    annotations: Mapping[str, str],
    status: Status,
    polled: Polled,
    seen: Seen,
    *,
    created_us: int,
    now_us: int,
) -> Wanted | None:
    """What to write, if anything; ``status`` follows. Then ``written`` or ``refused`` is due."""
    _note_activity(status, polled)
    if seen.replicas is None:
        status.conditions["Ready"] = ("False", "ErrorGettingCurrentReplicas")
        return None
    status.conditions["Ready"] = ("True", "ScaledObjectReady")
    if ask.is_paused(annotations):
        status.conditions["Paused"] = ("True", "ScaledObjectPaused")
        return None
    if polled.is_active or ask.is_set(annotations, ask.FORCE_ACTIVATION):
        wanted = _when_active(spec, annotations, status, polled, seen.replicas, now_us)
    else:
        status.conditions["Active"] = ("False", "ScalerNotActive")
        wanted = _when_inactive(
            spec, annotations, status, polled, seen.replicas, created_us=created_us, now_us=now_us
        )
    _note_hpa(status, seen.hpa)
    return wanted


def written(status: Status, wanted: Wanted, now_us: int) -> None:
    """The scale was written."""
    if wanted.activates:
        _renew(status, now_us)


def refused(status: Status) -> None:
    """The scale could not be read or written."""
    status.conditions["Ready"] = ("False", "ErrorScalingTarget")


def _when_active(
    spec: ReadOnlyJson,
    annotations: Mapping[str, str],
    status: Status,
    polled: Polled,
    replicas: int,
    now_us: int,
) -> Wanted | None:
    status.conditions["Active"] = ("True", "ScalerActive")
    least = spec.get("minReplicaCount") or 0
    if replicas == 0 or (spec.get("idleReplicaCount") is not None and replicas < least):
        if ask.is_set(annotations, ask.PAUSED_SCALE_OUT):
            return None
        return Wanted(max(1, least), activates=True)
    if polled.is_error:
        # Nor is the time of activity renewed then.
        status.conditions["Ready"] = ("Unknown", "PartialTriggerError")
    else:
        _renew(status, now_us)
    return None


def _when_inactive(
    spec: ReadOnlyJson,
    annotations: Mapping[str, str],
    status: Status,
    polled: Polled,
    replicas: int,
    *,
    created_us: int,
    now_us: int,
) -> Wanted | None:
    least, idle = spec.get("minReplicaCount") or 0, spec.get("idleReplicaCount")
    fallback = spec.get("fallback")
    if polled.is_error and fallback is not None and fallback["replicas"] != 0:
        return None  # an HPA does not scale up from zero: it must not get there before fallback
    if polled.is_error and fallback is None:
        status.conditions["Ready"] = ("False", "TriggerError")
        return None
    if (idle is not None and replicas > idle) or (replicas > 0 and least == 0):
        if ask.is_set(annotations, ask.PAUSED_SCALE_IN):
            return None
        if not _has_cooled_down(spec, status, created_us, now_us):
            status.conditions["Active"] = ("False", "ScalerCooldown")
            return None
        return Wanted(least if idle is None else idle, activates=False)
    if idle is None and replicas < least:
        return Wanted(least, activates=False)
    return None


def _has_cooled_down(spec: ReadOnlyJson, status: Status, created_us: int, now_us: int) -> bool:
    if status.last_active_us is None:  # never active since KEDA looks after it
        initial_s = spec.get("initialCooldownPeriod")
        initial_s = _INITIAL_COOLDOWN_S if initial_s is None else initial_s
        return created_us + initial_s * SECOND_US < now_us
    cooldown_s = spec.get("cooldownPeriod")
    cooldown_s = _COOLDOWN_S if cooldown_s is None else cooldown_s
    return status.last_active_us + cooldown_s * SECOND_US < now_us


def _note_activity(status: Status, polled: Polled) -> None:
    names = [polled.pushed] if polled.pushed else status.external_metrics or ()
    known = status.activity if polled.pushed else {}
    status.activity = known | {name: name in polled.active for name in names}


def _note_hpa(status: Status, scaling_active: tuple[str, str] | None) -> None:
    if scaling_active is None:
        return
    state, reason = scaling_active
    if state == "True":
        status.conditions["HPAActive"] = ("True", "HPAActive")
    elif reason == "ScalingDisabled":
        status.conditions["HPAActive"] = ("True", reason)
    else:
        status.conditions["HPAActive"] = ("False", reason or "HPAMetricsUnavailable")


def _renew(status: Status, now_us: int) -> None:
    status.last_active_us = now_us // SECOND_US * SECOND_US
