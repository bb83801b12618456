"""What the parts of a scenario file are made of: durations, references, quantities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

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
        return round(parse_duration_s(value) * SECOND_US)
    except ValueError:
        raise ValueError(f'expected a duration such as "90s" or "1h30m", got "{value}"') from None


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


_DURATION = BeforeValidator(_span_of_time)
Duration = Annotated[Us, _DURATION]
TimeSpan = Annotated[Span, BeforeValidator(_span)]
Target = Annotated[Ref, BeforeValidator(reference)]
KindName = Annotated[Resource, BeforeValidator(_resource)]
Quantity = Annotated[str, BeforeValidator(_quantity)]
Texts = Annotated[tuple[str, ...], BeforeValidator(lambda v: (v,) if isinstance(v, str) else v)]


def is_duration(field: FieldInfo) -> bool:
    """Whether a field holds a ``Duration``; that is a plain number to everybody else."""
    return any(m is _DURATION for m in field.metadata) or field.annotation == Duration | None


class Strict(BaseModel):
    """A part of a scenario file, in camelCase; unknown keys are errors."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        arbitrary_types_allowed=True,
    )


def fixed(duration: str) -> Any:
    """The default of a ``TimeSpan``: always as long."""
    return Field(default_factory=lambda: _span(duration))


def exactly_one(model: BaseModel, names: tuple[str, ...]) -> None:
    """Raises ValueError unless one of the fields is given."""
    given = [to_camel(name) for name in names if getattr(model, name) is not None]
    if len(given) != 1:
        wanted = ", ".join(map(to_camel, names))
        raise ValueError(f"expected exactly one of {wanted}; got {', '.join(given) or 'none'}")
