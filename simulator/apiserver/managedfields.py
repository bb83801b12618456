"""Server-side apply and field ownership, as structured-merge-diff v6 and kube-apiserver do them.

Who owns a field is kept in ``metadata.managedFields``: a set of fields for each manager, operation
and subresource (KEP-555). ``update`` gives a writer what it changed. ``apply`` gives it exactly
what it sent, refuses what others own, and removes what it sent before and nobody else owns.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from prism_operator.api.meta import Json
from simulator.apiserver import fieldsets as fs
from simulator.apiserver import typed
from simulator.apiserver.causes import DecodeError, TypedError
from simulator.apiserver.fieldsets import FieldSet, Path
from simulator.apiserver.schema import Schema
from simulator.apiserver.types import Kind

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_MAX_ANNOTATIONS_BYTES = 256 * 1024
_MAX_UPDATE_MANAGERS = 10
_ANCIENT = "ancient-changes"
_BEFORE_FIRST_APPLY = "before-first-apply"
# Fields of metadata that nobody owns (stripmeta.go).
_NEVER_OWNED: FieldSet = {}
for _path in (
    ("f:apiVersion",),
    ("f:kind",),
    ("f:metadata",),
    *(
        ("f:metadata", f"f:{name}")
        for name in (
            "name",
            "namespace",
            "creationTimestamp",
            "selfLink",
            "uid",
            "clusterName",
            "generation",
            "managedFields",
            "resourceVersion",
        )
    ),
):
    fs.insert(_NEVER_OWNED, _path)


@dataclass(frozen=True, slots=True)
class Conflicts:
    """An apply that was refused: 409 with this message and these causes."""

    message: str
    causes: tuple[Json, ...]  # {"reason", "message", "field"}


@dataclass(frozen=True, slots=True)
class _Manager:
    """What tells the owners of an object apart. ``version`` is ``""`` for an applier."""

    name: str
    operation: str
    version: str
    subresource: str

    def __str__(self) -> str:
        text = json.dumps(self.name, ensure_ascii=False)
        if self.subresource:
            text += f" with subresource {json.dumps(self.subresource)}"
        return f"{text} using {self.version}" if self.operation == "Update" else text

    @property
    def rank(self) -> tuple[str, ...]:
        """How Go orders managers when it sorts their identifiers."""
        return (self.name, self.operation, self.version, self.subresource)


@dataclass(frozen=True, slots=True)
class _Owned:
    """The fields of one manager, at the API version it wrote them in."""

    fields: FieldSet
    version: str
    time: str | None


_Owners = dict[_Manager, _Owned]


class _ConflictError(Exception):
    def __init__(self, found: list[tuple[_Manager, Path]]) -> None:
        super().__init__()
        self.found = found


def entries(obj: Json) -> Sequence[Json]:
    """The managedFields of an object, none when it has none."""
    return obj["metadata"].get("managedFields") or ()


def update(
    kind: Kind, live: Json | None, new: Json, manager: str, time: str, subresource: str = ""
) -> Json:
    """``new`` with the managedFields that a create (``live`` None), PUT or patch leaves.

    ``new`` is decoded; its own managedFields count (an empty list resets them, a changed list is
    taken as it is) except through a subresource. ``time`` is RFC 3339 in whole seconds.
    """
    owners = _owners_for_update(live, new, subresource)
    bare = _without_entries(new)
    if not owners and live is not None and live["metadata"].get("uid"):
        return bare  # nothing is tracked until the first apply
    before = _without_entries(live) if live is not None else _empty(kind)
    try:
        owners = _update(kind, before, bare, owners, manager, time, subresource)
    except TypedError:
        # The server keeps what it knew rather than refuse the write.
        return _with_entries(bare, list(entries(live)) if live is not None else [])
    return _with_owners(bare, _capped(owners))


def apply(
    kind: Kind,
    live: Json | None,
    patch: Json,
    manager: str,
    *,
    force: bool,
    time: str,
    subresource: str = "",
) -> Json | Conflicts:
    """``live`` with ``patch`` (undecoded, as sent) applied by ``manager``, decoded and owned.

    Raises:
        DecodeError: The patch is not of this kind, or names managedFields (400).
        TypedError: The patch does not fit the schema (500).
    """
    _check_patch(kind, patch)
    before = _without_entries(live) if live is not None else _empty(kind)
    owners = _decoded(entries(live)) if live is not None else {}
    if not owners and live is not None:
        owners = _update(kind, _empty(kind), before, {}, _BEFORE_FIRST_APPLY, time, subresource)
    applier = _Manager(manager, "Apply", "", subresource)
    try:
        merged, after = _apply(kind, before, patch, owners, applier, force, time)
    except _ConflictError as error:
        if manager != "kubectl":
            return _conflicts(error.found)
        # kubectl may take over from itself what its client-side apply had set.
        allowed = _set_by_client_side_apply(kind, before)
        refused = [c for c in error.found if allowed is None or not _has(allowed, c[1])]
        if refused:
            return _conflicts(refused)
        merged, after = _apply(kind, before, patch, owners, applier, True, time)
    obj = before if merged is None else _decoded_merge(kind, merged, patch)
    if manager == "kubectl" and obj["metadata"].get("annotations", {}).get(LAST_APPLIED):
        obj = _with_last_applied(obj, patch)
    return _with_owners(obj, after)


def keep_timestamps(old: Json, new: Json) -> Json:
    """``new`` with the managedFields of ``old`` when only their times differ, and nothing else."""
    if _timeless(entries(old)) != _timeless(entries(new)):
        return new
    if _without_entries(old, keep_version=False) != _without_entries(new, keep_version=False):
        return new
    return _with_entries(new, list(entries(old)))


def scale(
    kind: Kind,
    live: Json,
    replicas: int,
    manager: str,
    time: str,
    operation: str = "Update",
    *,
    force: bool = False,
) -> Json | Conflicts:
    """``live`` with its replicas set through the scale subresource by ``manager``.

    Ownership travels to a Scale and back (scalehandler.go). That the way back knows no times, and
    takes an Update of the parent for another manager than the same Update of the Scale, are the
    server's ways, kept here.
    """
    del time
    if kind.scale is None:
        raise TypedError(f"{kind.resource.kind} has no scale subresource")
    path = tuple(f"f:{name}" for name in kind.scale.spec_replicas)
    owners, obj = _decoded(entries(live)), _without_entries(live)
    writer = _Manager(manager, operation, _SCALE if operation == "Update" else "", "scale")
    holders = {_of_scale(m) for m, o in owners.items() if _has(o.fields, path)}
    before = _lookup(obj, kind.scale.spec_replicas) or 0
    if operation == "Apply" and not holders:
        holders = {_Manager(_BEFORE_FIRST_APPLY, "Update", _SCALE, "scale")} if before else set()
    others = sorted(holders - {writer}, key=lambda m: m.rank)
    if replicas != before:
        if operation == "Apply" and others and not force:
            return _conflicts([(m, _SCALE_REPLICAS) for m in others])
        # A Scale of no replicas says nothing of them, so nobody owns them then.
        holders = {writer} if holders and (replicas or operation == "Apply") else set()
    elif operation == "Apply":
        holders.add(writer)
    return _with_owners(
        _assigned(obj, kind.scale.spec_replicas, replicas), _to_parent(kind, owners, holders, path)
    )


_SCALE = "autoscaling/v1"
_SCALE_REPLICAS: Path = ("f:spec", "f:replicas")


def _of_scale(manager: _Manager) -> _Manager:
    return replace(manager, version=_SCALE) if manager.operation == "Update" else manager


def _to_parent(kind: Kind, owners: _Owners, holders: set[_Manager], path: Path) -> _Owners:
    """The parent's owners, with its replicas held by the Scale's ``holders``."""
    only: FieldSet = {}
    fs.insert(only, path)
    out: _Owners = {}
    left = set(holders)
    for owner, owned in owners.items():
        if not _has(owned.fields, path):
            out[owner] = owned
        elif owner in left:
            out[owner] = owned
            left.discard(owner)
        elif rest := fs.difference(owned.fields, only):
            out[owner] = replace(owned, fields=rest)
    for holder in sorted(left, key=lambda m: m.rank):
        out[holder] = _Owned(only, kind.resource.api_version, None)
    return out


# The steps of an update


def _owners_for_update(live: Json | None, new: Json, subresource: str) -> _Owners:
    """The owners to start from: those a writer sends, else those of the live object."""
    sent = new["metadata"].get("managedFields")
    if not subresource and sent is not None:
        if not sent or sent == [{}]:
            return {}
        owners = _decoded(sent)
        if owners:
            return owners
    return _decoded(entries(live)) if live is not None else {}


def _update(
    kind: Kind,
    before: Json,
    after: Json,
    owners: _Owners,
    manager: str,
    time: str,
    subresource: str,
) -> _Owners:
    schema, version = kind.schema, kind.resource.api_version
    reset = _reset(kind, subresource)
    owners = _reconciled(kind, owners)
    writer = _Manager(manager, "Update", version, subresource)
    # Its own earlier fields lose what others change, too: the write is a manager of its own here.
    owners, difference = _yield_to(kind, before, after, owners, None, reset, force=True)
    fields = fs.union(difference.modified, difference.added)
    fields = fs.recursive_difference(fields, reset)
    if fs.is_empty(fields):
        return owners
    # What nobody can own is taken off the write before it joins what the writer had.
    fields = fs.difference(fields, _NEVER_OWNED)
    del schema
    if fs.is_empty(fields):
        return owners
    mine = owners.get(writer)
    owners[writer] = _Owned(fs.union(fields, mine.fields) if mine else fields, version, time)
    return owners


def _yield_to(
    kind: Kind,
    before: Json,
    after: Json,
    owners: _Owners,
    writer: _Manager | None,
    reset: FieldSet,
    *,
    force: bool,
) -> tuple[_Owners, typed.Comparison]:
    """Takes from all but ``writer`` what a write changes. Raises _ConflictError unless forced."""
    found = typed.compare(kind.schema, before, after)
    if reset:
        found.removed = fs.recursive_difference(found.removed, reset)
        found.modified = fs.recursive_difference(found.modified, reset)
        found.added = fs.recursive_difference(found.added, reset)
    changed = fs.union(found.modified, found.added)
    out: _Owners = {}
    conflicts: list[tuple[_Manager, Path]] = []
    for manager, owned in owners.items():
        if manager == writer:
            out[manager] = owned
            continue
        taken = fs.intersection(owned.fields, changed)
        conflicts += [(manager, path) for path in fs.paths(taken)]
        rest = fs.difference(fs.difference(owned.fields, taken), found.removed)
        if not fs.is_empty(rest):
            out[manager] = replace(owned, fields=rest)
    if conflicts and not force:
        raise _ConflictError(conflicts)
    return out, found


def _reconciled(kind: Kind, owners: _Owners) -> _Owners:
    """Owners of versions we serve, their fields as the schema now groups them."""
    return {
        manager: replace(owned, fields=typed.reconciled(kind.schema, owned.fields))
        for manager, owned in owners.items()
        if owned.version == kind.resource.api_version
    }


# The steps of an apply


def _check_patch(kind: Kind, patch: Json) -> None:
    api_version, name = str(patch.get("apiVersion", "")), str(patch.get("kind", ""))
    if (api_version, name) != (kind.resource.api_version, kind.resource.kind):
        if "/" not in api_version:
            api_version = f"/{api_version}"
        raise DecodeError(f"invalid object type: {api_version}, Kind={name}")
    if "managedFields" in (patch.get("metadata") or {}):
        raise DecodeError("metadata.managedFields must be nil")


def _apply(
    kind: Kind,
    before: Json,
    patch: Json,
    owners: _Owners,
    applier: _Manager,
    force: bool,
    time: str,
) -> tuple[Json | None, _Owners]:
    """The merged object (None when nothing changes) and its owners."""
    schema, version = kind.schema, kind.resource.api_version
    try:
        typed.check(schema, patch, allow_duplicates=False)
    except TypedError as error:
        raise TypedError(
            f"failed to create typed patch object ({_named(kind, patch)}): {error}"
        ) from None
    reset = _reset(kind, applier.subresource)
    owners = _reconciled(kind, owners)
    merged = typed.merge(schema, before, patch)
    last = owners.get(applier)
    fields = fs.recursive_difference(typed.field_set(schema, patch), reset)
    owners[applier] = _Owned(fields, version, last.time if last else None)
    merged = _pruned(schema, merged, owners, last)
    owners, _ = _yield_to(kind, before, merged, owners, applier, reset, force=force)
    if applier in owners:
        kept = fs.difference(owners[applier].fields, _NEVER_OWNED)
        if fs.is_empty(kept):
            del owners[applier]
        else:
            owners[applier] = replace(owners[applier], fields=kept)
    if merged == before:
        return None, owners
    if applier in owners:
        owners[applier] = replace(owners[applier], time=time)
    return merged, owners


def _decoded_merge(kind: Kind, merged: Json, patch: Json) -> Json:
    try:
        return kind.decode(merged).obj
    except DecodeError as error:
        detail = error.detail
        if detail.startswith("illegal base64"):
            detail = f"error decoding from json: {detail}"
        raise TypedError(
            f"failed to convert new object ({_named(kind, patch)}) to proper version: unable to "
            f"convert unstructured object to {_gvk(kind)}: {detail}"
        ) from None


def _gvk(kind: Kind) -> str:
    return f"{kind.resource.group}/{kind.resource.version}, Kind={kind.resource.kind}"


def _named(kind: Kind, obj: Json) -> str:
    meta = obj.get("metadata") or {}
    return f"{meta.get('namespace', '')}/{meta.get('name', '')}; {_gvk(kind)}"


def _pruned(schema: Schema, merged: Any, owners: _Owners, last: _Owned | None) -> Any:
    """``merged`` without what the applier had and no longer sends, unless others own it."""
    if last is None or fs.is_empty(last.fields):
        return merged
    named = typed.with_named_fields
    last_fields = named(schema, last.fields)
    pruned = typed.remove(schema, merged, last_fields)
    owned: FieldSet = {}
    for other in owners.values():
        owned = fs.union(owned, other.fields)
    merged_fields = named(schema, typed.field_set(schema, merged))
    # Give back what somebody owns, the applier's new fields among it.
    pruned_fields = named(schema, typed.field_set(schema, pruned))
    unowned = fs.difference(merged_fields, fs.union(pruned_fields, named(schema, owned)))
    pruned = typed.remove(schema, merged, unowned)
    # Give back what was never the applier's and hung below something that was.
    pruned_fields = named(schema, typed.field_set(schema, pruned))
    dropped = fs.intersection(fs.difference(merged_fields, pruned_fields), last_fields)
    return typed.remove(schema, merged, dropped)


def _set_by_client_side_apply(kind: Kind, live: Json) -> FieldSet | None:
    """The fields of kubectl's last-applied annotation that still have the values it set."""
    text = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    if not text:
        return None
    try:
        last = json.loads(text)
        if last.get("apiVersion") != kind.resource.api_version:
            return None
        typed.check(kind.schema, last, allow_duplicates=False)
    except (ValueError, AttributeError):
        return None
    found = typed.compare(kind.schema, last, live)
    fields = typed.field_set(kind.schema, last)
    for changed in (found.modified, found.added, found.removed):
        fields = fs.difference(fields, changed)
    return fields


