"""A bar for long work, on a terminal; nothing where nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)


@dataclass(slots=True)
class Bar:
    """How much of it is done."""

    _progress: Progress
    _task: TaskID
    _total: int

    def expect(self, more: int) -> None:
        """There is more to be done than was known."""
        self._total += more
        self._progress.update(self._task, total=self._total)

    def advance(self, by: float = 1.0) -> None:
        """One more is done, or a part of one."""
        self._progress.advance(self._task, by)


@contextmanager
def progress(total: int, what: str) -> Iterator[Bar]:
    """Shows how much of ``total`` is done."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # On a terminal, what is printed meanwhile goes above the bar; in a file it goes to the file.
    with Progress(
        *columns,
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
    ) as shown:
        yield Bar(shown, shown.add_task(what, total=total), total)
