"""A scenario with some of it changed, left out or made smaller: what a search tries."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prism_operator.api.durations import parse_duration_s
from prism_operator.api.meta import Json
from prism_operator.documents import Document, Location
from simulator.scenario import LoadedScenario
from simulator.scenario.files import load_document
from simulator.scenario.settings import path_text
from simulator.spelling import duration


@dataclass(frozen=True, slots=True)
class Change:
    """A load times ``factor``, or a time that is ``shift_s`` later; of the one at ``path``."""

    path: Location
    factor: float = 1.0
    shift_s: int = 0

    def applied(self, value: Any) -> Any:
        """What a value of the scenario becomes."""
        if self.shift_s:
            return duration(max(0, round(parse_duration_s(value)) + self.shift_s))
        if isinstance(value, Mapping):
            return {**value, "times": round(value.get("times", 1) * self.factor, 3)}
        if isinstance(value, str) and self.path[-1] == "for":
            return duration(max(1, round(parse_duration_s(value) * self.factor)))
        if isinstance(value, str):  # such as "200/m"
            return {"constant": value, "times": self.factor}
        scaled = value * self.factor
        return round(scaled) if self.path[-1] == "add" else round(scaled, 3)

    def weaker(self) -> Change | None:
        """Half of it, if there is such a thing."""
        if self.shift_s:
            half = int(self.shift_s / 2)
            return replace(self, shift_s=half) if half else None
        factor = round(self.factor**0.5, 3)
        return replace(self, factor=factor) if abs(factor - 1) >= 0.01 else None

    def __str__(self) -> str:
        what = path_text(self.path)
        return f"{what} {self.shift_s:+d}s" if self.shift_s else f"{what} × {self.factor:g}"


@dataclass(frozen=True, slots=True)
class Case:
    """The scenario in ``document`` under a seed, with what was done to it.

    ``changes`` are what is tried; ``reduced`` values and ``removed`` parts only make it smaller.
    """

    document: Document
    path: Path
    seed: int
    changes: tuple[Change, ...] = ()
    reduced: tuple[tuple[Location, Any], ...] = ()
    removed: frozenset[Location] = frozenset()

    def value(self) -> Json:
        """What the scenario file would say."""
        value: Json = copy.deepcopy(self.document.value)
        for change in self.changes:
            _set(value, change.path, change.applied(_at(value, change.path)))
        for path, reduced in self.reduced:
            _set(value, path, reduced)
        for path in sorted(self.removed, key=_from_the_back):
            above = _at(value, path[:-1])
            del above[path[-1]]
        value["seed"] = self.seed
        return value

    def loaded(self) -> LoadedScenario:
        """The scenario. Raises BadInputError."""
        return load_document(replace(self.document, value=self.value()), self.path)

    def without(self, path: Location) -> Case:
        """The same without a part; changes of that part go with it."""
        kept = tuple(c for c in self.changes if c.path[: len(path)] != path)
        reduced = tuple((p, v) for p, v in self.reduced if p[: len(path)] != path)
        removed = frozenset(p for p in self.removed if p[: len(path)] != path) | {path}
        return replace(self, changes=kept, reduced=reduced, removed=removed)

    def with_value(self, path: Location, value: Any) -> Case:
        """The same with a value in place of another."""
        others = tuple((p, v) for p, v in self.reduced if p != path)
        return replace(self, reduced=(*others, (path, value)))


def loads_of(value: Json) -> Iterator[Location]:
    """Where a scenario says how much work comes."""
    for name, work in sorted((value.get("workloads") or {}).items()):
        for below in (("produce",), ("requests", "rate"), ("cpu", "cores")):
            if _there(work, below):
                yield ("workloads", name, *below)
    for i, event in enumerate(value.get("timeline") or ()):
        for what in ("produce", "requests", "cores", "add"):
            if _there(event, ("load", what)):
                yield ("timeline", i, "load", what)


def moments_of(value: Json) -> Iterator[Location]:
    """Where a scenario says when something happens."""
    for i in range(len(value.get("timeline") or ())):
        yield ("timeline", i, "at")


def spans_of(value: Json) -> Iterator[Location]:
    """Where a scenario says for how long something lasts."""
    for i, event in enumerate(value.get("timeline") or ()):
        for action, said in event.items():
            if isinstance(said, Mapping) and isinstance(said.get("for"), str):
                yield ("timeline", i, action, "for")


def _there(value: Any, path: Location) -> bool:
    for step in path:
        if not isinstance(value, Mapping) or step not in value:
            return False
        value = value[step]
    return True


def _at(value: Any, path: Location) -> Any:
    for step in path:
        value = value[step]
    return value


def _set(value: Any, path: Location, to: Any) -> None:
    _at(value, path[:-1])[path[-1]] = to


def _from_the_back(path: Location) -> tuple[tuple[int, str], ...]:
    """Sort key: the last items of a list first, so that the others keep their places."""
    return tuple((-step, "") if isinstance(step, int) else (0, step) for step in path)
