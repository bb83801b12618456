"""YAML and JSON from people, read with positions: a complaint names file, line and column.

Scalars mean what they mean to kubectl, which reads YAML 1.1: ``yes`` and ``on`` are booleans,
``0777`` is octal, ``1e3`` and ``1.0`` are whole numbers.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import yaml

Location: TypeAlias = tuple[str | int, ...]

DEPTH_MAX: Final = 200
VALUES_MAX: Final = 200_000


@dataclass(frozen=True, slots=True, order=True)
class Complaint:
    """What is wrong, and where in which file; line and column count from 1."""

    source: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}: {self.message}"


@dataclass(frozen=True)
class Document:
    """One document, or an object in it. ``value`` is plain JSON."""

    source: str
    value: Any
    start: Location = ()
    _positions: Mapping[Location, tuple[int, int]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def complain(self, where: Location, message: str) -> Complaint:
        """A complaint about the value at ``where``, or the deepest part of it that is there."""
        line, column = self.position(where)
        return Complaint(self.source, line, column, message)

    def position(self, where: Location) -> tuple[int, int]:
        """Line and column of the key (or list item) at ``where``, or of what is nearest above."""
        steps = (*self.start, *where)
        for length in range(len(steps), -1, -1):
            if (found := self._positions.get(steps[:length])) is not None:
                return found
        return (1, 1)

    def below(self, *steps: str | int) -> Document:
        """The part of the document at ``steps``."""
        value = self.value
        for step in steps:
            value = value[step]
        return Document(self.source, value, (*self.start, *steps), self._positions)


def read_documents(content: bytes, source: str) -> tuple[list[Document], list[Complaint]]:
    """The non-empty documents of a file, and everything that is wrong with it as YAML.

    Never raises. Of a key that is there twice the first counts.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _line_and_column(content, error.start)
        return [], [Complaint(source, line, column, "is not UTF-8 text")]
    # JSON may be indented with tabs, YAML may not; inside JSON's texts there are none.
    is_json = text.lstrip()[:1] in ("{", "[")
    documents, complaints = _read(text.replace("\t", " ") if is_json else text, source)
    if is_json and complaints and (parsed := _json(text)) is not None:
        # Such as a pair of surrogates, \ud83d\ude00: right in JSON, not in YAML.
        return [Document(source, parsed)], []
    return documents, complaints


def location_of(path: str) -> Location:
    """``spec.patterns[0].name`` as steps."""
    return tuple(
        int(index) if index else name for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path)
    )


