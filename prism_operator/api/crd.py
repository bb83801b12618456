"""Renders the four CustomResourceDefinitions from the models.

``python -m prism_operator.api.crd --write`` brings ``crds/`` and ``config/`` up to date;
``--check`` names the files that differ, and exits 1 if there are any.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from prism_operator import generated
from prism_operator.api import upstream
from prism_operator.api.meta import (
    CUSTOM_RESOURCE_DEFINITION,
    GROUP,
    PRISM_BACKEND,
    PRISM_NAMESPACE,
    PRISM_PATTERN,
    PRISM_STACK,
    VERSION,
    Json,
    Resource,
)
from prism_operator.api.validation import MODELS

HEADER = "# Generated from prism_operator/api by `make crds`: edit the models, not this file.\n"

# The copies in config/samples have the names MEMO-036 gives its first samples.
_SAMPLE_NAMES = {
    "prism-dev.yaml": "prism_v1alpha1_prismstack.yaml",
    "prismpattern.yaml": "prism_v1alpha1_prismpattern.yaml",
    "prismbackend.yaml": "prism_v1alpha1_prismbackend.yaml",
    "prismnamespace.yaml": "prism_v1alpha1_prismnamespace.yaml",
}


@dataclass(frozen=True, slots=True)
class _Column:
    """A printer column; a wide one shows only under ``-o wide``."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False
    format: str = ""

    def render(self) -> Json:
        column: Json = {"name": self.name, "type": self.type, "jsonPath": self.path}
        if self.format:
            column["format"] = self.format
        return {**column, "priority": 1} if self.wide else column


@dataclass(frozen=True, slots=True)
class _Definition:
    """What a CRD says beside its schema."""

    resource: Resource
    short_names: tuple[str, ...]
    columns: tuple[_Column, ...]
    scale: Mapping[str, str] | None = None


_READY = _Column("Ready", '.status.conditions[?(@.type=="Ready")].status')
_PHASE = _Column("Phase", ".status.phase")
_AGE = _Column("Age", ".metadata.creationTimestamp", "date")
_REASON = _Column("Reason", '.status.conditions[?(@.type=="Ready")].reason', wide=True)
_MESSAGE = _Column("Message", '.status.conditions[?(@.type=="Ready")].message', wide=True)

_DEFINITIONS = (
    _Definition(
        PRISM_STACK,
        ("pstack",),
        (
            _READY,
            _PHASE,
            _Column("Components", ".status.summary"),
            _Column("Proxies", ".status.proxy.readyReplicas", "integer"),
            _AGE,
            _Column("Admins", ".status.admin.readyReplicas", "integer", wide=True),
            _Column("Patterns", ".status.readyPatterns", "integer", wide=True),
            _REASON,
            _MESSAGE,
        ),
    ),
    _Definition(
        PRISM_NAMESPACE,
        ("pns",),
        (
            _READY,
            _PHASE,
            _Column("ID", ".spec.namespaceId"),
            _Column("Proxy", ".spec.proxyRef.name"),
            _AGE,
            _Column("Keys", ".status.metrics.currentKeys", "integer", wide=True),
            _Column("Connections", ".status.metrics.currentConnections", "integer", wide=True),
            _Column("Synced", ".status.lastSyncedAt", "date", wide=True),
            _REASON,
            _MESSAGE,
        ),
    ),
    _Definition(
        PRISM_PATTERN,
        # The plural is what MEMO-036 calls the kind in its kubectl lines.
        ("ppattern", "patternrunner", "patternrunners"),
        (
            _READY,
            _PHASE,
            _Column("Pattern", ".spec.pattern"),
            _Column("Backend", ".spec.backend"),
            _Column("Replicas", ".status.replicas", "integer"),
            _Column("Available", ".status.availableReplicas", "integer"),
            _AGE,
            _REASON,
            _MESSAGE,
        ),
        scale={
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    ),
    _Definition(
        PRISM_BACKEND,
        ("pbackend",),
        (
            _READY,
            _PHASE,
            _Column("Provider", ".spec.provider"),
            _Column("Healthy", ".status.healthy", "boolean"),
            _AGE,
            _Column("Type", ".spec.type", wide=True),
            _Column("Latency", ".status.latency", wide=True),
            _Column("Checked", ".status.lastChecked", "date", wide=True),
            _Column("Found", ".status.message", wide=True),
            _REASON,
        ),
    ),
)


SHORT_NAMES: Mapping[str, tuple[str, ...]] = {
    definition.resource.kind: definition.short_names for definition in _DEFINITIONS
}
"""What else kubectl calls each kind."""


def render_crds() -> Mapping[str, str]:
    """The CRDs as YAML, by the name of their file."""
    return _rendered()


@cache  # a second each time: half a megabyte of YAML
def _rendered() -> Mapping[str, str]:
    return {
        f"{GROUP}_{crd['spec']['names']['plural']}.yaml": HEADER
        + yaml.safe_dump(crd, sort_keys=True, width=100, allow_unicode=True)
        for crd in build_crds()
    }


def build_crds() -> tuple[Json, ...]:
    """The CRDs as objects."""
    return tuple(_build(definition) for definition in _DEFINITIONS)


def _build(definition: _Definition) -> Json:
    resource = definition.resource
    subresources: Json = {"status": {}}
    if definition.scale:
        subresources["scale"] = dict(definition.scale)
    return {
        "apiVersion": CUSTOM_RESOURCE_DEFINITION.api_version,
        "kind": CUSTOM_RESOURCE_DEFINITION.kind,
        "metadata": {"name": f"{resource.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": resource.kind,
                "listKind": f"{resource.kind}List",
                "plural": resource.plural,
                "singular": resource.kind.lower(),
                "shortNames": list(definition.short_names),
                "categories": ["prism"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _root_schema(resource.kind)},
                    "subresources": subresources,
                    "additionalPrinterColumns": [c.render() for c in definition.columns],
                }
            ],
        },
    }


