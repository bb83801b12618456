"""The objects of manifest files, and everything that is wrong with them that needs no cluster."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from prism_operator.api.meta import (
    GROUP,
    PRISM_BACKEND,
    PRISM_NAMESPACE,
    PRISM_PATTERN,
    PRISM_STACK,
    VERSION,
    Json,
    find_resource,
)
from prism_operator.api.structural import completed, misfits, unknown_fields
from prism_operator.api.validation import MODELS, InvalidObject, Problem, parse, shown
from prism_operator.documents import Document, Location, location_of, objects_in, read_documents
from prism_operator.planning.names import admin_name, proxy_name

_API_VERSION: Final = f"{GROUP}/{VERSION}"
# The limits and patterns of apimachinery's validation of names, labels and annotations.
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL_NAME: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE: Final = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_NAME_LENGTH_MAX: Final = 253
_ANNOTATIONS_BYTES_MAX: Final = 256 * 1024
_METADATA: Final = {
    "name": str,
    "namespace": str,
    "generateName": str,
    "labels": dict,
    "annotations": dict,
    "finalizers": list,
    "ownerReferences": list,
    "uid": str,
    "resourceVersion": str,
    "generation": int,
    "creationTimestamp": str,
    "deletionTimestamp": str,
    "deletionGracePeriodSeconds": int,
    "managedFields": list,
    "selfLink": str,
}

Key: TypeAlias = tuple[str, str, str, str]
"""apiVersion, kind, namespace and name."""


class Level(StrEnum):
    """An error is refused by the API server or the operator; a remark may be meant."""

    ERROR = "error"
    REMARK = "remark"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing to say about a file. ``subject`` and ``path`` are empty for the file itself."""

    source: str
    line: int
    column: int
    level: Level
    subject: str
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}:{self.column}"
        remark = "remark: " if self.level is Level.REMARK else ""
        parts = [place, remark + self.subject, self.path, self.message]
        return ": ".join(part for part in parts if part)


@dataclass(frozen=True)
class Manifest:
    """One object of a file, with the namespace it goes to when it names none."""

    obj: Json
    document: Document

    @property
    def is_prism(self) -> bool:
        """Whether it is of a kind of ours, and so was checked."""
        return self.obj["apiVersion"] == _API_VERSION and self.obj["kind"] in MODELS

    @property
    def key(self) -> Key:
        """What no other object may have."""
        metadata = self.obj["metadata"]
        kind, namespace = self.obj["kind"], metadata.get("namespace", "")
        return self.obj["apiVersion"], kind, namespace, metadata["name"]

    def __str__(self) -> str:
        _, kind, namespace, name = self.key
        return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"

    def find(self, path: str, message: str, level: Level = Level.ERROR) -> Finding:
        """A finding at a field, placed at the deepest part of it that the file has."""
        return _finding(self.document, location_of(path), str(self), path, message, level)

    @property
    def place(self) -> str:
        """Where the object begins, for findings about another."""
        line, column = self.document.position(("metadata", "name"))
        return f"{self.document.source}:{line}:{column}"


@dataclass(slots=True)
class Manifests:
    """The usable objects of all files, in order, and all findings, by place."""

    objects: list[Manifest] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def errors(self) -> list[Finding]:
        """The findings that mean that a file cannot be applied as it is."""
        return [finding for finding in self.findings if finding.level is Level.ERROR]


def read_manifests(sources: Iterable[tuple[str, bytes]], namespace: str = "default") -> Manifests:
    """Everything that can be said about files without a cluster. Never raises.

    ``sources`` are names and contents; ``namespace`` is for objects that name none.
    """
    read = Manifests()
    for source, content in sources:
        documents, complaints = read_documents(content, source)
        read.findings += [
            Finding(c.source, c.line, c.column, Level.ERROR, "", "", c.message) for c in complaints
        ]
        for document in documents:
            for part in objects_in(document):
                manifest, findings = _read(part, namespace)
                read.findings += findings
                if manifest is not None:
                    read.objects.append(manifest)
    for check in (_duplicates, _same_children, _same_tenants, _missing_backends):
        read.findings += check(read.objects)
    read.findings.sort()
    return read


