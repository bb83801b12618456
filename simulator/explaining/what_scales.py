"""Small changes after which an HPA or KEDA would have decided otherwise.

``decide`` and ``request_scale`` are asked again with what they saw and remembered at their last
look, with one thing changed. Of each kind the smallest change that alters the outcome is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from prism_operator.api.meta import Ref
from simulator.autoscaling.behavior import Behavior, Policy, Rules
from simulator.autoscaling.hpa import Autoscaler, HpaSpec
from simulator.autoscaling.keda import annotations as ask
from simulator.autoscaling.keda.executor import Polled, Wanted, request_scale
from simulator.autoscaling.keda.kafka import KafkaTrigger, Partition
from simulator.autoscaling.keda.operator import Answered, Looked, Poll
from simulator.autoscaling.keda.status import Status
from simulator.autoscaling.replicas import Readings, Target
from simulator.controllers.objects import annotations_of, created_ns
from simulator.controllers.podautoscaler import Sync
from simulator.explaining.amounts import measured as value_text
from simulator.explaining.answers import WhatIf, smallest
from simulator.explaining.instants import told
from simulator.kernel import Us

_REPLICAS_MAX = 1000
_TIMES_MAX = 100  # so many times as much of a value is tried
_WAITS_MAX = 400  # syncs, or polls


@dataclass(frozen=True, slots=True)
class Seen:
    """The last looks of a scaler, and the metrics as KEDA answered them to the sync."""

    sync: Sync | None
    poll: Poll | None
    answers: Mapping[str, Answered]
    scaled_object: Ref | None


def what_if(seen: Seen, since: Callable[[Us], Us]) -> tuple[WhatIf, ...]:
    """What would have led to another number of replicas. ``since`` makes times those of the run."""
    changes: list[WhatIf] = []
    if seen.poll is not None and not (seen.poll.polled.is_active and seen.poll.seen.replicas):
        changes += _of_poll(seen.poll, since)
    if seen.sync is not None and seen.sync.scale.spec_replicas:
        changes += _of_sync(seen.sync, seen.answers, since)
    return tuple(changes)


# An HPA's sync


def scaled_to(
    sync: Sync,
    *,
    spec: HpaSpec | None = None,
    readings: Readings | None = None,
    autoscaler: Autoscaler | None = None,
    at_us: Us | None = None,
) -> int:
    """How many replicas the sync leaves, were these things otherwise."""
    autoscaler = autoscaler or deepcopy(sync.before)
    now_us = sync.at_us if at_us is None else at_us
    decision = autoscaler.decide(spec or sync.spec, sync.scale, readings or sync.readings, now_us)
    return sync.scale.spec_replicas if decision.scale_to is None else decision.scale_to


def later_sync(sync: Sync) -> tuple[int, int] | None:
    """When the next syncs would decide otherwise if all stayed as it is: in µs, and to what."""
    autoscaler, first = deepcopy(sync.before), scaled_to(sync)
    period_us = sync.next_us - sync.at_us
    scaled_to(sync, autoscaler=autoscaler)
    for turn in range(1, _WAITS_MAX):
        to = scaled_to(sync, autoscaler=autoscaler, at_us=sync.at_us + turn * period_us)
        if to != first:
            return turn * period_us, to
    return None


def _of_sync(
    sync: Sync, answers: Mapping[str, Answered], since: Callable[[Us], Us]
) -> Iterator[WhatIf]:
    first = scaled_to(sync)

    def outcome(replicas: int) -> str:
        current = sync.scale.spec_replicas
        return f"stays at {current}" if replicas == current else f"scales to {replicas}"

    def nearest(
        change: Callable[[int], int], most: int, say: Callable[[int], str]
    ) -> Iterator[WhatIf]:
        steps = smallest(lambda n: change(n) != first, most) if most > 0 else None
        if steps is not None:
            yield WhatIf(say(steps), outcome(change(steps)))

    for index, target in enumerate(sync.spec.targets):
        yield from _other_target(sync, index, target, answers.get(target.name), nearest)
        yield from _other_value(sync, target, nearest)
        yield from _more_partitions(sync, target, answers.get(target.name), nearest)
    yield from _other_bounds(sync, nearest)
    if any(h.proposal and h.proposal.clause == "tolerance" for h in sync.decision.heard):
        yield from _less_tolerance(sync, nearest)
    yield from _other_windows(sync, nearest)
    yield from _other_policies(sync, nearest)
    waited = later_sync(sync)
    if waited is not None and sync.decision.scale_to is None:
        wait_us, to = waited
        at = told(since(sync.at_us + wait_us))
        yield WhatIf(
            f"{told(wait_us)} more, at the sync of {at}, with metrics as they are", outcome(to)
        )


_Nearest = Callable[[Callable[[int], int], int, Callable[[int], str]], Iterator[WhatIf]]


def _other_target(
    sync: Sync, index: int, target: Target, answered: Answered | None, nearest: _Nearest
) -> Iterator[WhatIf]:
    """Another threshold; of a kafka trigger the lag that counts is looked up again with it."""
    looked = None if answered is None else answered.looked
    step = _step(target, target.value)

    def changed(value: int) -> int:
        targets = list(sync.spec.targets)
        targets[index] = replace(target, value=value)
        readings = sync.readings
        if looked is not None and looked.kafka is not None:
            lag = looked_again(looked, lag_threshold=value // 1000)
            readings = _with_external(sync, target.name, lag * 1000)
        return scaled_to(sync, spec=replace(sync.spec, targets=tuple(targets)), readings=readings)

    for sign, most in ((-1, (target.value - 1) // step), (+1, target.value * _TIMES_MAX // step)):

        def at(n: int, sign: int = sign) -> int:
            return changed(target.value + sign * n * step)

        def say(n: int, sign: int = sign) -> str:
            value = value_text(target, target.value + sign * n * step)
            return f"target {value} instead of {value_text(target, target.value)} of {target.key}"

        yield from nearest(at, most, say)


def _other_value(sync: Sync, target: Target, nearest: _Nearest) -> Iterator[WhatIf]:
    """Another value of the metric: how near it was."""
    values = sync.readings.external.get(target.name)
    if values:
        had = sum(values)
        step = _step(target, had)
        for sign, most in ((-1, had // step), (+1, max(had, 1000) * _TIMES_MAX // step)):

            def at(n: int, sign: int = sign) -> int:
                readings = _with_external(sync, target.name, had + sign * n * step)
                return scaled_to(sync, readings=readings)

            def say(n: int, sign: int = sign) -> str:
                value = value_text(target, had + sign * n * step)
                return f"{target.key} of {value} instead of {value_text(target, had)}"

            yield from nearest(at, most, say)
        return
    samples = sync.readings.pods.get(target.key)
    if not samples:
        return
    for sign, most in ((-1, 100), (+1, 100 * _TIMES_MAX)):

        def scaled(n: int, sign: int = sign) -> int:
            other = {
                name: replace(s, value_milli=s.value_milli * (100 + sign * n) // 100)
                for name, s in samples.items()
            }
            readings = replace(sync.readings, pods={**sync.readings.pods, target.key: other})
            return scaled_to(sync, readings=readings)

        def said(n: int, sign: int = sign) -> str:
            return f"{n} % {'more' if sign > 0 else 'less'} {target.key} in each pod"

        yield from nearest(scaled, most, said)


def _more_partitions(
    sync: Sync, target: Target, answered: Answered | None, nearest: _Nearest
) -> Iterator[WhatIf]:
    """Where partitions are what limits the lag that counts."""
    looked = None if answered is None else answered.looked
    if looked is None or looked.kafka is None:
        return
    whole = looked_again(looked, allows_idle_consumers=True)
    if whole * 1000 <= looked.value_milli:
        return

    def grown(n: int) -> int:
        highest = max(partition.number for partition in looked.partitions)
        topic = looked.partitions[0].topic
        fresh = [Partition(topic, highest + 1 + i, 0, 0, 0) for i in range(n)]
        lag = looked_again(looked, more=tuple(fresh))
        return scaled_to(sync, readings=_with_external(sync, target.name, lag * 1000))

    yield from nearest(grown, len(looked.partitions) * 10, lambda n: f"{n} more partitions")
    yield from nearest(
        lambda _: scaled_to(sync, readings=_with_external(sync, target.name, whole * 1000)),
        1,
        lambda _: 'allowIdleConsumers: "true"',
    )


def _other_bounds(sync: Sync, nearest: _Nearest) -> Iterator[WhatIf]:
    spec = sync.spec
    for field, name, value, least in (
        ("most", "maxReplicas", spec.most, max(1, spec.least)),
        ("least", "minReplicas", spec.least, 1),
    ):
        for sign, most in ((+1, _REPLICAS_MAX), (-1, value - least)):

            def at(n: int, sign: int = sign, field: str = field, value: int = value) -> int:
                changed: dict[str, Any] = {field: value + sign * n}
                return scaled_to(sync, spec=replace(spec, **changed))

            def say(n: int, sign: int = sign, name: str = name, value: int = value) -> str:
                return f"{name} {value + sign * n} instead of {value}"

            if name == "minReplicas" and sign > 0:
                most = spec.most - value
            yield from nearest(at, most, say)


def _less_tolerance(sync: Sync, nearest: _Nearest) -> Iterator[WhatIf]:
    general = round(sync.before.flags.tolerance * 1000)

    def at(n: int) -> int:
        autoscaler, behavior = deepcopy(sync.before), sync.spec.behavior
        autoscaler.flags = replace(autoscaler.flags, tolerance=(general - n) / 1000)
        if behavior is not None:
            behavior = Behavior(
                replace(behavior.up, tolerance=None), replace(behavior.down, tolerance=None)
            )
        spec = replace(sync.spec, behavior=behavior)
        return scaled_to(sync, spec=spec, autoscaler=autoscaler)

    yield from nearest(
        at, general, lambda n: f"tolerance {(general - n) / 1000:g} instead of {general / 1000:g}"
    )


def _other_windows(sync: Sync, nearest: _Nearest) -> Iterator[WhatIf]:
    behavior = sync.spec.behavior
    general = sync.before.flags.downscale_stabilization_s
    if behavior is None:

        def flagged(n: int) -> int:
            autoscaler = deepcopy(sync.before)
            autoscaler.flags = replace(autoscaler.flags, downscale_stabilization_s=general - n)
            return scaled_to(sync, autoscaler=autoscaler)

        yield from nearest(
            flagged,
            general,
            lambda n: f"a scaleDown window of {general - n} s instead of {general} s",
        )
        return
    for name, rules, default in (("up", behavior.up, 0), ("down", behavior.down, general)):
        window_s = default if rules.stabilization_s is None else rules.stabilization_s

        def at(n: int, name: str = name, window_s: int = window_s) -> int:
            return _with_rules(sync, name, stabilization_s=window_s - n)

        def say(n: int, name: str = name, window_s: int = window_s) -> str:
            side = f"scale{name.capitalize()}"
            return f"a {side} window of {window_s - n} s instead of {window_s} s"

        yield from nearest(at, window_s, say)


def _other_policies(sync: Sync, nearest: _Nearest) -> Iterator[WhatIf]:
    behavior, normalized = sync.spec.behavior, sync.decision.normalized
    if behavior is None or normalized is None:
        return
    if normalized.limit not in ("ScaleUpLimit", "ScaleDownLimit"):
        return
    name = "up" if normalized.limit == "ScaleUpLimit" else "down"
    rules: Rules = getattr(behavior, name)
    if rules.select == "Disabled":
        yield from nearest(
            lambda _: _with_rules(sync, name, select="Max"),
            1,
            lambda _: f"scale{name.capitalize()} with selectPolicy Max instead of Disabled",
        )
        return
    for index, policy in enumerate(rules.policies):
        most = _REPLICAS_MAX if name == "up" or policy.type == "Pods" else 100 - policy.value

        def at(n: int, index: int = index, policy: Policy = policy) -> int:
            policies = list(rules.policies)
            policies[index] = replace(policy, value=policy.value + n)
            return _with_rules(sync, name, policies=tuple(policies))

        def say(n: int, policy: Policy = policy) -> str:
            wider = replace(policy, value=policy.value + n)
            side = f"scale{name.capitalize()}"
            return f"a {side} policy of {policy_text(wider)} instead of {policy_text(policy)}"

        yield from nearest(at, most, say)


def policy_text(policy: Policy) -> str:
    """A scaling policy in words."""
    pods = "pod" if policy.value == 1 else "pods"
    return f"{policy.value} {'%' if policy.type == 'Percent' else pods} in {policy.period_s} s"


def _with_rules(sync: Sync, name: str, **fields: Any) -> int:
    behavior = sync.spec.behavior
    if behavior is None:
        return scaled_to(sync)
    rules = replace(getattr(behavior, name), **fields)
    behavior = replace(behavior, **{name: rules})
    return scaled_to(sync, spec=replace(sync.spec, behavior=behavior))


def _with_external(sync: Sync, name: str, value_milli: int) -> Readings:
    external = {**sync.readings.external, name: (value_milli,)}
    return replace(sync.readings, external=external)


def looked_again(looked: Looked, *, more: tuple[Partition, ...] = (), **config: Any) -> int:
    """The lag that a kafka trigger would report, were its metadata or topic otherwise."""
    trigger = looked.kafka
    if trigger is None:
        return looked.value_milli // 1000
    other = KafkaTrigger(replace(trigger.config, **config), dict(trigger.previous))
    return other.look((*looked.partitions, *more)).value


def _step(target: Target, value: int) -> int:
    """By how much a target or value is varied: a percent, a MiB, one, or less of what is small."""
    if target.type == "Utilization":
        return 1
    if target.source in ("Resource", "ContainerResource"):
        return 1 if target.name == "cpu" else 2**20 * 1000
    return 1000 if target.source == "External" or value >= 10_000 else 1


# A poll of KEDA's scale loop


def polled_again(
    poll: Poll,
    *,
    polled: Polled | None = None,
    at_us: Us | None = None,
    annotations: Mapping[str, str] | None = None,
    **spec: Any,
) -> tuple[Wanted | None, Status]:
    """What the scale loop wants, and the status it leaves, were these things otherwise."""
    status = deepcopy(poll.before)
    wanted = request_scale(
        {**poll.obj["spec"], **spec},
        annotations_of(poll.obj) if annotations is None else annotations,
        status,
        polled or poll.polled,
        poll.seen,
        created_us=created_ns(poll.obj) // 1000,
        now_us=poll.at_us if at_us is None else at_us,
    )
    return wanted, status


def _of_poll(poll: Poll, since: Callable[[Us], Us]) -> Iterator[WhatIf]:
    first, spec = poll.wanted, poll.obj["spec"]

    def outcome(wanted: Wanted | None) -> str:
        current = poll.seen.replicas
        return f"stays at {current}" if wanted is None else f"scales to {wanted.replicas}"

    def tried(change: str, **fields: Any) -> Iterator[WhatIf]:
        wanted, _ = polled_again(poll, **fields)
        if wanted != first:
            yield WhatIf(change, outcome(wanted))

    annotations = annotations_of(poll.obj)
    paused = {key: annotations[key] for key in annotations if key in _PAUSES}
    if paused:
        rest = {key: value for key, value in annotations.items() if key not in paused}
        yield from tried(f"without the annotation {', '.join(sorted(paused))}", annotations=rest)
    if not poll.polled.is_active:
        names = frozenset(poll.before.external_metrics or poll.before.activity)
        active = Polled(is_active=True, is_error=False, active=names)
        yield from tried("an active trigger", polled=active)
    else:
        yield from tried(
            "no active trigger", polled=Polled(is_active=False, is_error=False, active=frozenset())
        )
    least = spec.get("minReplicaCount") or 0
    yield from tried(f"minReplicaCount 1 instead of {least}", minReplicaCount=1)
    cooldown_s = spec.get("cooldownPeriod", 300)
    shorter = smallest(
        lambda n: polled_again(poll, cooldownPeriod=cooldown_s - n)[0] != first, cooldown_s
    )
    if shorter is not None:
        yield from tried(
            f"cooldownPeriod {cooldown_s - shorter} s instead of {cooldown_s} s",
            cooldownPeriod=cooldown_s - shorter,
        )
    period_us = poll.next_us - poll.at_us
    for turn in range(1, _WAITS_MAX):
        at_us = poll.at_us + turn * period_us
        wanted, _ = polled_again(poll, at_us=at_us)
        if wanted != first:
            wait, at = told(at_us - poll.at_us), told(since(at_us))
            yield WhatIf(
                f"{wait} more, at the poll of {at}, with triggers as they are", outcome(wanted)
            )
            return


_PAUSES = (ask.PAUSED, ask.PAUSED_REPLICAS, ask.PAUSED_SCALE_IN, ask.PAUSED_SCALE_OUT)
