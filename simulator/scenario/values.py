"""What the parts of a scenario file are made of: durations, references, quantities."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Self, TypeAlias, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic import Strict as Strictness
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema

from prism_operator.api.durations import parse_duration_s
from prism_operator.api.meta import RESOURCES, Ref, Resource
from prism_operator.api.quantities import parse_quantity
from simulator.kernel import SECOND_US, Us
from simulator.randomness import Even, LogNormal, Span

BY_KIND = {r.kind: r for r in RESOURCES}


_SPANS = (("min", "max"), ("p50", "p99"))


def _span_of_time(value: object) -> Us:
    if not isinstance(value, str):
        raise ValueError(f'expected a duration such as "90s", got {shown(value)}')
    try:
        if not value.startswith("-"):
            return round(parse_duration_s(value) * SECOND_US)
    except ValueError:
        pass
    raise ValueError(f'expected a duration such as "90s" or "1h30m", got "{value}"')


def _span(value: object) -> Span:
    if isinstance(value, Even | LogNormal):
        return value
    if not isinstance(value, Mapping):
        fixed = _span_of_time(value)
        return Even(fixed, fixed)
    names = next((names for names in _SPANS if set(value) == set(names)), None)
    if names is None:
        wanted = "a duration, {min, max} or {p50, p99}"
        raise ValueError(f"expected {wanted}, got {shown(dict(value))}")
    low, high = names
    least, most = _span_of_time(value[low]), _span_of_time(value[high])
    if least > most or (low == "p50" and least == 0):
        raise ValueError(f"{low} {value[low]} is above {high} {value[high]}, or 0")
    return Even(least, most) if low == "min" else LogNormal(least, most)


def reference(value: object) -> Ref:
    """``Kind/name`` or ``Kind/namespace/name`` as a reference. Raises ValueError."""
    parts = value.split("/") if isinstance(value, str) else []
    if not 2 <= len(parts) <= 3 or not all(parts):
        raise ValueError(f"expected Kind/name or Kind/namespace/name, got {shown(value)}")
    resource = _resource(parts[0])
    if not resource.namespaced:
        return Ref(resource, "", parts[-1])
    return Ref(resource, parts[1] if len(parts) == 3 else "default", parts[-1])


def _resource(value: object) -> Resource:
    resource = BY_KIND.get(value) if isinstance(value, str) else None
    if resource is None:
        kinds = ", ".join(sorted(BY_KIND))
        raise ValueError(f"expected a kind ({kinds}), got {shown(value)}")
    return resource


def _quantity(value: object) -> str:
    try:
        parse_quantity(str(value))
    except ValueError:
        raise ValueError(f'expected a quantity such as "4" or "16Gi", got {shown(value)}') from None
    return str(value)


def shown(value: object) -> str:
    """A value as it stands in a complaint."""
    return f'"{value}"' if isinstance(value, str) else repr(value)


NAME = "x-definition"  # in a schema: under which name it is defined once


def pattern(name: str, of: str, meaning: str) -> WithJsonSchema:
    """A text as editors are told of it."""
    return WithJsonSchema(
        {NAME: name, "description": meaning, "type": "string", "pattern": f"^({of})$"}
    )


def number_or(name: str, of: re.Pattern[str], meaning: str, **bounds: float) -> WithJsonSchema:
    """The same of a number, or a text with its unit."""
    number = {"type": "number", "minimum": 0, **bounds}
    text = {"type": "string", "pattern": rf"^\s*({of.pattern})\s*$"}
    return WithJsonSchema({NAME: name, "description": meaning, "anyOf": [number, text]})


DURATION: Any = pattern(
    "Duration",
    r"\+?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)",
    "As Go writes them: `90s`, `1h30m`, `500ms`.",
).json_schema
_SPAN = {
    NAME: "TimeSpan",
    "description": "A duration; `{min, max}`: drawn evenly between them; `{p50, p99}`: drawn from "
    "the lognormal distribution that has these percentiles.",
    "anyOf": [
        DURATION,
        *(
            {
                "type": "object",
                "properties": dict.fromkeys(names, DURATION),
                "required": list(names),
                "additionalProperties": False,
            }
            for names in _SPANS
        ),
    ],
}
_AMOUNT = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[eE][+-]?[0-9]{1,9}|[numkMGTPE]?)"
_QUANTITY = {
    NAME: "Quantity",
    "description": "As Kubernetes writes them: `4`, `500m`, `16Gi`.",
    "anyOf": [{"type": "number"}, {"type": "string", "pattern": f"^({_AMOUNT})$"}],
}


def object_of(name: str, kinds: Iterable[str]) -> WithJsonSchema:
    """An object of one of some kinds, as editors are told of it."""
    named = "`Kind/name` (in `default`, if it is in a namespace) or `Kind/namespace/name`"
    meaning = f"An object, as {named}; of kind {', '.join(f'`{kind}`' for kind in sorted(kinds))}."
    return pattern(name, f"({'|'.join(sorted(kinds))})/[^/]+(/[^/]+)?", meaning)


_LENGTH = BeforeValidator(_span_of_time)
Duration = Annotated[Us, _LENGTH, WithJsonSchema(DURATION)]
TimeSpan = Annotated[Span, BeforeValidator(_span), WithJsonSchema(_SPAN)]
Target = Annotated[Ref, BeforeValidator(reference), object_of("Object", BY_KIND)]
KindName = Annotated[
    Resource,
    BeforeValidator(_resource),
    WithJsonSchema(
        {NAME: "Kind", "description": "A kind that is modelled.", "enum": sorted(BY_KIND)}
    ),
]
Quantity = Annotated[str, BeforeValidator(_quantity), WithJsonSchema(_QUANTITY)]

Lax = Strictness(strict=False)
T = TypeVar("T")
# Everything else is taken as it is: "3" is no number, and yes no text.
Items: TypeAlias = Annotated[tuple[T, ...], Lax]
Pair: TypeAlias = Annotated[tuple[T, T], Lax]


def _texts(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Texts = Annotated[Items[str], BeforeValidator(_texts, json_schema_input_type=str | tuple[str, ...])]


Rule: TypeAlias = Mapping[str, Any]


def is_duration(field: FieldInfo) -> bool:
    """Whether a field holds a ``Duration``; that is a plain number to everybody else."""
    return any(m is _LENGTH for m in field.metadata) or field.annotation == Duration | None


class Strict(BaseModel):
    """A part of a scenario file, in camelCase; unknown keys are errors."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=True,
        arbitrary_types_allowed=True,
    )

    exactly_one_of: ClassVar[tuple[str, ...]] = ()
    """The fields of which one is given, and no other."""
    some_of: ClassVar[tuple[str, ...]] = ()
    """The fields of which at least one is given."""
    or_alone: ClassVar[str] = ""
    """The field that needs none of them."""

    told_to_editors: ClassVar[Rule] = {}
    """What a JSON Schema can say of the model's other rules."""

    @model_validator(mode="after")
    def _as_many_as_wanted(self) -> Self:
        one, some = self._given(self.exactly_one_of), self._given(self.some_of)
        alone = self.or_alone and getattr(self, self.or_alone) is not None and not one
        if self.exactly_one_of and len(one) != 1 and not alone:
            wanted = ", ".join(map(to_camel, self.exactly_one_of))
            raise ValueError(f"expected exactly one of {wanted}; got {', '.join(one) or 'none'}")
        if self.some_of and not some:
            raise ValueError(f"expected one of {', '.join(map(to_camel, self.some_of))}")
        return self

    def _given(self, names: tuple[str, ...]) -> list[str]:
        return [to_camel(name) for name in names if getattr(self, name) is not None]

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """The same told to editors."""
        schema = handler(core_schema)
        of = handler.resolve_ref_schema(schema)
        of.update(cls.told_to_editors)
        one, some = ([_has(name) for name in names] for names in (cls.exactly_one_of, cls.some_of))
        if one:
            alone = [{**_has(cls.or_alone), "not": {"anyOf": one}}] if cls.or_alone else []
            of["oneOf"] = [*one, *alone]
        if some:
            of["anyOf"] = some
        return schema


def _has(name: str) -> dict[str, Any]:
    return {"required": [to_camel(name)]}


def fixed(duration: str) -> Any:
    """The default of a ``TimeSpan``: always as long."""
    return Field(default=_span(duration))
