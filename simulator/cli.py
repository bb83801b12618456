"""``prism-sim``: runs scenarios in simulated time."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, NoReturn

import structlog
import typer

from simulator.inputs import BadInputError
from simulator.report import header, row, summary, write_junit
from simulator.run import Result, Simulation
from simulator.scenario import LoadedScenario, load
from simulator.verify import verify as verify_files
from simulator.verify.printing import print_verified

SCENARIOS = Path(__file__).resolve().parents[1] / "scenarios"
EXIT_FAILED, EXIT_BAD_INPUT = 1, 2

app = typer.Typer(
    help="Runs the operator in a simulated cluster with simulated time.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def run(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Scenario files; without any, all of scenarios/.", metavar="FILE…"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Instead of the seed in the scenario.", metavar="N")
    ] = None,
    event_log: Annotated[
        Path | None,
        typer.Option(help="Write what happened here, as JSON lines (one FILE only)."),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(help="Write the results here, as JUnit XML.")
    ] = None,
) -> None:
    """Run scenarios, print a row for each, and exit 1 if one did not go as expected."""
    # What the operator logs is not what was asked for; the event log says what it did.
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=quiet)
    try:
        loaded = _load(files or sorted(SCENARIOS.glob("*.yaml")))
        if event_log is not None and len(loaded) != 1:
            raise BadInputError([f"--event-log: expected one FILE, got {len(loaded)}"])
        typer.echo(header())
        results = [_run(scenario, seed, event_log) for scenario in loaded]
        if junit is not None:
            _write_junit(junit, results)
    except BadInputError as error:
        _refuse(error)
    typer.echo(summary(results))
    if not all(result.passed for result in results):
        raise typer.Exit(EXIT_FAILED)


@app.command()
def verify(
    files: Annotated[
        list[Path], typer.Argument(help="Recordings: gzipped JSON lines.", metavar="FILE…")
    ],
) -> None:
    """Replay recordings of real Kubernetes and KEDA components; exit 1 where we disagree."""
    try:
        results = verify_files(files)
    except BadInputError as error:
        _refuse(error)
    print_verified(results)
    if any(verified.short for verified in results):
        raise typer.Exit(EXIT_FAILED)


def main() -> None:
    """The entry point ``prism-sim``."""
    app()


def _load(files: list[Path]) -> list[LoadedScenario]:
    """All scenarios, or every problem in any of them."""
    loaded, problems = [], list[str]()
    for file in files:
        try:
            loaded.append(load(file))
        except BadInputError as error:
            problems += error.problems
    if not files:
        problems.append(f"{SCENARIOS}: no scenario found; name a FILE")
    if problems:
        raise BadInputError(problems)
    return loaded


def _run(scenario: LoadedScenario, seed: int | None, event_log: Path | None) -> Result:
    if event_log is None:
        result = Simulation(scenario, seed=seed).run()
    else:
        try:
            with event_log.open("w", encoding="utf-8") as log:
                result = Simulation(scenario, seed=seed, log=log).run()
        except OSError as error:
            raise BadInputError([f"--event-log {event_log}: {error.strerror}"]) from None
    typer.echo(row(result))
    for failure in result.failures:
        typer.echo(f"  {failure}")
    return result


def _write_junit(path: Path, results: list[Result]) -> None:
    try:
        write_junit(path, results)
    except OSError as error:
        raise BadInputError([f"--junit {path}: {error.strerror}"]) from None


def _refuse(error: BadInputError) -> NoReturn:
    for problem in error.problems:
        typer.echo(problem, err=True)
    raise typer.Exit(EXIT_BAD_INPUT)


if __name__ == "__main__":
    main()
