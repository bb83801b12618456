"""Load traces: CSV and Parquet files with a column of times and one of rates or counts."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from simulator.inputs import BadInputError
from simulator.kernel import SECOND_US
from simulator.scenario.rates import Trace, TraceSpec

PROBLEMS_SHOWN_MAX = 10


def read_trace(path: Path, spec: TraceSpec) -> Trace:
    """The rate from each row's time to the next; times count from the first row.

    A count is of the time since the row before, so the first row has none.

    Raises:
        BadInputError: With file and line (in Parquet: row) of what is wrong.
    """
    rows = _parquet_rows(path, spec) if path.suffix == ".parquet" else _csv_rows(path, spec)
    read, problems = list[tuple[str, float, float]](), list[str]()
    for place, time, value in rows:
        try:
            seconds, number = _seconds(time), _number(value)
            if read and seconds <= read[-1][1]:
                raise ValueError(f"expected a later time than {read[-1][0]} has, got {time}")
            read.append((place, seconds, number))
        except ValueError as error:
            problems.append(f"{place}: {error}")
    if not problems and len(read) < 2:
        problems.append(f"{path}: expected at least two rows, got {len(read)}")
    if problems:
        more = len(problems) - PROBLEMS_SHOWN_MAX
        shown = problems[:PROBLEMS_SHOWN_MAX]
        raise BadInputError([*shown, f"{path}: … and {more} more"] if more > 0 else shown)
    first = read[0][1]
    times = [round((seconds - first) * SECOND_US) for _, seconds, _ in read]
    values = [number for _, _, number in read]
    if spec.rate is not None:
        return tuple(zip(times, values, strict=True))
    spans = [(b - a) / SECOND_US for a, b in pairwise(times)]
    rates = [count / span for count, span in zip(values[1:], spans, strict=True)]
    return (*zip(times[:-1], rates, strict=True), (times[-1], 0.0))


def _csv_rows(path: Path, spec: TraceSpec) -> Iterator[tuple[str, Any, Any]]:
    column = spec.rate or spec.count or ""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            _need(f"{path}:1", reader.fieldnames or [], spec)
            for row in reader:
                place = f"{path}:{reader.line_num}"
                if row[spec.time] is None or row[column] is None:
                    raise BadInputError([f"{place}: the row is cut: expected {reader.fieldnames}"])
                yield place, row[spec.time], row[column]
    except OSError as error:
        raise BadInputError([f"{path}: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise BadInputError([f"{path}: expected CSV in UTF-8, got something else"]) from None
    except csv.Error as error:
        raise BadInputError([f"{path}:{reader.line_num + 1}: not CSV: {error}"]) from None


def _parquet_rows(path: Path, spec: TraceSpec) -> Iterator[tuple[str, Any, Any]]:
    from pyarrow import ArrowInvalid, parquet

    column = spec.rate or spec.count or ""
    try:
        table = parquet.read_table(path)
    except (OSError, ArrowInvalid) as error:
        if not path.exists():
            raise BadInputError([f"{path}: No such file or directory"]) from None
        told = str(error).split(". ")[0]
        raise BadInputError([f"{path}: not a Parquet file, or cut: {told}"]) from None
    _need(str(path), table.column_names, spec)
    columns = (table.column(name).to_pylist() for name in (spec.time, column))
    for i, (time, value) in enumerate(zip(*columns, strict=True), 1):
        yield f"{path}: row {i}", time, value


def _need(place: str, names: Any, spec: TraceSpec) -> None:
    for name in (spec.time, spec.rate or spec.count):
        if name not in names:
            known = ", ".join(names) or "none"
            raise BadInputError([f'{place}: there is no column "{name}" (there are: {known})'])


def _seconds(value: Any) -> float:
    if isinstance(value, str):
        try:
            return float(value) if _is_number(value) else _stamp(datetime.fromisoformat(value))
        except ValueError:
            pass
        raise ValueError(f'expected a time in seconds, or as 2026-03-02T00:00:00Z, got "{value}"')
    if isinstance(value, datetime):
        return _stamp(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    what = "a date" if isinstance(value, date) else repr(value)
    raise ValueError(f"expected a time in seconds, or a timestamp, got {what}")


def _stamp(value: datetime) -> float:
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"expected a number, got {value!r}") from None
    if not math.isfinite(number) or number < 0:
        raise ValueError(f"expected a number of at least 0, got {value!r}")
    return number


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
