"""Rules about one object, each written once and checked in two places: by the API server as CEL in
the CRD, and offline in Python. Both say the same text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

_PLACEHOLDER = re.compile(r"\{([\w.]+)\}")


@dataclass(frozen=True, slots=True)
class Shown:
    """A value that a message names and no field of the model holds by itself."""

    name: str
    cel: str
    of: Callable[[Any], object]


@dataclass(frozen=True, slots=True)
class Rule:
    """A promise about a model: ``cel`` is true of it, and ``holds`` says the same in Python.

    ``message`` may name fields of the model, ``"{minReplicas} exceeds maxReplicas {maxReplicas}"``,
    or what is in ``shown``; they must be set whenever the rule can fail. ``at`` is the field (JSON
    name) the user should look at, the model itself when empty. A rule without ``holds`` compares
    with the object's former state, which only the API server has.
    """

    cel: str
    holds: Callable[[Any], bool] | None
    message: str
    at: str = ""
    # Not FieldValueDuplicate: the API server leaves its message out.
    reason: Literal["FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired"] = (
        "FieldValueInvalid"
    )
    shown: tuple[Shown, ...] = ()

    def broken_by(self, model: object, value_of: Callable[[str], object]) -> str | None:
        """The message about a model, whose fields ``value_of`` gives by JSON name; None if fine."""
        if self.holds is None:
            return None
        try:
            return None if self.holds(model) else self._text(model, value_of)
        except ValueError as error:  # a duration or quantity out of range
            return str(error)

    def _text(self, model: object, value_of: Callable[[str], object]) -> str:
        own = {shown.name: shown.of for shown in self.shown}

        def value(match: re.Match[str]) -> str:
            name = match[1]
            return str(own[name](model) if name in own else value_of(name))

        return _PLACEHOLDER.sub(value, self.message)

    def to_schema(self) -> dict[str, str]:
        """The entry of ``x-kubernetes-validations``."""
        entry = {"rule": self.cel}
        if _PLACEHOLDER.search(self.message):
            entry["messageExpression"] = self._message_expression()
        else:
            entry["message"] = self.message
        if self.at:
            entry["fieldPath"] = f".{self.at}"
        if self.reason != "FieldValueInvalid":  # the default
            entry["reason"] = self.reason
        return entry

    def _message_expression(self) -> str:
        # Of the ways to put a number into a text, format is the one whose cost is bounded.
        # re.split with one group alternates literal text and field names.
        parts = _PLACEHOLDER.split(self.message)
        literals = (part.replace("%", "%%").replace("'", "\\'") for part in parts[::2])
        own = {shown.name: shown.cel for shown in self.shown}
        values = ", ".join(own.get(name, f"self.{name}") for name in parts[1::2])
        return f"'{'%s'.join(literals)}'.format([{values}])"
