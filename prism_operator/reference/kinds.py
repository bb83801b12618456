"""One page for each kind: every field with type, default, meaning, and the rules between fields."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from prism_operator.api.durations import DURATION_PATTERN
from prism_operator.api.fields import Model
from prism_operator.api.meta import GROUP, VERSION, Json
from prism_operator.api.validation import MODELS

_PLACEHOLDER: Final = re.compile(r"\{([\w.]+)\}")
_UNBOUNDED: Final = (2**31 - 1, 2**53 - 1)
# What a pattern means, in the words Kubernetes' documentation uses.
_PATTERNS: Final = {
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$": "DNS label",
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$": "DNS name",
    r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$": "label value",
    DURATION_PATTERN: "duration, such as `15s` or `1h30m`",
}


def render_kind(kind: str) -> str:
    """The page about a kind, in Markdown."""
    schema = MODELS[kind].model_json_schema(by_alias=True)
    definitions: dict[str, Json] = schema["$defs"]
    spec, status = (_name(schema["properties"][part]) for part in ("spec", "status"))
    sections = [
        f"<!-- Generated from prism_operator/api by `make manifests`. -->\n# {kind}\n",
        f"`apiVersion: {GROUP}/{VERSION}`, `kind: {kind}`. {schema['description']}",
        "The same is told by "
        f"`kubectl explain {kind.lower()}.spec`. Types in *italics* are Kubernetes' own, with all "
        "their fields. Unknown fields are refused by `kubectl apply`, except where a type is "
        "called free-form.\n",
    ]
    for name in _reachable([spec, status], definitions):
        title = {spec: "spec", status: "status"}.get(name, name)
        sections.append(_section(title, definitions[name], _model(name), definitions))
    return "\n".join(sections)


def _section(title: str, schema: Json, model: type[Model], definitions: dict[str, Json]) -> str:
    required = schema.get("required", [])
    rows = [
        f"| `{name}` | {_type(field)} | {_default(field, required=name in required)} "
        f"| {_meaning(field, definitions)} |\n"
        for name, field in schema.get("properties", {}).items()
    ]
    table = "| Field | Type | Default | Meaning |\n|---|---|---|---|\n" + "".join(rows)
    rules = "".join(_rules(model))
    told = f"\nRefused:\n\n{rules}" if rules else ""
    return f"## {title}\n\n{schema.get('description', '')}\n\n{table}{told}"


def _rules(model: type[Model]) -> Iterator[str]:
    for rule in model.rules():
        place = f"`{rule.at}`: " if rule.at else ""
        message = _PLACEHOLDER.sub(r"`{\1}`", rule.message)
        yield f"- {place}{message}\n"


def _type(field: Json) -> str:
    if "$ref" in field:
        name = _name(field)
        return f"[{name}](#{name.lower()})"
    if "x-upstream" in field:
        return f"*{field['x-upstream'].rpartition('.')[2]}*"
    if "x-kubernetes-int-or-string" in field:
        return "integer or percentage"
    if "anyOf" in field:  # X | None: a field that may be absent
        (present,) = (branch for branch in field["anyOf"] if branch != {"type": "null"})
        return _type(present)
    if field.get("enum"):
        return " or ".join(f"`{value}`" for value in field["enum"])
    match field.get("type"):
        case "array":
            return f"list of {_type(field['items'])}"
        case "object" if isinstance(field.get("additionalProperties"), dict):
            return f"map to {_type(field['additionalProperties'])}"
        case "object":
            return "free-form"
        case "string":
            return _text(field)
        case "integer" | "number" as kind:
            return f"{kind}" + _bounds(field.get("minimum"), field.get("maximum"))
        case other:
            return str(other)


def _text(field: Json) -> str:
    pattern = field.get("pattern")
    described = _PATTERNS.get(pattern, f"string like `{pattern}`") if pattern else "string"
    length = field.get("maxLength")
    return f"{described}, at most {length} characters" if length and not pattern else described


def _bounds(least: int | None, most: int | None) -> str:
    if most in _UNBOUNDED:
        most = None
    match least, most:
        case None, None:
            return ""
        case _, None:
            return f" ≥ {least}"
        case None, _:
            return f" ≤ {most}"
    return f" {least}–{most}"


def _default(field: Json, *, required: bool) -> str:
    if required:
        return "required"
    default: Any = field.get("default")
    if default in (None, "", [], {}) or "$ref" in field:
        return ""
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _meaning(field: Json, definitions: dict[str, Json]) -> str:
    # pydantic leaves a field's description out when it is that of its model.
    described = field if "$ref" not in field else {**definitions[_name(field)], **field}
    return " ".join(described.get("description", "").split()).replace("|", "\\|")


def _reachable(names: list[str], definitions: dict[str, Json]) -> list[str]:
    """The definitions that are used below the given ones, in the order a reader meets them."""
    found: list[str] = []

    def visit(name: str) -> None:
        if name in found:
            return
        found.append(name)
        for referred in re.findall(r'"#/\$defs/(\w+)"', json.dumps(definitions[name])):
            visit(referred)

    for name in names:
        visit(name)
    return found


def _name(field: Json) -> str:
    return str(field["$ref"]).rpartition("/")[2]


def _model(name: str) -> type[Model]:
    return {model.__name__: model for model in _models(Model)}[name]


def _models(base: type[Model]) -> Iterator[type[Model]]:
    for model in base.__subclasses__():
        yield model
        yield from _models(model)
