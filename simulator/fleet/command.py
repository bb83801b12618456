"""``prism-sim fleet``, from what was typed to what is printed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from statistics import mean
from typing import BinaryIO

from rich.console import Console
from rich.table import Table

from simulator.fleet.engine import FleetResult, FleetSimulation
from simulator.fleet.scenario import fleet_of
from simulator.inputs import BadInputError
from simulator.scenario import LoadedScenario, load


def play_fleet(
    path: Path,
    console: Console,
    *,
    seed: int | None,
    seeds: int,
    workers: int,
    event_log: Path | None,
    as_json: bool,
) -> None:
    """Plays a scenario as a fleet, under one seed or so many, and prints what became of it.

    Raises:
        BadInputError: It cannot be read, or asks for what a fleet has no model of.
    """
    loaded = load(path)
    first = loaded.scenario.seed if seed is None else seed
    numbers = range(first, first + seeds)
    if event_log is not None and seeds > 1:
        raise BadInputError(["--event-log is for one run: leave out --seeds"])
    fleet_of(loaded, first)  # what cannot be played is said before anything starts
    with _opened(event_log) as log:
        if seeds == 1:
            results = [FleetSimulation(fleet_of(loaded, first), log=log).run()]
        else:
            with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
                each = max(1, seeds // (8 * workers))
                results = list(pool.map(_one, [loaded] * seeds, numbers, chunksize=each))
    if as_json:
        for number, result in zip(numbers, results, strict=True):
            console.print_json(json.dumps({"seed": number, **asdict(result)}), indent=None)
    else:
        console.print(_table(loaded, results))
        console.print(_told(results), highlight=False)
        console.print("what the scenario expects was not judged", highlight=False)


def _one(loaded: LoadedScenario, seed: int) -> FleetResult:
    return FleetSimulation(fleet_of(loaded, seed)).run()


@contextmanager
def _opened(path: Path | None) -> Iterator[BinaryIO | None]:
    if path is None:
        yield None
        return
    try:
        file = path.open("wb")
    except OSError as error:
        message = f"--event-log {path}: cannot be written: {error.strerror}"
        raise BadInputError([message]) from None
    with file:
        yield file


def _table(loaded: LoadedScenario, results: Sequence[FleetResult]) -> Table:
    table = Table(title=f"{loaded.name}: {len(results)} seeds" if len(results) > 1 else None)
    table.add_column("pods of")
    for column in ("replicas", "ready", "most lag", "scalings"):
        table.add_column(column, justify="right")
    for name in results[0].groups:
        numbers = [result.groups[name] for result in results]
        table.add_row(
            name,
            f"{mean(n.replicas for n in numbers):.2f}",
            f"{mean(n.ready for n in numbers):.2f}",
            f"{max(n.lag_most for n in numbers):,.0f}",
            f"{mean(n.scalings for n in numbers):.1f}",
        )
    return table


def _told(results: Sequence[FleetResult]) -> str:
    costs = sorted(result.cost for result in results)
    waiting = max(result.waiting for result in results)
    if len(results) == 1:
        (result,) = results
        return (
            f"cost {result.cost:.2f}, {result.bound} pods placed, {waiting} wait at the end, "
            f"log {result.log_hash}"
        )
    return (
        f"cost {mean(costs):.2f} on the mean, {costs[0]:.2f} to {costs[-1]:.2f}; at most {waiting} "
        "pods wait at the end; most lag is that of all seeds, other numbers are means"
    )
