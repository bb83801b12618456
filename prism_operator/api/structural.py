"""What the API server does with an object of ours before any rule: unknown fields, shape, defaults.

Follows the schemas in the CRDs to the letter, so that what is right here is right there.
"""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

from prism_operator.api.crd import build_crds
from prism_operator.api.meta import Json, ReadOnlyJson
from prism_operator.api.validation import Problem, join, shown

_NAMES_SHOWN_MAX: Final = 12
_RANGES: Final = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}
_TYPES: Final[Mapping[str, tuple[tuple[type, ...], str]]] = {
    "array": ((list,), "a list"),
    "boolean": ((bool,), "true or false"),
    "integer": ((int,), "an integer"),
    "number": ((int, float), "a number"),
    "object": ((dict,), "an object"),
    "string": ((str,), "a string"),
}
# Their own chapters: what the server checks itself, and what only the operator writes.
_APART: Final = ("apiVersion", "kind", "metadata", "status")


def unknown_fields(obj: ReadOnlyJson) -> list[Problem]:
    """The fields that no schema knows, which strict ``kubectl apply`` refuses."""
    return list(_unknown(obj, _schema(obj["kind"]), ""))


def misfits(obj: ReadOnlyJson) -> list[Problem]:
    """Every value that has another shape than the schema says, rules aside."""
    schema = _schema(obj["kind"])
    properties = {n: s for n, s in schema["properties"].items() if n not in _APART}
    given = {name: value for name, value in obj.items() if name not in _APART}
    return list(_misfits(given, {**schema, "properties": properties}, ""))


def completed(obj: ReadOnlyJson) -> Json:
    """The object as the server stores it when it is created: defaults in, unknown fields out."""
    schema = _schema(obj["kind"])
    kept = {name: obj[name] for name in ("apiVersion", "kind", "metadata") if name in obj}
    given = {name: value for name, value in obj.items() if name not in _APART}
    return {**kept, **_completed(given, schema)}


@cache
def _schema(kind: str) -> Json:
    for crd in build_crds():
        if crd["spec"]["names"]["kind"] == kind:
            schema: Json = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
            return schema
    raise KeyError(kind)


def _field(schema: Json, name: str) -> Json | None:
    """The schema of a field; None for an unknown one."""
    field: Json | None = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
    return field


def _unknown(value: object, schema: Json, path: str) -> Iterator[Problem]:
    if isinstance(value, dict):
        for name, below in value.items():
            field = _field(schema, name)
            if field is not None and not (path == "" and name == "metadata"):
                yield from _unknown(below, field, join(path, name))
            elif field is None and not schema.get("x-kubernetes-preserve-unknown-fields"):
                known = schema.get("properties", {})
                yield Problem(join(path, name), f"unknown field{_hint(name, known)}")
    elif isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from _unknown(item, schema["items"], f"{path}[{index}]")


def _hint(name: str, known: Mapping[str, Any]) -> str:
    by_lower = {one.lower(): one for one in known}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1)
    if close:
        return f': did you mean "{by_lower[close[0]]}"?'
    if known and len(known) <= _NAMES_SHOWN_MAX:
        return f": expected one of {', '.join(sorted(known))}"
    return ": remove it, or see kubectl explain"


def _misfits(value: object, schema: Json, path: str) -> Iterator[Problem]:
    if "x-kubernetes-int-or-string" in schema:
        if not isinstance(value, int | str) or isinstance(value, bool):
            yield Problem(path, f"{shown(value)} is not an integer or a string")
        else:
            yield from _scalar_misfits(value, schema, path)
        return
    types, expected = _TYPES[schema["type"]]
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        quote = isinstance(value, int | float) and expected == "a string"
        remedy = ": put it in quotes" if quote else ""
        yield Problem(path, f"{shown(value)} is not {expected}{remedy}")
    elif isinstance(value, dict):
        yield from _object_misfits(value, schema, path)
    elif isinstance(value, list):
        yield from _list_misfits(value, schema, path)
    else:
        yield from _scalar_misfits(value, schema, path)


