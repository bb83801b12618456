"""Parameters and variants: which values of a scenario, or of its manifests, are to be others."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import yaml
from pydantic import Field, model_validator

from prism_operator.api.meta import Ref
from prism_operator.documents import Location, location_of
from simulator.scenario.values import Items, Pair, Rule, Strict, Texts, reference

Value = float | int | str | bool


class ParamSpec(Strict):
    """Something to be varied: a ``default`` and what it sets.

    ``sets`` are paths in this file (``cluster.pools.base.count``) or in an object of its manifests
    (``PrismPattern/orders:spec.autoscaling.maxReplicas``). ``split`` shares ``total`` nodes between
    two pools; the value is the share of the second.
    """

    default: Value
    sets: Texts = ()
    split: Pair[str] | None = None
    total: int | None = Field(default=None, ge=0)

    told_to_editors: ClassVar[Rule] = {
        "anyOf": [{"required": ["sets"]}, {"required": ["split"]}],
        "dependencies": {"split": ["total"], "total": ["split"]},
    }

    @model_validator(mode="after")
    def _does_something(self) -> ParamSpec:
        if (self.split is None) != (self.total is None):
            raise ValueError("expected split and total together")
        if not self.sets and self.split is None:
            raise ValueError("expected sets or split, otherwise it changes nothing")
        for path in self.sets:
            parse_path(path)
        return self

    def settings(self, value: Value) -> list[Setting]:
        """What follows from giving it a value.

        Raises:
            ValueError: A share is not between 0 and 1.
        """
        settings = [Setting.at(path, value) for path in self.sets]
        if self.split is not None and self.total is not None:
            if isinstance(value, str) or not 0 <= value <= 1:
                raise ValueError(f"expected a share between 0 and 1, got {value!r}")
            second = round(self.total * value)
            for pool, count in zip(self.split, (self.total - second, second), strict=True):
                settings.append(Setting(None, ("cluster", "pools", pool, "count"), count))
        return settings


class PrimarySpec(Strict):
    """A metric that decides: the margin within which variants count as equivalent.

    A number, a duration for what is measured in seconds, or a percentage of the baseline's mean.
    """

    margin: str | float
    more_is_better: bool = False

    @model_validator(mode="after")
    def _readable(self) -> PrimarySpec:
        self.margin_for(1.0)
        return self

    def margin_for(self, baseline_mean: float) -> float:
        """The margin in the metric's unit."""
        if not isinstance(self.margin, str):
            return float(self.margin)
        number, unit = _NUMBER.fullmatch(self.margin.strip()), None
        if number is not None:
            unit = _UNITS.get(number[2])
        if number is None or unit is None:
            raise ValueError(f'expected a margin such as 5, "10s" or "2%", got "{self.margin}"')
        return float(number[1]) * (abs(baseline_mean) / 100 if number[2] == "%" else unit)


class CompareSpec(Strict):
    """What ``prism-sim compare`` does without being told: against which variant, how often."""

    baseline: str | None = None
    seeds: int = Field(default=20, ge=2, le=10_000)
    primary: dict[str, PrimarySpec] = Field(default_factory=dict)


class Objective(Strict):
    """A metric that a sweep looks at."""

    more_is_better: bool = False


class SweepSpec(Strict):
    """What ``prism-sim sweep`` does without being told.

    ``vary`` names params of the scenario with the values to be tried, all combinations of them;
    ``objectives`` what to be judged by. More than ``flapsPerHour`` turns of the replicas of its
    workloads make a combination one that flaps.
    """

    vary: dict[str, Items[Value]] = Field(default_factory=dict)
    seeds: int = Field(default=10, ge=2, le=10_000)
    objectives: dict[str, Objective] = Field(default_factory=dict)
    flaps_per_hour: float = Field(default=4.0, ge=0)


_NUMBER = re.compile(r"(\d+(?:\.\d*)?)\s*(%|ms|s|m|h|)")
_UNITS = {"%": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}


@dataclass(frozen=True, slots=True)
class Setting:
    """One value that is to be another: in the scenario itself, or in an object (``target``)."""

    target: Ref | None
    path: Location
    value: Any

    @classmethod
    def at(cls, path: str, value: Any) -> Setting:
        """What is at a path is to be ``value``. Raises ValueError."""
        return cls(*parse_path(path), value)

    @classmethod
    def parse(cls, text: str) -> Setting:
        """Reads ``PATH=VALUE`` or ``Kind/name:PATH=VALUE``; the value is YAML.

        Raises:
            ValueError: With what was expected.
        """
        path, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f'expected PATH=VALUE, got "{text}"')
        try:
            return cls.at(path, yaml.safe_load(value))
        except yaml.YAMLError:
            raise ValueError(f'expected a YAML value after "=", got "{value}"') from None

    def __str__(self) -> str:
        where = f"{self.target.resource.kind}/{self.target.name}:" if self.target else ""
        return f"{where}{path_text(self.path)}={self.value}"


def parse_path(text: str) -> tuple[Ref | None, Location]:
    """``Kind/name:spec.replicas`` or ``cluster.pools.base.count`` as object and steps.

    Raises:
        ValueError: With what was expected.
    """
    target, colon, path = text.rpartition(":")
    location = location_of(path)
    if not location:
        raise ValueError(f'expected a path such as cluster.pools.base.count, got "{text}"')
    return (reference(target) if colon else None), location


def path_text(path: Location) -> str:
    """Steps as one reads them: ``spec.triggers[0].metadata``."""
    text = "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in path)
    return text.removeprefix(".")


def changed(value: Any, settings: Sequence[Setting]) -> Any:
    """A copy of ``value`` with the settings made.

    A plain value that replaces a text becomes a text: thresholds of triggers are texts.

    Raises:
        ValueError: A path leads through something that is no mapping or list.
    """
    value = copy.deepcopy(value)
    for setting in settings:
        _set(value, setting)
    return value


def _set(value: Any, setting: Setting) -> None:
    *above, last = setting.path
    for i, step in enumerate(above):
        value = _step(value, step, setting, make={} if isinstance(setting.path[i + 1], str) else [])
    old = _step(value, last, setting, make=None)
    plain = not isinstance(setting.value, Mapping | list)
    value[last] = _as_text(setting.value) if isinstance(old, str) and plain else setting.value


def _step(value: Any, step: str | int, setting: Setting, make: Any) -> Any:
    """What is below ``value``; in a mapping ``make`` is put there where nothing is."""
    if isinstance(step, int) and isinstance(value, list) and step < len(value):
        return value[step]
    if isinstance(step, str) and isinstance(value, Mapping):
        if value.get(step) is None and make is not None and isinstance(value, dict):
            value[step] = make
        return value.get(step)
    raise ValueError(f"{setting}: there is nothing at {path_text(setting.path)} to be changed")


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
