"""``simulate(scenario)``: a run with its numbers, what was expected of it, and what happened."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from prism_operator.api.meta import Json
from prism_operator.documents import Document
from simulator.expectations import described
from simulator.experiments.measures import measure
from simulator.inputs import BadInputError
from simulator.python.frames import Frames
from simulator.python.policies import Decide, Policy, policies_of, start_policies
from simulator.quiet import silenced
from simulator.report import row
from simulator.run import Result, Simulation
from simulator.scenario import LoadedScenario, load
from simulator.scenario.files import load_document
from simulator.scenario.settings import Setting

Source = str | Path | Mapping[str, Any]  # a file, or what would stand in it


@dataclass(frozen=True, slots=True)
class Expected:
    """One expectation of the scenario; ``why`` says what was the case where it was not met."""

    text: str
    met: bool
    why: str


class Simulated:
    """What a run came to: its numbers over time, its expectations, and everything that happened."""

    def __init__(self, simulation: Simulation, result: Result, log: str) -> None:
        self._simulation, self._log = simulation, log
        self.summary = result

    @property
    def passed(self) -> bool:
        """Whether every expectation was met and every promise kept."""
        return self.summary.passed

    @property
    def failures(self) -> tuple[str, ...]:
        """A line for every expectation that was not met and every promise that was broken."""
        return self.summary.failures

    @property
    def expectations(self) -> tuple[Expected, ...]:
        """What the scenario expects, in its order."""
        return tuple(
            Expected(described(j.expectation), bool(j.verdict), "" if j.verdict else j.why)
            for j in self._simulation.judges.judges
        )

    @property
    def start(self) -> datetime:
        """The time of day at which the scenario begins: ``frame.index + start`` are dates."""
        return self._simulation.scenario.clock.start

    @cached_property
    def frames(self) -> Frames:
        """Numbers over time as pandas DataFrames, by metric: ``frames["lag"]["orders"]``."""
        scenario = self._simulation.scenario
        return Frames(self._simulation.recorder, list(scenario.workloads), scenario.duration)

    @cached_property
    def events(self) -> tuple[Json, ...]:
        """The event log: everything that happened, in its order."""
        return tuple(json.loads(line) for line in self._log.splitlines())

    @property
    def event_log(self) -> str:
        """The same as JSON lines: what ``prism-sim run --event-log`` writes."""
        return self._log

    def measure(self, name: str) -> float:
        """A number summed up between warm-up and drain, such as ``orders.delay.p99`` or ``cost``.

        Raises:
            BadInputError: There is no such number.
        """
        scenario = self._simulation.scenario
        from_us, to_us = scenario.clock.warmup, scenario.duration - scenario.clock.drain
        return measure(name, self.summary, self._simulation.recorder, from_us, to_us).value

    def __repr__(self) -> str:
        return "\n".join([" ".join(row(self.summary).split()), *self.failures])


def simulate(
    scenario: Source | LoadedScenario,
    *,
    seed: int | None = None,
    params: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    policies: Mapping[str, Policy | Decide] | None = None,
) -> Simulated:
    """Runs a scenario, a file or what would stand in it, to its end.

    ``params`` are those that the scenario names; ``settings`` change anything by its path:
    ``{"PrismPattern/orders:spec.autoscaling.maxReplicas": 64, "duration": "2h"}``. ``policies``
    scale patterns by functions of what is observed, in place of HPA and KEDA. The same arguments
    give the same run.

    Raises:
        BadInputError: With everything that is wrong.
        PolicyError: A policy decided what cannot be carried out.
    """
    changes = _settings(settings or {})
    loaded = load_source(scenario, params, changes)
    targets, off = policies_of(policies or {}, loaded)
    if off:
        loaded = load_source(scenario, params, (*changes, *off))
    log = io.StringIO()
    with silenced():
        simulation = Simulation(loaded, seed=seed, log=log)
        start_policies(simulation, targets)
        result = simulation.run()
    return Simulated(simulation, result, log.getvalue())


def load_source(
    source: Source | LoadedScenario,
    params: Mapping[str, Any] | None = None,
    settings: Sequence[Setting] = (),
) -> LoadedScenario:
    """A scenario from a file, or from a mapping whose files are relative to where we are.

    Raises:
        BadInputError: With everything that is wrong.
    """
    if isinstance(source, LoadedScenario):
        if params or settings:
            raise BadInputError(["a loaded scenario has its params and settings already"])
        return source
    if isinstance(source, Mapping):
        document = Document("scenario", json.loads(json.dumps(source)))
        return load_document(document, Path("scenario"), params, settings)
    return load(Path(source), params, settings)


def _settings(given: Mapping[str, Any]) -> tuple[Setting, ...]:
    problems, settings = list[str](), list[Setting]()
    for path, value in given.items():
        try:
            settings.append(Setting.at(path, value))
        except ValueError as error:
            problems.append(f"settings: {error}")
    if problems:
        raise BadInputError(problems)
    return tuple(settings)
