"""Built-in kinds as Go reads and writes them: types checked, unknown fields named, empty ones gone.

Compiled from ``schemas/gotypes.json``: a closure for each Go type. An object that went through
``decode`` is byte for byte what the API server would answer, before defaults that need the whole
object. Defaults and hooks belong to Go types and run when a struct of the type is complete.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeAlias

from prism_operator.api.meta import Json
from simulator.apiserver import quantity
from simulator.apiserver.causes import DecodeError
from simulator.apiserver.schema import SCHEMAS, _openapi

# A place in an object: the parent's place, and a field's name, an index, or a map's key in a tuple.
Step: TypeAlias = str | int | tuple[str]
Place: TypeAlias = tuple[Any, Step] | None
Hook: TypeAlias = Callable[[Json], None]
_INTEGERS = {"int32": 2**31, "int64": 2**63, "int": 2**63, "uint8": 2**8}
_OPAQUE_PREFIX = "io.k8s."


class _Reading:
    """One body being read: its complaints, and the first type mismatch."""

    __slots__ = ("mismatch", "unknown")

    def __init__(self) -> None:
        self.unknown: list[tuple[Place, str]] = []
        self.mismatch = ""

    def mismatched(self, value: Any, place: Place, struct: str, go: str) -> None:
        # Go remembers the first mismatch, skips the value, and reads on.
        if self.mismatch:
            return
        where = ".".join(p for p in steps(place) if isinstance(p, str))
        if struct:
            target = f"Go struct field {struct}.{where} of type {go}"
        else:
            target = f"Go value of type {go}"
        self.mismatch = f"json: cannot unmarshal {_json_kind(value, go)} into {target}"


def _json_kind(value: Any, go: str) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return f"number {json.dumps(value)}" if go in _INTEGERS else "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        return "array"
    return "object" if isinstance(value, dict) else "null"


def steps(place: Place) -> list[Step]:
    """A place as the steps from the root."""
    found: list[Step] = []
    while place is not None:
        place, step = place
        found.append(step)
    return found[::-1]


def path_text(place: Place) -> str:
    """A place as people read it: ``spec.ports[0].name``."""
    text = ""
    for step in steps(place):
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            name = step if isinstance(step, str) else step[0]
            text += f".{name}" if text else name
    return text


# A decoder takes (value, place, reading, struct); the value is never None.
Decoder: TypeAlias = Callable[[Any, Place, _Reading, str], Any]


class Codec:
    """Decoders of Go types, compiled on first use."""

    def __init__(self, hooks: dict[str, Hook]) -> None:
        self._types: dict[str, list[dict[str, str]]] = _gotypes()
        self._hooks = hooks
        self._structs: dict[str, Decoder] = {}

    def decode(self, type_name: str, body: Any) -> tuple[Json, tuple[str, ...]]:
        """The canonical object and the strict decoder's complaints. Raises DecodeError."""
        reading = _Reading()
        obj = self._struct(type_name)(body, None, reading, "")
        if reading.mismatch:
            raise DecodeError(reading.mismatch)
        return obj, tuple(
            f'unknown field "{path_text((place, name))}"' for place, name in reading.unknown
        )

    def _decoder(self, type_name: str, go: str) -> tuple[Decoder, Callable[[], Any]]:
        """The decoder of a type and its zero value."""
        if type_name.startswith("*"):
            return self._decoder(type_name[1:], go)[0], lambda: None
        if type_name.startswith("[]"):
            return _list(*self._decoder(type_name[2:], go.removeprefix("[]")), go), lambda: None
        if type_name.startswith("map[string]"):
            element = type_name.removeprefix("map[string]")
            element_go = go.partition("]")[2]
            if go.endswith(".ResourceList"):
                return _resource_list, lambda: None
            return _map(*self._decoder(element, element_go), go), lambda: None
        if type_name.startswith(_OPAQUE_PREFIX):
            own = type_name.rsplit(".", 1)[1]
            if type_name in self._types:
                struct = self._struct(type_name)
                return struct, lambda: struct({}, None, _Reading(), "")
            return _OPAQUE[own]
        return _scalar(type_name, go)

    def _struct(self, name: str) -> Decoder:
        if name not in self._structs:
            # Recursive types (JSONSchemaProps) find this entry while they are compiled.
            self._structs[name] = lambda *args: self._structs[name](*args)
            self._structs[name] = self._compile(name)
        return self._structs[name]

    def _compile(self, name: str) -> Decoder:
        own = name.rsplit(".", 1)[1]
        go = f"{name.split('.')[-2]}.{own}"
        declared = _openapi().get(name, {}).get("properties", {})
        fields: dict[str, tuple[Decoder, bool]] = {}
        always: list[tuple[str, Callable[[], Any]]] = []
        defaults: list[tuple[str, Any]] = []
        for entry in self._types[name]:
            field_name, type_name, omit = entry["name"], entry["type"], entry.get("omit", "")
            decoder, zero = self._decoder(type_name, entry.get("go", ""))
            pointer = type_name.startswith("*")
            plain_struct = type_name.startswith(_OPAQUE_PREFIX)
            omits_empty = bool(omit) and not pointer and not plain_struct
            fields[field_name] = decoder, omits_empty
            default = declared.get(field_name, {}).get("default")
            if not isinstance(default, dict | None) and (pointer or default):
                defaults.append((field_name, default))
            elif not omit or (plain_struct and omit == "empty"):
                always.append((field_name, zero))
        get = fields.get
        hook = self._hooks.get(name)

        def decode(value: Any, place: Place, reading: _Reading, struct: str) -> Json:
            out: Json = {}
            if type(value) is not dict:
                reading.mismatched(value, place, struct, go)
                value = {}
            for key, item in value.items():
                found = get(key)
                if found is None:
                    reading.unknown.append((place, key))
                elif item is not None:
                    decoder, omits_empty = found
                    item = decoder(item, (place, key), reading, own)
                    if item or not omits_empty:
                        out[key] = item
            for key, default in defaults:
                if key not in out:
                    out[key] = default
            for key, zero in always:
                if out.get(key) is None:
                    out[key] = zero()
            if hook is not None:
                hook(out)
            return out

        return decode


