"""What is valid metadata, for every kind.

From ``k8s.io/apimachinery/pkg/api/validation/objectmeta.go``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prism_operator.api.meta import Json
from simulator.apiserver import causes, names
from simulator.apiserver.causes import Cause

NameRule = Callable[[str], list[str]]
_ANNOTATIONS_LIMIT_BYTES = 256 * 1024
STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")
_TIMES = ("creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
_IMMUTABLE = ("name", "namespace", "uid", *_TIMES)


def check(
    metadata: Json,
    *,
    namespaced: bool,
    name_rule: NameRule = names.dns_subdomain,
    path: str = "metadata",
) -> list[Cause]:
    """What is wrong with the metadata of a new object."""
    found: list[Cause] = []
    prefix = metadata.get("generateName", "")
    if prefix:
        rule = names.path_segment_prefix if name_rule is names.path_segment else name_rule
        for text in rule(_without_trailing_dash(prefix)):
            found.append(causes.invalid(f"{path}.generateName", prefix, text))
    name = metadata.get("name", "")
    if not name:
        found.append(causes.required(f"{path}.name", "name or generateName is required"))
    else:
        found += [causes.invalid(f"{path}.name", name, text) for text in name_rule(name)]
    namespace = metadata.get("namespace", "")
    if namespaced and not namespace:
        found.append(causes.required(f"{path}.namespace"))
    elif namespaced:
        for text in names.dns_label(namespace):
            found.append(causes.invalid(f"{path}.namespace", namespace, text))
    elif namespace:
        found.append(causes.forbidden(f"{path}.namespace", "not allowed on this type"))
    found += labels(metadata.get("labels"), f"{path}.labels")
    found += check_annotations(metadata.get("annotations"), f"{path}.annotations")
    found += _owners(metadata.get("ownerReferences") or (), f"{path}.ownerReferences")
    found += _finalizers(metadata.get("finalizers") or (), f"{path}.finalizers")
    found += _managed_fields(metadata.get("managedFields") or (), f"{path}.managedFields")
    return found


def check_common(metadata: Json, old: Json, *, namespaced: bool) -> list[Cause]:
    """What every update is checked for before its kind's own rules."""
    found = check(metadata, namespaced=namespaced, name_rule=names.path_segment)
    return found + check_update(metadata, old)


def check_update(metadata: Json, old: Json, path: str = "metadata") -> list[Cause]:
    """What is wrong with the change from ``old`` to ``metadata``."""
    found: list[Cause] = []
    if "deletionTimestamp" in old:
        extra = sorted({*(metadata.get("finalizers") or ())} - {*(old.get("finalizers") or ())})
        if extra:
            shown = ", ".join(causes.shown(name) for name in extra)
            text = (
                "no new finalizers can be added if the object is being deleted, found new "
                f"finalizers []string{{{shown}}}"
            )
            found.append(causes.forbidden(f"{path}.finalizers", text))
    if not metadata.get("resourceVersion"):
        text = "must be specified for an update"
        found.append(causes.invalid(f"{path}.resourceVersion", "", text))
    for field in _IMMUTABLE:
        empty: Any = None if field in _TIMES else ""
        value, was = metadata.get(field, empty), old.get(field, empty)
        if value != was:
            found.append(causes.invalid(f"{path}.{field}", value, "field is immutable"))
    found += labels(metadata.get("labels"), f"{path}.labels")
    found += check_annotations(metadata.get("annotations"), f"{path}.annotations")
    found += _owners(metadata.get("ownerReferences") or (), f"{path}.ownerReferences")
    found += _managed_fields(metadata.get("managedFields") or (), f"{path}.managedFields")
    return found


def standard_finalizers(metadata: Json, path: str = "metadata") -> Iterator[Cause]:
    """What built-in kinds refuse besides: a finalizer that is neither standard nor qualified."""
    for index, name in enumerate(metadata.get("finalizers") or ()):
        where = f"{path}.finalizers[{index}]"
        for text in names.qualified_name(name):
            yield causes.invalid(where, name, text)
        if "/" not in name and name not in STANDARD_FINALIZERS:
            text = "name is neither a standard finalizer name nor is it fully qualified"
            yield causes.invalid(where, name, text)


def labels(given: Json | None, path: str) -> Iterator[Cause]:
    """What is wrong with labels, or with a selector that consists of them."""
    for key, value in (given or {}).items():
        for text in names.qualified_name(key):
            yield causes.invalid(path, key, text)
        for text in names.label_value(value):
            yield causes.invalid(path, value, text)


def check_annotations(given: Json | None, path: str) -> Iterator[Cause]:
    """What is wrong with annotations."""
    size = 0
    for key, value in (given or {}).items():
        size += len(key.encode()) + len(value.encode())
        for text in names.qualified_name(key.lower()):
            yield causes.invalid(path, key, text)
    if size > _ANNOTATIONS_LIMIT_BYTES:
        yield causes.too_long(path, _ANNOTATIONS_LIMIT_BYTES)


def _owners(owners: Iterable[Json], path: str) -> Iterator[Cause]:
    controller = ""
    owners = list(owners)
    for index, owner in enumerate(owners):
        where = f"{path}[{index}]"
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                yield causes.required(f"{where}.{field}", "must not be empty")
        version = owner.get("apiVersion", "")
        if version and (version.count("/") > 1 or version.endswith("/")):
            text = "must be <group>/<version> or <version>"
            yield causes.invalid(f"{where}.apiVersion", version, text)
        if version == "v1" and owner.get("kind") == "Event":
            text = "/v1, Kind=Event is disallowed from being an owner"
            yield causes.invalid(where, owner, text)
        if owner.get("controller"):
            this = f"{owner.get('kind')}/{owner.get('name')}"
            if controller:
                text = (
                    'Only one reference can have Controller set to true. Found "true" in '
                    f"references for {controller} and {this}"
                )
                yield causes.invalid(path, owners, text)
            else:
                controller = this


def _finalizers(finalizers: Iterable[str], path: str) -> Iterator[Cause]:
    given = list(finalizers)
    for name in given:
        for text in names.qualified_name(name):
            yield causes.invalid(path, name, text)
    if "orphan" in given and "foregroundDeletion" in given:
        text = "finalizer orphan and foregroundDeletion cannot be both set"
        yield causes.invalid(path, given, text)


def _managed_fields(entries: Iterable[Json], path: str) -> Iterator[Cause]:
    for index, entry in enumerate(entries):
        where = f"{path}[{index}]"
        operation = entry.get("operation", "")
        if not operation:
            yield causes.required(f"{where}.operation", "must not be empty")
        elif operation not in ("Apply", "Update"):
            yield causes.not_supported(f"{where}.operation", operation, ("Apply", "Update"))
        kind = entry.get("fieldsType", "")
        if kind and kind != "FieldsV1":
            yield causes.invalid(f"{where}.fieldsType", kind, "must be `FieldsV1`")
        if len(entry.get("manager", "")) > 128:
            yield causes.too_long(f"{where}.manager", 128)


def _without_trailing_dash(prefix: str) -> str:
    return prefix[:-2] + "a" if len(prefix) > 1 and prefix.endswith("-") else prefix