def problems_of(obj: Json) -> list[Problem]:
    """What is wrong with an object of ours that has a name, by itself."""
    problems = list(_metadata_problems(obj["metadata"]))
    return problems + _object_problems(obj, {problem.path for problem in problems})


def _read(document: Document, namespace: str) -> tuple[Manifest | None, list[Finding]]:
    obj = document.value
    if not isinstance(obj, dict):
        message = f"{shown(obj)} is not an object with apiVersion, kind and metadata"
        return None, [_finding(document, (), "", "", message)]
    missing = [name for name in ("apiVersion", "kind") if not isinstance(obj.get(name), str)]
    missing = [name for name in missing if obj.get(name) is None] or missing
    if missing:
        return None, [
            _finding(document, (name,), "", name, _wanted_text(obj.get(name))) for name in missing
        ]
    api_version, kind = obj["apiVersion"], obj["kind"]
    if wrong := _wrong_kind(api_version, kind):
        path, message = wrong
        return None, [_finding(document, (path,), kind, path, message)]
    problems = list(_metadata_problems(obj.get("metadata")))
    is_prism = api_version == _API_VERSION
    named = _with_namespace(obj, namespace)
    if named is None:
        return None, [_problem(document, kind, problem) for problem in problems]
    manifest = Manifest(named, document)
    if is_prism:
        problems += _object_problems(named, {problem.path for problem in problems})
    return manifest, [_problem(document, str(manifest), problem) for problem in problems]


def _wanted_text(value: object) -> str:
    return "is required" if value is None else f"{shown(value)} is not a string"


def _wrong_kind(api_version: str, kind: str) -> tuple[str, str] | None:
    group = api_version.rpartition("/")[0]
    if group == GROUP and kind not in MODELS:
        return "kind", f"{shown(kind)} is not one of {', '.join(MODELS)}"
    if (group == GROUP or kind in MODELS) and api_version != _API_VERSION:
        return "apiVersion", f'{shown(api_version)} has no {kind}: expected "{_API_VERSION}"'
    return None


def _with_namespace(obj: Json, namespace: str) -> Json | None:
    """The object in the namespace it goes to; None when its metadata cannot be used at all."""
    metadata = obj.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not isinstance(name, str) or not name:
        return None
    given = metadata.get("namespace")
    resource = find_resource(obj["apiVersion"], obj["kind"])
    if resource is None or not resource.namespaced or (isinstance(given, str) and given):
        return obj
    return {**obj, "metadata": {**metadata, "namespace": namespace}}


def _object_problems(obj: Json, told: set[str]) -> list[Problem]:
    found = unknown_fields(obj) + misfits(obj)
    told = told | {problem.path for problem in found}
    try:
        # As the server stores it: a null is gone by the time rules are checked.
        parse(completed(obj))
    except InvalidObject as invalid:
        # The models say the same of a shape, and rules about what has the right one.
        found += [problem for problem in invalid.problems if problem.path not in told]
    name = obj["metadata"]["name"]
    named = len(name) <= _NAME_LENGTH_MAX and _NAME.fullmatch(name)
    if not named and not any(problem.path == "metadata.name" for problem in found):
        rule = "at most 253 lower-case letters, digits, - and ., a letter or digit at both ends"
        found.append(Problem("metadata.name", f"{shown(name)} is no name: {rule}"))
    return found