def _with_last_applied(obj: Json, patch: Json) -> Json:
    """``obj`` with kubectl's annotation brought up to what was applied."""
    meta = patch.get("metadata") or {}
    annotations = {k: v for k, v in (meta.get("annotations") or {}).items() if k != LAST_APPLIED}
    content = {**patch, "metadata": {**meta, "annotations": annotations}}
    if not annotations:
        content["metadata"].pop("annotations")
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"
    kept = {**obj["metadata"]["annotations"], LAST_APPLIED: text}
    if (
        sum(len(k.encode()) + len(str(v).encode()) for k, v in kept.items())
        > _MAX_ANNOTATIONS_BYTES
    ):
        del kept[LAST_APPLIED]
    return {**obj, "metadata": {**obj["metadata"], "annotations": kept}}


def _conflicts(found: list[tuple[_Manager, Path]]) -> Conflicts:
    causes = tuple(
        {
            "reason": "FieldManagerConflict",
            "message": f"conflict with {manager}",
            "field": fs.text_of(path),
        }
        for manager, path in found
    )
    if len(found) == 1:
        manager, path = found[0]
        text = f"Apply failed with 1 conflict: conflict with {manager}: {fs.text_of(path)}"
        return Conflicts(text, causes)
    lines = []
    for manager in sorted({m for m, _ in found}, key=lambda m: m.rank):
        lines.append(f"conflicts with {manager}:")
        lines += [f"- {fs.text_of(path)}" for other, path in found if other == manager]
    return Conflicts(f"Apply failed with {len(found)} conflicts: " + "\n".join(lines), causes)