def _read(text: str, source: str) -> tuple[list[Document], list[Complaint]]:
    documents: list[Document] = []
    complaints: list[Complaint] = []
    try:
        _check_depth(text)
        for node in yaml.compose_all(text, Loader=_Loader):
            if node is None or node.tag == _NULL:
                continue
            builder = _Builder(source)
            value = builder.build(node, ())
            builder.positions[()] = _place(node)
            complaints += builder.complaints
            documents.append(Document(source, value, (), builder.positions))
    except _Excess as excess:
        complaints.append(Complaint(source, excess.line, excess.column, str(excess)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        complaints.append(Complaint(source, line, column, f"is not YAML: {error.problem}"))
    except yaml.YAMLError as error:
        at = getattr(error, "position", 0)
        line, column = _line_and_column(text.encode(), at) if isinstance(at, int) else (1, 1)
        told = getattr(error, "reason", None) or str(error).partition("\n")[0]
        complaints.append(Complaint(source, line, column, f"is not YAML: {told}"))
    return documents, complaints


class _Excess(Exception):  # noqa: N818 - an answer about a file
    """A document that is larger than anything a person means."""

    def __init__(self, place: tuple[int, int], message: str) -> None:
        super().__init__(message)
        self.line, self.column = place


def _check_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEPTH_MAX:
                raise _Excess(_place(event), f"is nested more than {DEPTH_MAX} levels deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


class _Builder:
    """Makes plain JSON of one document's nodes, and notes where everything stands."""

    def __init__(self, source: str) -> None:
        self.positions: dict[Location, tuple[int, int]] = {}
        self.complaints: list[Complaint] = []
        self._source = source
        self._open: list[yaml.Node] = []
        self._values = 0

    def build(self, node: yaml.Node, where: Location) -> Any:
        self._values += 1
        if self._values > VALUES_MAX:
            raise _Excess(_place(node), f"has more than {VALUES_MAX} values, with its aliases")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if any(node is outer for outer in self._open) or len(self._open) >= DEPTH_MAX:
            self._complain(node, "the alias refers to what it is part of")
            return None
        self._open.append(node)
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self._item(item, (*where, i)) for i, item in enumerate(node.value)]
            return self._mapping(node, where)
        finally:
            self._open.pop()

    def _item(self, node: yaml.Node, where: Location) -> Any:
        self.positions[where] = _place(node)
        return self.build(node, where)

    def _mapping(self, node: yaml.Node, where: Location) -> dict[str, Any]:
        if node.tag != _MAP:
            self._complain(node, f"the tag {node.tag} is not known")
        built: dict[str, Any] = {}
        seen: dict[str, yaml.Node] = {}
        merged: list[yaml.Node] = []
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                merged += self._merged(value_node)
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self._complain(key_node, "a key has to be a text")
                continue
            key = _key(self._scalar(key_node))
            if (first := seen.setdefault(key, key_node)) is not key_node:
                line, column = _place(first)
                self._complain(
                    key_node,
                    f'key "{key}" is there twice, first at line {line}, column {column}: '
                    "merge the two, or remove one",
                )
                continue
            self.positions[(*where, key)] = _place(key_node)
            built[key] = self.build(value_node, (*where, key))
        for source in merged:
            before = dict(self.positions)
            inherited = self.build(source, where)
            if isinstance(inherited, dict):
                built = {**inherited, **built}
            # What stands here itself has its place here.
            self.positions.update(before)
        return built

    def _merged(self, node: yaml.Node) -> list[yaml.Node]:
        """What ``<<`` takes over; of several, the first has the last word."""
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        if wrong := [n for n in nodes if not isinstance(n, yaml.MappingNode)]:
            self._complain(wrong[0], "<< takes a mapping, or a list of mappings")
        return [n for n in nodes if isinstance(n, yaml.MappingNode)]

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        make = _SCALARS.get(node.tag)
        if make is None:
            self._complain(node, f"the tag {node.tag} is not known")
            return node.value
        try:
            return make(node.value)
        except ValueError:
            self._complain(node, f'"{node.value[:64]}" is not a number that JSON has')
            return None

    def _complain(self, node: yaml.Node, message: str) -> None:
        self.complaints.append(Complaint(self._source, *_place(node), message))


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Resolves plain scalars as sigs.k8s.io/yaml does, without timestamps and base 60."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own way


_TAG = "tag:yaml.org,2002:"
_NULL, _MAP, _MERGE = f"{_TAG}null", f"{_TAG}map", f"{_TAG}merge"
_BOOLS: Final = {
    **dict.fromkeys(("y", "yes", "true", "on"), True),
    **dict.fromkeys(("n", "no", "false", "off"), False),
}

for _tag, _pattern, _first in (
    ("merge", r"<<", "<"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    (
        "bool",
        r"[yYnN]|yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF",
        list("yYnNtTfFoO"),
    ),
    ("int", r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+|0|[1-9][0-9_]*)", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+0123456789."),
    ),
):
    _Loader.add_implicit_resolver(f"{_TAG}{_tag}", re.compile(f"^(?:{_pattern})$"), _first)


def _bool(text: str) -> bool:
    if text.lower() not in _BOOLS:
        raise ValueError(text)
    return _BOOLS[text.lower()]


def _int(text: str) -> int | float:
    digits = text.replace("_", "").lower()
    sign, digits = (-1, digits[1:]) if digits[:1] == "-" else (1, digits.removeprefix("+"))
    for prefix, base in (("0b", 2), ("0x", 16), ("0o", 8), ("0", 8)):
        if digits.startswith(prefix) and digits != "0":
            return sign * int(digits.removeprefix(prefix), base)
    return sign * int(digits) if len(digits) < 20 else _float(text.replace("_", ""))


def _float(text: str) -> int | float:
    number = float(text.replace("_", ""))
    if not math.isfinite(number):
        raise ValueError(text)
    return int(number) if number.is_integer() and abs(number) < 2**63 else number


_SCALARS: Final[Mapping[str, Callable[[str], Any]]] = {
    f"{_TAG}str": str,
    _NULL: lambda _: None,
    _MERGE: str,
    f"{_TAG}bool": _bool,
    f"{_TAG}int": _int,
    f"{_TAG}float": _float,
    "!": str,
}


def _key(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _place(node: Any) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _line_and_column(content: bytes, at: int) -> tuple[int, int]:
    before = content[:at]
    return before.count(b"\n") + 1, at - before.rfind(b"\n")


def _json(text: str) -> Any:
    def finite(constant: str) -> float:
        raise ValueError(constant)

    try:
        return json.loads(text, parse_constant=finite)
    except (ValueError, RecursionError):
        return None


def objects_in(document: Document) -> Iterator[Document]:
    """The objects of a document: itself, or the items of a ``List``."""
    value = document.value
    is_list = isinstance(value, dict) and str(value.get("kind")).endswith("List")
    items = value.get("items") if is_list else None
    if not isinstance(items, list):
        yield document
        return
    for index in range(len(items)):
        yield from objects_in(document.below("items", index))
