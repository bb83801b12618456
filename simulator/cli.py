"""``prism-sim``: runs scenarios in simulated time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Event
from time import perf_counter
from typing import Annotated, NoReturn, TextIO

import typer
from rich.console import Console

from prism_operator.api.durations import parse_duration_s
from prism_operator.cli.plugin.flags import ContextFlag, KubeconfigFlag
from simulator.calibration.command import calibrate_file, trace_file
from simulator.experiments.comparing import SEEDS_MIN, compare_variants
from simulator.experiments.comparing import markdown as to_markdown
from simulator.experiments.ledger import Ledger
from simulator.experiments.odds import Verdict, over_seeds
from simulator.experiments.odds import markdown as odds_markdown
from simulator.experiments.progress import Bar, progress
from simulator.experiments.regressions import told, write_regression
from simulator.experiments.requests import read_request, read_sweep
from simulator.experiments.results import write_results
from simulator.experiments.runs import Play, dask, local
from simulator.experiments.searching import Find, Search, search_for_breaks
from simulator.experiments.sweeping import markdown as sweep_markdown
from simulator.experiments.sweeping import sweep as run_sweep
from simulator.explaining.command import explain_file
from simulator.htmlreport.bands import watch_numbers
from simulator.htmlreport.comparing import COST, compare_page
from simulator.htmlreport.files import RunReports, check_report, write_report
from simulator.htmlreport.sweeping import sweep_page
from simulator.importing.command import Wanted, import_files
from simulator.importing.exporting import export_scenario
from simulator.inputs import BadInputError
from simulator.quiet import silence
from simulator.report import header, row, summary, write_junit
from simulator.run import Result, Simulation
from simulator.scenario import LoadedScenario
from simulator.scenario import load as load_scenario
from simulator.scenario.schema import render_schema
from simulator.validating import problems_in, scenario_files
from simulator.verify import verify as verify_files
from simulator.verify.printing import print_verified
from simulator.watching import Happenings, Player

SCENARIOS = Path(__file__).resolve().parents[1] / "scenarios"
EXIT_FAILED, EXIT_BAD_INPUT, EXIT_INCONCLUSIVE = 1, 2, 3
BAR_STEPS = 50  # in which the bar moves through one run

_Report = Annotated[
    Path | None,
    typer.Option(help="Write pictures and tables here, as one HTML file.", metavar="FILE"),
]

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
    report: Annotated[
        Path | None,
        typer.Option(
            help="Write pictures and tables here, as one HTML file; with several FILEs a folder, "
            "in which each gets its own.",
            metavar="FILE",
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Play the run in the terminal.")] = False,
    speed: Annotated[
        float | None,
        typer.Option(
            help="With --watch: simulated seconds a second. Without it a run plays for half a "
            "minute.",
            min=0.001,
            metavar="FACTOR",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            help="Run under so many seeds, and say in how many each expectation holds.",
            min=1,
            metavar="N",
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(help="With --seeds: processes; 0: one for each core.", min=0, metavar="N")
    ] = 0,
) -> None:
    """Run scenarios, print a row for each, and exit 1 if one did not go as expected.

    With --seeds it exits 3 if that cannot be told from so few.
    """
    # What the operator logs is not what was asked for; the event log says what it did.
    silence()
    if seeds is not None:
        if event_log or junit or report or watch or speed:
            message = "--seeds: --event-log, --junit, --report, --watch and --speed are for one run"
            _refuse(BadInputError([message]))
        _run_seeds(files or sorted(SCENARIOS.glob("*.yaml")), seed, seeds, workers)
        return
    try:
        loaded = _load(files or sorted(SCENARIOS.glob("*.yaml")))
        if event_log is not None and len(loaded) != 1:
            raise BadInputError([f"--event-log: expected one FILE, got {len(loaded)}"])
        if speed is not None and not watch:
            raise BadInputError(["--speed: is for --watch"])
        reports = RunReports(report, loaded)
        if watch:
            results = [_watch(scenario, seed, event_log, speed, reports) for scenario in loaded]
            typer.echo(header())
            for result in results:
                _print(result)
        else:
            typer.echo(header())
            with progress(len(loaded), "scenarios") as bar:
                results = [_run(scenario, seed, event_log, bar, reports) for scenario in loaded]
        if junit is not None:
            _write_junit(junit, results)
    except BadInputError as error:
        _refuse(error)
    typer.echo(summary(results))
    if not all(result.passed for result in results):
        raise typer.Exit(EXIT_FAILED)


@app.command()
def validate(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Scenario files, or folders of them; without any, all of scenarios/.",
            metavar="FILE|DIR…",
        ),
    ] = None,
) -> None:
    """Check scenarios without running them, with the manifests that they name.

    Prints every problem with file, line and column, and exits 2 if there is one.
    """
    silence()
    try:
        found = scenario_files(files or [SCENARIOS])
    except BadInputError as error:
        _refuse(error)
    # Several scenarios may name one manifest.
    problems = list(dict.fromkeys(problem for file in found for problem in problems_in(file)))
    for problem in problems:
        typer.echo(problem)
    checked = f"{len(found)} scenario{'' if len(found) == 1 else 's'} checked"
    told = {0: "no problems", 1: "1 problem"}.get(len(problems), f"{len(problems)} problems")
    typer.echo(f"{checked}: {told}")
    if problems:
        raise typer.Exit(EXIT_BAD_INPUT)


@app.command()
def schema() -> None:
    """Print the JSON Schema of scenario files, for editors."""
    typer.echo(render_schema(), nl=False)


@app.command()
def compare(
    file: Annotated[Path, typer.Argument(help="A scenario file.", metavar="FILE")],
    variant: Annotated[
        list[str] | None,
        typer.Option(
            help="A variant: PARAM=VALUE, or PATH=VALUE such as "
            "PrismPattern/orders:spec.autoscaling.maxReplicas=64; several with commas. "
            "Without any, those of the scenario. With one, it is compared with the scenario as it "
            "is, with several, with the first.",
            metavar="SET",
        ),
    ] = None,
    primary: Annotated[
        list[str] | None,
        typer.Option(
            help="A metric that decides, and its margin: orders.lag.max=50, or =2%. Instead of "
            "those of the scenario.",
            metavar="METRIC=MARGIN",
        ),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Runs of each variant.", min=SEEDS_MIN, metavar="N")
    ] = None,
    workers: Annotated[
        int, typer.Option(help="Processes; 0: one for each core.", min=0, metavar="N")
    ] = 0,
    markdown: Annotated[
        Path | None, typer.Option(help="Write the verdict here too, for a pull request.")
    ] = None,
    report: _Report = None,
    fleet: Annotated[
        bool,
        typer.Option("--fleet", help="Play it as prism-sim fleet does: coarser, and much faster."),
    ] = False,
) -> None:
    """Run variants of a scenario under the same seeds and judge which is better.

    Exits 1 if a variant is worse beyond the margin, 3 if it cannot be told.
    """
    try:
        play: Play | None = None
        if fleet:
            if report is not None:
                raise BadInputError(["--report: a fleet has nothing to draw; leave out --fleet"])
            from simulator.experiments.fleets import play_as_fleet  # loads numba

            play = play_as_fleet
        request = read_request(file, variant or [], primary or [], seeds)
        if report is not None:
            check_report(report)
        total = len(request.seeds) * (1 + len(request.variants))
        with progress(total, "runs") as bar:
            compared = compare_variants(
                file,
                request.baseline,
                request.variants,
                seeds=request.seeds,
                primary=request.primary,
                pool=local(workers or os.cpu_count() or 1),
                also=() if report is None else (COST,),
                observe=None if report is None else watch_numbers,
                play=play,
                on_done=lambda _: bar.advance(),
            )
        text = to_markdown(compared)
        if report is not None:
            write_report(report, compare_page(file, request, compared))
        if markdown is not None:
            _write_text(markdown, text, "--markdown")
    except BadInputError as error:
        _refuse(error)
    typer.echo(text, nl=False)
    if compared.outcome:
        raise typer.Exit(compared.outcome)


@app.command()
def sweep(
    file: Annotated[Path, typer.Argument(help="A scenario file.", metavar="FILE")],
    vary: Annotated[
        list[str] | None,
        typer.Option(
            help="What is varied: PARAM=VALUE,VALUE or PATH=VALUE,VALUE; all combinations of "
            "several. Instead of what the scenario says.",
            metavar="AXIS",
        ),
    ] = None,
    minimize: Annotated[
        list[str] | None,
        typer.Option(help="A metric of which less is better: orders.lag.max.", metavar="METRIC"),
    ] = None,
    maximize: Annotated[
        list[str] | None,
        typer.Option(help="A metric of which more is better.", metavar="METRIC"),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Runs of each combination.", min=SEEDS_MIN, metavar="N")
    ] = None,
    workers: Annotated[
        int, typer.Option(help="Processes; 0: one for each core.", min=0, metavar="N")
    ] = 0,
    dask_address: Annotated[
        str | None,
        typer.Option("--dask", help="Run on this Dask cluster instead.", metavar="ADDRESS"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Keep every run in this folder, and go on from those in it: runs.jsonl, then "
            "runs.parquet, sweep.json and sweep.md.",
            metavar="FOLDER",
        ),
    ] = None,
    report: _Report = None,
) -> None:
    """Run all combinations of some values; show what is worth its price, and what flaps."""
    try:
        plan = read_sweep(file, vary or [], minimize or [], maximize or [], seeds)
        if report is not None:
            check_report(report)
        pool = dask(dask_address) if dask_address else local(workers or os.cpu_count() or 1)
        ledger = Ledger(out) if out is not None else None
        with progress(0, "runs") as bar:
            swept = run_sweep(
                file,
                plan,
                pool,
                ledger=ledger,
                on_total=bar.expect,
                on_done=lambda _: bar.advance(),
            )
        text = sweep_markdown(swept)
        if report is not None:
            write_report(report, sweep_page(file, swept))
        if out is not None:
            write_results(out, swept, text)
    except BadInputError as error:
        _refuse(error)
    typer.echo(text, nl=False)


@app.command()
def search(
    file: Annotated[Path, typer.Argument(help="A scenario file.", metavar="FILE")],
    runs: Annotated[int, typer.Option(help="How many runs are tried.", min=1, metavar="N")] = 100,
    load: Annotated[
        float,
        typer.Option(
            help="Loads are tried up to so many times as high, or low; 1: they stay.",
            min=1,
            max=100,
            metavar="FACTOR",
        ),
    ] = 1.5,
    shift: Annotated[
        str,
        typer.Option(
            help="What happens is tried up to so much earlier or later, and faults up to twice as "
            "long; 0s: it stays.",
            metavar="DURATION",
        ),
    ] = "5m",
    seed: Annotated[int, typer.Option(help="Of what is tried.", metavar="N")] = 1,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the scenarios that are written; regressions beside FILE without.",
            metavar="FOLDER",
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(help="Processes; 0: one for each core.", min=0, metavar="N")
    ] = 0,
) -> None:
    """Look for seeds, loads and times that break an expectation; write them as small scenarios.

    Exits 1 if there is one. That none is found is no proof that there is none.
    """
    try:
        asked = Search(runs, load, _seconds(shift, "--shift"), seed)
        silence()
        folder = out or file.parent / "regressions"

        def keep(find: Find) -> None:
            typer.echo(told(find, write_regression(folder, asked, find)))

        with progress(0, "runs") as bar:
            found = search_for_breaks(
                file,
                asked,
                local(workers or os.cpu_count() or 1),
                on_total=bar.expect,
                on_done=bar.advance,
                on_find=keep,
            )
    except BadInputError as error:
        _refuse(error)
    if found.unusable:
        typer.echo(f"{found.unusable} of {runs} could not be run: something in them is refused")
    if not found.finds:
        typer.echo(f"nothing found in {runs} runs; that is no proof that there is nothing")
        return
    raise typer.Exit(EXIT_FAILED)


def _seconds(text: str, option: str) -> int:
    try:
        return round(parse_duration_s(text))
    except ValueError as error:
        raise BadInputError([f"{option}: {error}"]) from None


@app.command()
def explain(
    file: Annotated[Path, typer.Argument(help="A scenario file.", metavar="FILE")],
    at: Annotated[
        str,
        typer.Option(
            help="When: 20m30s since the start, seconds as in the event log, a date, or the name "
            "of an event in the scenario.",
            metavar="TIME",
        ),
    ],
    pod: Annotated[
        str | None, typer.Option(help="Why is this pod there, or nowhere?", metavar="NAME")
    ] = None,
    scaler: Annotated[
        str | None,
        typer.Option(
            help="Why does this HorizontalPodAutoscaler or ScaledObject want so many replicas?",
            metavar="NAME",
        ),
    ] = None,
    node: Annotated[
        str | None,
        typer.Option(help="What is on this node; who keeps, drains or removes it?", metavar="NAME"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Instead of the seed in the scenario.", metavar="N")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say why the simulated cluster decided as it did, and what would have changed it."""
    silence()
    try:
        text = explain_file(file, at, pod=pod, scaler=scaler, node=node, seed=seed, as_json=json)
    except BadInputError as error:
        _refuse(error)
    typer.echo(text, nl=False)


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