def _root_schema(kind: str) -> Json:
    described = MODELS[kind].model_json_schema(by_alias=True)
    definitions = described.pop("$defs")
    root = _structural(described, definitions)
    root["properties"] |= {
        "apiVersion": {"type": "string", "description": f"{GROUP}/{VERSION}"},
        "kind": {"type": "string", "description": kind},
        "metadata": {
            "type": "object",
            "properties": {"name": {"type": "string", "maxLength": 253}},  # rules point at it
        },
        # A default would be written into every status, and look like a difference in the next.
        "status": _without_defaults(root["properties"]["status"]),
    }
    root["required"] = ["spec"]
    return root


def _structural(schema: Json, definitions: Mapping[str, Json]) -> Json:
    """One JSON schema of pydantic as Kubernetes wants it: no references, no unions, no titles."""
    if "$ref" in schema:
        referred = definitions[schema["$ref"].rsplit("/", 1)[1]]
        schema = {**referred, **{k: v for k, v in schema.items() if k != "$ref"}}
    if "x-kubernetes-int-or-string" in schema:
        schema = {
            **{k: v for k, v in schema.items() if k != "anyOf"},
            "anyOf": [{"type": "integer"}, {"type": "string"}],
        }
    elif "anyOf" in schema:  # X | None: a field that may be absent
        (present,) = (branch for branch in schema["anyOf"] if branch != {"type": "null"})
        rest = {k: v for k, v in schema.items() if k != "anyOf"}
        return _structural({**present, **rest}, definitions)
    if "x-upstream" in schema:
        rest = {k: v for k, v in schema.items() if k not in ("x-upstream", "default")}
        return {**upstream.schema_of(schema["x-upstream"]), **rest}
    out = {k: v for k, v in schema.items() if k not in ("title", "default")}
    if "properties" in out:
        out["properties"] = {
            name: _structural(field, definitions) for name, field in out["properties"].items()
        }
    if "items" in out:
        out["items"] = _structural(out["items"], definitions)
    match out.pop("additionalProperties", None):
        case dict() as values:
            out["additionalProperties"] = _structural(values, definitions)
        case True:
            out["x-kubernetes-preserve-unknown-fields"] = True
    if (default := _default(schema.get("default"), out)) is not None:
        out["default"] = default
    return out


def _default(default: Any, schema: Json) -> Any:
    """The default worth showing: a section's is made of those of its fields, so that rules hold."""
    if schema.get("type") == "object":
        fields = schema.get("properties", {}).items()
        below = {name: field["default"] for name, field in fields if "default" in field}
        return None if default is None else below or None
    return default or None if isinstance(default, str | list | tuple) else default


def _without_defaults(schema: Json) -> Json:
    out = {k: v for k, v in schema.items() if k != "default"}
    if "properties" in out:
        out["properties"] = {k: _without_defaults(v) for k, v in out["properties"].items()}
    if "items" in out:
        out["items"] = _without_defaults(out["items"])
    return out


def generated_files(root: Path) -> dict[Path, str]:
    """What belongs in ``crds`` and ``config`` below ``root``, the project's folder."""
    crds = render_crds()
    files = {root / "crds" / name: text for name, text in crds.items()}
    files |= {root / "config" / "crd" / "bases" / name: text for name, text in crds.items()}
    for sample in sorted((root / "samples").glob("*.yaml")):
        name = _SAMPLE_NAMES.get(sample.name, sample.name)
        copy = f"# Generated from samples/{sample.name} by `make crds`.\n{sample.read_text()}"
        files[root / "config" / "samples" / name] = copy
    return files


def main(arguments: Sequence[str]) -> int:
    """Writes what is generated, or (``--check``) says what differs; the answer is the exit code."""
    return generated.main("python -m prism_operator.api.crd", arguments, generated_files)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