def _metadata_problems(metadata: object) -> Iterator[Problem]:
    if not isinstance(metadata, dict):
        told = "is required" if metadata is None else f"{shown(metadata)} is not an object"
        yield Problem("metadata", told)
        return
    for name, value in metadata.items():
        expected = _METADATA.get(name)
        if expected is None:
            yield Problem(f"metadata.{name}", "unknown field")
        elif value is not None and (not isinstance(value, expected) or isinstance(value, bool)):
            remedy = ": put it in quotes" if expected is str else ""
            yield Problem(f"metadata.{name}", f"{shown(value)} is not {_KINDS[expected]}{remedy}")
    name, namespace = metadata.get("name"), metadata.get("namespace")
    if not name and name != 0:
        generated = ": kubectl apply needs it, generateName is for kubectl create"
        yield Problem(
            "metadata.name", "is required" + (generated if "generateName" in metadata else "")
        )
    if isinstance(namespace, str) and namespace and not _NAMESPACE.fullmatch(namespace):
        yield Problem("metadata.namespace", f"{shown(namespace)} is no name for a namespace")
    for section in ("labels", "annotations"):
        entries = metadata.get(section)
        if isinstance(entries, dict):
            yield from _entry_problems(section, entries)


_KINDS: Final = {str: "a string", dict: "an object", list: "a list", int: "an integer"}


def _entry_problems(section: str, entries: Json) -> Iterator[Problem]:
    for key, value in entries.items():
        path = f"metadata.{section}.{key}"
        prefix, slash, name = key.rpartition("/")
        if not _LABEL_NAME.fullmatch(name) or (
            slash and (len(prefix) > _NAME_LENGTH_MAX or not _NAME.fullmatch(prefix))
        ):
            yield Problem(
                path, f"{shown(key)} is no key: expected [domain/]name, as in app or prism.io/app"
            )
        if not isinstance(value, str):
            if value is not None:
                yield Problem(path, f"{shown(value)} is not a string: put it in quotes")
        elif section == "labels" and not _LABEL_VALUE.fullmatch(value):
            rule = "at most 63 letters, digits, -, _ and ., a letter or digit at both ends"
            yield Problem(path, f"{shown(value)} is no value for a label: {rule}")
    if section == "annotations":
        size = sum(len(k.encode()) + len(str(v).encode()) for k, v in entries.items())
        if size > _ANNOTATIONS_BYTES_MAX:
            yield Problem("metadata.annotations", f"{size} bytes exceed {_ANNOTATIONS_BYTES_MAX}")


# Across objects


def _duplicates(objects: Sequence[Manifest]) -> Iterator[Finding]:
    seen: dict[Key, Manifest] = {}
    for manifest in objects:
        first = seen.setdefault(manifest.key, manifest)
        # A file often brings the Namespace it needs, in the same words as the next one.
        if first.obj != manifest.obj:
            message = f"{first.place} says something else of this object: remove one of the two"
            yield manifest.find("metadata.name", message)


def _same_children(objects: Sequence[Manifest]) -> Iterator[Finding]:
    """Names that two owners want: the operator would leave the second without."""
    takers: dict[tuple[str, str, str], tuple[Manifest, str]] = {}
    for manifest in objects:
        if manifest.is_prism and manifest.obj["kind"] != PRISM_STACK.kind:
            _, kind, namespace, name = manifest.key
            takers[kind, namespace, name] = (manifest, f"{manifest} at {manifest.place}")
    for manifest in objects:
        if not manifest.is_prism or manifest.obj["kind"] != PRISM_STACK.kind:
            continue
        namespace = manifest.key[2]
        for kind, path, name in _children(manifest.obj):
            taker, told = takers.setdefault((kind, namespace, name), (manifest, str(manifest)))
            if taker.key != manifest.key:
                what = "it" if kind in MODELS else f"a {kind} of that name"
                message = f'"{name}" is taken, {told} has {what}: rename one of the two'
                yield manifest.find(path, message)


def _children(stack: Json) -> Iterator[tuple[str, str, str]]:
    """Kind, place in the stack and name of what it makes under a name that others could have."""
    spec = stack.get("spec") if isinstance(stack.get("spec"), dict) else {}
    for section, kind in (
        ("patterns", PRISM_PATTERN.kind),
        ("backends", PRISM_BACKEND.kind),
        ("namespaces", PRISM_NAMESPACE.kind),
    ):
        for index, entry in enumerate(_list(spec, section)):
            if isinstance(entry, dict) and isinstance(entry.get("name"), str):
                yield kind, f"spec.{section}[{index}].name", entry["name"]
    name = stack["metadata"]["name"]
    yield PRISM_PATTERN.kind, "metadata.name", proxy_name(name)
    if isinstance(spec, dict) and spec.get("admin") is not None:
        yield PRISM_PATTERN.kind, "metadata.name", admin_name(name)


