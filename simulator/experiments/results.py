"""What a sweep found, as files for other tools."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from simulator.experiments.sweeping import Swept
from simulator.inputs import BadInputError


def write_results(folder: Path, swept: Swept, text: str) -> None:
    """Writes ``runs.parquet`` (a row for each run), ``sweep.json`` and ``sweep.md``.

    Raises:
        BadInputError: A file cannot be written.
    """
    try:
        pq.write_table(table_of(swept), folder / "runs.parquet")
        points = json.dumps([asdict(point) for point in swept.points], indent=1)
        (folder / "sweep.json").write_text(points + "\n", encoding="utf-8")
        (folder / "sweep.md").write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInputError([f"--out {folder}: {error.strerror}"]) from None


def table_of(swept: Swept) -> pa.Table:
    """A row for each run: what was varied, the seed, what was measured."""
    count = len(swept.seeds)
    rows = [
        {
            **{a.name: v for a, v in zip(swept.axes, swept.points[i // count].values, strict=True)},
            "seed": run.seed,
            **{name: observed.value for name, observed in sorted(run.measured.items())},
            "failures": len(run.failures),
            "log_hash": run.log_hash,
        }
        for i, run in enumerate(swept.runs)
    ]
    return pa.Table.from_pylist(rows)
