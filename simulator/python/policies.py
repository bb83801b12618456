"""Python functions that decide how many replicas a PrismPattern has, in place of HPA and KEDA."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from numbers import Real
from typing import TypeAlias

from prism_operator.api.durations import parse_duration_s
from prism_operator.api.meta import DEPLOYMENT, PRISM_PATTERN, Ref
from simulator.cluster.api import ApiWorld
from simulator.controllers.world import RefusedError
from simulator.inputs import BadInputError
from simulator.kernel import SECOND_US, Component, Phase, Us
from simulator.run import Simulation
from simulator.scenario import LoadedScenario
from simulator.scenario.settings import Setting
from simulator.scenario.values import reference
from simulator.series import Series

MANAGER = "python-policy"


class PolicyError(Exception):
    """A policy asked for what is not there, or decided what cannot be carried out."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What a policy sees of its pattern, and of everything that is recorded.

    ``observed["lag"]`` is the lag of the pattern's own workload; ``observed["orders.lag"]`` and
    ``observed["nodes.spot"]`` name any number.
    """

    now: datetime  # the time of day in the scenario
    elapsed_s: float  # since the scenario began
    replicas: int  # wanted at present
    ready: int
    _seen_us: Us
    _series: Callable[[str], Series]

    def __getitem__(self, name: str) -> float:
        return self._series(name).at(self._seen_us)

    def mean(self, name: str, over: str = "1m") -> float:
        """The mean of a number over the time just gone by."""
        begin, end = self._window(over)
        return self._series(name).mean(begin, end) if begin < end else self[name]

    def max(self, name: str, over: str = "1m") -> float:
        """The largest value of a number in the time just gone by."""
        begin, end = self._window(over)
        return self._series(name).max(begin, end) if begin < end else self[name]

    def rate(self, name: str, over: str = "1m") -> float:
        """By how much a number grew a second in the time just gone by."""
        series, (begin, end) = self._series(name), self._window(over)
        grown = series.at(end) - series.at(begin)
        return grown * SECOND_US / (end - begin) if begin < end else 0.0

    def _window(self, over: str) -> tuple[Us, Us]:
        return max(0, self._seen_us - round(parse_duration_s(over) * SECOND_US)), self._seen_us


Decide: TypeAlias = Callable[[Observed], float | None]


@dataclass(frozen=True, slots=True)
class Policy:
    """``decide`` is called ``every`` so often and sees numbers that are ``delay`` old.

    It answers how many replicas there are to be, or None to leave them. The same observations must
    give the same answer: then the same run gives the same event log.
    """

    decide: Decide
    every: str = "15s"
    delay: str = "0s"


def policies_of(
    given: Mapping[str, Policy | Decide], loaded: LoadedScenario
) -> tuple[dict[Ref, Policy], tuple[Setting, ...]]:
    """The policies by pattern, and what switches the patterns' own autoscaling off.

    Raises:
        BadInputError: A pattern is not in the scenario's manifests, or a time cannot be read.
    """
    patterns = {
        manifest.ref: manifest.obj
        for manifests in loaded.manifests.values()
        for manifest in manifests
        if manifest.ref.resource == PRISM_PATTERN
    }
    policies: dict[Ref, Policy] = {}
    problems: list[str] = []
    for name, policy in given.items():
        policy = policy if isinstance(policy, Policy) else Policy(policy)
        try:
            target = reference(name)
            _times_us(policy)
        except ValueError as error:
            problems.append(f"policy for {name}: {error}")
            continue
        if target not in patterns:
            known = ", ".join(f"PrismPattern/{ref.name}" for ref in sorted(patterns)) or "none"
            problems.append(
                f"policy for {name}: expected a PrismPattern with a manifest of its own in "
                f"{loaded.path} (there are: {known}); one in a stack is scaled by its stack"
            )
        policies[target] = policy
    if problems:
        raise BadInputError(problems)
    off = tuple(
        Setting(target, ("spec", "autoscaling", "enabled"), False)
        for target in policies
        if "autoscaling" in patterns[target]["spec"]
    )
    return policies, off


def start_policies(simulation: Simulation, policies: Mapping[Ref, Policy]) -> None:
    """Has every policy decide, first when its interval has gone by once."""
    for target, policy in sorted(policies.items(), key=lambda item: item[0]):
        every_us, delay_us = _times_us(policy)
        scaler = _Scaler(simulation, target, policy.decide, every_us, delay_us)
        component = Component(
            simulation.kernel, Phase.CONTROLLER, f"{MANAGER} {target}", scaler.step
        )
        component.wake_at(every_us)


class _Scaler:
    """One policy at work."""

    def __init__(
        self, simulation: Simulation, target: Ref, decide: Decide, every_us: Us, delay_us: Us
    ) -> None:
        self._simulation, self._target, self._decide = simulation, target, decide
        self._every_us, self._delay_us = every_us, delay_us
        self._world = ApiWorld(simulation.server, simulation.cache, simulation.clock, MANAGER)
        self._mine = [
            name
            for name, spec in sorted(simulation.scenario.workloads.items())
            if spec.deployment == Ref(DEPLOYMENT, target.namespace, target.name)
        ]

    def step(self) -> Us:
        """Looks, asks the policy and scales; answers when to look again."""
        simulation, now_us = self._simulation, self._simulation.kernel.now_us
        pattern = self._world.get(self._target)
        if pattern is not None:
            simulation.workloads.advance()
            before = int(pattern["spec"].get("replicas", 1))
            observed = self._observe(before, now_us)
            wanted = self._ask(observed)
            if wanted is not None and wanted != before:
                about = {"from": before, "to": wanted}
                simulation.trace.record(now_us, "scaled by policy", str(self._target), **about)
                try:
                    self._world.scale(pattern, wanted)
                except RefusedError as error:
                    raise PolicyError(
                        f"{self._said(observed)}: {wanted} replicas: {error}"
                    ) from None
        return now_us + self._every_us

    def _observe(self, replicas: int, now_us: Us) -> Observed:
        deployment = self._world.get(Ref(DEPLOYMENT, self._target.namespace, self._target.name))
        status = (deployment or {}).get("status") or {}
        return Observed(
            now=self._simulation.clock.now(),
            elapsed_s=now_us / SECOND_US,
            replicas=replicas,
            ready=int(status.get("readyReplicas", 0)),
            _seen_us=max(0, now_us - self._delay_us),
            _series=partial(self._series, now_us),
        )

    def _ask(self, observed: Observed) -> int | None:
        try:
            wanted = self._decide(observed)
        except PolicyError:
            raise
        except Exception as error:  # whatever somebody's own function raises
            told = f"{type(error).__name__}: {error}"
            raise PolicyError(f"{self._said(observed)} failed: {told}") from error
        if wanted is None:
            return None
        if not isinstance(wanted, Real) or not math.isfinite(wanted) or wanted % 1 or wanted < 0:
            expected = "expected a whole number of replicas, or None to leave them"
            raise PolicyError(f"{self._said(observed)}: {expected}; got {wanted!r}")
        return int(wanted)

    def _series(self, now_us: Us, name: str) -> Series:
        recorder = self._simulation.recorder
        full = [f"{workload}.{name}" for workload in self._mine]
        found = [f for f in (name, *full) if recorder.get(f) is not None]
        series = recorder.get(found[0]) if len(found) == 1 else None
        if series is not None:
            return series
        at = f"policy for {self._target} at {now_us / SECOND_US:g} s"
        if found:
            raise PolicyError(f'{at}: "{name}" may be {" or ".join(found)}; say which')
        known = ", ".join(n for n in recorder.names() if recorder.get(n) is not None) or "none"
        raise PolicyError(f'{at}: nothing is recorded as "{name}" (there are: {known})')

    def _said(self, observed: Observed) -> str:
        return f"policy for {self._target} at {observed.elapsed_s:g} s"


def _times_us(policy: Policy) -> tuple[Us, Us]:
    every_us = round(parse_duration_s(policy.every) * SECOND_US)
    delay_us = round(parse_duration_s(policy.delay) * SECOND_US)
    if every_us <= 0 or delay_us < 0:
        raise ValueError(
            f"expected every above 0s and no negative delay, got {policy.every}, {policy.delay}"
        )
    return every_us, delay_us