def _object_misfits(value: Json, schema: Json, path: str) -> Iterator[Problem]:
    most = schema.get("maxProperties")
    if most is not None and len(value) > most:
        yield Problem(path, f"has {len(value)} entries, more than {most}")
    for name in schema.get("required", ()):
        if value.get(name) is None and "default" not in schema["properties"][name]:
            yield Problem(join(path, name), "is required")
    for name, below in value.items():
        field = _field(schema, name)
        # The API server takes a null for an absent field.
        if field is not None and below is not None:
            yield from _misfits(below, field, join(path, name))


def _list_misfits(value: Sequence[Any], schema: Json, path: str) -> Iterator[Problem]:
    most = schema.get("maxItems")
    if most is not None and len(value) > most:
        yield Problem(path, f"has {len(value)} items, more than {most}")
    items = schema["items"]
    for index, item in enumerate(value):
        yield from _misfits(item, items, f"{path}[{index}]")
    match schema.get("x-kubernetes-list-type"):
        case "map":
            keys = schema["x-kubernetes-list-map-keys"]
        case "set":
            keys = []
        case _:
            return
    seen: dict[str, int] = {}
    for index, item in enumerate(value):
        key = _key(item, keys, items)
        if key is not None and (first := seen.setdefault(key, index)) != index:
            place = f"{path}[{index}]{f'.{keys[0]}' if keys else ''}"
            yield Problem(place, f"{key} is there more than once, first at {path}[{first}]")


def _key(item: object, keys: Sequence[str], schema: Json) -> str | None:
    """What makes an item of a map or set one of a kind; None when it has another shape."""
    if not keys:
        return item if isinstance(item, str) else None
    if not isinstance(item, dict):
        return None
    defaults = {name: schema["properties"][name].get("default") for name in keys}
    parts = [item.get(name, defaults[name]) for name in keys]
    return (
        None if None in parts else ", ".join(f"{n} {p}" for n, p in zip(keys, parts, strict=True))
    )


def _scalar_misfits(value: object, schema: Json, path: str) -> Iterator[Problem]:
    if "enum" in schema and value not in schema["enum"]:
        allowed = ", ".join(shown(one) for one in schema["enum"])
        yield Problem(path, f"{shown(value)} is not one of {allowed}")
    if isinstance(value, str):
        least, most = schema.get("minLength", 0), schema.get("maxLength")
        if len(value) < least:
            yield Problem(path, "is empty")
        elif most is not None and len(value) > most:
            yield Problem(path, f"is longer than {most} characters")
        elif (pattern := schema.get("pattern")) and not _matches(pattern, value):
            yield Problem(path, f"{shown(value)} does not match {pattern}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        low, high = _RANGES.get(schema.get("format", ""), (value, value))
        low, high = max(low, schema.get("minimum", low)), min(high, schema.get("maximum", high))
        if value < low:
            yield Problem(path, f"{value} is below {low}")
        elif value > high:
            yield Problem(path, f"{value} is above {high}")


def _matches(pattern: str, value: str) -> bool:
    # Python's $ would let a line break at the end pass.
    return re.search(re.sub(r"\$$", r"\\Z", pattern), value) is not None


def _completed(value: Any, schema: Json) -> Any:
    if isinstance(value, dict):
        out: Json = {}
        for name, below in value.items():
            field = _field(schema, name)
            if field is None:
                if schema.get("x-kubernetes-preserve-unknown-fields"):
                    out[name] = below
            elif below is not None:
                out[name] = _completed(below, field)
        for name, field in schema.get("properties", {}).items():
            if name not in out and "default" in field and name not in _APART:
                out[name] = _completed(copy.deepcopy(field["default"]), field)
        return out
    if isinstance(value, list) and "items" in schema:
        return [_completed(item, schema["items"]) for item in value]
    return value
