"""What the command line asks to be compared, read together with the scenario."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from simulator.experiments.runs import Variant
from simulator.inputs import BadInputError
from simulator.scenario import Scenario, load
from simulator.scenario.settings import CompareSpec, PrimarySpec, Setting

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
