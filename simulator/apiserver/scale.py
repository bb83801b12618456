"""The scale subresource: an autoscaling/v1 Scale as a view of an object."""

from __future__ import annotations

from typing import Any

from prism_operator.api.meta import Json
from simulator.apiserver.patches import patch
from simulator.apiserver.schema import Schema
from simulator.apiserver.statuses import bad_request
from simulator.apiserver.types import Kind

_SHOWN = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def of(kind: Kind, obj: Json) -> Json:
    """The Scale of ``obj``."""
    paths = kind.scale
    if paths is None:
        raise ValueError(f"{kind.resource.kind} has no scale subresource")
    meta = obj["metadata"]
    spec: Json = {}
    replicas = _at(obj, paths.spec_replicas)
    if replicas:
        spec["replicas"] = replicas
    status: Json = {"replicas": _at(obj, paths.status_replicas) or 0}
    if paths.label_selector is not None:
        selector = _at(obj, paths.label_selector)
        if selector:
            status["selector"] = selector if isinstance(selector, str) else selector_text(selector)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: meta[key] for key in _SHOWN if key in meta},
        "spec": spec,
        "status": status,
    }


def wanted(kind: Kind, live: Json, content_type: str, body: Any) -> Json:
    """The Scale that a PUT (no content type) or a patch of the live one asks for."""
    if not isinstance(body, (dict, list)):
        raise bad_request("the object provided is unrecognized (must be of type Scale)")
    scale = patch(content_type, of(kind, live), body, Schema()) if content_type else body
    if not isinstance(scale, dict) or scale.get("kind", "Scale") != "Scale":
        raise bad_request("the object provided is unrecognized (must be of type Scale)")
    return {**scale, "metadata": scale.get("metadata") or {}, "spec": scale.get("spec") or {}}


def selector_text(selector: Json) -> str:
    """A LabelSelector in its query-string form, keys in order."""
    terms = [(key, f"{key}={value}") for key, value in (selector.get("matchLabels") or {}).items()]
    for term in selector.get("matchExpressions") or ():
        key, operator = term["key"], term["operator"]
        values = ",".join(sorted(term.get("values") or ()))
        text = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }[operator]
        terms.append((key, text))
    return ",".join(text for _, text in sorted(terms))


def _at(obj: Json, path: tuple[str, ...]) -> Any:
    value: Any = obj
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
