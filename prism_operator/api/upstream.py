"""Schemas of the Kubernetes types our fields hold, as CRDs may state them.

They are kept in ``upstream.json``, recorded from the OpenAPI v3 documents in the source of one
Kubernetes release. To record another, say where its source is, for example the one that
e2e/controlplane/go.mod names::

    python -m prism_operator.api.upstream \\
        "$(go -C e2e/controlplane list -m -f '{{.Dir}}' k8s.io/kubernetes)"
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from prism_operator.api.kubernetes_rules import BOUNDS, RULES
from prism_operator.api.meta import Json

RECORDED = Path(__file__).with_name("upstream.json")
DOCUMENTS = ("api__v1", "apis__apps__v1", "apis__autoscaling__v2")
ROOTS = (
    "io.k8s.api.apps.v1.DeploymentStrategy",
    "io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerBehavior",
    "io.k8s.api.autoscaling.v2.MetricSpec",
    "io.k8s.api.core.v1.Affinity",
    "io.k8s.api.core.v1.EnvVar",
    "io.k8s.api.core.v1.Lifecycle",
    "io.k8s.api.core.v1.LocalObjectReference",
    "io.k8s.api.core.v1.PodSecurityContext",
    "io.k8s.api.core.v1.Probe",
    "io.k8s.api.core.v1.ResourceRequirements",
    "io.k8s.api.core.v1.SecurityContext",
    "io.k8s.api.core.v1.Toleration",
    "io.k8s.api.core.v1.TopologySpreadConstraint",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Condition",
)

_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
# What rules look at must be bounded, or the API server reckons that they take too long.
_BOUNDS = (
    ("io.k8s.api.core.v1.ResourceRequirements", "limits", "maxProperties", 16),
    ("io.k8s.api.core.v1.ResourceRequirements", "requests", "maxProperties", 16),
    ("io.k8s.api.autoscaling.v2.HPAScalingRules", "policies", "maxItems", 32),
    ("io.k8s.api.autoscaling.v2.HPAScalingRules", "selectPolicy", "maxLength", 253),
    ("io.k8s.api.autoscaling.v2.HPAScalingPolicy", "type", "maxLength", 253),
    ("io.k8s.api.autoscaling.v2.MetricSpec", "type", "maxLength", 253),
    ("io.k8s.api.apps.v1.DeploymentStrategy", "type", "maxLength", 253),
    ("io.k8s.api.core.v1.Toleration", "operator", "maxLength", 253),
    ("io.k8s.api.core.v1.Toleration", "effect", "maxLength", 253),
    ("io.k8s.api.core.v1.Toleration", "value", "maxLength", 253),
    ("io.k8s.api.core.v1.TopologySpreadConstraint", "whenUnsatisfiable", "maxLength", 253),
    ("io.k8s.api.core.v1.TopologySpreadConstraint", "nodeAffinityPolicy", "maxLength", 253),
    ("io.k8s.api.core.v1.TopologySpreadConstraint", "nodeTaintsPolicy", "maxLength", 253),
)
_INTEGER_OR_STRING: Json = {
    "anyOf": [{"type": "integer"}, {"type": "string"}],
    "x-kubernetes-int-or-string": True,
}
_KEPT = ("type", "format", "x-kubernetes-list-type", "x-kubernetes-list-map-keys")
_DESCRIPTION_LENGTH = 60


@cache
def _recorded() -> Mapping[str, Json]:
    recorded: dict[str, Json] = json.loads(RECORDED.read_text())
    for name, fields in BOUNDS.items():
        for field, bounds in fields.items():
            recorded[name]["properties"][field].update(bounds)
    return recorded


def schema_of(definition: str) -> Json:
    """The structural schema of a Kubernetes type, with everything it refers to in place.

    Raises KeyError for a type that is not recorded.
    """
    return _inlined({"$ref": definition})


@dataclass(frozen=True, slots=True)
class Flaw:
    """A part of a value that its Kubernetes type does not allow.

    ``told`` says what is wrong, or what should be there instead of ``value`` when ``misshapen``.
    """

    path: str
    value: object
    told: str
    misshapen: bool = True


def flaw_of(value: object, definition: str) -> Flaw | None:
    """The first part of a value that is not as its type wants it, None when there is none.

    Unknown fields are tolerated. Raises KeyError for a type that is not recorded.
    """
    return next(_flaws(value, {"$ref": definition}, ""), None)


def _flaws(value: object, schema: Json, path: str) -> Iterator[Flaw]:
    if "$ref" in schema:
        name = schema["$ref"]
        yield from _flaws(value, _recorded()[name], path)
        for rule in RULES.get(name, ()):  # of the right shape, or nobody asks for more
            if (problem := rule.broken_by(value, partial(_value_at, value))) is not None:
                yield Flaw(f"{path}.{rule.at}" if rule.at else path, value, problem, False)
        return
    if "x-kubernetes-int-or-string" in schema:
        if not isinstance(value, int | str) or isinstance(value, bool):
            yield Flaw(path, value, "an integer or a string")
        elif isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
            yield Flaw(path, value, "a quantity such as 500m, 2, 512Mi or 1e3")
        elif isinstance(value, int) and value < schema.get("minimum", value):
            yield Flaw(path, value, f"{value} is below {schema['minimum']}", misshapen=False)
        return
    types, expected = _TYPES[schema["type"]]
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        yield Flaw(path, value, expected)
    elif told := _out_of_bounds(value, schema):
        yield Flaw(path, value, told, misshapen=False)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _flaws(item, schema["items"], f"{path}[{index}]")
    elif isinstance(value, dict):
        for name in schema.get("required", ()):
            if name not in value:
                yield Flaw(f"{path}.{name}", None, "is required", False)
        known, others = schema.get("properties", {}), schema.get("additionalProperties")
        for name, below in value.items():
            if (field := known.get(name, others)) is not None:
                yield from _flaws(below, field, f"{path}.{name}")


def _out_of_bounds(value: Any, schema: Json) -> str | None:
    """What is wrong with a value of the right type, in the words of ``validation``."""
    if "enum" in schema and value not in schema["enum"]:
        return f'"{value}" is not one of {", ".join(filter(None, schema["enum"]))}'
    if "minimum" in schema and value < schema["minimum"]:
        return f"{value} is below {schema['minimum']}"
    if "maximum" in schema and value > schema["maximum"]:
        return f"{value} is above {schema['maximum']}"
    if "minLength" in schema and len(value) < schema["minLength"]:
        return "is empty"
    if "maxLength" in schema and len(value) > schema["maxLength"]:
        return f"is longer than {schema['maxLength']} characters"
    return None


def _value_at(value: Any, path: str) -> object:
    for name in path.split("."):
        value = value[name]
    return value


_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "array": ((list,), "a list"),
    "boolean": ((bool,), "true or false"),
    "integer": ((int,), "an integer"),
    "number": ((int, float), "a number"),
    "object": ((dict,), "an object"),
    "string": ((str,), "a string"),
}


def _inlined(schema: Json) -> Json:
    out = {key: value for key, value in schema.items() if key != "$ref"}
    if "$ref" in schema:
        name = schema["$ref"]
        out = {**_inlined(_recorded()[name]), **out}
        if rules := [rule.to_schema() for rule in RULES.get(name, ())]:
            out["x-kubernetes-validations"] = rules
    if "properties" in out:
        out["properties"] = {name: _inlined(s) for name, s in out["properties"].items()}
    for key in ("items", "additionalProperties"):
        if key in out:
            out[key] = _inlined(out[key])
    return out


def record(documents: Iterable[Json]) -> dict[str, Json]:
    """The definitions ROOTS need, out of OpenAPI v3 documents, shortened and structural."""
    published: dict[str, Json] = {}
    for document in documents:
        published.update(document["components"]["schemas"])
    kept: dict[str, Json] = {}
    pending = list(ROOTS)
    while pending:
        if (name := pending.pop()) not in kept:
            kept[name] = _trimmed(published[name])
            pending += _references(kept[name])
    kept[_QUANTITY] = {
        **_INTEGER_OR_STRING,
        "maxLength": 32,
        "minimum": 0,
        "pattern": r"^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$",
    }
    kept[_INT_OR_STRING] = _INTEGER_OR_STRING
    return dict(sorted(kept.items()))


def _trimmed(schema: Json) -> Json:
    out: Json = {key: schema[key] for key in _KEPT if key in schema}
    if "x-kubernetes-map-type" in schema and schema.get("type") == "object":
        out["x-kubernetes-map-type"] = schema["x-kubernetes-map-type"]
    for branch in (schema, *schema.get("allOf", ())):
        if "$ref" in branch:
            out["$ref"] = branch["$ref"].rsplit("/", 1)[1]
    if description := _short(schema.get("description", "")):
        out["description"] = description
    required = schema.get("required", ())
    if required:
        out["required"] = sorted(required)
    if "properties" in schema:
        out["properties"] = {}
        for name, published in sorted(schema["properties"].items()):
            field = _trimmed(published)
            # Go's zero values stand as defaults beside "required", and would make it meaningless.
            if name not in required and published.get("default") not in (None, {}):
                field["default"] = published["default"]
            out["properties"][name] = field
    for key in ("items", "additionalProperties"):
        if key in schema:
            out[key] = {k: v for k, v in _trimmed(schema[key]).items() if k != "description"}
    return out


def _references(schema: Json) -> list[str]:
    found = [schema["$ref"]] if "$ref" in schema else []
    below = [*schema.get("properties", {}).values()]
    below += [schema[key] for key in ("items", "additionalProperties") if key in schema]
    return found + [name for child in below for name in _references(child)]


def _short(description: str) -> str:
    """The first sentence, or as many of its words as fit."""
    text = " ".join(description.split()).removeprefix("Required. ")
    sentence = re.split(r"(?<!e\.g)(?<!i\.e)\.(?:\s|$)", text, maxsplit=1)[0]
    if len(sentence) <= _DESCRIPTION_LENGTH:
        return sentence.rstrip(".")
    return sentence[: _DESCRIPTION_LENGTH - 3].rsplit(" ", 1)[0].rstrip(",;:(") + "..."


def main(source: str) -> None:
    """Rewrites ``upstream.json`` from the source tree of a Kubernetes release."""
    folder = Path(source) / "api" / "openapi-spec" / "v3"
    documents = [json.loads((folder / f"{name}_openapi.json").read_text()) for name in DOCUMENTS]
    lines = (f"{json.dumps(name)}: {json.dumps(s)}" for name, s in record(documents).items())
    RECORDED.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m prism_operator.api.upstream KUBERNETES_SOURCE")
    main(sys.argv[1])
