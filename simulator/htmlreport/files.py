"""Where reports are written: found out before a long run, not after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from simulator.htmlreport.page import templates
from simulator.htmlreport.recording import Recording
from simulator.htmlreport.running import run_page
from simulator.inputs import BadInputError
from simulator.run import Result, Simulation
from simulator.scenario import LoadedScenario


class RunReports:
    """A report for each of some runs, or, without a ``path``, none.

    One run has the file ``path``; several have files by their names in the folder ``path``.
    """

    def __init__(self, path: Path | None, scenarios: Sequence[LoadedScenario]) -> None:
        """Raises BadInputError when they cannot be written."""
        self._files: Mapping[Path, Path] = {}
        if path is None:
            return
        if len(scenarios) == 1 and not path.is_dir():
            check_report(path)
            self._files = {scenarios[0].path: path}
            return
        names = [scenario.name for scenario in scenarios]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            message = f"--report {path}: there are several scenarios {', '.join(twice)}"
            raise BadInputError([message])
        try:
            path.mkdir(exist_ok=True)
        except OSError as error:
            raise BadInputError([f"--report {path}: {error.strerror}"]) from None
        self._files = {scenario.path: path / f"{scenario.name}.html" for scenario in scenarios}
        check_report(path / "report.html")

    def record(self, simulation: Simulation) -> Recording | None:
        """Records a run that is about to begin, if there is to be a report of it."""
        return Recording(simulation) if self._files else None

    def write(
        self,
        loaded: LoadedScenario,
        simulation: Simulation,
        recording: Recording | None,
        result: Result,
    ) -> None:
        """Writes the report of a run that is over. Raises BadInputError."""
        if recording is not None:
            page = run_page(loaded, simulation, recording, result)
            write_report(self._files[loaded.path], page)


def check_report(path: Path) -> None:
    """Finds out whether a report can be made and written.

    Raises:
        BadInputError: It cannot.
    """
    templates()
    if not path.parent.is_dir():
        raise BadInputError([f"--report {path}: there is no folder {path.parent}"])


def write_report(path: Path, page: str) -> None:
    """Writes the page. Raises BadInputError."""
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise BadInputError([f"--report {path}: {error.strerror}"]) from None
