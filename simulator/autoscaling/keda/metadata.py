"""Reading a trigger's metadata as KEDA does, and the names of the metrics it makes of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from simulator.autoscaling.keda.annotations import parse_bool


class MetadataError(Exception):
    """KEDA refuses the metadata of a trigger."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(key, problem)
        self.key, self.problem = key, problem

    def __str__(self) -> str:
        return f"{self.key} {self.problem}"


def required(metadata: Mapping[str, str], key: str) -> str:
    """A text that has to be there."""
    if not metadata.get(key):
        raise MetadataError(key, "is required")
    return metadata[key]


def integer(metadata: Mapping[str, str], key: str, default: int) -> int:
    """A whole number."""
    text = metadata.get(key, "")
    if not text:
        return default
    if not re.fullmatch(r"[+-]?[0-9]+", text, re.ASCII):
        raise MetadataError(key, f'is no whole number: "{text}"')
    return int(text)


def number(metadata: Mapping[str, str], key: str, default: float) -> float:
    """A number."""
    text = metadata.get(key, "")
    if not text:
        return default
    try:
        return float(text)
    except ValueError:
        raise MetadataError(key, f'is no number: "{text}"') from None


def flag(metadata: Mapping[str, str], key: str, *, default: bool = False) -> bool:
    """True or false."""
    text = metadata.get(key, "")
    if not text:
        return default
    try:
        return parse_bool(text)
    except ValueError as error:
        raise MetadataError(key, str(error)) from None


def choice(metadata: Mapping[str, str], key: str, values: Sequence[str]) -> str:
    """One of some words; the first when nothing is said."""
    text = metadata.get(key, "") or values[0]
    if text not in values:
        raise MetadataError(key, f'expected {" or ".join(values)}, not "{text}"')
    return text


def metric_name(index: int, name: str) -> str:
    """``s0-kafka-orders``: the trigger's index, and its name without what a name may not hold."""
    return f"s{index}-{re.sub(r'[/.:%()]', '-', name)}"
