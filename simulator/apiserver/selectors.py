"""Label and field selectors in their query-string form.

Grammar and wording are those of ``k8s.io/apimachinery/pkg/labels`` and ``pkg/fields``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from prism_operator.api.meta import Json, Resource
from simulator.apiserver import names

Matcher: TypeAlias = Callable[[Json], bool]

Requirement: TypeAlias = Callable[[Mapping[str, str]], bool]

_TOKEN = re.compile(r"==|!=|[(),!=<>]|[^\s(),!=<>]+")
_OPERATORS = frozenset({"in", "notin", "=", "==", "!=", "<", ">"})

# Beside metadata.name and metadata.namespace: what a kind can be selected by, and where it stands.
_FIELDS: Mapping[tuple[str, str], Mapping[str, tuple[str, ...]]] = {
    ("", "pods"): {
        "spec.nodeName": ("spec", "nodeName"),
        "spec.restartPolicy": ("spec", "restartPolicy"),
        "spec.schedulerName": ("spec", "schedulerName"),
        "spec.serviceAccountName": ("spec", "serviceAccountName"),
        "spec.hostNetwork": ("spec", "hostNetwork"),
        "status.phase": ("status", "phase"),
        "status.podIP": ("status", "podIP"),
        "status.nominatedNodeName": ("status", "nominatedNodeName"),
    },
    ("", "nodes"): {"spec.unschedulable": ("spec", "unschedulable")},
    ("", "namespaces"): {"status.phase": ("status", "phase")},
    ("", "secrets"): {"type": ("type",)},
    ("", "services"): {"spec.clusterIP": ("spec", "clusterIP"), "spec.type": ("spec", "type")},
    ("", "events"): {
        **{
            f"involvedObject.{f}": ("involvedObject", f)
            for f in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion")
        },
        "involvedObject.fieldPath": ("involvedObject", "fieldPath"),
        "reason": ("reason",),
        "reportingComponent": ("reportingComponent",),
        "source": ("source", "component"),
        "type": ("type",),
    },
    ("events.k8s.io", "events"): {
        **{
            f"regarding.{f}": ("regarding", f)
            for f in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion")
        },
        "regarding.fieldPath": ("regarding", "fieldPath"),
        "reason": ("reason",),
        "reportingController": ("reportingController",),
        "type": ("type",),
    },
}


class SelectorError(ValueError):
    """A selector that cannot be read: 400 BadRequest with this message."""


@lru_cache(maxsize=1024)
def parse_labels(text: str) -> Matcher | None:
    """A matcher of labels; None when everything matches.

    Raises:
        SelectorError: The text is not a label selector.
    """
    requirements = list(_Parser(text).requirements())
    if not requirements:
        return None

    def matches(obj: Json) -> bool:
        labels = obj["metadata"].get("labels") or {}
        return all(holds(labels) for holds in requirements)

    return matches


class _Parser:
    """A recursive descent over the tokens of a label selector."""

    def __init__(self, text: str) -> None:
        self._tokens = _TOKEN.findall(text)

    def requirements(self) -> Iterator[Requirement]:
        while self._next:
            if self._next != "!" and not _is_word(self._next):
                raise self._expected(": !, identifier, or 'end of string'", comma=True)
            try:
                requirement = self._requirement()
            except SelectorError as error:
                raise SelectorError(f"unable to parse requirement: {error}") from None
            yield requirement
            if not self._next:
                return
            if self._next != ",":
                raise self._expected(": ',' or 'end of string'", comma=True)
            self._take()
            if self._next != "!" and not _is_word(self._next):
                raise self._expected(": identifier after ','", comma=True)

    @property
    def _next(self) -> str:
        """The next token, ``""`` at the end."""
        return self._tokens[0] if self._tokens else ""

    def _take(self) -> str:
        return self._tokens.pop(0) if self._tokens else ""

    def _expected(self, what: str, *, comma: bool) -> SelectorError:
        return SelectorError(f"found '{self._next}'{',' if comma else ''} expected{what}")

    def _requirement(self) -> Requirement:
        negated = self._next == "!"
        if negated:
            self._take()
        if not _is_word(self._next):
            raise self._expected(": identifier", comma=True)
        key = self._take()
        complaints = names.qualified_name(key)
        if complaints:
            raise SelectorError(f'<nil>: Invalid value: "{key}": {"; ".join(complaints)}')
        if negated:
            return lambda labels: key not in labels
        if self._next in ("", ","):
            return lambda labels: key in labels
        operator = self._next
        if operator not in _OPERATORS:
            raise self._expected(": in, notin, =, ==, !=, gt, lt", comma=True)
        self._take()
        if operator in ("in", "notin"):
            chosen = self._set()
            for value in sorted(chosen):
                _check_value(key, value)
            if operator == "in":
                return lambda labels: labels.get(key) in chosen
            return lambda labels: labels.get(key) not in chosen
        return _comparison(key, operator, self._exact())

    def _set(self) -> set[str]:
        if self._next != "(":
            raise self._expected(": '('", comma=False)
        self._take()
        values, word = set[str](), ""
        while True:
            token = self._take()
            if token in (",", ")"):
                values.add(word)
                word = ""
                if token == ")":  # noqa: S105 - a token of the grammar
                    return values
            elif _is_word(token) and not word:
                word = token
            else:
                self._tokens.insert(0, token)
                raise self._expected(": ',' or ')'", comma=True)

    def _exact(self) -> str:
        if self._next in ("", ","):
            return ""
        if not _is_word(self._next):
            raise self._expected(": identifier", comma=True)
        return self._take()


def _comparison(key: str, operator: str, value: str) -> Requirement:
    if operator in ("<", ">"):
        return _order(key, operator, value)
    _check_value(key, value)
    if operator == "!=":
        return lambda labels: labels.get(key) != value
    return lambda labels: labels.get(key) == value


def _order(key: str, operator: str, value: str) -> Requirement:
    try:
        bound = int(value)
    except ValueError:
        raise SelectorError(
            f"values[0]: Invalid value: \"{value}\": for 'Gt', 'Lt' operators, the value must be"
            " an integer"
        ) from None

    def holds(labels: Mapping[str, str]) -> bool:
        try:
            number = int(labels[key])
        except (KeyError, ValueError):
            return False
        return number > bound if operator == ">" else number < bound

    return holds


def _check_value(key: str, value: str) -> None:
    complaints = names.label_value(value)
    if complaints:
        raise SelectorError(f'values[0][{key}]: Invalid value: "{value}": {"; ".join(complaints)}')


def _is_word(token: str) -> bool:
    return bool(token) and token[0] not in "(),!=<>"


@lru_cache(maxsize=1024)
def parse_fields(resource: Resource, text: str, *, custom: bool = False) -> Matcher | None:
    """A matcher of the fields that ``resource`` can be selected by; None when everything matches.

    Raises:
        SelectorError: The text is no field selector, or names a field of another kind.
    """
    known = _FIELDS.get((resource.group, resource.plural), {})
    terms: list[tuple[tuple[str, ...], bool, str]] = []
    for part in sorted(filter(None, text.split(","))):
        label, equal, value = _field_term(text, part)
        if label in ("metadata.name", "metadata.namespace"):
            path: tuple[str, ...] = tuple(label.split("."))
        elif label in known:
            path = known[label]
        else:
            raise SelectorError(
                f"field label not supported: {label}"
                if custom or known
                else f'"{label}" is not a known field selector: only "metadata.name",'
                ' "metadata.namespace"'
            )
        terms.append((path, equal, value))
    if not terms:
        return None

    def matches(obj: Json) -> bool:
        return all((_text_at(obj, path) == value) == equal for path, equal, value in terms)

    return matches


def _field_term(selector: str, text: str) -> tuple[str, bool, str]:
    for operator, equal in (("!=", False), ("==", True), ("=", True)):
        label, found, value = text.partition(operator)
        if found:
            return label, equal, value
    raise SelectorError(f"invalid selector: '{selector}'; can't understand '{text}'")


def _text_at(obj: Json, path: tuple[str, ...]) -> str:
    value: Any = obj
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if value is None:
        return {"unschedulable": "false", "hostNetwork": "false", "replicas": "0"}.get(path[-1], "")
    return str(value).lower() if isinstance(value, bool) else str(value)
