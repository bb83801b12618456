"""Remembers what a pure function made of exactly these objects.

Cached objects are never changed in place, only replaced, so the same object (by identity) gives the
same result. Comparing by uid or generation would not do: two simulations in one process share both.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, TypeVar, TypeVarTuple

from prism_operator.api.meta import Json
from prism_operator.api.validation import AnyPrism, InvalidObject, Problem, parse

Result = TypeVar("Result")
Args = TypeVarTuple("Args")
Prism = TypeVar("Prism", bound=AnyPrism)


class _Same:
    """Equal only to a wrapper of the very same object, which it keeps alive."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value


def remembered(*, entries: int) -> Callable[[Callable[[*Args], Result]], Callable[[*Args], Result]]:
    """Decorates a pure function of positional arguments; keeps its newest ``entries`` results."""

    def decorate(function: Callable[[*Args], Result]) -> Callable[[*Args], Result]:
        @lru_cache(maxsize=entries)
        def by_identity(*args: _Same) -> Result:
            values: Any = tuple(arg.value for arg in args)
            return function(*values)

        @wraps(function)
        def remembering(*args: *Args) -> Result:
            return by_identity(*map(_Same, args))

        return remembering

    return decorate


@remembered(entries=256)
def _parsed(obj: Json) -> AnyPrism:
    return parse(obj)


def parsed(obj: Json, model: type[Prism]) -> Prism:
    """The model of an object, made once. Raises InvalidObject, for another kind too."""
    found = _parsed(obj)
    if not isinstance(found, model):
        raise InvalidObject([Problem("kind", f"{found.kind} is not {model.__name__}")])
    return found
