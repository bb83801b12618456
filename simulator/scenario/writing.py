"""Scenario files and manifests as they are written."""

from __future__ import annotations

import copy
import os
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from prism_operator.api.meta import Json

WIDTH = 100


def scenario_text(value: Json, comment: Sequence[str] = ()) -> str:
    """A scenario under a comment, whose parts are wrapped."""
    body = yaml.safe_dump(
        value, sort_keys=False, allow_unicode=True, width=WIDTH, default_flow_style=None
    )
    return comment_text(comment) + body


def manifests_text(objects: Iterable[Json], comment: Sequence[str] = ()) -> str:
    """Objects as kubectl takes them, under a comment."""
    body = yaml.safe_dump_all(list(objects), sort_keys=False, allow_unicode=True, width=WIDTH)
    return comment_text(comment) + body


def comment_text(parts: Sequence[str]) -> str:
    """Each of them wrapped, as comment lines."""
    lines = [line for part in parts for line in textwrap.wrap(
        part, WIDTH, subsequent_indent="  ", drop_whitespace=True, break_on_hyphens=False
    )]  # fmt: skip
    return "".join(f"# {line}\n" for line in lines)


def moved(scenario: Json, before: Path, after: Path) -> Json:
    """A copy of a scenario in folder ``before`` that names the same files from ``after``."""
    value = copy.deepcopy(scenario)

    def renamed(name: str) -> str:
        return Path(os.path.relpath(before / name, after)).as_posix()

    def walk(below: Any) -> None:
        if isinstance(below, list):
            for item in below:
                walk(item)
        if not isinstance(below, dict):
            return
        for key, item in below.items():
            if key == "trace" and isinstance(item, dict) and "file" in item:
                item["file"] = renamed(item["file"])
            walk(item)

    walk(value.get("workloads"))
    walk(value.get("timeline"))
    if "calibration" in value:
        value["calibration"] = renamed(value["calibration"])
    if "manifests" in value:
        value["manifests"] = [renamed(name) for name in value["manifests"]]
    for event in value.get("timeline") or ():
        if "apply" in event:
            applied = event["apply"]
            names = [applied] if isinstance(applied, str) else applied
            event["apply"] = [renamed(name) for name in names]
    return value
