"""Custom resources: kinds made of a CustomResourceDefinition.

From ``apiextensions-apiserver``: ``pkg/apiserver/customresource_handler.go`` (decoding) and
``pkg/registry/customresource`` (strategies).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from prism_operator.api.meta import Json, ReadOnlyJson, Resource
from simulator.apiserver import causes, metadata, names
from simulator.apiserver.causes import Cause, DecodeError, SchemaError
from simulator.apiserver.codec import Codec, Place, path_text
from simulator.apiserver.structural import (
    OBJECT_META,
    Node,
    check_rules,
    check_unique,
    compile_schema,
    complete,
    shape,
    validate,
)
from simulator.apiserver.typed import ABSENT, go_text, go_type
from simulator.apiserver.types import Decoded, Kind, ScalePaths

_META_CODEC = Codec({})
_BLOCKING = frozenset(
    (
        causes.NOT_SUPPORTED,
        causes.REQUIRED,
        causes.TOO_LONG,
        causes.TOO_MANY,
        causes.TYPE_INVALID,
    )
)
_INCOMPLETE = Cause(
    causes.INVALID,
    "Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation",
    "<nil>",
)
_DOTTED = re.compile(r"(\.[A-Za-z_][A-Za-z0-9_]*)+")
_SYSTEM_FIELDS = ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation")


@dataclass(frozen=True)
class CustomKind(Kind):
    """A kind that a CustomResourceDefinition serves."""

    root: Node = field(default_factory=lambda: Node(""), repr=False)

    @property
    def custom(self) -> bool:
        """See ``Kind``."""
        return True

    @property
    def counts_generations(self) -> bool:
        """See ``Kind``."""
        return True

    @property
    def allows_unconditional_update(self) -> bool:
        """See ``Kind``."""
        return False

    def decode(self, body: ReadOnlyJson) -> Decoded:
        """See ``Kind``."""
        unknown: list[tuple[Place, str]] = []
        complaints: list[str] = []
        meta: Json = {}
        if body.get("metadata") is not None:
            try:
                meta, complaints_of_meta = _META_CODEC.decode(OBJECT_META, body["metadata"])
            except DecodeError as error:
                raise DecodeError(str(error)) from None
            complaints = [c.replace('"', '"metadata.', 1) for c in complaints_of_meta]
        obj = complete(self.root, dict(body), None, unknown)
        obj["metadata"] = meta
        paths = sorted(path_text((place, name)) for place, name in unknown)
        complaints += [f'unknown field "{path}"' for path in paths]
        obj["apiVersion"], obj["kind"] = self.resource.api_version, self.resource.kind
        return Decoded(obj, tuple(complaints))

    def blank(self) -> Json:
        """See ``Kind``."""
        return {
            "apiVersion": self.resource.api_version,
            "kind": self.resource.kind,
            "metadata": {},
        }

    def read(self, stored: Json) -> Json:
        """See ``Kind``."""
        return self.decode({**stored, "apiVersion": self.resource.api_version}).obj

    def prepare_create(self, obj: Json) -> Json:
        """See ``Kind``."""
        meta = {k: v for k, v in obj["metadata"].items() if k not in _SYSTEM_FIELDS}
        meta["generation"] = 1
        new = {**obj, "metadata": meta}
        if self.has_status:
            new.pop("status", None)
        return new

    def prepare_update(self, new: Json, old: Json, subresource: str = "") -> Json:
        """See ``Kind``."""
        was = old["metadata"]
        if subresource == "status":
            meta = {k: v for k, v in was.items() if k != "managedFields"}
            if "managedFields" in new["metadata"]:
                meta["managedFields"] = new["metadata"]["managedFields"]
            out = {k: v for k, v in old.items() if k != "status"} | {"metadata": meta}
            if "status" in new:
                out["status"] = new["status"]
            return out
        meta = dict(new["metadata"])
        for name in ("generation", "creationTimestamp"):
            meta.pop(name, None)
            if name in was:
                meta[name] = was[name]
        meta.setdefault("uid", was.get("uid", ""))
        for name in ("deletionTimestamp", "deletionGracePeriodSeconds"):
            if name in was:
                meta[name] = was[name]
        out = {**new, "metadata": meta}
        if self.has_status:
            out.pop("status", None)
            if "status" in old:
                out["status"] = old["status"]
        if _content(out) != _content(old):
            meta["generation"] = was.get("generation", 0) + 1
        return out

    def validate(self, new: Json, old: Json | None = None, subresource: str = "") -> list[Cause]:
        """See ``Kind``."""
        namespaced = self.resource.namespaced
        found: list[Cause] = []
        common: list[Cause] = []
        if old is None:
            found += metadata.check(new["metadata"], namespaced=namespaced)
        else:
            common = metadata.check_common(new["metadata"], old["metadata"], namespaced=namespaced)
            found += metadata.check_update(new["metadata"], old["metadata"])
        if subresource == "status":
            before = old.get("status", ABSENT) if old is not None else ABSENT
            status = self.root.properties.get("status")
            if "status" in new and status is not None:
                validate(status, new["status"], before, "status", found)
        else:
            validate(self.root, new, ABSENT if old is None else old, "", found)
        found += self._check_scale(new, subresource)
        found = list(dict.fromkeys(found))
        unique: list[Cause] = []
        check_unique(self.root, new, "", unique)
        if unique and old is not None:
            earlier: list[Cause] = []
            check_unique(self.root, old, "", earlier)
            unique = [] if earlier else unique
        found += unique
        if any(cause.reason in _BLOCKING for cause in found):
            return [*common, *found, _INCOMPLETE]
        check_rules(self.root, new, ABSENT if old is None else old, "", found)
        return [*common, *found]

    def _check_scale(self, new: Json, subresource: str) -> list[Cause]:
        if self.scale is None:
            return []
        found = []
        paths = [self.scale.status_replicas]
        if subresource != "status":
            paths.insert(0, self.scale.spec_replicas)
        for path in paths:
            text = f".{'.'.join(path)}"
            try:
                value = _at(new, path)
            except _AccessError as error:
                found.append(causes.invalid(text, 0, str(error)))
                continue
            if value is not None and type(value) is not int:
                detail = f"{text} accessor error: {go_text(value)} is of the type {go_type(value)}"
                found.append(causes.invalid(text, 0, f"{detail}, expected int64"))
            elif value is not None and value < 0:
                found.append(causes.invalid(text, value, "should be a non-negative integer"))
            elif value is not None and value > 2**31 - 1:
                detail = "should be less than or equal to 2147483647"
                found.append(causes.invalid(text, value, detail))
        return found

    def warnings(self, new: Json, old: Json | None = None) -> tuple[str, ...]:
        """See ``Kind``."""
        before = old["metadata"].get("finalizers") or () if old is not None else ()
        added = {*(new["metadata"].get("finalizers") or ())} - {*before}
        return tuple(text for name in sorted(added) for text in _finalizer_warnings(name))

    def reset_fields(self, subresource: str) -> tuple[tuple[str, ...], ...]:
        """See ``Kind``."""
        if subresource == "status":
            return (("metadata",), ("spec",))
        return (("status",),) if self.has_status else ()


def _finalizer_warnings(name: str) -> Iterator[str]:
    where = f"metadata.finalizers: {causes.shown(name)}:"
    yield from (f"{where} {text}" for text in names.qualified_name(name))
    if "/" not in name and name not in metadata.STANDARD_FINALIZERS:
        path = " including a path (/)" if "." in name else ""
        conflict = "to avoid accidental conflicts with other finalizer writers"
        yield f"{where} prefer a domain-qualified finalizer name{path} {conflict}"


def _content(obj: Json) -> Json:
    return {k: v for k, v in obj.items() if k != "metadata"}


class _AccessError(ValueError):
    """A step of a path leads through what is no object."""


def _at(obj: Any, path: Sequence[str]) -> Any:
    for depth, name in enumerate(path, 1):
        if obj is None:
            return None
        if not isinstance(obj, dict):
            where = f".{'.'.join(path[:depth])}"
            raise _AccessError(
                f"{where} accessor error: {go_text(obj)} is of the type {go_type(obj)}, expected "
                "map[string]interface{}"
            )
        obj = obj.get(name)
    return obj


def custom_kinds(crd: ReadOnlyJson) -> tuple[CustomKind, ...]:
    """A kind for every served version of a CRD. Raises SchemaError."""
    spec = crd["spec"]
    if (spec.get("conversion") or {}).get("strategy", "None") != "None":
        raise SchemaError(f"{crd['metadata']['name']}: conversion webhooks are not supported here")
    return tuple(_kind(spec, version) for version in spec["versions"] if version.get("served"))


def _kind(spec: ReadOnlyJson, version: ReadOnlyJson) -> CustomKind:
    named = spec["names"]
    resource = Resource(
        spec["group"],
        version["name"],
        named["kind"],
        named["plural"],
        namespaced=spec["scope"] == "Namespaced",
    )
    try:
        root = compile_schema((version.get("schema") or {}).get("openAPIV3Schema") or {})
    except SchemaError as error:
        where = f"{named['plural']}.{spec['group']} {version['name']}"
        raise SchemaError(f"{where}: {error}") from None
    subresources = version.get("subresources") or {}
    return CustomKind(
        resource=resource,
        singular=named.get("singular") or named["kind"].lower(),
        list_kind=named.get("listKind") or f"{named['kind']}List",
        schema=shape(root),
        short_names=tuple(named.get("shortNames") or ()),
        categories=tuple(named.get("categories") or ()),
        has_status=subresources.get("status") is not None,
        scale=_scale(subresources.get("scale")),
        printer_columns=tuple(version.get("additionalPrinterColumns") or ()),
        root=root,
    )


def _scale(source: ReadOnlyJson | None) -> ScalePaths | None:
    if source is None:
        return None
    selector = source.get("labelSelectorPath")
    return ScalePaths(
        _split(source["specReplicasPath"]),
        _split(source["statusReplicasPath"]),
        _split(selector) if selector else None,
    )


def _split(path: str) -> tuple[str, ...]:
    if _DOTTED.fullmatch(path) is None:
        raise SchemaError(f'path "{path}" is not a plain path of fields')
    return tuple(path[1:].split("."))
