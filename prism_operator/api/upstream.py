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
from functools import cache
from pathlib import Path

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
_RESOURCES = "io.k8s.api.core.v1.ResourceRequirements"
_INTEGER_OR_STRING: Json = {
    "anyOf": [{"type": "integer"}, {"type": "string"}],
    "x-kubernetes-int-or-string": True,
}
_KEPT = ("type", "format", "x-kubernetes-list-type", "x-kubernetes-list-map-keys")
_DESCRIPTION_LENGTH = 80


@cache
def _recorded() -> Mapping[str, Json]:
    recorded: dict[str, Json] = json.loads(RECORDED.read_text())
    return recorded


def schema_of(definition: str) -> Json:
    """The structural schema of a Kubernetes type, with everything it refers to in place.

    Raises KeyError for a type that is not recorded.
    """
    return _inlined(_recorded()[definition])


@dataclass(frozen=True, slots=True)
class Misshapen:
    """A value that is not of its Kubernetes type: where it is, and what should be there.

    ``expected`` is empty for a required field that is absent.
    """

    path: str
    value: object
    expected: str


def misshapen(value: object, definition: str) -> Misshapen | None:
    """The first part of a value that has another shape than its type, None when there is none.

    Unknown fields are tolerated. Raises KeyError for a type that is not recorded.
    """
    return next(_misshapen(value, _recorded()[definition], ""), None)


def _misshapen(value: object, schema: Json, path: str) -> Iterator[Misshapen]:
    if "$ref" in schema:
        schema = _recorded()[schema["$ref"]]
    if "x-kubernetes-int-or-string" in schema:
        if not isinstance(value, int | str) or isinstance(value, bool):
            yield Misshapen(path, value, "an integer or a string")
        elif isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
            yield Misshapen(path, value, "a quantity such as 500m, 2, 512Mi or 1e3")
        return
    types, expected = _TYPES[schema["type"]]
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        yield Misshapen(path, value, expected)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _misshapen(item, schema["items"], f"{path}[{index}]")
    elif isinstance(value, dict):
        for name in schema.get("required", ()):
            if name not in value:
                yield Misshapen(f"{path}.{name}", None, "")
        known, others = schema.get("properties", {}), schema.get("additionalProperties")
        for name, below in value.items():
            if (field := known.get(name, others)) is not None:
                yield from _misshapen(below, field, f"{path}.{name}")


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
        out = {**schema_of(schema["$ref"]), **out}
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
        "pattern": r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$",
    }
    kept[_INT_OR_STRING] = _INTEGER_OR_STRING
    for amounts in ("limits", "requests"):  # bounded, as rules compare them
        kept[_RESOURCES]["properties"][amounts]["maxProperties"] = 16
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