_Prometheus = Annotated[
    str | None, typer.Option(help="A Prometheus server: http://host:9090.", metavar="URL")
]
_Token = Annotated[
    Path | None, typer.Option(help="A bearer token for it stands in this file.", metavar="FILE")
]
_From = Annotated[datetime | None, typer.Option("--from", help="From then on; UTC.")]
_To = Annotated[datetime | None, typer.Option("--to", help="Until then; UTC.")]
_Step = Annotated[str, typer.Option(help="The time between two points.", metavar="DURATION")]


@app.command()
def calibrate(
    file: Annotated[Path, typer.Argument(help="A scenario file.", metavar="FILE")],
    out: Annotated[Path, typer.Option(help="Write the fitted values here.", metavar="FILE")],
    objects: Annotated[
        list[Path] | None,
        typer.Option(
            help="What kubectl get printed as JSON or YAML: Pods and their Events (how long they "
            "take to pull, start and become ready), NodeClaims of Karpenter (how long to boot).",
            metavar="FILE",
        ),
    ] = None,
    prometheus: _Prometheus = None,
    token_file: _Token = None,
    from_: _From = None,
    to: _To = None,
    step: _Step = "5m",
    unseen: Annotated[
        str,
        typer.Option(help="The end of that time, kept for the test.", metavar="DURATION"),
    ] = "168h",
    load: Annotated[
        list[str] | None,
        typer.Option(
            help="How much comes for a workload: orders=sum(rate(orders_total[5m])).",
            metavar="WORKLOAD=QUERY",
        ),
    ] = None,
    rate: Annotated[
        list[str] | None,
        typer.Option(
            help="How much each busy pod of a workload does: a series for each pod.",
            metavar="WORKLOAD=QUERY",
        ),
    ] = None,
) -> None:
    """Fit values of a scenario to a cluster, and test them on what they were not fitted to."""
    try:
        text = calibrate_file(
            file,
            out,
            objects=objects or [],
            url=prometheus,
            token_file=token_file,
            span=(from_, to, step),
            unseen=unseen,
            loads=load or [],
            speeds=rate or [],
        )
    except BadInputError as error:
        _refuse(error)
    typer.echo(text, nl=False)