def _list(element: Decoder, zero: Callable[[], Any], go: str) -> Decoder:
    def decode(value: Any, place: Place, reading: _Reading, struct: str) -> Any:
        if type(value) is not list:
            reading.mismatched(value, place, struct, go)
            return None
        return [
            zero() if item is None else element(item, (place, index), reading, struct)
            for index, item in enumerate(value)
        ]

    return decode


def _map(element: Decoder, zero: Callable[[], Any], go: str) -> Decoder:
    def decode(value: Any, place: Place, reading: _Reading, struct: str) -> Any:
        if type(value) is not dict:
            reading.mismatched(value, place, struct, go)
            return None
        return {
            key: zero() if item is None else element(item, (place, (key,)), reading, struct)
            for key, item in value.items()
        } or None

    return decode


def _scalar(kind: str, go: str) -> tuple[Decoder, Callable[[], Any]]:
    if kind == "string":

        def text(value: Any, place: Place, reading: _Reading, struct: str) -> str:
            if type(value) is str:
                return value
            reading.mismatched(value, place, struct, go)
            return ""

        return text, str
    if kind == "bool":

        def boolean(value: Any, place: Place, reading: _Reading, struct: str) -> bool:
            if type(value) is bool:
                return value
            reading.mismatched(value, place, struct, go)
            return False

        return boolean, bool
    if kind in _INTEGERS:
        limit = _INTEGERS[kind]

        def integer(value: Any, place: Place, reading: _Reading, struct: str) -> int:
            if type(value) is int and -limit <= value < limit:
                return value
            reading.mismatched(value, place, struct, go)
            return 0

        return integer, int
    if kind == "float64":

        def number(value: Any, place: Place, reading: _Reading, struct: str) -> float:
            if type(value) in (int, float):
                return value  # type: ignore[no-any-return]
            reading.mismatched(value, place, struct, go)
            return 0.0

        return number, float
    if kind == "bytes":
        return _bytes, lambda: None
    raise AssertionError(f"gotypes.json: no decoder for {kind}")


def _bytes(value: Any, place: Place, reading: _Reading, struct: str) -> str | None:
    if type(value) is not str:
        reading.mismatched(value, place, struct, "[]uint8")
        return None
    # Go skips line breaks and stops at the first other character outside the alphabet.
    compact = value.replace("\n", "").replace("\r", "")
    try:
        return base64.b64encode(base64.b64decode(compact, validate=True)).decode()
    except (binascii.Error, ValueError):
        good = re.match(r"[A-Za-z0-9+/]*", compact)
        at = len(good[0]) if good else 0
        raise DecodeError(f"illegal base64 data at input byte {at}") from None


