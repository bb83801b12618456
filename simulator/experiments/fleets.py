"""Runs of experiments played as fleets: a hundred times as many in the same time, and coarser."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from functools import lru_cache

from prism_operator.api.meta import Json
from simulator.experiments.runs import Job, Run
from simulator.experiments.verdicts import Observation
from simulator.fleet import FleetResult, FleetSimulation, Numbers, fleet_of
from simulator.fleet.scenario import planned_objects
from simulator.inputs import BadInputError
from simulator.scenario import LoadedScenario, Scenario

_NUMBERS: dict[str, Callable[[Numbers], float]] = {
    "replicas.mean": lambda n: n.replicas,
    "ready.mean": lambda n: n.ready,
    "lag.max": lambda n: n.lag_most,
}


def play_as_fleet(job: Job) -> Run:
    """Plays a job as a fleet. Raises BadInputError."""
    loaded, planned = _planned(job.pickled)
    clock = loaded.scenario.clock
    if clock.warmup or clock.drain:
        message = f"{loaded.path}: clock: a fleet is measured from its beginning to its end"
        raise BadInputError([message])
    result = FleetSimulation(fleet_of(loaded, job.seed, planned)).run()
    measured = {name: _measure(name, loaded.scenario, result) for name in job.measures}
    return Run(job.variant, job.seed, measured, (), result.log_hash)


@lru_cache(maxsize=4)
def _planned(pickled: bytes) -> tuple[LoadedScenario, Sequence[Json]]:
    loaded: LoadedScenario = pickle.loads(pickled)  # noqa: S301  our own, see jobs_of
    return loaded, planned_objects(loaded)


def _measure(name: str, scenario: Scenario, result: FleetResult) -> Observation:
    if name == "cost":
        return Observation(result.cost)
    groups: dict[str, Numbers] = {
        workload: result.groups[str(work.deployment)]
        for workload, work in scenario.workloads.items()
    }
    known = {f"{workload}.{sum_}": (workload, sum_) for workload in groups for sum_ in _NUMBERS}
    if name not in known:
        raise BadInputError(
            [f'"{name}" is no measure of a fleet: expected one of cost, {", ".join(sorted(known))}']
        )
    workload, sum_ = known[name]
    return Observation(_NUMBERS[sum_](groups[workload]))
