"""Structural schemas of CustomResourceDefinitions: defaults, pruning and validation.

Compiled once into a tree of nodes. Messages are those of kube-openapi's validator and
apiextensions-apiserver, which say ``spec.replicas in body should be ...``.
"""

from __future__ import annotations

import copy
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from urllib.parse import urlparse

from prism_operator.api.meta import Json, ReadOnlyJson
from simulator.apiserver import causes
from simulator.apiserver.causes import Cause, SchemaError
from simulator.apiserver.cel import Rule, RuleError, activation, compile_rule, escaped
from simulator.apiserver.codec import Place
from simulator.apiserver.schema import Schema, published
from simulator.apiserver.typed import ABSENT

OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_META_FIELDS = ("apiVersion", "kind", "metadata")
_HANDLED = frozenset(
    (
        "type",
        "description",
        "title",
        "example",
        "externalDocs",
        "format",
        "nullable",
        "default",
        "properties",
        "additionalProperties",
        "items",
        "required",
        "enum",
        "pattern",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "uniqueItems",
        "minProperties",
        "maxProperties",
        "anyOf",
        "oneOf",
        "allOf",
        "not",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-int-or-string",
        "x-kubernetes-embedded-resource",
        "x-kubernetes-list-type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-map-type",
        "x-kubernetes-validations",
    )
)


@dataclass(slots=True)
class Node:
    """One place in a structural schema."""

    where: str
    types: tuple[str, ...] = ()
    nullable: bool = False
    preserve: bool = False
    embedded: bool = False
    properties: dict[str, Node] = field(default_factory=dict)
    additional: Node | None = None
    items: Node | None = None
    default: Any = ABSENT
    # Properties that have a default, in order.
    defaulted: list[tuple[str, Node]] = field(default_factory=list)
    required: tuple[str, ...] = ()
    enum: list[Any] | None = None
    # What every value of the type must meet; each appends causes.
    checks: list[Callable[[Any, str, list[Cause]], None]] = field(default_factory=list)
    any_of: list[Node] = field(default_factory=list)
    one_of: list[Node] = field(default_factory=list)
    all_of: list[Node] = field(default_factory=list)
    none_of: Node | None = None
    list_type: str = "atomic"
    list_map_keys: tuple[str, ...] = ()
    map_type: str = "granular"
    rules: list[Rule] = field(default_factory=list)
    # Whether rules or unique list types stand here or below.
    has_rules: bool = False
    has_unique: bool = False
    # Whether CEL sees other names or types here or below than JSON has.
    converted: bool = False
    format: str = ""


# Compilation


def compile_schema(source: ReadOnlyJson, where: str = "") -> Node:
    """A schema as it stands in a CRD. Raises SchemaError for what cannot be honoured."""
    node = _compile(source, where, root=True)
    for name in _META_FIELDS:
        node.properties.pop(name, None)
    node.embedded = True
    return node