def _quantity(value: Any, place: Place, reading: _Reading, struct: str) -> str:
    del place, reading, struct
    # Quantity.UnmarshalJSON takes the raw bytes, quoted or not.
    text = value if type(value) is str else json.dumps(value, separators=(",", ":"))
    try:
        return quantity.canonical(text.strip())
    except quantity.QuantityError as error:
        raise DecodeError(str(error)) from None


def _resource_list(value: Any, place: Place, reading: _Reading, struct: str) -> Any:
    if type(value) is not dict:
        reading.mismatched(value, place, struct, "v1.ResourceList")
        return None
    return {
        key: quantity.rounded_up_to_milli(_quantity(item, None, reading, ""))
        for key, item in value.items()
        if item is not None or key
    } or None


def _int_or_string(value: Any, place: Place, reading: _Reading, struct: str) -> int | str:
    del place, struct
    if type(value) is str:
        return value
    if type(value) is int and -(2**31) <= value < 2**31:
        return value
    if not reading.mismatch:
        go = "int32" if type(value) in (int, float) else "intstr.IntOrString"
        reading.mismatch = (
            f"json: cannot unmarshal {_json_kind(value, 'int32')} into Go value of type {go}"
        )
    return 0


def _time(value: Any, place: Place, reading: _Reading, struct: str) -> str | None:
    return _timestamp(value, place, reading, struct, micro=False)


def _micro_time(value: Any, place: Place, reading: _Reading, struct: str) -> str | None:
    return _timestamp(value, place, reading, struct, micro=True)


_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)", re.ASCII
)


def _timestamp(
    value: Any, place: Place, reading: _Reading, struct: str, *, micro: bool
) -> str | None:
    del place, struct
    if type(value) is not str:
        if not reading.mismatch:
            reading.mismatch = (
                f"json: cannot unmarshal {_json_kind(value, '')} into Go value of type string"
            )
        return None
    layout = "2006-01-02T15:04:05.000000Z07:00" if micro else "2006-01-02T15:04:05Z07:00"
    match = _RFC3339.fullmatch(value)
    try:
        if match is None or (micro and len(match[7] or "") != 6):
            raise ValueError
        when = datetime.fromisoformat(
            f"{value[:19]}.{(match[7] or '0')[:6].ljust(6, '0')}{match[8].replace('Z', '+00:00')}"
        ).astimezone(UTC)
    except ValueError:
        raise DecodeError(
            f'parsing time "{value}" as "{layout}": {_misparsed(value, micro=micro)}'
        ) from None
    text = when.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{when.microsecond:06d}Z" if micro else f"{text}Z"


def _misparsed(value: str, *, micro: bool) -> str:
    fraction = (r"\.\d{6}", ".000000") if micro else (r"(?:[.,]\d+)?", "")
    for pattern, part in (
        (r"\d{4}", "2006"),
        (r"-", "-"),
        (r"\d\d", "01"),
        (r"-", "-"),
        (r"\d\d", "02"),
        (r"T", "T"),
        (r"\d\d", "15"),
        (r":", ":"),
        (r"\d\d", "04"),
        (r":", ":"),
        (r"\d\d", "05"),
        fraction,
        (r"(?:Z|[+-]\d\d:\d\d)", "Z07:00"),
    ):
        match = re.match(pattern, value)
        if match is None:
            return f'cannot parse "{value}" as "{part}"'
        value = value[match.end() :]
    return f"extra text: {json.dumps(value)}" if value else "day out of range"


def _as_is(value: Any, place: Place, reading: _Reading, struct: str) -> Any:
    del place, reading, struct
    return value


_OPAQUE: dict[str, tuple[Decoder, Callable[[], Any]]] = {
    "Quantity": (_quantity, lambda: "0"),
    "IntOrString": (_int_or_string, int),
    "Time": (_time, lambda: None),
    "MicroTime": (_micro_time, lambda: None),
    "Duration": (_as_is, lambda: "0s"),
    "FieldsV1": (_as_is, dict),
    "RawExtension": (_as_is, lambda: None),
    "JSON": (_as_is, lambda: None),
    "JSONSchemaPropsOrArray": (_as_is, lambda: None),
    "JSONSchemaPropsOrBool": (_as_is, lambda: None),
    "JSONSchemaPropsOrStringArray": (_as_is, lambda: None),
}


@cache
def _gotypes() -> dict[str, list[dict[str, str]]]:
    return dict(json.loads((SCHEMAS / "gotypes.json").read_text()))