@app.command()
def trace(
    query: Annotated[str, typer.Argument(help="A PromQL query of one series.", metavar="QUERY")],
    out: Annotated[Path, typer.Option(help="Write it here, as CSV.", metavar="FILE")],
    prometheus: _Prometheus = None,
    token_file: _Token = None,
    from_: _From = None,
    to: _To = None,
    step: _Step = "1m",
) -> None:
    """Write what Prometheus recorded as a load that a scenario can play."""
    try:
        text = trace_file(query, out, url=prometheus, token_file=token_file, span=(from_, to, step))
    except BadInputError as error:
        _refuse(error)
    typer.echo(text, nl=False)


_Force = Annotated[bool, typer.Option("--force", help="Overwrite what is there already.")]


@app.command("import")
def import_cluster(
    out: Annotated[
        Path,
        typer.Option(help="Write the scenario here, and its manifests beside it.", metavar="FILE"),
    ],
    from_files: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            help="What kubectl get printed as YAML or JSON; without it, a running cluster is read.",
            metavar="FILE",
        ),
    ] = None,
    kubeconfig: KubeconfigFlag = None,
    context: ContextFlag = None,
    base: Annotated[
        Path | None,
        typer.Option(
            help="A scenario whose load, timeline, times and prices are kept; its nodes and "
            "manifests become those of the cluster.",
            metavar="FILE",
        ),
    ] = None,
    anonymise: Annotated[
        bool, typer.Option("--anonymise", help="Number all names, the same everywhere.")
    ] = False,
    force: _Force = False,
) -> None:
    """Write a scenario of a cluster's nodes, pods and manifests. No secret gets into it."""
    try:
        wanted = Wanted(out, base, anonymise, force)
        if not from_files:
            from simulator.importing.live import import_live  # only this needs the HTTP libraries

            text = import_live(kubeconfig, context, wanted)
        elif kubeconfig or context:
            raise BadInputError(["--from: what it names is read instead of a cluster: not both"])
        else:
            text = import_files(from_files, wanted)
    except BadInputError as error:
        _refuse(error)
    typer.echo(text, nl=False)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="A scenario file.", metavar="FILE")],
    folder: Annotated[Path, typer.Argument(help="Where to write.", metavar="FOLDER")],
    force: _Force = False,
) -> None:
    """Write a scenario's manifests and nodes for KWOK, which kubectl apply takes."""
    try:
        text = export_scenario(file, folder, force=force)
    except BadInputError as error:
        _refuse(error)
    typer.echo(text, nl=False)