def _compile(source: ReadOnlyJson, where: str, *, root: bool = False) -> Node:
    at = where or "the schema"
    if unknown := set(source) - _HANDLED:
        raise SchemaError(f"{at}: {', '.join(sorted(unknown))} is not supported here")
    node = Node(where)
    if source.get("x-kubernetes-int-or-string"):
        node.types = ("integer", "string")
    elif source.get("type"):
        node.types = (source["type"],)
    node.nullable = bool(source.get("nullable"))
    node.preserve = bool(source.get("x-kubernetes-preserve-unknown-fields"))
    node.embedded = bool(source.get("x-kubernetes-embedded-resource"))
    node.properties = {
        name: _compile(child, f"{where}.{name}" if where else name)
        for name, child in source.get("properties", {}).items()
    }
    additional = source.get("additionalProperties")
    if isinstance(additional, dict):
        node.additional = _compile(additional, f"{where}.*")
    elif additional is True:
        node.additional = Node(f"{where}.*", preserve=True, nullable=True)
    if "items" in source:
        node.items = _compile(source["items"], f"{where}[]")
    node.default = source.get("default", ABSENT)
    node.defaulted = [(n, c) for n, c in node.properties.items() if c.default is not ABSENT]
    node.required = tuple(source.get("required", ()))
    node.enum = source.get("enum")
    node.list_type = source.get("x-kubernetes-list-type", "atomic")
    node.list_map_keys = tuple(source.get("x-kubernetes-list-map-keys", ()))
    node.map_type = source.get("x-kubernetes-map-type", "granular")
    node.any_of = [_compile(s, where) for s in source.get("anyOf", ())]
    node.one_of = [_compile(s, where) for s in source.get("oneOf", ())]
    node.all_of = [_compile(s, where) for s in source.get("allOf", ())]
    node.none_of = _compile(source["not"], where) if "not" in source else None
    node.format = _supported_format(node.types, source.get("format", ""))
    node.checks = list(_checks(source, node))
    fields = {**node.properties, **(dict.fromkeys(_META_FIELDS) if root else {})}
    node.rules = [compile_rule(r, at, fields) for r in source.get("x-kubernetes-validations", ())]
    children = [*node.properties.values(), *filter(None, (node.additional, node.items))]
    node.has_rules = bool(node.rules) or any(c.has_rules for c in children)
    node.has_unique = node.list_type in ("set", "map") or any(c.has_unique for c in children)
    node.converted = (
        node.types == ("number",)
        or any(escaped(name) != name for name in node.properties)
        or any(c.converted for c in children)
    )
    return node


_STRING_FORMATS: dict[str, Callable[[str], object]] = {
    "date": date.fromisoformat,
    "datetime": lambda text: datetime.fromisoformat(text.replace("Z", "+00:00")),
    "ipv4": ipaddress.IPv4Address,
    "ipv6": ipaddress.IPv6Address,
    "cidr": ipaddress.ip_network,
    "uri": lambda text: _require(bool(urlparse(text).scheme or text.startswith("/"))),
    "uuid": lambda text: _require(
        re.fullmatch(r"(?i)[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", text) is not None
    ),
    "byte": lambda text: _require(re.fullmatch(r"[A-Za-z0-9+/]*={0,2}", text) is not None),
    "password": str,
}


def _require(holds: bool) -> None:
    if not holds:
        raise ValueError


def _supported_format(types: tuple[str, ...], name: str) -> str:
    """The format the server checks; it ignores those it does not know."""
    if types == ("integer",):
        return name if name in ("int32", "int64") else ""
    if types == ("number",):
        return name if name in ("float", "double") else ""
    if types in ((), ("string",)):
        plain = name.replace("-", "")
        if plain in ("duration", "hostname", "email", "mac"):
            raise SchemaError(f'format "{name}" is not supported here')
        return name if plain in _STRING_FORMATS else ""
    return ""


def _checks(source: ReadOnlyJson, node: Node) -> list[Callable[[Any, str, list[Cause]], None]]:
    """The checks of a node that look at the value itself, for whichever type it has."""
    found: list[Callable[[Any, str, list[Cause]], None]] = []
    if any(k in source for k in ("maxLength", "minLength", "pattern")):
        found.append(_string_check(source))
    if node.format.replace("-", "") in _STRING_FORMATS:
        found.append(_format_check(node.format))
    whole = node.types == ("integer",)
    if whole or any(k in source for k in ("minimum", "maximum", "multipleOf")):
        found.append(_number_check(source, whole=whole, format_=node.format))
    if any(k in source for k in ("maxItems", "minItems", "uniqueItems")):
        found.append(_list_check(source))
    if any(k in source for k in ("maxProperties", "minProperties")):
        found.append(_map_check(source))
    return found


