"""The shape of objects, for every walk over them: ownership, apply, patches.

``published`` gives the shapes of built-in types, as the API server publishes them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(slots=True)
class Schema:
    """One node of a schema.

    ``type`` is object, array, string, integer, number, boolean or ``""`` (anything). An object has
    ``properties``, or ``additional`` (a map), or neither (free-form).
    """

    type: str = ""
    properties: dict[str, Schema] = field(default_factory=dict)
    additional: Schema | None = None
    items: Schema | None = None
    # Whether fields beside ``properties`` may stand here.
    open: bool = False
    list_type: str = "atomic"  # atomic, set, map
    map_type: str = "granular"  # granular, atomic
    list_map_keys: tuple[str, ...] = ()
    # Strategic merge patch: merge, replace, retainKeys; and the key of a merged list.
    patch_strategy: tuple[str, ...] = ()
    patch_merge_key: str = ""
    # The default OpenAPI publishes: it stands in for an absent key of an associative list.
    default: Any = None

    def child(self, name: str) -> Schema | None:
        """The schema of the field ``name``, or None when it is not declared."""
        found = self.properties.get(name)
        if found is not None:
            return found
        if self.additional is not None:
            return self.additional
        return ANYTHING if self.open or not self.properties else None


# What schemaconv calls __untyped_deduced_: maps are granular, lists atomic.
ANYTHING = Schema(open=True)
# What it calls __untyped_atomic_.
OPAQUE = Schema(open=True, map_type="atomic")

SCHEMAS = files("simulator.apiserver") / "schemas"


@cache
def _openapi() -> dict[str, Any]:
    return dict(json.loads((SCHEMAS / "openapi.json").read_text()))


_PUBLISHED: dict[str, Schema] = {}


def published(name: str) -> Schema:
    """The schema of a built-in type by its OpenAPI name, ``io.k8s.api.apps.v1.Deployment``."""
    if name not in _PUBLISHED:
        _PUBLISHED[name] = Schema()  # first, because JSONSchemaProps holds itself
        _fill(_PUBLISHED[name], _openapi()[name])
    return _PUBLISHED[name]


def _fill(schema: Schema, source: dict[str, Any]) -> None:
    schema.type = source.get("type", "")
    schema.properties = {k: _node(v) for k, v in source.get("properties", {}).items()}
    if "additional" in source:
        schema.additional = _node(source["additional"])
    if "items" in source:
        schema.items = _node(source["items"])
    _annotate(schema, source)


def _node(source: dict[str, Any]) -> Schema:
    if "ref" not in source:
        schema = Schema()
        _fill(schema, source)
        return schema
    target = published(source["ref"])
    extensions = {k for k in source if k.startswith("x-")}
    if not extensions:
        return target
    schema = Schema(
        type=target.type,
        properties=target.properties,
        additional=target.additional,
        items=target.items,
        open=target.open,
        map_type=target.map_type,
    )
    _annotate(schema, source)
    return schema


def _annotate(schema: Schema, source: dict[str, Any]) -> None:
    schema.list_map_keys = tuple(source.get("x-kubernetes-list-map-keys", ()))
    schema.patch_merge_key = source.get("x-kubernetes-patch-merge-key", "")
    strategy = source.get("x-kubernetes-patch-strategy", "")
    schema.patch_strategy = tuple(strategy.split(",")) if strategy else ()
    schema.map_type = source.get("x-kubernetes-map-type", schema.map_type)
    if "x-kubernetes-list-type" in source:
        schema.list_type = source["x-kubernetes-list-type"]
    elif "merge" in schema.patch_strategy and schema.type == "array":
        key = schema.patch_merge_key
        schema.list_type, schema.list_map_keys = ("map", (key,)) if key else ("set", ())
    schema.default = source.get("default")