@app.command()
def replay(
    path: Annotated[
        Path, typer.Argument(help="A scenario, or a folder of prism-sim export.", metavar="PATH")
    ],
) -> None:
    """Play a scenario on a real control plane too, and list the decisions that differ.

    Exits 1 if one of them is not explained.
    """
    silence()
    try:
        from simulator.replay.command import replay as replay_on  # needs the HTTP libraries
        from simulator.replay.command import told as replay_told

        replayed = replay_on(path, lambda what: typer.echo(what, err=True), Event().wait)
    except BadInputError as error:
        _refuse(error)
    typer.echo(replay_told(replayed), nl=False)
    if replayed.unexplained:
        raise typer.Exit(EXIT_FAILED)


@app.command()
def fleet(
    file: Annotated[Path, typer.Argument(help="A scenario file.", metavar="FILE")],
    seed: Annotated[
        int | None, typer.Option(help="Instead of the seed in the scenario.", metavar="N")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Plays so many seeds.", metavar="N")] = 1,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes for --seeds.", metavar="N")
    ] = os.cpu_count() or 1,
    event_log: Annotated[
        Path | None, typer.Option(help="Write what happened here, as CSV (one seed only).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON line a seed.")] = False,
) -> None:
    """Play a scenario in groups of pods: thousands of nodes, a day in seconds, no objects."""
    from simulator.fleet.command import play_fleet  # numba takes a second to load

    try:
        play_fleet(
            file, Console(), seed=seed, seeds=seeds, workers=workers,
            event_log=event_log, as_json=as_json,
        )  # fmt: skip
    except BadInputError as error:
        _refuse(error)


