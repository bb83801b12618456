"""``prism-sim calibrate`` and ``prism-sim trace``, from what was typed to what is printed."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from prism_operator.api.durations import parse_duration_s
from simulator.calibration.calibrating import (
    Asked,
    Calibrated,
    Period,
    Query,
    calibrate,
    document,
)
from simulator.calibration.objects import read_objects
from simulator.calibration.prometheus import Prometheus
from simulator.inputs import BadInputError
from simulator.scenario import load

Span = tuple[datetime | None, datetime | None, str]


def calibrate_file(
    path: Path,
    out: Path,
    *,
    objects: Sequence[Path],
    url: str | None,
    token_file: Path | None,
    span: Span,
    unseen: str,
    loads: Sequence[str],
    speeds: Sequence[str],
) -> str:
    """Writes the calibration of a scenario, and tells of it in Markdown.

    Raises:
        BadInputError: With what is wrong or missing.
    """
    scenario = load(path).scenario
    queries = [Query.parse(text, "--load", scenario) for text in loads]
    rates = [Query.parse(text, "--rate", scenario) for text in speeds]
    if not objects and not queries and not rates:
        raise BadInputError(["nothing to fit to: name --objects, --load or --rate"])
    asked = None
    if queries or rates:
        period = Period.until(*_span(span), _duration(unseen, "--unseen"))
        asked = Asked(_server(url, token_file), period, queries, rates)
    read = [obj for file in objects for obj in read_objects(file)]
    calibrated = calibrate(scenario, read, asked)
    _write(out, lambda: out.write_text(document(calibrated.calibration), encoding="utf-8"))
    return _markdown(calibrated, path, out)


def trace_file(
    query: str, out: Path, *, url: str | None, token_file: Path | None, span: Span
) -> str:
    """Writes a query's answer as a trace, and says how a scenario plays it.

    Raises:
        BadInputError: With what is wrong or missing.
    """
    start, end, step_s = _span(span)
    series = _server(url, token_file).one(query, start, end, step_s)
    negative = next((at for at, value in series.points if value < 0), None)
    if negative is not None:
        raise BadInputError(
            [f"{query}: expected rates of at least 0, got less at {_iso(negative)}"]
        )
    if len(series.points) < 2:
        raise BadInputError([f"{query}: expected at least two points, got {len(series.points)}"])

    def write() -> None:
        with out.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["time", "rate"])
            writer.writerows((_iso(at), value) for at, value in series.points)

    _write(out, write)
    begins = _iso(series.points[0][0])
    return (
        f"{out}: {len(series.points)} points. In a scenario beside it:\n"
        f'  clock: {{start: "{begins}"}}\n'
        f"  a course: {{trace: {{file: {out.name}, rate: rate}}}}\n"
    )


def _markdown(calibrated: Calibrated, scenario: Path, out: Path) -> str:
    lines = [
        "| parameter | value | samples | unseen | error | covered |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for path, of in calibrated.calibration.parameters.items():
        test = of.backtest
        covered = "" if test.covered is None else f"{test.covered:.0%} of {test.expected:.0%}"
        lines.append(
            f"| {path} | {_flow(of.value)} | {of.samples} | {test.unseen} "
            f"| {test.error:.1%} | {covered} |"
        )
    lines += ["", *calibrated.notes]
    lines.append(f"{scenario} uses it once it says  calibration: {out.name}  (a path beside it).")
    return "\n".join(lines) + "\n"


def _flow(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(below)}" for key, below in value.items()) + "}"
    return str(value)


def _server(url: str | None, token_file: Path | None) -> Prometheus:
    if url is None:
        raise BadInputError(["--prometheus: expected the address of a server"])
    try:
        token = token_file.read_text(encoding="utf-8").strip() if token_file else None
    except (OSError, UnicodeDecodeError):
        raise BadInputError([f"--token-file {token_file}: cannot be read"]) from None
    return Prometheus(url, token)


def _span(span: Span) -> tuple[datetime, datetime, int]:
    start, end, step = span
    if start is None or end is None:
        raise BadInputError(["expected --from and --to: 2026-03-02 or 2026-03-02T06:00:00"])
    step_s = _duration(step, "--step")
    if step_s < 1 or step_s != round(step_s):
        raise BadInputError([f"--step: expected whole seconds, at least one, got {step}"])
    start, end = start.replace(tzinfo=UTC), end.replace(tzinfo=UTC)
    if start >= end:
        raise BadInputError([f"expected --from before --to, got {start} and {end}"])
    return start, end, round(step_s)


def _duration(text: str, option: str) -> float:
    try:
        return parse_duration_s(text)
    except ValueError as error:
        raise BadInputError([f"{option}: {error}"]) from None


def _iso(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _write(out: Path, write: Callable[[], object]) -> None:
    try:
        write()
    except OSError as error:
        raise BadInputError([f"--out {out}: {error.strerror}"]) from None
