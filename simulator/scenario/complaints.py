"""What pydantic finds wrong with a file, told with its place, and with the key that was meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from prism_operator.documents import Document, Location
from simulator.scenario.schema import keys_at
from simulator.scenario.settings import path_text
from simulator.scenario.values import shown

NAMES_SHOWN_MAX = 16


def complaints(document: Document, error: ValidationError) -> list[str]:
    """Every problem that pydantic found in a scenario: field, expected and actual value."""
    errors = [(tuple(e["loc"]), e) for e in error.errors()]
    above = {place[:length] for place, _ in errors for length in range(len(place))}
    found = [
        document.complain(*_problem(place, e))
        for place, e in errors
        # A list that is too short because of what is wrong in it is not wrong itself.
        if e["type"] != "too_short" or place not in above
    ]
    return [str(complaint) for complaint in sorted(found)]


def among(name: str, known: Iterable[str]) -> str:
    """Which name was meant, and which ones there are, for a complaint about one that is not."""
    there = list(dict.fromkeys(known))
    by_lower = {one.lower(): one for one in there}
    close = get_close_matches(name.lower(), by_lower, n=1)
    more = len(there) - NAMES_SHOWN_MAX
    if close and more > 0:
        return f'(did you mean "{by_lower[close[0]]}"?)'
    listed = ", ".join(there[:NAMES_SHOWN_MAX]) + (f" and {more} more" if more > 0 else "")
    meant = f'; did you mean "{by_lower[close[0]]}"?' if close else ""
    return f"(there are: {listed or 'none'}{meant})"


def _problem(location: Location, error: Any) -> tuple[Location, str]:
    path = path_text(location)
    message, value = error["msg"].removeprefix("Value error, "), error["input"]
    match error["type"]:
        case "extra_forbidden":
            known = among(str(location[-1]), keys_at(location[:-1]))
            return location, f"{path}: unknown key {known}"
        case "missing":
            return location[:-1], f"{path}: is required"
        case "value_error":
            return location, f"{path}: {message}" if path else message
        case _:
            got = "" if isinstance(value, dict | list) else f", got {shown(value)}"
            return location, f"{path}: {message[0].lower()}{message[1:]}{got}"
