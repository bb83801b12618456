"""What a search found, as scenario files that run as they are, and in words."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from prism_operator.api.meta import Json
from simulator.experiments.cases import Case
from simulator.experiments.searching import Find, Search, differs
from simulator.inputs import BadInputError
from simulator.scenario.settings import path_text

NAME_LENGTH_MAX = 64
COMMENT_WIDTH = 100


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
    lines = [line for part in comment for line in textwrap.wrap(
        part, COMMENT_WIDTH, subsequent_indent="  ", drop_whitespace=True, break_on_hyphens=False
    )]  # fmt: skip
    value = _moved(small, folder)
    body = yaml.safe_dump(
        value, sort_keys=False, allow_unicode=True, width=COMMENT_WIDTH, default_flow_style=None
    )
    return "".join(f"# {line}\n" for line in lines) + body


def _moved(case: Case, folder: Path) -> Json:
    """The scenario with its files named from another folder."""
    value = case.value()

    def moved(name: str) -> str:
        return Path(os.path.relpath(case.path.parent / name, folder)).as_posix()

    def walk(below: Any) -> None:
        if isinstance(below, list):
            for item in below:
                walk(item)
        if not isinstance(below, dict):
            return
        for key, item in below.items():
            if key == "trace" and isinstance(item, dict) and "file" in item:
                item["file"] = moved(item["file"])
            walk(item)

    walk(value.get("workloads"))
    walk(value.get("timeline"))
    if "manifests" in value:
        value["manifests"] = [moved(name) for name in value["manifests"]]
    for event in value.get("timeline") or ():
        if "apply" in event:
            applied = event["apply"]
            names = [applied] if isinstance(applied, str) else applied
            event["apply"] = [moved(name) for name in names]
    return value


def _names(folder: Path, scenario: str, what: str) -> Iterator[Path]:
    said = re.sub(r"^(expected|broken promise) ", "", what)
    words = re.sub(r"[^a-z0-9]+", "-", f"{scenario}-{said}".lower()).strip("-")
    stem = words if len(words) <= NAME_LENGTH_MAX else words[:NAME_LENGTH_MAX].rpartition("-")[0]
    yield folder / f"{stem}.yaml"
    number = 2
    while True:
        yield folder / f"{stem}-{number}.yaml"
        number += 1
