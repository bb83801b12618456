"""``compare`` and ``sweep`` from Python: what the commands of these names do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from simulator.experiments.comparing import SEEDS_MIN, Compared, compare_variants
from simulator.experiments.requests import read_request, read_sweep
from simulator.experiments.results import table_of
from simulator.experiments.runs import local
from simulator.experiments.sweeping import Swept
from simulator.experiments.sweeping import sweep as run_sweep
from simulator.inputs import BadInputError
from simulator.quiet import silenced

if TYPE_CHECKING:
    from pandas import DataFrame
else:
    DataFrame = Any


def compare(
    scenario: str | Path,
    *,
    variants: Sequence[Mapping[str, Any]] = (),
    primary: Mapping[str, str | float] | None = None,
    seeds: int | None = None,
    workers: int = 1,
) -> Compared:
    """Runs variants of a scenario file under the same seeds and judges which is better.

    A variant is what differs, by param or path: ``{"lag_threshold": 200}``. One is compared with
    the scenario as it is, several with the first. ``primary`` has the metrics that decide with
    their margins. What is left out is as the scenario says. Printed, the answer is the verdict.

    Raises:
        BadInputError: With everything that is wrong or missing.
    """
    path = Path(scenario)
    asked = [",".join(_setting(item) for item in variant.items()) for variant in variants]
    margins = [f"{metric}={margin}" for metric, margin in (primary or {}).items()]
    request = read_request(path, asked, margins, _enough(seeds))
    with silenced():
        return compare_variants(
            path,
            request.baseline,
            request.variants,
            seeds=request.seeds,
            primary=request.primary,
            pool=local(workers),
        )


def sweep(
    scenario: str | Path,
    *,
    vary: Mapping[str, Sequence[Any]] | None = None,
    minimize: Sequence[str] = (),
    maximize: Sequence[str] = (),
    seeds: int | None = None,
    workers: int = 1,
) -> Swept:
    """Runs all combinations of some values, by param or path; says what is worth its price.

    What is left out is as the scenario says. Printed, the answer is the table.

    Raises:
        BadInputError: With everything that is wrong or missing.
    """
    path = Path(scenario)
    axes = [f"{name}={','.join(map(_text, values))}" for name, values in (vary or {}).items()]
    plan = read_sweep(path, axes, minimize, maximize, _enough(seeds))
    with silenced():
        return run_sweep(path, plan, local(workers))


def runs_of(swept: Swept) -> DataFrame:
    """A DataFrame with a row for each run of a sweep: what was varied, the seed, the metrics."""
    frame: DataFrame = table_of(swept).to_pandas()
    return frame


def _setting(item: tuple[str, Any]) -> str:
    return f"{item[0]}={_text(item[1])}"


def _text(value: Any) -> str:
    """A value as it is written on the command line."""
    return str(yaml.safe_dump(value, default_flow_style=True, width=10_000)).partition("\n")[0]


def _enough(seeds: int | None) -> int | None:
    if seeds is not None and seeds < SEEDS_MIN:
        raise BadInputError([f"seeds: expected {SEEDS_MIN} or more, got {seeds}"])
    return seeds