def _same_tenants(objects: Sequence[Manifest]) -> Iterator[Finding]:
    seen: dict[tuple[str, str, str], tuple[Manifest, str]] = {}
    for manifest, path, tenant in _tenants(objects):
        first, place = seen.setdefault(tenant, (manifest, f"{path} of {manifest}"))
        # Within one stack it is a rule.
        if first.key != manifest.key:
            message = (
                f'"{tenant[2]}" is also {place} at {first.place}, on the same proxy: '
                "the older of the two wins, the other one says Conflict"
            )
            yield manifest.find(path, message)


def _tenants(
    objects: Sequence[Manifest],
) -> Iterator[tuple[Manifest, str, tuple[str, str, str]]]:
    """Every namespaceId, with its place and the proxy's namespace and name."""
    for manifest in objects:
        spec = manifest.obj.get("spec")
        if not manifest.is_prism or not isinstance(spec, dict):
            continue
        entries: list[tuple[str, object, Json]] = []
        if manifest.obj["kind"] == PRISM_NAMESPACE.kind:
            entries = [("spec", spec, {})]
        elif manifest.obj["kind"] == PRISM_STACK.kind:
            own = {"name": proxy_name(manifest.key[3])}
            entries = [
                (f"spec.namespaces[{index}]", entry, own)
                for index, entry in enumerate(_list(spec, "namespaces"))
            ]
        for path, entry, proxy in entries:
            if not isinstance(entry, dict):
                continue
            proxy_ref, tenant = entry.get("proxyRef") or proxy, entry.get("namespaceId")
            if isinstance(proxy_ref, dict) and isinstance(tenant, str):
                where = proxy_ref.get("namespace") or manifest.key[2]
                yield (
                    manifest,
                    f"{path}.namespaceId",
                    (str(where), str(proxy_ref.get("name")), tenant),
                )


def _missing_backends(objects: Sequence[Manifest]) -> Iterator[Finding]:
    there = {(m.key[2], m.key[3]) for m in objects if m.obj["kind"] == PRISM_BACKEND.kind}
    for manifest in objects:
        if manifest.is_prism and manifest.obj["kind"] == PRISM_STACK.kind:
            there |= {
                (manifest.key[2], name)
                for kind, _, name in _children(manifest.obj)
                if kind == PRISM_BACKEND.kind
            }
    for manifest in objects:
        spec = manifest.obj.get("spec")
        if not manifest.is_prism or not isinstance(spec, dict):
            continue
        users: list[tuple[str, object]] = [("spec", spec)]
        if manifest.obj["kind"] == PRISM_STACK.kind:
            users = [(f"spec.patterns[{i}]", p) for i, p in enumerate(_list(spec, "patterns"))]
        for path, user in users:
            config = user.get("backendConfig") if isinstance(user, dict) else None
            name = config.get("name") if isinstance(config, dict) else None
            if not isinstance(name, str) or not isinstance(config, dict):
                continue
            where = str(config.get("namespace") or manifest.key[2])
            if (where, name) not in there:
                told = (
                    f"PrismBackend {where}/{name} is in none of these files: the cluster needs it"
                )
                yield manifest.find(f"{path}.backendConfig.name", told, Level.REMARK)


def _list(spec: object, name: str) -> list[object]:
    value = spec.get(name) if isinstance(spec, dict) else None
    return value if isinstance(value, list) else []


def _problem(document: Document, subject: str, problem: Problem) -> Finding:
    return _finding(document, location_of(problem.path), subject, problem.path, problem.message)


def _finding(
    document: Document,
    where: Location,
    subject: str,
    path: str,
    message: str,
    level: Level = Level.ERROR,
) -> Finding:
    line, column = document.position(where)
    return Finding(document.source, line, column, level, subject, path, message)
