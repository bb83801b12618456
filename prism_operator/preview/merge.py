"""What becomes of an object that somebody applies, as far as it can be told without a server.

``applied`` follows server-side apply: only what the manager owned and no longer wants goes away.
``applied_by_user`` does what ``kubectl apply`` does, to either side.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from prism_operator.api.meta import FIELD_MANAGER, Json, ReadOnlyJson
from prism_operator.api.quantities import canonical_quantity
from prism_operator.planning.diff import ATOMIC_MAPS, difference, key_of, keys_of
from prism_operator.preview.defaults import ABSENT, after_dropping, without_stale

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_OURS: Final = "prism-operator"
_AMOUNTS: Final = ("limits", "requests")
_TARGETS: Final = ("averageValue", "value")  # of a HorizontalPodAutoscaler's metric
# These identify an object; nobody owns them.
_IDENTITY: Final = ("apiVersion", "kind")
_IDENTITY_IN_METADATA: Final = ("name", "namespace", "uid", "resourceVersion")


def applied(live: Json, new: Json, manager: str = FIELD_MANAGER) -> Json:
    """``live`` after ``manager`` force-applied ``new``, with its managedFields brought up to date.

    What the server would only write in other words, such as ``1000m`` for ``1``, stays as it is.
    """
    entries = _entries(live)
    ours = _union(e.get("fieldsV1") or {} for e in entries if _is_of(e, manager))
    others = _union(e.get("fieldsV1") or {} for e in entries if not _is_of(e, manager))
    merged = without_stale(_merged_map(live, new, ours, others, ""))
    kept = [entry for entry in entries if not _is_of(entry, manager)]
    return _with_entries(merged, [*kept, _entry(manager, new)])


def created(obj: Json, manager: str = FIELD_MANAGER) -> Json:
    """``obj`` as ``manager`` would find it after its POST."""
    return _with_entries(obj, [_entry(manager, obj)])


def applied_by_user(live: Json, new: Json) -> Json:
    """``live`` after ``kubectl apply`` of ``new``, whether it is known by its annotation or owner.

    What the file no longer says goes away when it came from a file; the rest stays.
    """
    annotations = live["metadata"].get("annotations") or {}
    before: Json = {}
    try:
        last = json.loads(annotations.get(LAST_APPLIED) or "{}")
        before = last if isinstance(last, dict) else {}
    except ValueError:
        pass
    for entry in _entries(live):
        is_apply = entry.get("operation") == "Apply" and not entry.get("subresource")
        if is_apply and not str(entry.get("manager")).startswith(_OURS):
            before = _overlaid(before, _as_object(entry.get("fieldsV1") or {}))
    return _three_way(live, before, new)


# Server-side apply


def _merged(live: Any, new: Any, ours: Json, others: Json, name: str, above: str) -> Any:
    if isinstance(live, dict) and isinstance(new, dict) and name not in ATOMIC_MAPS:
        return _merged_map(live, new, ours, others, name)
    keys = keys_of(name, new) if isinstance(new, list) else ()
    if keys and isinstance(live, list):
        return _merged_list(live, new, ours, others, name, keys)
    return _stored(new, name, above)


def _merged_map(live: Json, new: Json, ours: Json, others: Json, name: str) -> Json:
    out: Json = {}
    for key, found in live.items():
        mine, theirs = ours.get(f"f:{key}"), others.get(f"f:{key}")
        if key in new:
            if _is_scalar(found) and difference({name: {key: new[key]}}, {name: live}) is None:
                out[key] = found
            else:
                out[key] = _merged(found, new[key], mine or {}, theirs or {}, key, name)
        elif mine is None:
            out[key] = found
        elif (left := _owned_part(found, theirs)) is not _NOTHING:
            out[key] = left
        elif (default := after_dropping(key, found, new)) is not ABSENT:
            out[key] = default
    for key, wanted in new.items():
        # The server stores no zero values, but for the few whose absence would mean more.
        if key not in live and (wanted or difference({name: {key: wanted}}, {name: live})):
            out[key] = _stored(wanted, key, name)
    return out


def _stored(value: Any, field: str, above: str) -> Any:
    """A value that is new, in the words of the server."""
    if isinstance(value, dict):
        return {key: _stored(below, key, field) for key, below in value.items()}
    if isinstance(value, list):
        return [_stored(item, field, above) for item in value]
    is_quantity = above in _AMOUNTS or (above == "target" and field in _TARGETS)
    return canonical_quantity(str(value)) if is_quantity else value


def _merged_list(
    live: Sequence[Any],
    new: Sequence[Any],
    ours: Json,
    others: Json,
    name: str,
    keys: tuple[str, ...],
) -> list[Any]:
    mine, theirs = _by_key(ours, keys), _by_key(others, keys)
    wanted = {key_of(item, keys): item for item in new}
    merged: dict[tuple[Any, ...], Any] = {}
    left: dict[tuple[Any, ...], Any] = {}
    for found in live:
        key = key_of(found, keys)
        if key in wanted:
            fields = mine.get(key, {}), theirs.get(key, {})
            merged[key] = _merged_map(found, wanted[key], *fields, name)
        elif key not in mine:
            left[key] = found
        elif (rest := _owned_part(found, theirs.get(key))) is not _NOTHING:
            left[key] = rest
    # As the server has it: in the order applied, and what others have after what it came after.
    result = {key: merged.get(key, _stored(item, name, "")) for key, item in wanted.items()}
    order = [key_of(found, keys) for found in live]
    out: list[Any] = []
    pending = list(wanted)
    for key in order:
        if key in left:
            out.append(left[key])
        elif key in pending:
            upto = pending.index(key) + 1
            out += [result[k] for k in pending[:upto]]
            del pending[:upto]
    return out + [result[key] for key in pending]


_NOTHING: Final = object()


def _owned_part(found: Any, theirs: Json | None) -> Any:
    """What is left of ``found`` for others when its owner lets go of it, defaults and all."""
    if theirs is None:
        return _NOTHING
    fields = {name: below for name, below in theirs.items() if name != "."}
    if isinstance(found, dict) and fields:
        parts = {key: _owned_part(v, fields.get(f"f:{key}")) for key, v in found.items()}
        return {key: part for key, part in parts.items() if part is not _NOTHING}
    if isinstance(found, list) and fields:
        keys = [json.loads(name[2:]) for name in fields if name.startswith("k:")]
        return [item for item in found if any(key.items() <= item.items() for key in keys)]
    return found


def _by_key(fields: Json, keys: tuple[str, ...]) -> dict[tuple[Any, ...], Json]:
    return {
        key_of(json.loads(name[2:]), keys): below
        for name, below in fields.items()
        if name.startswith("k:")
    }


def _is_scalar(value: object) -> bool:
    return not isinstance(value, dict | list)


# managedFields


def fields_of(value: Any, name: str = "", *, top: bool = False) -> Json:
    """The set of fields (``fieldsV1``) that applying ``value`` makes one's own."""
    if isinstance(value, dict):
        out: Json = {}
        for key, below in value.items():
            if top and key == "metadata":
                below = {k: v for k, v in below.items() if k not in _IDENTITY_IN_METADATA}
            if not (top and key in _IDENTITY):
                out[f"f:{key}"] = fields_of(below, key)
        return out
    keys = keys_of(name, value) if isinstance(value, list) else ()
    if keys:
        return {
            "k:" + json.dumps(dict(zip(keys, key_of(item, keys), strict=True))): {
                ".": {},
                **fields_of(item),
            }
            for item in value
        }
    return {}


