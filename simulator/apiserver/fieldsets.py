"""Sets of field paths, in the shape of FieldsV1: nested dicts whose keys are path elements.

A path element is its text in FieldsV1: ``f:name``, ``k:{"name":"a"}``, ``v:"x"`` or ``i:0``. A path
is in the set when its node holds ``"."``. The algebra is that of structured-merge-diff's
``fieldpath.Set``; no function changes its arguments, results share parts with them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, TypeAlias

FieldSet: TypeAlias = dict[str, Any]
Path: TypeAlias = tuple[str, ...]
MEMBER = "."
_LEAF: FieldSet = {MEMBER: {}}
_KINDS = "fkvi"


def decode(fields_v1: Any) -> FieldSet:
    """The set a FieldsV1 stands for. Raises ValueError for what is not one."""
    if not isinstance(fields_v1, dict):
        raise ValueError(f"FieldsV1 is not an object: {fields_v1!r}")
    out: FieldSet = {}
    for key, child in fields_v1.items():
        if key == MEMBER:
            out[MEMBER] = {}
            continue
        if len(key) < 2 or key[1] != ":":
            raise ValueError(f"missing colon: {key}")
        if key[0] in _KINDS:
            out[_normal(key)] = decode(child) or _LEAF
    return out


def encode(fields: FieldSet) -> Any:
    """The FieldsV1 of a set, in the order Go writes it."""
    out: dict[str, Any] = {}
    only_member = len(fields) == 1
    for key in sorted(fields, key=order):
        if key == MEMBER:
            if not only_member:
                out[MEMBER] = {}
        else:
            out[key] = encode(fields[key])
    return out


@lru_cache(maxsize=65536)
def _normal(element: str) -> str:
    if element[0] == "k":
        keys = json.loads(element[2:])
        return key_element({name: keys[name] for name in keys})
    if element[0] == "v":
        return value_element(json.loads(element[2:]))
    return element


def key_element(keys: dict[str, Any]) -> str:
    """The path element of an item of an associative list of maps."""
    return "k:" + json.dumps(keys, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def value_element(value: Any) -> str:
    """The path element of an item of a set."""
    return "v:" + json.dumps(value, separators=(",", ":"), ensure_ascii=False)


@lru_cache(maxsize=65536)
def order(element: str) -> tuple[Any, ...]:
    """The sort key of path elements: fields, keys, values, indices; each by value."""
    if element == MEMBER:
        return (0,)
    kind, text = element[0], element[2:]
    if kind == "f":
        return (1, text)
    if kind == "k":
        return (2, *((name, *_rank(value)) for name, value in sorted(json.loads(text).items())))
    if kind == "v":
        return (3, *_rank(json.loads(text)))
    return (4, int(text))


def _rank(value: Any) -> tuple[Any, ...]:
    if isinstance(value, bool):
        return (2, value)
    if isinstance(value, int | float):
        return (0, value)
    return (1, value) if isinstance(value, str) else (3, json.dumps(value))


def text_of(path: Path) -> str:
    """A path as conflicts print it: ``.spec.template.spec.containers[name="a"].image``."""
    return "".join(map(_text_of_element, path))


def _text_of_element(element: str) -> str:
    kind, text = element[0], element[2:]
    if kind == "f":
        return f".{text}"
    if kind == "k":
        keys = sorted(json.loads(text).items())
        return "[" + ",".join(f"{k}={_text_of_value(v)}" for k, v in keys) + "]"
    if kind == "v":
        return f"[={_text_of_value(json.loads(text))}]"
    return f"[{text}]"


def _text_of_value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def paths(fields: FieldSet, prefix: Path = ()) -> Iterator[Path]:
    """Every path of the set: a node's members first, then what lies below its children."""
    elements = sorted((k for k in fields if k != MEMBER), key=order)
    for element in elements:
        if MEMBER in fields[element]:
            yield (*prefix, element)
    for element in elements:
        yield from paths(fields[element], (*prefix, element))


def insert(fields: FieldSet, path: Path) -> None:
    """Adds ``path`` to a set that nobody else holds yet."""
    for element in path:
        fields = fields.setdefault(element, {})
    if path:
        fields[MEMBER] = {}


def is_empty(fields: FieldSet) -> bool:
    """Whether no path is in the set."""
    return MEMBER not in fields and all(is_empty(child) for child in fields.values())


def union(a: FieldSet, b: FieldSet) -> FieldSet:
    """What is in either."""
    if not a or a is b:
        return b
    if not b:
        return a
    out = dict(a)
    for key, child in b.items():
        out[key] = union(out[key], child) if key in out else child
    return out


def intersection(a: FieldSet, b: FieldSet) -> FieldSet:
    """What is in both."""
    out: FieldSet = {}
    for key, child in a.items():
        if key in b:
            if key == MEMBER:
                out[MEMBER] = {}
            elif common := intersection(child, b[key]):
                out[key] = common
    return out


def difference(a: FieldSet, b: FieldSet) -> FieldSet:
    """What is in ``a`` and not in ``b``, path by path."""
    if not b:
        return a
    out: FieldSet = {}
    for key, child in a.items():
        if key not in b:
            out[key] = child
        elif key != MEMBER and (rest := difference(child, b[key])):
            out[key] = rest
    return out


def recursive_difference(a: FieldSet, b: FieldSet) -> FieldSet:
    """What is in ``a`` and neither in ``b`` nor below a path in ``b``."""
    if not b:
        return a
    out: FieldSet = {}
    for key, child in a.items():
        other = b.get(key)
        if other is None:
            out[key] = child
        elif key != MEMBER and MEMBER not in other and (rest := recursive_difference(child, other)):
            out[key] = rest
    return out