def main() -> None:
    """The entry point ``prism-sim``."""
    app()


def _load(files: list[Path]) -> list[LoadedScenario]:
    """All scenarios, or every problem in any of them."""
    loaded, problems = [], list[str]()
    for file in files:
        try:
            loaded.append(load_scenario(file))
        except BadInputError as error:
            problems += error.problems
    if not files:
        problems.append(f"{SCENARIOS}: no scenario found; name a FILE")
    if problems:
        raise BadInputError(problems)
    return loaded


def _run_seeds(files: list[Path], first: int | None, seeds: int, workers: int) -> None:
    verdicts = set()
    pool = local(workers or os.cpu_count() or 1)
    try:
        _load(files)  # what is wrong in any of them is said before anything starts
        with progress(len(files) * seeds, "runs") as bar:
            for file in files:
                found = over_seeds(file, seeds, pool, first=first, on_done=lambda _: bar.advance())
                verdicts.add(found.verdict)
                typer.echo(odds_markdown(found))
    except BadInputError as error:
        _refuse(error)
    if Verdict.BROKEN in verdicts:
        raise typer.Exit(EXIT_FAILED)
    if Verdict.OPEN in verdicts:
        raise typer.Exit(EXIT_INCONCLUSIVE)


def _run(
    scenario: LoadedScenario,
    seed: int | None,
    event_log: Path | None,
    bar: Bar,
    reports: RunReports,
) -> Result:
    with _log_file(event_log) as log:
        simulation = Simulation(scenario, seed=seed, log=log)
        recording = reports.record(simulation)
        result = simulation.run(steps=BAR_STEPS, on_step=lambda: bar.advance(1 / BAR_STEPS))
    _print(result)
    reports.write(scenario, simulation, recording, result)
    return result


def _watch(
    scenario: LoadedScenario,
    seed: int | None,
    event_log: Path | None,
    speed: float | None,
    reports: RunReports,
) -> Result:
    with _log_file(event_log) as log:
        happenings = Happenings(log)
        simulation = Simulation(scenario, seed=seed, log=happenings)
        recording = reports.record(simulation)
        pause = Event()
        player = Player(
            scenario, simulation, happenings, Console(), perf_counter, pause.wait, speed
        )
        result = player.play()
    reports.write(scenario, simulation, recording, result)
    return result


@contextmanager
def _log_file(path: Path | None) -> Iterator[TextIO | None]:
    if path is None:
        yield None
        return
    try:
        with path.open("w", encoding="utf-8") as log:
            yield log
    except OSError as error:
        raise BadInputError([f"--event-log {path}: {error.strerror}"]) from None


def _print(result: Result) -> None:
    typer.echo(row(result))
    for failure in result.failures:
        typer.echo(f"  {failure}")


def _write_junit(path: Path, results: list[Result]) -> None:
    try:
        write_junit(path, results)
    except OSError as error:
        raise BadInputError([f"--junit {path}: {error.strerror}"]) from None


def _write_text(path: Path, text: str, option: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInputError([f"{option} {path}: {error.strerror}"]) from None


def _refuse(error: BadInputError) -> NoReturn:
    for problem in error.problems:
        typer.echo(problem, err=True)
    raise typer.Exit(EXIT_BAD_INPUT)


if __name__ == "__main__":
    main()
