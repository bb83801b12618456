"""What `prism-sim run` prints: a row for each scenario, and JUnit XML for a build server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from simulator.run import Result
from simulator.spelling import duration

_COLUMNS = (
    ("scenario", 34),
    ("simulated", 10),
    ("wall", 8),
    ("ready", 6),
    ("restarts", 9),
    ("evictions", 10),
    ("expect", 7),
    ("log hash", 12),
)


def header() -> str:
    """The line above the rows."""
    return _line([name for name, _ in _COLUMNS])


def row(result: Result) -> str:
    """One scenario on one line, however wide the terminal is."""
    return _line(
        [
            result.scenario,
            duration(result.simulated_s),
            f"{result.wall_s:.2f}s",
            f"{result.ready}/{result.of}",
            str(result.restarts),
            str(result.evictions),
            f"{result.met}/{result.expected}",
            result.log_hash,
        ]
    )


def summary(results: Sequence[Result]) -> str:
    """``N passed, N failed``."""
    passed = sum(result.passed for result in results)
    return f"{passed} passed, {len(results) - passed} failed"


def write_junit(path: Path, results: Sequence[Result]) -> None:
    """Writes the results as JUnit XML.

    Raises:
        OSError: The file cannot be written.
    """
    suite = ElementTree.Element(
        "testsuite",
        name="prism-sim",
        tests=str(len(results)),
        failures=str(sum(not result.passed for result in results)),
        time=f"{sum(result.wall_s for result in results):.3f}",
    )
    for result in results:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname="scenarios",
            name=f"{result.scenario}[seed={result.seed}]",
            time=f"{result.wall_s:.3f}",
        )
        if not result.passed:
            failure = ElementTree.SubElement(case, "failure", message=result.failures[0])
            failure.text = "\n".join(result.failures)
    ElementTree.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)


def _line(cells: Sequence[str]) -> str:
    padded = (cell.ljust(width) for cell, (_, width) in zip(cells, _COLUMNS, strict=True))
    return "  ".join(padded).rstrip()
