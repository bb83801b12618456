"""The three patches that compute a new object from the live one: JSON, merge and strategic merge.

Sources: RFC 6902, RFC 7386, and ``k8s.io/apimachinery/pkg/util/strategicpatch``. Server-side apply
is in ``managedfields``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import jsonpatch
import jsonpointer

from prism_operator.api.meta import Json
from simulator.apiserver.schema import Schema
from simulator.apiserver.statuses import ApiError, bad_request, failure, unprocessable

JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH: Final = "application/strategic-merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"

_JSON_TYPES: Final = {str: "string", bool: "bool", list: "array", dict: "object"}
_DIRECTIVE = "$patch"
_RETAIN_KEYS = "$retainKeys"
_ELEMENT_ORDER = "$setElementOrder/"
_DELETE_PRIMITIVES = "$deleteFromPrimitiveList/"


def patch(content_type: str, live: Json, body: Any, schema: Schema) -> Json:
    """The object that ``body`` makes of ``live``; neither is changed.

    Raises:
        ApiError: The patch cannot be read (400) or does not fit the object (422).
    """
    if content_type == JSON_PATCH:
        return json_patch(live, body)
    if not isinstance(body, dict):
        what = _JSON_TYPES.get(type(body), "number")
        target = "map[string]interface {}"
        complaint = f"json: cannot unmarshal {what} into Go value of type {target}"
        if content_type == MERGE_PATCH:
            complaint = f"error decoding patch: {complaint}"
        raise bad_request(complaint)
    if content_type == MERGE_PATCH:
        merged: Json = merge_patch(live, body)
        return merged
    return _merge_map(live, body, schema)


def json_patch(live: Json, operations: Any) -> Json:
    """RFC 6902."""
    if not isinstance(operations, list):
        raise bad_request(
            "error decoding patch: json: cannot unmarshal"
            f" {_JSON_TYPES.get(type(operations), 'number')} into Go value of type"
            " []handlers.jsonPatchOp"
        )
    try:
        patched = jsonpatch.JsonPatch(operations).apply(live)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException) as error:
        raise unprocessable(str(error)) from None
    if not isinstance(patched, dict):
        raise unprocessable("the patched document is not an object")
    return patched


def merge_patch(live: Any, body: Any) -> Any:
    """RFC 7386."""
    if not isinstance(body, dict):
        return body
    merged = dict(live) if isinstance(live, dict) else {}
    for key, value in body.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def _merge_map(live: Mapping[str, Any], body: Json, schema: Schema | None) -> Json:
    if _DIRECTIVE in body:
        return _replaced_map(body)
    merged = _retained(live, body)
    for key in body:
        if key.startswith(_ELEMENT_ORDER):
            _merge_ordered(merged, live, body, key, schema)
    for key, value in body.items():
        if key == _RETAIN_KEYS or key.startswith(_ELEMENT_ORDER):
            continue
        if f"{_ELEMENT_ORDER}{key}" in body and isinstance(value, list):
            continue
        if key.startswith(_DELETE_PRIMITIVES):
            name = key.removeprefix(_DELETE_PRIMITIVES)
            if isinstance(merged.get(name), list):
                merged[name] = [item for item in merged[name] if item not in value]
            continue
        _merge_field(merged, key, value, schema.child(key) if schema else None)
    return merged


def _replaced_map(body: Json) -> Json:
    directive = body[_DIRECTIVE]
    if directive == "replace":
        return {key: value for key, value in body.items() if key != _DIRECTIVE}
    if directive == "delete":
        return {}
    raise _unusable(f"unknown patch type: {directive} in map: {body}")


def _retained(live: Mapping[str, Any], body: Json) -> Json:
    if _RETAIN_KEYS not in body:
        return dict(live)
    keep = body[_RETAIN_KEYS]
    named = {key for key, value in body.items() if value is not None and not key.startswith("$")}
    if not isinstance(keep, list) or not named <= set(keep):
        raise bad_request("invalid patch format of retainKeys")
    return {key: value for key, value in live.items() if key in keep}


def _merge_field(merged: Json, key: str, value: Any, schema: Schema | None) -> None:
    if value is None:
        merged.pop(key, None)
        return
    old = merged.get(key)
    strategy = schema.patch_strategy if schema else ()
    if isinstance(old, dict) and isinstance(value, dict):
        merged[key] = value if "replace" in strategy else _merge_map(old, value, schema)
    elif isinstance(old, list) and isinstance(value, list):
        merged[key] = _merge_list(old, value, schema) if "merge" in strategy else value
    else:
        cleaned, keep = _without_directives(_without_nulls(value))
        if keep:
            merged[key] = cleaned
        else:
            merged.pop(key, None)


def _merge_list(old: list[Any], items: list[Any], schema: Schema | None) -> list[Any]:
    if not old and not items:
        return old
    merge_key = schema.patch_merge_key if schema else ""
    if not all(isinstance(item, dict) for item in (*old, *items)):
        merged = list(dict.fromkeys([*old, *items]))
        return _ordered(merged, items, old, "")
    if not merge_key:
        raise _unusable("cannot merge lists without merge key")
    plain = [item for item in items if _DIRECTIVE not in item]
    if any(item.get(_DIRECTIVE) == "replace" for item in items):
        return plain
    live = list(old)
    for item in items:
        if _DIRECTIVE not in item:
            continue
        if item[_DIRECTIVE] != "delete":
            raise _unusable(f"unknown patch type: {item[_DIRECTIVE]} in map: {item}")
        gone = _key_of(item, merge_key)
        live = [entry for entry in live if entry.get(merge_key) != gone]
    merged = list(live)
    for item in plain:
        wanted = _key_of(item, merge_key)
        for index, entry in enumerate(merged):
            if entry.get(merge_key) == wanted:
                merged[index] = _merge_map(entry, item, schema.items if schema else None)
                break
        else:
            merged.append(item)
    return _ordered(merged, plain, live, merge_key)


def _merge_ordered(
    merged: Json, live: Mapping[str, Any], body: Json, directive: str, schema: Schema | None
) -> None:
    """Merges a list whose order of elements the patch sets."""
    name, order = directive.removeprefix(_ELEMENT_ORDER), body[directive]
    if not isinstance(order, list):
        raise bad_request("invalid patch format of setElementOrder list")
    field = schema.child(name) if schema else None
    merge_key = field.patch_merge_key if field else ""
    old, items = live.get(name), body.get(name)
    if not isinstance(old, list) and not isinstance(items, list):
        return
    if isinstance(old, list) and isinstance(items, list):
        mergeable = field is not None and "merge" in field.patch_strategy
        result = _merge_list(old, items, field) if mergeable else items
    elif isinstance(items, list):
        result, _ = _without_directives(items)
    else:
        result = list(old or ())
    merged[name] = _ordered(result, order, old if isinstance(old, list) else [], merge_key)


def _ordered(merged: list[Any], order: list[Any], old: list[Any], merge_key: str) -> list[Any]:
    """``merged`` with the elements in ``order`` in that order, the others as near as they were."""

    def identity(item: Any) -> Any:
        return item.get(merge_key) if merge_key and isinstance(item, dict) else item

    wanted = [identity(item) for item in order]
    before = [identity(item) for item in old]
    mine = sorted(
        (item for item in merged if identity(item) in wanted),
        key=lambda item: wanted.index(identity(item)),
    )
    others = [item for item in merged if identity(item) not in wanted]
    others.sort(key=lambda i: before.index(identity(i)) if identity(i) in before else len(before))
    result: list[Any] = []
    while others and mine:
        left, right = identity(others[0]), identity(mine[0])
        both_known = left in before and right in before
        takes_other = both_known and before.index(left) < before.index(right)
        result.append((others if takes_other else mine).pop(0))
    return result + others + mine


def _key_of(item: Json, merge_key: str) -> Any:
    if merge_key not in item:
        raise _unusable(f"map: {item} does not contain declared merge key: {merge_key}")
    return item[merge_key]


def _unusable(message: str) -> ApiError:
    return failure(500, "", message)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_nulls(v) for v in value]
    return value


def _without_directives(value: Any) -> tuple[Any, bool]:
    """``value`` less what is a directive; False when it is one itself."""
    if isinstance(value, dict):
        if _DIRECTIVE in value:
            return None, False
        entries = ((key, _without_directives(child)) for key, child in value.items())
        return {key: child for key, (child, keep) in entries if keep}, True
    if isinstance(value, list):
        return [child for child, keep in map(_without_directives, value) if keep], True
    return value, True
