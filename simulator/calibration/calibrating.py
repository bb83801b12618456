"""What is asked of a calibration, and the file that comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import yaml

from prism_operator.api.meta import Json
from simulator.calibration.durations import fit_duration
from simulator.calibration.loads import fit_load
from simulator.calibration.objects import durations
from simulator.calibration.prometheus import Prometheus
from simulator.calibration.speeds import fit_speeds
from simulator.inputs import BadInputError
from simulator.scenario import Scenario
from simulator.scenario.calibration import Calibration, Parameter

_LOADS = {"messages": "produce", "requests": "requests.rate", "cpu": "cpu.cores"}


@dataclass(frozen=True, slots=True)
class Query:
    """What a PromQL query tells of a workload."""

    workload: str
    promql: str

    @classmethod
    def parse(cls, text: str, option: str, scenario: Scenario) -> Query:
        """Reads ``WORKLOAD=QUERY``. Raises BadInputError."""
        name, equals, promql = text.partition("=")
        if not equals or not promql.strip():
            raise BadInputError([f'{option}: expected WORKLOAD=QUERY, got "{text}"'])
        if name not in scenario.workloads:
            known = ", ".join(scenario.workloads) or "none"
            raise BadInputError([f'{option}: "{name}" is no workload (there are: {known})'])
        return cls(name, promql.strip())


@dataclass(frozen=True, slots=True)
class Period:
    """The time that is asked about; what is from ``split`` on is only tested on."""

    start: datetime
    end: datetime
    step_s: int
    split: datetime

    @classmethod
    def until(cls, start: datetime, end: datetime, step_s: int, unseen_s: float) -> Period:
        """The last ``unseen_s`` of it are kept for the test. Raises BadInputError."""
        split = end - timedelta(seconds=unseen_s)
        if not start < split < end:
            raise BadInputError(
                [f"--unseen: expected less than the time from {start} to {end}, and more than 0s"]
            )
        return cls(start, end, step_s, split)

    def __str__(self) -> str:
        days = (f"{moment:%Y-%m-%dT%H:%MZ}" for moment in (self.start, self.split))
        return " to ".join(days)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a Prometheus: loads of workloads, and speeds of their pods."""

    prometheus: Prometheus
    period: Period
    loads: Sequence[Query] = ()
    speeds: Sequence[Query] = ()


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What was fitted, and a line for each thing that could not be."""

    calibration: Calibration
    notes: tuple[str, ...]


def calibrate(scenario: Scenario, objects: Sequence[Json], asked: Asked | None) -> Calibrated:
    """Fits all that is asked for, and of the objects whatever they suffice for.

    Raises:
        BadInputError: A query that was asked for cannot be fitted, or nothing can.
    """
    found: dict[str, Parameter] = {}
    notes: list[str] = []
    problems: list[str] = []
    for path, samples in sorted(durations(objects).items()):
        pool = path.split(".")[2] if path.endswith(".boot") else None
        if pool is not None and pool not in scenario.cluster.pools:
            notes.append(f"{path}: not fitted: the scenario has no pool of that name")
            continue
        try:
            found[path] = fit_duration(samples, "pods and nodes, by their timestamps and Events")
        except ValueError as error:
            notes.append(f"{path}: not fitted: {error}")
    if objects and "cluster.pods.start" not in found:
        notes.append(
            "cluster.pods.start: needs pods with their Pulled Events, kept for an hour: "
            "without these it cannot be told from the pull"
        )
    if asked is not None:
        fits = [(_load, query) for query in asked.loads]
        for fit, query in [*fits, *((_speed, query) for query in asked.speeds)]:
            try:
                path, parameter = fit(scenario, asked, query)
                found[path] = parameter
            except ValueError as error:
                problems.append(f"{query.promql}: {error}")
            except BadInputError as error:
                problems += error.problems
    if problems:
        raise BadInputError(problems)
    if not found:
        raise BadInputError(["nothing could be fitted", *notes])
    return Calibrated(Calibration(parameters=dict(sorted(found.items()))), tuple(notes))


def document(calibration: Calibration) -> str:
    """The file."""
    dumped = calibration.model_dump(mode="json", by_alias=True, exclude_none=True)
    head = "# By prism-sim calibrate; a scenario beside it reads it by  calibration: <this file>\n"
    return head + yaml.safe_dump(dumped, sort_keys=False, allow_unicode=True, width=100)


def _load(scenario: Scenario, asked: Asked, query: Query) -> tuple[str, Parameter]:
    kind, period = scenario.workloads[query.workload].kind, asked.period
    series = asked.prometheus.one(query.promql, period.start, period.end, period.step_s)
    noise = None if kind == "cpu" else "poisson"
    parameter = fit_load(series.points, period.split, _source(asked, query), noise=noise)
    return f"workloads.{query.workload}.{_LOADS[kind]}", parameter


def _speed(scenario: Scenario, asked: Asked, query: Query) -> tuple[str, Parameter]:
    if scenario.workloads[query.workload].kind != "messages":
        raise ValueError(f'"{query.workload}" has no consumer')
    period = asked.period
    pods = asked.prometheus.range(query.promql, period.start, period.end, period.step_s)
    parameter = fit_speeds(pods, period.split, _source(asked, query))
    return f"workloads.{query.workload}.consumer.rate", parameter


def _source(asked: Asked, query: Query) -> str:
    return f"Prometheus, {asked.period}: {query.promql}"
