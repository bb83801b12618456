"""What the command line asks for, read together with the scenario."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from simulator.experiments.runs import Variant
from simulator.experiments.sweeping import Axis, Plan
from simulator.inputs import BadInputError
from simulator.scenario import Scenario, load
from simulator.scenario.settings import CompareSpec, Objective, PrimarySpec, Setting, SweepSpec

AS_IT_IS = Variant("as it is")


@dataclass(frozen=True, slots=True)
class Request:
    """A comparison to be made."""

    baseline: Variant
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]
    primary: Mapping[str, PrimarySpec]


def read_request(
    path: Path, variants: Sequence[str], primary: Sequence[str], seeds: int | None
) -> Request:
    """Completes what was asked by what the scenario says under ``variants`` and ``compare``.

    Raises:
        BadInputError: With everything that is wrong or missing.
    """
    scenario = load(path).scenario
    spec = scenario.compare or CompareSpec()
    problems: list[str] = []
    asked = [_read(_variant, scenario, text, "--variant", problems) for text in variants]
    metrics = dict(spec.primary)
    if primary:
        read = [_read(_primary, scenario, text, "--primary", problems) for text in primary]
        metrics = dict(pair for pair in read if pair is not None)
    if not metrics and not problems:
        problems.append(f"{path}: no metric to compare by; name one with --primary METRIC=MARGIN")
    baseline, others = _sides(scenario, spec, [v for v in asked if v is not None])
    if not others and not problems:
        problems.append(f"{path}: no variant to compare; name one with --variant")
    if problems:
        raise BadInputError(problems)
    count = seeds or spec.seeds
    return Request(baseline, others, tuple(range(scenario.seed, scenario.seed + count)), metrics)


def read_sweep(
    path: Path,
    vary: Sequence[str],
    minimize: Sequence[str],
    maximize: Sequence[str],
    seeds: int | None,
) -> Plan:
    """Completes what was asked by what the scenario says under ``sweep``.

    Raises:
        BadInputError: With everything that is wrong or missing.
    """
    scenario = load(path).scenario
    spec = scenario.sweep or SweepSpec()
    problems: list[str] = []
    axes = [_read(_axis, scenario, text, "--vary", problems) for text in vary] or [
        _as_axis(scenario, name, values) for name, values in spec.vary.items()
    ]
    objectives = {name: Objective() for name in minimize}
    objectives |= {name: Objective(more_is_better=True) for name in maximize}
    objectives = objectives or spec.objectives
    if not axes:
        problems.append(f"{path}: nothing to vary; say what with --vary PARAM=VALUE,VALUE")
    if not objectives:
        problems.append(f"{path}: no metric to judge by; name one with --minimize METRIC")
    if problems:
        raise BadInputError(problems)
    many = tuple(range(scenario.seed, scenario.seed + (seeds or spec.seeds)))
    return Plan(tuple(axes), objectives, many, spec.flaps_per_hour)


def _axis(scenario: Scenario, text: str) -> Axis:
    name, equals, values = text.partition("=")
    read = yaml.safe_load(f"[{values}]")
    if not equals or not read:
        raise ValueError("expected PARAM=VALUE,VALUE or PATH=VALUE,VALUE")
    return _as_axis(scenario, name, read)


def _as_axis(scenario: Scenario, name: str, values: Sequence[object]) -> Axis:
    texts = [
        f"{name}={yaml.safe_dump(v, default_flow_style=True).split(chr(10))[0]}" for v in values
    ]
    return Axis(name, tuple(_variant(scenario, text) for text in texts))


def _sides(
    scenario: Scenario, spec: CompareSpec, asked: Sequence[Variant]
) -> tuple[Variant, tuple[Variant, ...]]:
    if len(asked) == 1:
        return AS_IT_IS, tuple(asked)
    if asked:
        return asked[0], tuple(asked[1:])
    named = {name: Variant(name, values) for name, values in scenario.variants.items()}
    baseline = named.pop(spec.baseline) if spec.baseline else AS_IT_IS
    return baseline, tuple(named.values())


def _read(reader: Any, scenario: Scenario, text: str, option: str, problems: list[str]) -> Any:
    try:
        return reader(scenario, text)
    except ValidationError as error:
        told = error.errors()[0]["msg"].removeprefix("Value error, ")
    except (ValueError, yaml.YAMLError) as error:
        told = str(error)
    problems.append(f"{option} {text}: {told}")
    return None


def _variant(scenario: Scenario, text: str) -> Variant:
    values, settings = {}, []
    for part in re.split(r",(?=[^,=]+=)", text):
        name, equals, value = part.partition("=")
        if equals and re.fullmatch(r"\w+", name):
            if name not in scenario.params:
                known = ", ".join(scenario.params) or "none"
                raise ValueError(f'"{name}" is not a param (there are: {known})')
            values[name] = yaml.safe_load(value)
        else:
            settings.append(Setting.parse(part))
    return Variant(text, values, tuple(settings))


def _primary(_: Scenario, text: str) -> tuple[str, PrimarySpec]:
    name, equals, margin = text.partition("=")
    if not equals:
        raise ValueError("expected METRIC=MARGIN")
    return name, PrimarySpec(margin=margin)