def pattern(text: str) -> re.Pattern[str]:
    """A Go regular expression. Raises SchemaError for what Python reads otherwise."""
    if "[[:" in text or r"\z" in text or r"\p" in text or r"\C" in text or r"\Q" in text:
        raise SchemaError(f'pattern "{text}" uses what only Go has')
    # Go's $ matches at the very end only.
    text = re.sub(r"(\\.)|\$", lambda m: m[1] or r"\Z", text)
    try:
        return re.compile(text, re.ASCII)
    except re.error as error:
        raise SchemaError(f'pattern "{text}" is not a regular expression: {error}') from None


def _string_check(source: ReadOnlyJson) -> Callable[[Any, str, list[Cause]], None]:
    longest, shortest = source.get("maxLength"), source.get("minLength", 0)
    written = source.get("pattern", "")
    compiled = pattern(written) if written else None

    def check(value: Any, path: str, out: list[Cause]) -> None:
        if type(value) is not str:
            return
        if longest is not None and len(value) > longest:
            out.append(causes.too_long(path, longest))
        elif len(value) < shortest:
            text = f"{path} in body should be at least {shortest} chars long"
            out.append(causes.invalid(path, value, text))
        elif compiled is not None and compiled.search(value) is None:
            text = f"{path} in body should match '{written}'"
            out.append(causes.invalid(path, value, text))

    return check


def _format_check(name: str) -> Callable[[Any, str, list[Cause]], None]:
    parse = _STRING_FORMATS[name.replace("-", "")]

    def check(value: Any, path: str, out: list[Cause]) -> None:
        if type(value) is str:
            try:
                parse(value)
            except ValueError:
                text = f'{path} in body must be of type {name}: "{value}"'
                out.append(causes.type_invalid(path, value, text))

    return check


def _number_check(
    source: ReadOnlyJson, *, whole: bool, format_: str
) -> Callable[[Any, str, list[Cause]], None]:
    low, high, factor = source.get("minimum"), source.get("maximum"), source.get("multipleOf")
    above, below = source.get("exclusiveMinimum", False), source.get("exclusiveMaximum", False)
    limit = 2**31 if format_ == "int32" else 2**63
    format_text = f"with format {format_}" if format_ else "(default format)"

    def check(value: Any, path: str, out: list[Cause]) -> None:
        if type(value) not in (int, float):
            return
        if whole and (value != int(value) or not -limit <= value < limit):
            text = f"Checked value must be of type integer {format_text} in {path}"
            out.append(causes.invalid("<nil>", "", text))
        if factor is not None and value % factor != 0:
            text = f"{path} in body should be a multiple of {_number(factor)}"
            out.append(causes.invalid(path, value, text))
        if low is not None and (value <= low if above else value < low):
            relation = "greater than" if above else "greater than or equal to"
            text = f"{path} in body should be {relation} {_number(low)}"
            out.append(causes.invalid(path, value, text))
        if high is not None and (value >= high if below else value > high):
            relation = "less than" if below else "less than or equal to"
            text = f"{path} in body should be {relation} {_number(high)}"
            out.append(causes.invalid(path, value, text))

    return check


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _list_check(source: ReadOnlyJson) -> Callable[[Any, str, list[Cause]], None]:
    most, least = source.get("maxItems"), source.get("minItems", 0)
    unique = bool(source.get("uniqueItems"))

    def check(value: Any, path: str, out: list[Cause]) -> None:
        if type(value) is not list:
            return
        if len(value) < least:
            text = f"{path} in body should have at least {least} items"
            out.append(causes.invalid(path, len(value), text))
        if most is not None and len(value) > most:
            out.append(causes.too_many(path, len(value), most))
        if unique and any(item in value[:index] for index, item in enumerate(value)):
            text = f"{path} in body shouldn't contain duplicates"
            out.append(causes.invalid(path, "", text))

    return check


def _map_check(source: ReadOnlyJson) -> Callable[[Any, str, list[Cause]], None]:
    most, least = source.get("maxProperties"), source.get("minProperties", 0)

    def check(value: Any, path: str, out: list[Cause]) -> None:
        if type(value) is not dict:
            return
        if len(value) < least:
            text = f"{path} in body should have at least {least} properties"
            out.append(causes.invalid(path, len(value), text))
        if most is not None and len(value) > most:
            out.append(causes.too_many(path, len(value), most))

    return check


