"""Objects seen through their schema: field sets, comparison, merge, removal.

The algorithms of structured-merge-diff's ``typed`` package (v6), on plain JSON and ``Schema``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from simulator.apiserver.causes import TypedError
from simulator.apiserver.fieldsets import (
    MEMBER,
    FieldSet,
    Path,
    insert,
    is_empty,
    key_element,
    text_of,
    value_element,
)
from simulator.apiserver.schema import ANYTHING, Schema


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


# No value at all, unlike None, which is JSON's null.
ABSENT: Any = _Absent()


def _is_map(schema: Schema, value: Any) -> bool:
    """Whether ``value`` is walked as a map; null is one where the schema allows maps."""
    if schema.type == "":
        return isinstance(value, dict) or value is None
    return schema.type == "object"


def _is_list(schema: Schema, value: Any) -> bool:
    return isinstance(value, list) if schema.type == "" else schema.type == "array"


def element_of(schema: Schema, item: Any) -> str:
    """The path element of an item of an associative list. Raises TypedError."""
    if schema.list_type == "map":
        if item is None:
            raise TypedError("associative list with keys may not have a null element")
        if not isinstance(item, dict):
            raise TypedError("associative list with keys may not have non-map elements")
        keys = {}
        for name in schema.list_map_keys:
            if name in item:
                keys[name] = item[name]
            elif (default := _default_key(schema, name)) is not None:
                keys[name] = default
        if not keys:
            names = " ".join(f'"{name}"' for name in schema.list_map_keys)
            raise TypedError(
                f"associative list with keys has an element that omits all key fields [{names}] "
                "(and doesn't have default values for any key fields)"
            )
        return key_element(keys)
    if isinstance(item, dict):
        raise TypedError("associative list without keys has an element that's a map type")
    if isinstance(item, list):
        raise TypedError("not supported: associative list with lists as elements")
    if item is None:
        raise TypedError("associative list without keys has an element that's an explicit null")
    return value_element(item)


def _default_key(schema: Schema, name: str) -> Any:
    declared = schema.items.properties.get(name) if schema.items else None
    return declared.default if declared else None


# Validation


def check(schema: Schema, value: Any, *, allow_duplicates: bool) -> None:
    """Raises TypedError, worded as the server words it, for a value that does not fit."""
    problems: list[tuple[str, str]] = []
    _check(schema, value, (), allow_duplicates, problems)
    texts = [f"{path}: {text}" if path else text for path, text in problems]
    if len(texts) == 1:
        raise TypedError(texts[0])
    if texts:
        raise TypedError("\n".join(["errors:", *(f"  {text}" for text in texts)]))


def _check(
    schema: Schema, value: Any, path: Path, allow_duplicates: bool, out: list[tuple[str, str]]
) -> None:
    if value is None:
        return
    if schema.type in ("object", "array", ""):
        if isinstance(value, dict) and schema.type != "array":
            for key, item in value.items():
                child = schema.child(key)
                if child is None:
                    out.append((text_of((*path, f"f:{key}")), "field not declared in schema"))
                    # The server stops at the first undeclared field of a map.
                    return
                if child.type != "string" or type(item) is not str:
                    _check(child, item, (*path, f"f:{key}"), allow_duplicates, out)
        elif isinstance(value, list) and schema.type != "object":
            _check_list(schema, value, path, allow_duplicates, out)
        elif schema.type:
            expected = "map" if schema.type == "object" else "list"
            out.append((text_of(path), f"expected {expected}, got {_shown(value)}"))
        return
    if not _fits_scalar(schema.type, value):
        if schema.type in ("integer", "number"):
            what = f"expected numeric (int or float), got {go_type(value)}"
        elif schema.type == "string":
            what = f"expected string, got {_shown_struct(value)}"
        else:
            what = f"expected boolean, got {_shown(value)}"
        out.append((text_of(path), what))


def _check_list(
    schema: Schema,
    value: list[Any],
    path: Path,
    allow_duplicates: bool,
    out: list[tuple[str, str]],
) -> None:
    seen: set[str] = set()
    associative = schema.list_type in ("map", "set")
    for index, item in enumerate(value):
        if associative:
            try:
                element = element_of(schema, item)
            except TypedError as error:
                out.append((text_of(path), f"element {index}: {error}"))
                return
            if element in seen and not allow_duplicates:
                text = text_of((element,))
                out.append((text_of(path), f"duplicate entries for key {text}"))
            seen.add(element)
        else:
            element = f"i:{index}"
        _check(schema.items or ANYTHING, item, (*path, element), allow_duplicates, out)


def _fits_scalar(type_: str, value: Any) -> bool:
    if type_ == "string":
        return isinstance(value, str)
    if type_ == "boolean":
        return isinstance(value, bool)
    return isinstance(value, int | float) and not isinstance(value, bool)


def go_type(value: Any) -> str:
    """Go's %T of a JSON value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int | float):
        return "int64" if isinstance(value, int) else "float64"
    if isinstance(value, dict):
        return "map[string]interface {}"
    return "[]interface {}" if isinstance(value, list) else "<nil>"


