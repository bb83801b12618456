"""Why an object is refused: the causes in a Status, worded as the API server words them.

The wording is that of ``k8s.io/apimachinery/pkg/util/validation/field/errors.go``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

REQUIRED: Final = "FieldValueRequired"
INVALID: Final = "FieldValueInvalid"
NOT_SUPPORTED: Final = "FieldValueNotSupported"
FORBIDDEN: Final = "FieldValueForbidden"
DUPLICATE: Final = "FieldValueDuplicate"
TOO_LONG: Final = "FieldValueTooLong"
TOO_MANY: Final = "FieldValueTooMany"
TYPE_INVALID: Final = "FieldValueTypeInvalid"
INTERNAL: Final = "InternalError"
NOT_FOUND: Final = "FieldValueNotFound"


# A value the server leaves out of the message, as it does for objects and lists.
OMITTED: Final = object()


@dataclass(frozen=True, slots=True)
class Cause:
    """One entry of ``status.details.causes``; ``field`` is a path like ``spec.ports[0].name``."""

    reason: str
    message: str
    field: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


@dataclass(frozen=True, slots=True)
class Ordered:
    """A Go struct as a bad value: its fields in the order of the type."""

    fields: dict[str, object]


def shown(value: object) -> str:
    """A bad value as field.Error prints it."""
    if isinstance(value, Ordered):
        return json.dumps(value.fields, separators=(",", ":"), ensure_ascii=False)
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)


def _told(kind: str, value: object, detail: str) -> str:
    text = kind if value is OMITTED else f"{kind}: {shown(value)}"
    return f"{text}: {detail}" if detail else text


def required(field: str, detail: str = "") -> Cause:
    """A field that is not there."""
    return Cause(REQUIRED, _told("Required value", OMITTED, detail), field)


def invalid(field: str, value: object, detail: str) -> Cause:
    """A value that may not stand there."""
    return Cause(INVALID, _told("Invalid value", value, detail), field)


def type_invalid(field: str, value: object, detail: str) -> Cause:
    """A value of another type than the schema's."""
    return Cause(TYPE_INVALID, _told("Invalid value", value, detail), field)


def not_supported(field: str, value: object, supported: Iterable[str]) -> Cause:
    """A value outside an enumeration."""
    names = ", ".join(json.dumps(name, ensure_ascii=False) for name in supported)
    detail = f"supported values: {names}" if names else ""
    return Cause(NOT_SUPPORTED, _told("Unsupported value", value, detail), field)


def forbidden(field: str, detail: str) -> Cause:
    """A field that may not be set here."""
    return Cause(FORBIDDEN, _told("Forbidden", OMITTED, detail), field)


def duplicate(field: str, value: object) -> Cause:
    """A value that must be unique and is not."""
    return Cause(DUPLICATE, _told("Duplicate value", value, ""), field)


def not_found(field: str, value: object) -> Cause:
    """A reference to what is not there."""
    return Cause(NOT_FOUND, _told("Not found", value, ""), field)


def too_long(field: str, limit_bytes: int) -> Cause:
    """A text of more than ``limit_bytes``."""
    unit = "byte" if limit_bytes == 1 else "bytes"
    return Cause(TOO_LONG, f"Too long: may not be more than {limit_bytes} {unit}", field)


def too_many(field: str, actual: int, limit: int) -> Cause:
    """More than ``limit`` items or properties."""
    unit = "item" if limit == 1 else "items"
    return Cause(TOO_MANY, f"Too many: {actual}: must have at most {limit} {unit}", field)


class DecodeError(ValueError):
    """The body is not an object of the kind: 400 BadRequest with this message.

    ``detail`` is what the decoder itself said, for the places where the server wraps it otherwise
    (a patch whose result cannot be decoded).
    """

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail or message


class SchemaError(ValueError):
    """A CustomResourceDefinition whose schema or rules cannot be honoured; says which and why."""


class TypedError(ValueError):
    """An object does not fit the schema it is applied with: 500 InternalError, this message."""


def invalid_message(group: str, kind: str, name: str, causes: Sequence[Cause]) -> str:
    """The message of a 422 Status: the kind, the name, and every distinct cause once."""
    qualified = f"{kind}.{group}" if group else kind
    texts = list(dict.fromkeys(map(str, causes)))
    what = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    return f'{qualified} "{name}" is invalid: {what}'