# Entries


def _decoded(sent: Sequence[Json]) -> _Owners:
    """The owners in managedFields; none at all when an entry cannot be read, as in the server."""
    owners: _Owners = {}
    for entry in sent:
        operation, version = entry.get("operation"), entry.get("apiVersion")
        if (
            operation not in ("Apply", "Update")
            or not version
            or entry.get("fieldsType") != "FieldsV1"
        ):
            return {}
        try:
            fields = fs.decode(entry.get("fieldsV1") or {})
        except ValueError:
            return {}
        manager = _Manager(
            entry.get("manager", ""),
            operation,
            version if operation == "Update" else "",
            entry.get("subresource", ""),
        )
        owners[manager] = _Owned(fields, version, entry.get("time"))
    return owners


def _with_owners(obj: Json, owners: _Owners) -> Json:
    out = []
    for manager, owned in owners.items():
        entry: Json = {"manager": manager.name} if manager.name else {}
        entry |= {"operation": manager.operation, "apiVersion": owned.version}
        if owned.time is not None:
            entry["time"] = owned.time
        entry |= {"fieldsType": "FieldsV1", "fieldsV1": fs.encode(owned.fields)}
        if manager.subresource:
            entry["subresource"] = manager.subresource
        out.append(entry)
    out.sort(
        key=lambda e: (
            e["operation"],
            e.get("time", ""),
            e.get("manager", ""),
            e["apiVersion"],
            e.get("subresource", ""),
        )
    )
    return _with_entries(obj, out)