# Defaults and pruning


def complete(node: Node, value: Any, place: Place, unknown: list[tuple[Place, str]]) -> Any:
    """A copy of ``value`` with defaults, without unknown fields and nulls that may not be."""
    if type(value) is dict:
        out: Json = {}
        properties, additional = node.properties, node.additional
        for key, item in value.items():
            child = properties.get(key) or additional
            if child is None:
                if node.preserve or (node.embedded and key in _META_FIELDS):
                    out[key] = item
                else:
                    unknown.append((place, key))
                continue
            if item is None and not child.nullable:
                if child.default is ABSENT:
                    continue
                item = _own(child.default)
            if type(item) is dict or type(item) is list:
                item = complete(child, item, (place, key), unknown)
            out[key] = item
        for key, child in node.defaulted:
            if key not in out:
                out[key] = complete(child, _own(child.default), (place, key), unknown)
        return out
    if type(value) is list and node.items is not None:
        items = node.items
        fill = None if items.nullable or items.default is ABSENT else items.default
        return [
            complete(items, _own(fill) if item is None else item, (place, index), unknown)
            for index, item in enumerate(value)
        ]
    return value


def _own(value: Any) -> Any:
    return copy.deepcopy(value) if isinstance(value, dict | list) else value


# Validation


def validate(node: Node, value: Any, old: Any, path: str, out: list[Cause]) -> None:
    """Appends what is wrong with ``value``; ``old`` is its former self, or ABSENT.

    What has not changed is not complained about (validation ratcheting, KEP-4008).
    """
    start = len(out)
    kind = _KINDS.get(type(value), "")
    if value is None:
        if node.types and not node.nullable:
            out.append(_mistyped(path, node.types, "null"))
        _check_enum(node, value, path, out)
    else:
        fits = (
            not node.types or kind in node.types or (kind == "integer" and "number" in node.types)
        )
        if not fits and kind == "number" and "integer" in node.types:
            fits = value == int(value)
        if not fits:
            out.append(_mistyped(path, node.types, kind))
        if node.any_of or node.one_of or node.all_of or node.none_of:
            _validate_alternatives(node, value, path, out)
        for check in node.checks:
            check(value, path, out)
        if kind == "array" and node.items is not None:
            _validate_items(node, value, old, path, out)
        _check_enum(node, value, path, out)
        if kind == "object":
            _validate_fields(node, value, old, path, out)
    if len(out) > start and old is not ABSENT and old == value and path:
        del out[start:]


_KINDS = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
}


def _mistyped(path: str, types: tuple[str, ...], kind: str) -> Cause:
    detail = f'{path} in body must be of type {",".join(types)}: "{kind}"'
    return causes.type_invalid(path, kind, detail)


def _check_enum(node: Node, value: Any, path: str, out: list[Cause]) -> None:
    if node.enum is None or any(value == e and type(value) is type(e) for e in node.enum):
        return
    supported = [e if isinstance(e, str) else causes.shown(e) for e in node.enum]
    out.append(causes.not_supported(path, value, supported))


def _validate_fields(node: Node, value: Json, old: Any, path: str, out: list[Cause]) -> None:
    olds = old if type(old) is dict and node.map_type == "granular" else {}
    prefix = f"{path}." if path else ""
    properties, additional = node.properties, node.additional
    for key, item in value.items():
        child = properties.get(key) or additional
        if child is not None:
            validate(child, item, olds.get(key, ABSENT), prefix + key, out)
    for key in node.required:
        if key not in value:
            out.append(causes.required(prefix + key))


def _validate_items(node: Node, value: list[Any], old: Any, path: str, out: list[Cause]) -> None:
    olds = _by_keys(node, old)
    assert node.items is not None  # noqa: S101 - the caller looked
    for index, item in enumerate(value):
        was = olds.get(_keys(node, item), ABSENT) if olds else ABSENT
        validate(node.items, item, was, f"{path}[{index}]", out)


