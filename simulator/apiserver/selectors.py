"""Label and field selectors in their query-string form.

Grammar and wording are those of ``k8s.io/apimachinery/pkg/labels`` and ``pkg/fields``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from prism_operator.api.meta import Json, Resource

Matcher: TypeAlias = Callable[[Json], bool]

_SET = re.compile(r"^\s*(?P<key>[^\s,!=<>()]+)\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)\s*$")
_COMPARE = re.compile(
    r"^\s*(?P<key>[^\s,!=<>()]+)\s*(?P<op>==|=|!=|<|>)\s*(?P<value>[^\s,!=<>()]*)\s*$"
)
_EXISTS = re.compile(r"^\s*(?P<not>!?)\s*(?P<key>[^\s,!=<>()]+)\s*$")
_LABEL_VALUE = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])?$")
_LABEL_KEY = re.compile(
    r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]$"
)

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
    ("apps", "replicasets"): {"status.replicas": ("status", "replicas")},
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
    requirements = [_label_requirement(part) for part in _split(text)] if text.strip() else []
    if not requirements:
        return None

    def matches(obj: Json) -> bool:
        labels = obj["metadata"].get("labels") or {}
        return all(holds(labels) for holds in requirements)

    return matches


def _label_requirement(text: str) -> Callable[[Mapping[str, str]], bool]:
    if found := _SET.match(text):
        key = _label_key(found["key"])
        values = {_label_value(key, v.strip()) for v in found["values"].split(",")}
        if found["op"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if found := _COMPARE.match(text):
        key, value = _label_key(found["key"]), found["value"]
        if found["op"] in ("<", ">"):
            return _label_order(key, found["op"], value)
        _label_value(key, value)
        if found["op"] == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if found := _EXISTS.match(text):
        key = _label_key(found["key"])
        if found["not"]:
            return lambda labels: key not in labels
        return lambda labels: key in labels
    raise SelectorError(f'unable to parse requirement: found "{text.strip()}"')


def _label_order(key: str, op: str, value: str) -> Callable[[Mapping[str, str]], bool]:
    try:
        bound = int(value)
    except ValueError:
        raise SelectorError(
            f"values[0][{key}]: Invalid value: \"{value}\": for 'Gt', 'Lt' operators, the value"
            " must be an integer"
        ) from None

    def holds(labels: Mapping[str, str]) -> bool:
        try:
            number = int(labels[key])
        except (KeyError, ValueError):
            return False
        return number > bound if op == ">" else number < bound

    return holds


def _label_key(key: str) -> str:
    if not _LABEL_KEY.match(key):
        raise SelectorError(f'unable to parse requirement: <nil>: Invalid value: "{key}"')
    return key


def _label_value(key: str, value: str) -> str:
    if not _LABEL_VALUE.match(value):
        raise SelectorError(
            f'unable to parse requirement: values[0][{key}]: Invalid value: "{value}"'
        )
    return value


@lru_cache(maxsize=1024)
def parse_fields(resource: Resource, text: str, extra: tuple[str, ...] = ()) -> Matcher | None:
    """A matcher of the fields that ``resource`` can be selected by; None when everything matches.

    ``extra`` are the selectable fields of a custom resource, as JSON paths.

    Raises:
        SelectorError: The text is no field selector, or names a field of another kind.
    """
    known = _FIELDS.get((resource.group, resource.plural), {})
    terms: list[tuple[tuple[str, ...], bool, str]] = []
    for part in filter(None, text.split(",")):
        label, equal, value = _field_term(part)
        if label in ("metadata.name", "metadata.namespace"):
            path: tuple[str, ...] = tuple(label.split("."))
        elif label in known:
            path = known[label]
        elif f".{label}" in extra:
            path = tuple(label.split("."))
        else:
            raise SelectorError(_unsupported(resource, label))
        terms.append((path, equal, value))
    if not terms:
        return None

    def matches(obj: Json) -> bool:
        return all((_text_at(obj, path) == value) == equal for path, equal, value in terms)

    return matches


def _unsupported(resource: Resource, label: str) -> str:
    if (resource.group, resource.plural) in _FIELDS:
        return f"field label not supported: {label}"
    if resource.group == "" or "." not in resource.group or resource.group.endswith(".k8s.io"):
        return (
            f'"{label}" is not a known field selector: only "metadata.name", "metadata.namespace"'
        )
    return f"field label not supported: {label}"


def _field_term(text: str) -> tuple[str, bool, str]:
    for operator, equal in (("!=", False), ("==", True), ("=", True)):
        label, found, value = text.partition(operator)
        if found:
            return label, equal, value
    raise SelectorError(f"invalid selector: '{text}'; can't understand '{text}'")


def _text_at(obj: Json, path: tuple[str, ...]) -> str:
    value: Any = obj
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if value is None:
        return {"unschedulable": "false", "hostNetwork": "false", "replicas": "0"}.get(path[-1], "")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _split(text: str) -> list[str]:
    """Splits at commas that are not within parentheses."""
    return re.split(r",(?![^()]*\))", text)
