"""Many runs at once, over local processes; the results do not depend on how many."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import structlog

from simulator.experiments.measures import measure
from simulator.experiments.verdicts import Observation
from simulator.run import Simulation
from simulator.scenario import LoadedScenario, load
from simulator.scenario.settings import Setting


@dataclass(frozen=True, slots=True)
class Variant:
    """A scenario with some of its values changed: of its params, and beyond them."""

    name: str
    values: Mapping[str, Any] = field(default_factory=dict)
    settings: tuple[Setting, ...] = ()

    def load(self, path: Path) -> LoadedScenario:
        """The scenario as this variant has it. Raises BadInputError."""
        return load(path, self.values, self.settings)


@dataclass(frozen=True, slots=True)
class Run:
    """What one run came to."""

    variant: str
    seed: int
    measured: Mapping[str, Observation]
    failures: tuple[str, ...]
    log_hash: str


def run_all(
    path: Path,
    variants: Sequence[Variant],
    seeds: Sequence[int],
    measures: Sequence[str],
    *,
    workers: int,
    on_done: Callable[[Run], None] = lambda _: None,
) -> list[Run]:
    """Runs every variant under every seed; by variant, then seed.

    Raises:
        BadInputError: A run did what the API server refuses, or has no such measure.
    """
    jobs = [(path, variant, seed, tuple(measures)) for variant in variants for seed in seeds]
    runs: list[Run] = []
    if workers == 1:
        results: Iterable[Run] = map(_run, jobs)
    else:
        # Spawned, not forked: the parent may have threads, and every worker begins alike.
        pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
        results = pool.map(_run, jobs, chunksize=1)
    try:
        for run in results:
            runs.append(run)
            on_done(run)
    finally:
        if workers != 1:
            pool.shutdown(cancel_futures=True)
    return runs


def _run(job: tuple[Path, Variant, int, tuple[str, ...]]) -> Run:
    path, variant, seed, measures = job
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=quiet)
    loaded = variant.load(path)
    simulation = Simulation(loaded, seed=seed)
    result = simulation.run()
    clock = loaded.scenario.clock
    from_us, to_us = clock.warmup, loaded.scenario.duration - clock.drain
    return Run(
        variant.name,
        seed,
        {name: measure(name, result, simulation.recorder, from_us, to_us) for name in measures},
        result.failures,
        result.log_hash,
    )
