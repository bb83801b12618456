"""What a search found, as scenario files that run as they are, and in words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from simulator.experiments.searching import Find, Search, differs
from simulator.inputs import BadInputError
from simulator.scenario.settings import path_text
from simulator.scenario.writing import moved, scenario_text

NAME_LENGTH_MAX = 64


def write_regression(folder: Path, search: Search, find: Find) -> Path:
    """Writes the small scenario of a find; what is there already stays, under its own name.

    Raises:
        BadInputError: It cannot be written.
    """
    text = _text(folder, search, find)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in _names(folder, find.case.path.stem, find.what):
            if not path.exists():
                path.write_text(text, encoding="utf-8")
                return path
            if path.read_text(encoding="utf-8") == text:
                return path
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError([f"--out {folder}: {error}"]) from None
    raise AssertionError("there is no end of names")


def told(find: Find, path: Path) -> str:
    """A find in three lines."""
    small = differs(find.small, find.start)
    return (
        f"run {find.run}: {find.failure}\n"
        f"  by {differs(find.case, find.start)}\n"
        f"  shrunk in {find.shrink_runs} runs to {small}: {path}"
    )


def _text(folder: Path, search: Search, find: Find) -> str:
    small = find.small
    left_out = ", ".join(path_text(path) for path in sorted(small.removed, key=str)) or "nothing"
    others = [path_text(p) for p, _ in small.reduced]
    comment = [
        f"Found by prism-sim search in {small.path.name} "
        f"(--seed {search.seed}, run {find.run} of {search.runs}). It breaks:",
        f"  {find.small_failure}",
        f"What differs from that scenario, which holds: {differs(small, find.start)}."
        if small.changes or small.seed != find.start.seed
        else "The scenario breaks as it is.",
        f"Made smaller: {', '.join(others) or 'nothing'}. Left out: {left_out}.",
        "It fails until what it shows is mended; from then on it sees that it stays so.",
    ]
    return scenario_text(moved(small.value(), small.path.parent, folder), comment)


def _names(folder: Path, scenario: str, what: str) -> Iterator[Path]:
    said = re.sub(r"^(expected|broken promise) ", "", what)
    words = re.sub(r"[^a-z0-9]+", "-", f"{scenario}-{said}".lower()).strip("-")
    stem = words if len(words) <= NAME_LENGTH_MAX else words[:NAME_LENGTH_MAX].rpartition("-")[0]
    yield folder / f"{stem}.yaml"
    number = 2
    while True:
        yield folder / f"{stem}-{number}.yaml"
        number += 1