def _keys(node: Node, item: Any) -> tuple[Any, ...]:
    if not isinstance(item, dict):
        return ()
    return tuple(str(item.get(name)) for name in node.list_map_keys)


def _by_keys(node: Node, old: Any) -> dict[tuple[Any, ...], Any]:
    """The old items of an associative list; items of other lists have no former selves."""
    if node.list_type != "map" or not isinstance(old, list):
        return {}
    return {_keys(node, item): item for item in old}


def _validate_alternatives(node: Node, value: Any, path: str, out: list[Cause]) -> None:
    def tried(nodes: list[Node]) -> list[list[Cause]]:
        results = []
        for branch in nodes:
            found: list[Cause] = []
            validate(branch, value, ABSENT, path, found)
            results.append(found)
        return results

    if node.any_of:
        results = tried(node.any_of)
        if all(results):
            out.append(_composite(f'"{path}" must validate at least one schema (anyOf)'))
            out += _fewest(results)
    if node.one_of:
        results = tried(node.one_of)
        valid = sum(not found for found in results)
        if valid != 1:
            told = "Found none valid" if not valid else f"Found {valid} valid alternatives"
            text = f'"{path}" must validate one and only one schema (oneOf). {told}'
            out.append(_composite(text))
            if not valid:
                out += _fewest(results)
    if node.all_of:
        results = tried(node.all_of)
        failed = [found for found in results if found]
        for found in failed:
            out += found
        if failed:
            told = ". None validated" if len(failed) == len(results) else ""
            out.append(_composite(f'"{path}" must validate all the schemas (allOf){told}'))
    if node.none_of is not None and not tried([node.none_of])[0]:
        out.append(_composite(f'"{path}" must not validate the schema (not)'))


def _fewest(results: list[list[Cause]]) -> list[Cause]:
    return min(results, key=lambda found: len(found))


def _composite(text: str) -> Cause:
    return causes.invalid("<nil>", "", text)


def check_unique(node: Node, value: Any, path: str, out: list[Cause]) -> None:
    """Appends duplicates in lists of type set and map."""
    if not node.has_unique:
        return
    if type(value) is dict:
        prefix = f"{path}." if path else ""
        for key, item in value.items():
            if key in node.properties:
                check_unique(node.properties[key], item, prefix + key, out)
            elif node.additional is not None:
                check_unique(node.additional, item, f"{path}[{key}]", out)
    elif type(value) is list:
        _check_unique_items(node, value, path, out)
        if node.items is not None:
            for index, item in enumerate(value):
                check_unique(node.items, item, f"{path}[{index}]", out)


def _check_unique_items(node: Node, value: list[Any], path: str, out: list[Cause]) -> None:
    if node.list_type == "map":
        for index, item in enumerate(value):
            if item is not None and type(item) is not dict:
                text = "must be an object for an array of list-type map"
                out.append(causes.invalid(f"{path}[{index}]", item, text))
                return
        names = node.list_map_keys
        keys: list[Any] = [{k: item[k] for k in names if k in (item or {})} for item in value]
    elif node.list_type == "set":
        keys = value
    else:
        return
    seen: dict[str, int] = {}
    for index, key in enumerate(keys):
        text = causes.shown(key)
        seen[text] = seen.get(text, 0) + 1
        if seen[text] == 2:
            out.append(causes.duplicate(f"{path}[{index}]", key))


# Rules


