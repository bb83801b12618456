"""Values of a scenario as people write them."""

from __future__ import annotations

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from prism_operator.api.meta import Ref, Resource
from simulator.kernel import SECOND_US, Us
from simulator.scenario.values import is_duration


def duration(seconds: float) -> str:
    """A span of time to the second, as scenarios write it: ``1h30m``."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    parts = [f"{hours}h" if hours else "", f"{minutes}m" if minutes else ""]
    return "".join(parts) + (f"{rest}s" if rest or whole == 0 else "")


def span(us: Us) -> str:
    """A ``Duration`` of a scenario as its file says it."""
    return duration(us / SECOND_US) if us >= SECOND_US else f"{us / 1000:g}ms"


def spelled(value: object) -> str:
    """A value as its file says it: only what was given."""
    match value:
        case BaseModel():
            fields = type(value).model_fields
            return ", ".join(
                f"{field.alias or name}: {_field(field, getattr(value, name))}"
                for name, field in fields.items()
                if name in value.model_fields_set
            )
        case Resource():
            return value.kind
        case Ref():
            return str(value)
        case tuple():
            return ", ".join(map(spelled, value))
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return str(value)


def _field(field: FieldInfo, value: object) -> str:
    return span(value) if is_duration(field) and isinstance(value, int) else spelled(value)