def _shown(value: Any) -> str:
    """Go's %v of a structured-merge-diff value."""
    return f"&{{{go_text(value)}}}"


def _shown_struct(value: Any) -> str:
    """Go's %#v of a structured-merge-diff value."""
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, dict | list):
        text = _go_syntax(value)
    else:
        text = json.dumps(value)
    return f"&value.valueUnstructured{{Value:{text}}}"


def go_text(value: Any) -> str:
    """Go's %v of a JSON value."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{k}:{go_text(v)}" for k, v in sorted(value.items())) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(go_text, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "<nil>" if value is None else str(value)


def _go_syntax(value: Any) -> str:
    if isinstance(value, dict):
        items = ", ".join(f"{json.dumps(k)}:{_go_syntax(v)}" for k, v in sorted(value.items()))
        return f"map[string]interface {{}}{{{items}}}"
    if isinstance(value, list):
        return f"[]interface {{}}{{{', '.join(map(_go_syntax, value))}}}"
    if value is None:
        return "interface {}(nil)"
    return json.dumps(value)


# Field sets


def field_set(schema: Schema, value: Any) -> FieldSet:
    """The fields that ``value`` says something about."""
    out: FieldSet = {}
    _collect(schema, value, out)
    return out


def _collect(schema: Schema, value: Any, out: FieldSet) -> None:
    if _is_map(schema, value):
        if schema.map_type == "atomic":
            out[MEMBER] = {}
        elif isinstance(value, dict):
            for key, item in value.items():
                declared = schema.properties.get(key)
                below: FieldSet = {}
                _collect(declared or schema.child(key) or ANYTHING, item, below)
                if item is None or item == {} or declared is None:
                    below[MEMBER] = {}
                if below:
                    out[f"f:{key}"] = below
    elif _is_list(schema, value):
        if schema.list_type == "atomic":
            out[MEMBER] = {}
        elif isinstance(value, list):
            elements = [element_of(schema, item) for item in value]
            for element, item in zip(elements, value, strict=True):
                below = {MEMBER: {}}
                if elements.count(element) == 1:
                    _collect(schema.items or ANYTHING, item, below)
                out[element] = below
    else:
        out[MEMBER] = {}


# Comparison


@dataclass(slots=True)
class Comparison:
    """Where two objects differ."""

    removed: FieldSet = field(default_factory=dict)
    modified: FieldSet = field(default_factory=dict)
    added: FieldSet = field(default_factory=dict)


def compare(schema: Schema, left: Any, right: Any) -> Comparison:
    """What is only in ``left``, differs, or is only in ``right``."""
    out = Comparison()
    _compare(schema, left, right, (), out)
    return out


def _compare(schema: Schema, left: Any, right: Any, path: Path, out: Comparison) -> None:
    if left is not ABSENT and right is not ABSENT:
        if left == right and type(left) is type(right):
            return
        if schema.type == "" and _atom(left) != _atom(right):
            # One of them is a leaf here, so the whole is.
            insert(out.modified, path)
            return
    value = left if right is ABSENT else right
    if _is_map(schema, value):
        leaf = schema.map_type == "atomic" or (not _items(left) and not _items(right))
        if not leaf:
            _compare_maps(schema, left, right, path, out)
    elif _is_list(schema, value):
        leaf = schema.list_type == "atomic" or (not _items(left) and not _items(right))
        if not leaf:
            _compare_lists(schema, left, right, path, out)
    else:
        leaf = True
    if left is ABSENT:
        insert(out.added, path)
    elif right is ABSENT:
        insert(out.removed, path)
    elif leaf and left != right:
        insert(out.modified, path)


def _atom(value: Any) -> str:
    if isinstance(value, list):
        return "list"
    return "map" if isinstance(value, dict) or value is None else "scalar"


def _items(value: Any) -> Any:
    """The content of a map or list, or None when there is none."""
    return value if isinstance(value, dict | list) and value else None


def _compare_maps(schema: Schema, left: Any, right: Any, path: Path, out: Comparison) -> None:
    lefts, rights = _items(left) or {}, _items(right) or {}
    if isinstance(lefts, list) or isinstance(rights, list):
        raise TypedError(f"expected map, got list at {'.'.join(path)}")
    for key, item in lefts.items():
        child = schema.child(key) or ANYTHING
        _compare(child, item, rights.get(key, ABSENT), (*path, f"f:{key}"), out)
    for key, item in rights.items():
        if key not in lefts:
            _compare(schema.child(key) or ANYTHING, ABSENT, item, (*path, f"f:{key}"), out)


def _compare_lists(schema: Schema, left: Any, right: Any, path: Path, out: Comparison) -> None:
    if isinstance(left, dict) or isinstance(right, dict):
        raise TypedError(f"expected list, got map at {'.'.join(path)}")
    lefts, rights = _by_element(schema, left), _by_element(schema, right)
    items = schema.items or ANYTHING
    for element in {**lefts, **rights}:
        ours, theirs = lefts.get(element, []), rights.get(element, [])
        where = (*path, element)
        if len(ours) <= 1 and len(theirs) <= 1:
            _compare(
                items, ours[0] if ours else ABSENT, theirs[0] if theirs else ABSENT, where, out
            )
        elif len(ours) >= 2 and len(theirs) >= 2:
            if ours != theirs:
                insert(out.modified, where)
        elif len(ours) >= 2:
            if theirs:
                _compare(items, ABSENT, theirs[0], where, out)
            insert(out.removed, where)
        else:
            if ours:
                _compare(items, ours[0], ABSENT, where, out)
            insert(out.added, where)


def _by_element(schema: Schema, value: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for item in _items(value) or ():
        found.setdefault(element_of(schema, item), []).append(item)
    return found


# Merge


def merge(schema: Schema, left: Any, right: Any) -> Any:
    """``left`` with what ``right`` says put over it; ABSENT where nothing is left."""
    if right is ABSENT or left is ABSENT:
        return left if right is ABSENT else right
    if schema.type == "" and _atom(left) != _atom(right):
        return right
    if _is_map(schema, right):
        if schema.map_type == "atomic" or (not _items(left) and not _items(right)):
            return right
        lefts, rights = _items(left) or {}, _items(right) or {}
        out = dict(lefts)
        for key, item in rights.items():
            if key in lefts:
                out[key] = merge(schema.child(key) or ANYTHING, lefts[key], item)
            else:
                out[key] = item
        return out
    if _is_list(schema, right):
        if schema.list_type == "atomic" or (not _items(left) and not _items(right)):
            return right
        return _merge_lists(schema, _items(left) or [], _items(right) or [])
    return right


def _merge_lists(schema: Schema, left: list[Any], right: list[Any]) -> list[Any]:
    """Items of both: the order of ``right`` for shared and new ones, of ``left`` in between."""
    items = schema.items or ANYTHING
    left_elements = [element_of(schema, item) for item in left]
    right_elements = [element_of(schema, item) for item in right]
    lefts: dict[str, Any] = {}
    for element, item in zip(left_elements, left, strict=True):
        # A duplicate cannot be merged into; what is applied replaces it.
        lefts[element] = None if element in lefts else item
    rights = dict(zip(right_elements, right, strict=True))
    shared = [element for element in right_elements if element in lefts]
    merged: set[str] = set()
    out: list[Any] = []

    def take(element: str) -> None:
        merged.add(element)
        out.append(merge(items, lefts.get(element, ABSENT), rights.get(element, ABSENT)))

    at_left = at_right = at_shared = 0
    while at_left < len(left) or at_right < len(right):
        next_shared = shared[at_shared] if at_shared < len(shared) else None
        if at_left < len(left) and at_right < len(right):
            element = left_elements[at_left]
            if element == right_elements[at_right]:
                take(element)
                at_left, at_right, at_shared = at_left + 1, at_right + 1, at_shared + 1
                continue
            if element in rights and next_shared is not None and next_shared != element:
                at_left += 1
                continue
        if at_left < len(left):
            element = left_elements[at_left]
            if element not in rights:
                out.append(left[at_left])
                at_left += 1
                continue
            if element in merged:
                at_left += 1
        if at_right < len(right):
            element = right_elements[at_right]
            take(element)
            at_right += 1
            if next_shared == element:
                at_shared += 1
    return out


# Removal


def remove(schema: Schema, value: Any, gone: FieldSet) -> Any:
    """``value`` without the fields in ``gone``; None for a map or list nothing is left of."""
    if _is_list(schema, value):
        if not _items(value) or schema.list_type == "atomic":
            return None
        kept = []
        for item in value:
            below = gone.get(element_of(schema, item), {})
            if MEMBER in below:
                continue
            kept.append(remove(schema.items or ANYTHING, item, below) if below else item)
        return kept or None
    if _is_map(schema, value):
        if not _items(value) or schema.map_type == "atomic":
            return None
        out = {}
        for key, item in value.items():
            below = gone.get(f"f:{key}", {})
            if MEMBER in below:
                continue
            if not is_empty(below):
                item = remove(schema.child(key) or ANYTHING, item, below)
            out[key] = item
        return out or None
    return value


def with_named_fields(schema: Schema, fields: FieldSet) -> FieldSet:
    """The set with every declared field that leads to a member made a member itself."""
    out: FieldSet = {}
    for key, below in fields.items():
        if key == MEMBER:
            out[MEMBER] = {}
            continue
        child: Schema | None = None
        declared = False
        if key[0] == "f":
            declared = key[2:] in schema.properties
            child = schema.child(key[2:])
        elif key[0] == "k":
            child = schema.items
        inner = with_named_fields(child or ANYTHING, below)
        has_children = len(below) > (1 if MEMBER in below else 0)
        if declared and has_children and MEMBER not in inner:
            inner = {**inner, MEMBER: {}}
        out[key] = inner
    return out


def reconciled(schema: Schema, fields: FieldSet) -> FieldSet:
    """The set with everything below what the schema calls atomic folded into that."""
    out: FieldSet = {}
    for key, below in fields.items():
        if key == MEMBER:
            out[MEMBER] = {}
            continue
        child = schema.child(key[2:]) if key[0] == "f" else schema.items
        has_children = len(below) > (1 if MEMBER in below else 0)
        if child is None or not has_children:
            out[key] = below
        elif _is_atomic(child):
            out[key] = {MEMBER: {}}
        else:
            out[key] = reconciled(child, below)
    return out


def _is_atomic(schema: Schema) -> bool:
    if schema.type == "object":
        return schema.map_type == "atomic"
    return schema.type == "array" and schema.list_type == "atomic"