def _with_entries(obj: Json, managed: list[Json]) -> Json:
    meta = {k: v for k, v in obj["metadata"].items() if k != "managedFields"}
    if managed:
        meta["managedFields"] = managed
    return {**obj, "metadata": meta}


def _without_entries(obj: Json, *, keep_version: bool = True) -> Json:
    dropped = ("managedFields",) if keep_version else ("managedFields", "resourceVersion")
    meta = obj["metadata"]
    if not any(name in meta for name in dropped):
        return obj
    return {**obj, "metadata": {k: v for k, v in meta.items() if k not in dropped}}


def _timeless(managed: Sequence[Json]) -> list[Json]:
    return [{k: v for k, v in entry.items() if k != "time"} for entry in managed]


def _capped(owners: _Owners) -> _Owners:
    """At most ten Update entries: the oldest of a version are merged into ``ancient-changes``."""
    updaters = sorted(
        (m for m in owners if m.operation == "Update"),
        key=lambda m: (owners[m].time or "", m.rank),
    )
    excess = len(updaters) - _MAX_UPDATE_MANAGERS
    first: dict[str, _Manager] = {}
    for manager in updaters:
        if excess <= 0:
            break
        owned = owners[manager]
        if owned.version not in first:
            first[owned.version] = manager
            continue
        bucket = _Manager(_ANCIENT, "Update", owned.version, "")
        if bucket not in owners:
            owners[bucket] = owners.pop(first[owned.version])
        fields = fs.union(owned.fields, owners[bucket].fields)
        owners[bucket] = _Owned(fields, owned.version, owned.time)
        del owners[manager]
        excess -= 1
    return owners


def _reset(kind: Kind, subresource: str) -> FieldSet:
    fields: FieldSet = {}
    for path in kind.reset_fields(subresource):
        fs.insert(fields, tuple(f"f:{name}" for name in path))
    return fields


def _empty(kind: Kind) -> Json:
    """The object a create starts from: decoded as built-in kinds are, without any default."""
    return kind.blank()


def _has(fields: FieldSet, path: Path) -> bool:
    for element in path:
        if element not in fields:
            return False
        fields = fields[element]
    return fs.MEMBER in fields


def _lookup(obj: Json, path: Sequence[str]) -> Any:
    found: Any = obj
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _assigned(obj: Json, path: Sequence[str], value: Any) -> Json:
    head, *rest = path
    return {**obj, head: _assigned(obj.get(head) or {}, rest, value) if rest else value}