def check_rules(node: Node, value: Any, old: Any, path: str, out: list[Cause]) -> None:
    """Appends what CEL rules say; ``old`` is the former self, or ABSENT."""
    if value is None or not node.has_rules:
        return
    if node.rules:
        _check_rules_here(node, value, old, path, out)
    if type(value) is dict:
        olds = old if type(old) is dict and node.map_type == "granular" else {}
        prefix = f"{path}." if path else ""
        for key, item in value.items():
            if key in node.properties:
                was = olds.get(key, ABSENT)
                check_rules(node.properties[key], item, was, prefix + key, out)
            elif node.additional is not None:
                was = olds.get(key, ABSENT)
                check_rules(node.additional, item, was, f"{path}[{key}]", out)
    elif type(value) is list and node.items is not None:
        olds = _by_keys(node, old)
        for index, item in enumerate(value):
            was = olds.get(_keys(node, item), ABSENT) if olds else ABSENT
            check_rules(node.items, item, was, f"{path}[{index}]", out)


def _check_rules_here(node: Node, value: Any, old: Any, path: str, out: list[Cause]) -> None:
    expected = _EXPECTED.get(node.types)
    if expected is not None and _KINDS.get(type(value)) != node.types[0]:
        # Only an object that names a wrong kind comes here without its schema being checked.
        for rule in node.rules:
            detail = f"invalid data, expected {expected} evaluating rule: {rule.name}"
            out.append(causes.invalid(path or "<nil>", node.types[0], detail))
        return
    has_old = old is not ABSENT and old is not None
    shown = causes.OMITTED if node.types in (("object",), ("array",)) else value
    before = _to_cel(node, old) if has_old else None
    values = activation(_to_cel(node, value), before, has_old)
    for rule in node.rules:
        if rule.uses_old and not has_old and not rule.optional_old:
            continue
        kind = node.types[0] if len(node.types) == 1 else ""
        try:
            if rule.holds(values):
                continue
        except RuleError as error:
            out.append(causes.invalid(path or "<nil>", kind, str(error)))
            continue
        if not rule.uses_old and has_old and old == value:
            continue
        where = path
        if rule.field_path:
            where = f"{path}.{rule.field_path}" if path else rule.field_path
        out.append(_failed(rule, where or "<nil>", shown, rule.told(values)))


_EXPECTED: dict[tuple[str, ...], str] = {
    ("object",): "a map for the provided schema with type=object",
    ("array",): "an array for the provided schema with type=array",
}


def _failed(rule: Rule, where: str, value: object, detail: str) -> Cause:
    match rule.reason:
        case "FieldValueForbidden":
            return causes.forbidden(where, detail)
        case "FieldValueRequired":
            return causes.required(where, detail)
        case "FieldValueDuplicate":
            return causes.duplicate(where, value)
        case _:
            return causes.invalid(where, value, detail)


def _to_cel(node: Node, value: Any) -> Any:
    """The value as rules see it: names escaped, numbers as doubles."""
    if not node.converted:
        return value
    if type(value) is dict:
        return {
            escaped(k) if k in node.properties else k: _to_cel(child, v)
            if (child := node.properties.get(k) or node.additional)
            else v
            for k, v in value.items()
        }
    if type(value) is list and node.items is not None:
        return [_to_cel(node.items, item) for item in value]
    return float(value) if node.types == ("number",) and type(value) is int else value


# The shape, for ownership and merges


def shape(node: Node) -> Schema:
    """The ``Schema`` of a whole custom object, with its type and metadata."""
    schema = _shape(node, open_=False)
    text = Schema(type="string")
    metadata = published(OBJECT_META)
    schema.properties = {
        **schema.properties,
        "apiVersion": text,
        "kind": text,
        "metadata": metadata,
    }
    return schema


def _shape(node: Node, *, open_: bool) -> Schema:
    open_ = open_ or node.preserve
    return Schema(
        type=node.types[0] if len(node.types) == 1 else "",
        properties={name: _shape(child, open_=open_) for name, child in node.properties.items()},
        additional=_shape(node.additional, open_=open_) if node.additional else None,
        items=_shape(node.items, open_=open_) if node.items else None,
        open=open_,
        list_type=node.list_type,
        map_type=node.map_type,
        list_map_keys=node.list_map_keys,
        default=None if node.default is ABSENT else node.default,
    )
