"""Why an object is refused: the causes in a Status, worded as the API server words them.

The wording is that of ``k8s.io/apimachinery/pkg/util/validation/field/errors.go``.
"""

from __future__ import annotations

from collections.abc import Sequence
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


@dataclass(frozen=True, slots=True)
class Cause:
    """One entry of ``status.details.causes``; ``field`` is a path like ``spec.ports[0].name``."""

    reason: str
    message: str
    field: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class DecodeError(ValueError):
    """The body is not an object of the kind: 400 BadRequest with this message."""


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
