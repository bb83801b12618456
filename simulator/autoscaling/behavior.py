"""How fast an HPA may follow its metrics: stabilization windows, scaling policies, replica bounds.

After ``k8s.io/kubernetes/pkg/controller/podautoscaler/horizontal.go`` of 1.37: ``stabilize…``,
``convertDesiredReplicas…``, ``calculateScale{Up,Down}Limit…``, ``storeScaleEvent``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

SelectPolicy = Literal["Max", "Min", "Disabled"]
SECOND_US: Final = 1_000_000

_UP_FACTOR, _UP_LEAST = 2.0, 4.0


@dataclass(frozen=True, slots=True)
class Policy:
    """At most ``value`` pods, or percent of the pods, within any ``period_s``."""

    type: Literal["Pods", "Percent"]
    value: int
    period_s: int


@dataclass(frozen=True, slots=True)
class Rules:
    """One direction of ``spec.behavior``, defaulted. No ``tolerance``: the controller's."""

    select: SelectPolicy
    policies: tuple[Policy, ...]
    stabilization_s: int | None
    tolerance: float | None = None


@dataclass(frozen=True, slots=True)
class Behavior:
    """``spec.behavior``, defaulted."""

    up: Rules
    down: Rules


@dataclass(frozen=True, slots=True)
class Limits:
    """What a recommendation is held within."""

    current: int
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Normalized:
    """A recommendation after the rules, and the reasons of the two conditions that tell of it."""

    replicas: int
    stabilized: int
    able_to_scale: str
    limited: bool
    limit: str


@dataclass(slots=True)
class _Event:
    change: int
    at_us: int
    outdated: bool = False


@dataclass(slots=True)
class History:
    """What the controller remembers of one HPA from sync to sync."""

    recommendations: list[tuple[int, int]] = field(default_factory=list)  # replicas, at_us
    ups: list[_Event] = field(default_factory=list)
    downs: list[_Event] = field(default_factory=list)

    def begin(self, current: int, now_us: int) -> None:
        """The first recommendation is what runs when the HPA is seen first."""
        if not self.recommendations:
            self.recommendations.append((current, now_us))

    def remember_rescale(
        self, behavior: Behavior | None, before: int, after: int, now_us: int
    ) -> None:
        """Notes a rescale that was written; without policies it will not be asked for."""
        if behavior is None:
            return
        rules, events = (behavior.up, self.ups) if after > before else (behavior.down, self.downs)
        longest_s = max((policy.period_s for policy in rules.policies), default=0)
        # A stale slot is taken over, not pruned; the last one, if there are several.
        slot = None
        for index, event in enumerate(events):
            event.outdated |= event.at_us < now_us - longest_s * SECOND_US
            if event.outdated:
                slot = index
        event = _Event(abs(after - before), now_us)
        if slot is None:
            events.append(event)
        else:
            events[slot] = event

    def remember_recommendation(self, replicas: int, now_us: int, stale_us: int) -> None:
        """Notes a recommendation in the last slot older than ``stale_us``, or a new one."""
        slot = None
        for index, (_, at_us) in enumerate(self.recommendations):
            if at_us < stale_us:
                slot = index
        if slot is None:
            self.recommendations.append((replicas, now_us))
        else:
            self.recommendations[slot] = (replicas, now_us)


def normalize(
    history: History,
    recommended: int,
    limits: Limits,
    *,
    behavior: Behavior | None,
    downscale_stabilization_s: int,
    now_us: int,
) -> Normalized:
    """Holds a recommendation within windows, policies and bounds, and remembers it."""
    if behavior is None:
        window_us = now_us - downscale_stabilization_s * SECOND_US
        # Exactly at the edge counts here, but not with behavior.
        recent = [replicas for replicas, at_us in history.recommendations if at_us >= window_us]
        stabilized = max([recommended, *recent])
        history.remember_recommendation(recommended, now_us, window_us)
        stabilized_reason = "ScaleDownStabilized"
        replicas, reason = _within_plain_limits(stabilized, limits)
    else:
        down_s = behavior.down.stabilization_s
        stabilized = _stabilize(
            history,
            recommended,
            limits.current,
            up_us=now_us - (behavior.up.stabilization_s or 0) * SECOND_US,
            down_us=now_us - (downscale_stabilization_s if down_s is None else down_s) * SECOND_US,
            now_us=now_us,
        )
        is_up = recommended >= limits.current
        stabilized_reason = "ScaleUpStabilized" if is_up else "ScaleDownStabilized"
        replicas, reason = _within_policies(history, stabilized, limits, behavior, now_us)
    return Normalized(
        replicas,
        stabilized,
        able_to_scale="ReadyForNewScale" if stabilized == recommended else stabilized_reason,
        limited=replicas != stabilized,
        limit=reason,
    )


def _stabilize(
    history: History, recommended: int, current: int, *, up_us: int, down_us: int, now_us: int
) -> int:
    lowest = highest = recommended
    for replicas, at_us in history.recommendations:
        if at_us > up_us:
            lowest = min(lowest, replicas)
        if at_us > down_us:
            highest = max(highest, replicas)
    history.remember_recommendation(recommended, now_us, min(up_us, down_us))
    return min(max(current, lowest), highest)


def _within_plain_limits(desired: int, limits: Limits) -> tuple[int, str]:
    up_limit = int(max(_UP_FACTOR * limits.current, _UP_LEAST))
    most, reason = limits.most, "TooManyReplicas"
    if most > up_limit:
        most, reason = up_limit, "ScaleUpLimit"
    if desired < limits.least:
        return limits.least, "TooFewReplicas"
    if desired > most:
        return most, reason
    return desired, "DesiredWithinRange"


def _within_policies(
    history: History, desired: int, limits: Limits, behavior: Behavior, now_us: int
) -> tuple[int, str]:
    current = limits.current
    if desired > current:
        # Both bounds hold: what was added lately may exceed what the policies now allow.
        limit = max(current, _policy_limit(history, current, behavior.up, now_us, up=True))
        most, reason = limits.most, "TooManyReplicas"
        if most > limit:
            most, reason = limit, "ScaleUpLimit"
        if desired > most:
            return most, reason
    elif desired < current:
        limit = min(current, _policy_limit(history, current, behavior.down, now_us, up=False))
        least, reason = limits.least, "TooFewReplicas"
        if least < limit:
            least, reason = limit, "ScaleDownLimit"
        if desired < least:
            return least, reason
    return desired, "DesiredWithinRange"


def _policy_limit(history: History, current: int, rules: Rules, now_us: int, *, up: bool) -> int:
    """The replicas that the policies of one direction allow."""
    if rules.select == "Disabled":
        return current
    # "Max" is the greatest change, so the lowest number of replicas when scaling down.
    choose: Callable[[Sequence[int]], int] = max if (rules.select == "Max") == up else min
    return choose([allowed(history, current, policy, now_us, up=up) for policy in rules.policies])


def allowed(history: History, current: int, policy: Policy, now_us: int, *, up: bool) -> int:
    """The replicas that one policy allows now, given what was added and removed lately."""
    since_us = now_us - policy.period_s * SECOND_US
    added = sum(event.change for event in history.ups if event.at_us > since_us)
    removed = sum(event.change for event in history.downs if event.at_us > since_us)
    at_start = current - added + removed
    if policy.type == "Pods":
        return at_start + policy.value if up else at_start - policy.value
    # Floating point as in the controller; up rounds up, or a small target would never grow.
    if up:
        return math.ceil(at_start * (1 + policy.value / 100))
    return int(at_start * (1 - policy.value / 100))
