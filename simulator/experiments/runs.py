"""Many runs at once, over local processes or a Dask cluster; the results do not depend on which."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol

from simulator.experiments.measures import measure
from simulator.experiments.verdicts import Observation
from simulator.inputs import BadInputError
from simulator.quiet import silence
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
    observed: Any = None  # by the job's observer


class Observer(Protocol):
    """Looks at a simulation; a function of a module, so that other processes find it."""

    def __call__(self, simulation: Simulation, /) -> Callable[[], Any]:
        """Called before the run; what the answer gives after it is kept."""


class Play(Protocol):
    """Makes a run, by one engine or another; a function of a module, too."""

    def __call__(self, job: Job, /) -> Run:
        """The run. Raises BadInputError."""


@dataclass(frozen=True, slots=True)
class Job:
    """One run to be made, wherever: it carries the scenario, not the name of a file.

    ``play``: by another engine than the ordinary one.
    """

    variant: str
    seed: int
    measures: tuple[str, ...]
    pickled: bytes  # a LoadedScenario
    observe: Observer | None = None
    play: Play | None = None

    @property
    def loaded(self) -> LoadedScenario:
        """The scenario."""
        loaded: LoadedScenario = pickle.loads(self.pickled)  # noqa: S301  our own, see jobs_of
        return loaded

    def run(self) -> Run:
        """Makes the run. Raises BadInputError."""
        silence()
        if self.play is not None:
            return self.play(self)
        loaded = self.loaded
        simulation = Simulation(loaded, seed=self.seed)
        observed = self.observe(simulation) if self.observe is not None else None
        result = simulation.run()
        clock = loaded.scenario.clock
        from_us, to_us = clock.warmup, loaded.scenario.duration - clock.drain
        measured = {
            name: measure(name, result, simulation.recorder, from_us, to_us)
            for name in self.measures
        }
        run = Run(self.variant, self.seed, measured, result.failures, result.log_hash)
        return run if observed is None else replace(run, observed=observed())


def _run(job: Job) -> Run:
    return job.run()


class Pool(Protocol):
    """Something that runs jobs, several at a time."""

    def __call__(self, jobs: Sequence[Job]) -> AbstractContextManager[Iterable[Run]]:
        """The runs as they get done, in any order; leaving the context gives up the rest."""


def local(workers: int) -> Pool:
    """Processes of this machine; with one, this process itself."""

    @contextmanager
    def here(jobs: Sequence[Job]) -> Iterator[Iterable[Run]]:
        yield map(_run, jobs)

    @contextmanager
    def processes(jobs: Sequence[Job]) -> Iterator[Iterable[Run]]:
        # Spawned, not forked: the parent may have threads, and every worker begins alike.
        pool: Executor = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
        try:
            yield (done.result() for done in as_completed(pool.submit(_run, j) for j in jobs))
        finally:
            pool.shutdown(cancel_futures=True)

    return here if workers == 1 else processes


def dask(address: str) -> Pool:
    """The workers of a Dask cluster, each of which has this package installed.

    Raises:
        BadInputError: ``distributed`` is not installed; from the pool, when nobody answers.
    """
    try:
        distributed: Any = import_module("distributed")
    except ImportError:
        message = "--dask needs the package distributed: pip install 'prism-operator[sim,dask]'"
        raise BadInputError([message]) from None

    @contextmanager
    def cluster(jobs: Sequence[Job]) -> Iterator[Iterable[Run]]:
        try:
            client = distributed.Client(address, set_as_default=False)
        except (OSError, ValueError) as error:
            raise BadInputError(
                [f"--dask {address}: no scheduler answers there: {error}"]
            ) from None
        with client, client.as_current():
            futures = client.map(_run, jobs, pure=False)
            try:
                yield (done.result() for done in distributed.as_completed(futures))
            finally:
                client.cancel(futures)

    return cluster


def jobs_of(
    path: Path,
    variants: Sequence[Variant],
    seeds: Sequence[int],
    measures: Sequence[str],
    observe: Observer | None = None,
    play: Play | None = None,
) -> list[Job]:
    """Every variant under every seed, by variant, then seed.

    Raises:
        BadInputError: A variant cannot be used.
    """
    return [
        Job(variant.name, seed, tuple(measures), pickled, observe, play)
        for variant in variants
        for pickled in [pickle.dumps(variant.load(path))]
        for seed in seeds
    ]


def run_all(
    jobs: Sequence[Job], pool: Pool, *, on_done: Callable[[Run], None] = lambda _: None
) -> list[Run]:
    """Runs them all; in the order of the jobs, whoever was done first.

    Raises:
        BadInputError: A run did what the API server refuses, or has no such measure.
    """
    runs: dict[tuple[str, int], Run] = {}
    with pool(jobs) as results:
        for run in results:
            runs[run.variant, run.seed] = run
            on_done(run)
    return [runs[job.variant, job.seed] for job in jobs]
