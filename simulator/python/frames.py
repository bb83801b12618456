"""What a run recorded, as pandas DataFrames."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator.inputs import BadInputError
from simulator.kernel import Us
from simulator.series import Recorder, Series

if TYPE_CHECKING:
    from pandas import DataFrame
else:
    DataFrame = Any


class Frames(Mapping[str, "DataFrame"]):
    """A DataFrame for each metric: a column for each workload, a row wherever one of them changed.

    ``frames["lag"]["orders"]`` is what scenarios call ``orders.lag``; what belongs to no workload
    stands under its first word: ``frames["nodes"]["spot"]``, ``frames["cost"]["rate"]``. The index
    is the time since the scenario began. A value holds until the next row; there is one at the
    beginning and one at the end.
    """

    def __init__(self, recorder: Recorder, workloads: Collection[str], end_us: Us) -> None:
        self._end_us = end_us
        self._columns: dict[str, dict[str, Series]] = {}
        for name in recorder.names():
            series = recorder.get(name)
            if series is None:
                continue  # of messages or requests, not of time
            owner = next((w for w in workloads if name.startswith(f"{w}.")), None)
            if owner is not None:
                metric, column = name.removeprefix(f"{owner}."), owner
            else:
                metric, _, column = name.partition(".")
            self._columns.setdefault(metric, {})[column] = series

    def __getitem__(self, metric: str) -> DataFrame:
        columns = self._columns.get(metric)
        if columns is None:
            known = ", ".join(sorted(self._columns)) or "none"
            raise KeyError(f'no "{metric}" is recorded over time (there are: {known})')
        stamps = [np.frombuffer(s.times_us, np.int64) for s in columns.values() if s.times_us]
        ends = np.array([0, self._end_us], np.int64)
        times = np.unique(np.concatenate([*stamps, ends]))
        pandas = _pandas()
        index = pandas.to_timedelta(times, unit="us").rename("time")
        values = {name: _values(series, times) for name, series in sorted(columns.items())}
        frame: DataFrame = pandas.DataFrame(values, index=index)
        return frame

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._columns))

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        return f"Frames({', '.join(self)})"


def _values(series: Series, times: np.ndarray) -> np.ndarray:
    """The series at these times; 0 before it was first set."""
    known = np.concatenate([[0.0], np.frombuffer(series.values, np.float64)])
    return known[np.searchsorted(np.frombuffer(series.times_us, np.int64), times, side="right")]


def _pandas() -> Any:
    try:
        return import_module("pandas")
    except ImportError:
        message = "frames need the package pandas: pip install 'prism-operator[sim,pandas]'"
        raise BadInputError([message]) from None