def _entry(manager: str, obj: Json) -> Json:
    return {"manager": manager, "operation": "Apply", "fieldsV1": fields_of(obj, top=True)}


def _entries(obj: ReadOnlyJson) -> list[Json]:
    return obj["metadata"].get("managedFields") or []


def _with_entries(obj: Json, entries: Sequence[Json]) -> Json:
    return {**obj, "metadata": {**obj["metadata"], "managedFields": list(entries)}}


def _is_of(entry: Json, manager: str) -> bool:
    # Whether it came by a create (Update) or an apply: the applier makes one of the two.
    return entry.get("manager") == manager and not entry.get("subresource")


def _union(sets: Iterable[Json]) -> Json:
    out: Json = {}
    for one in sets:
        out = _overlaid(out, one)
    return out


def _overlaid(one: Json, other: Json) -> Json:
    out = dict(one)
    for key, below in other.items():
        both = isinstance(out.get(key), dict) and isinstance(below, dict)
        out[key] = _overlaid(out[key], below) if both else below
    return out


# kubectl apply


def _as_object(fields: Json) -> Json:
    """A field set as an object with just its keys, down to lists, which are taken whole."""
    return {key[2:]: _as_object(below) for key, below in fields.items() if key.startswith("f:")}


def _three_way(live: Json, before: Mapping[str, Any], new: Json) -> Json:
    out = {key: value for key, value in live.items() if key in new or key not in before}
    for key, value in new.items():
        found, last = out.get(key), before.get(key)
        if isinstance(found, dict) and isinstance(value, dict):
            out[key] = _three_way(found, last if isinstance(last, dict) else {}, value)
        elif value is None:
            out.pop(key, None)
        else:
            out[key] = value
    return out
