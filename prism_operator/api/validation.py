"""Reads objects into models, and says what is wrong in the words the API server would use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, TypeAlias, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from prism_operator.api.backend import PrismBackend
from prism_operator.api.fields import Model
from prism_operator.api.meta import ReadOnlyJson
from prism_operator.api.namespace import PrismNamespace
from prism_operator.api.pattern import PrismPattern
from prism_operator.api.rules import Rule
from prism_operator.api.stack import PrismStack

AnyPrism: TypeAlias = PrismStack | PrismPattern | PrismBackend | PrismNamespace
MODELS: Mapping[str, type[AnyPrism]] = {
    "PrismStack": PrismStack,
    "PrismNamespace": PrismNamespace,
    "PrismPattern": PrismPattern,
    "PrismBackend": PrismBackend,
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where: ``spec.patterns[0].name``."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class InvalidObject(ValueError):  # noqa: N818 - an answer about an object, not a fault of ours
    """An object that the API does not allow, with every problem it has."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))


def parse(obj: ReadOnlyJson) -> AnyPrism:
    """The model of an object, unknown fields left out.

    Raises InvalidObject for an object the CRDs would refuse today, whenever it was stored.
    """
    kind = obj.get("kind")
    model = MODELS.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise InvalidObject([Problem("kind", f"{shown(kind)} is not one of {', '.join(MODELS)}")])
    try:
        parsed = model.model_validate(obj)
    except ValidationError as error:
        raise InvalidObject([_problem(details) for details in error.errors()]) from None
    if problems := list(_broken_rules(parsed, "")):
        raise InvalidObject(problems)
    return parsed


def _broken_rules(model: Model, path: str) -> Iterator[Problem]:
    rules, names = _rules_and_names(type(model))
    for rule in rules:
        if (told := rule.broken_by(model, partial(_value_of, model))) is not None:
            yield Problem(join(path, rule.at), told)
    for attribute, name in names:
        value = getattr(model, attribute)
        if isinstance(value, Model):
            yield from _broken_rules(value, join(path, name))
        elif isinstance(value, tuple):
            for index, item in enumerate(value):
                if isinstance(item, Model):
                    yield from _broken_rules(item, f"{join(path, name)}[{index}]")


@cache  # asked for every section of every object
def _rules_and_names(model: type[Model]) -> tuple[tuple[Rule, ...], tuple[tuple[str, str], ...]]:
    """The rules, and the attributes that may hold sections of their own, with their fields."""
    fields = model.model_fields.items()
    sections = tuple(
        (name, field.alias or name) for name, field in fields if _may_hold_model(field.annotation)
    )
    return tuple(model.rules()), sections


def _may_hold_model(annotation: object) -> bool:
    if isinstance(annotation, type) and not get_args(annotation):
        return issubclass(annotation, Model)
    return any(_may_hold_model(inner) for inner in get_args(annotation))


def _value_of(model: object, path: str) -> object:
    for name in path.split("."):
        fields = type(model).model_fields if isinstance(model, Model) else {}
        attribute = next((a for a, f in fields.items() if (f.alias or a) == name), name)
        model = getattr(model, attribute)
    return model


def join(path: str, name: str) -> str:
    """The path of the field ``name`` in what stands at ``path``."""
    return f"{path}.{name}" if path and name else path or name


def _problem(details: ErrorDetails) -> Problem:
    path = ""
    for part in details["loc"]:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part not in ("int", "str", "constrained-str"):  # which side of a union it was
            path = join(path, part)
    context = details.get("ctx") or {}
    if (flaw := context.get("flaw")) is not None:  # in a Kubernetes type, below the field
        told = f"{shown(flaw.value)} is not {flaw.told}" if flaw.misshapen else flaw.told
        return Problem(path + context["item"] + flaw.path, told)
    return Problem(path, _message(details["type"], context, details))


def _message(kind: str, limits: Mapping[str, Any], details: ErrorDetails) -> str:
    given = shown(details["input"])
    match kind:
        case "missing":
            return "is required"
        case "literal_error":
            return f"{given} is not one of {limits['expected']}"
        case "greater_than_equal":
            return f"{given} is below {limits['ge']}"
        case "less_than_equal":
            return f"{given} is above {limits['le']}"
        case "string_too_short":
            return "is empty"
        case "string_too_long":
            return f"is longer than {limits['max_length']} characters"
        case "too_long":
            return f"has more than {limits['max_length']} items"
        case "string_pattern_mismatch":
            return f"{given} does not match {limits['pattern']}"
        case "duplicate":
            return details["msg"]
    expected = _EXPECTED.get(kind)
    return f"{given} is not {expected}" if expected else details["msg"]


_EXPECTED = {
    "bool_type": "true or false",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "string_type": "a string",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "list_type": "a list",
    "tuple_type": "a list",
}


def shown(value: object) -> str:
    """A value as a message shows it, unless it may be long or secret."""
    # Objects and long texts are not repeated: they may hold what others should not read.
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case str() if len(value) <= 64 and "://" not in value:
            return f'"{value}"'
        case str():
            return "the text"
        case list() | tuple():
            return "a list"
        case Mapping():
            return "an object"
    return type(value).__name__
