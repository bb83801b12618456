"""The report of a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simulator.experiments.comparing import number
from simulator.experiments.sweeping import Estimate, Point, Swept, interval, remark, sentence
from simulator.experiments.verdicts import ALPHA
from simulator.htmlreport.comparing import COST
from simulator.htmlreport.page import render, source_of
from simulator.scenario import load


def sweep_page(path: Path, swept: Swept) -> str:
    """The page about a sweep that was made.

    Raises:
        BadInputError: The package for templates is not installed.
    """
    names = list(swept.objectives)
    lost = [point.name for point in swept.points if point.on_front and not point.confirmed]
    return render(
        "sweep.html.j2",
        pictures={"front": _front(swept), "flapping": _flapping(swept)},
        swept=swept,
        sentence=sentence(swept),
        names=names,
        confidence=f"{100 * (1 - ALPHA):.0f}",
        rows=[
            {
                "values": point.values,
                "cells": [interval(point.objectives[name]) for name in names],
                "again": [interval(point.again[name]) for name in names] if point.again else None,
                "flaps": number(point.flaps_per_hour),
                "remark": remark(point),
                "point": point,
            }
            for point in swept.points
        ],
        lost="; ".join(lost),
        flaps_max=number(swept.flaps_per_hour_max),
        sources=source_of(load(path)),
    )


def _front(swept: Swept) -> Mapping[str, Any] | None:
    """Cost, or the last objective, against the first of the others; None where there is but one."""
    names = list(swept.objectives)
    if len(names) < 2:
        return None
    x = COST if COST in names else names[-1]
    y = next(name for name in names if name != x)
    return {
        "x": x,
        "y": y,
        "points": [
            {
                "name": point.name,
                "at": _at(point.objectives, x, y),
                "again": _at(point.again, x, y) if point.again else None,
                "front": point.confirmed,
                "flaps": point.flaps,
                "fails": point.failing_seeds,
                "flapsPerHour": point.flaps_per_hour,
            }
            for point in swept.points
        ],
    }


def _at(of: Mapping[str, Estimate], x: str, y: str) -> Sequence[Sequence[float]]:
    """Mean, low and high in both directions."""
    return [[of[name].mean, of[name].low, of[name].high] for name in (x, y)]


def _flapping(swept: Swept) -> Mapping[str, Any]:
    """Flaps an hour over the first two of what is varied; of the rest, what flaps most."""
    across = swept.axes[:2]
    cells: dict[tuple[int, ...], Point] = {}
    labels = [_labels(swept, k) for k in range(len(across))]
    for point in swept.points:
        key = tuple(labels[k].index(point.values[k]) for k in range(len(across)))
        before = cells.get(key)
        if before is None or point.flaps_per_hour > before.flaps_per_hour:
            cells[key] = point
    return {
        "axes": [{"name": axis.name, "values": labels[k]} for k, axis in enumerate(across)],
        "cells": [
            {"at": key, "value": point.flaps_per_hour, "name": point.name}
            for key, point in cells.items()
        ],
        "max": swept.flaps_per_hour_max,
        "others": [axis.name for axis in swept.axes[2:]],
    }


def _labels(swept: Swept, axis: int) -> list[str]:
    return list(dict.fromkeys(point.values[axis] for point in swept.points))
