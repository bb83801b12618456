"""Whether a live object still holds every field we want, without minding what others added.

A desired object holds only fields we own, so it is compared as a subset: defaults, injected
sidecars, `kubectl rollout restart` and a scaler's fields are nobody's difference. Lists that
server-side apply merges by key are matched by those keys; all other lists are ours as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from prism_operator.api.meta import ReadOnlyJson
from prism_operator.api.quantities import parse_quantity

# The `x-kubernetes-list-map-keys` of the lists in the objects we make, by field name.
_LIST_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
    "imagePullSecrets": ("name",),
    "ownerReferences": ("uid",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
}
# Maps that are ours as a whole (`x-kubernetes-map-type: atomic`): another key in the selector of a
# Service would leave it without endpoints.
ATOMIC_MAPS: Final = frozenset({"selector", "nodeSelector", "labelSelector", "matchLabels"})
# `target` is that of a HorizontalPodAutoscaler's metric.
_QUANTITY_MAPS: Final = frozenset({"requests", "limits", "target"})
_QUANTITIES: Final = frozenset({"divisor", "sizeLimit", "tolerance"})
# The API server drops zero values ("", 0, false, [], {}) of fields that are no pointers, so absence
# of one is no difference; of these it keeps them, and their absence would mean true.
_ZERO_IS_STORED: Final = frozenset({"automountServiceAccountToken", "allowPrivilegeEscalation"})


def difference(desired: ReadOnlyJson, live: ReadOnlyJson) -> str | None:
    """The path of the first field that is not as desired, or None when all are.

    The path names fields and list keys, never values: those may be secret.
    """
    return _in_map(desired, live, "", "")


def _in_map(desired: ReadOnlyJson, live: ReadOnlyJson, path: str, name: str) -> str | None:
    for key, wanted in desired.items():
        found = live.get(key, _ABSENT)
        if wanted is found or wanted == found:
            continue
        if found is _ABSENT and not wanted and key not in _ZERO_IS_STORED:
            continue
        where = f"{path}.{key}" if path else key
        if isinstance(wanted, dict):
            if not isinstance(found, dict):
                return where
            if key in ATOMIC_MAPS and found.keys() - wanted.keys():
                return where
            inner = _in_map(wanted, found, where, key)
            if inner is not None:
                return inner
        elif isinstance(wanted, list):
            if not isinstance(found, list):
                return where
            inner = _in_list(wanted, found, where, key)
            if inner is not None:
                return inner
        elif not _same_scalar(
            wanted, found, is_quantity=name in _QUANTITY_MAPS or key in _QUANTITIES
        ):
            return where
    return None


def _in_list(desired: Sequence[Any], live: Sequence[Any], path: str, name: str) -> str | None:
    keys = keys_of(name, desired)
    if keys:
        by_key = {key_of(item, keys): item for item in live}
        for wanted in desired:
            key = key_of(wanted, keys)
            where = f"{path}[{','.join(str(part) for part in key)}]"
            found = by_key.get(key)
            if found is None:
                return where
            inner = _in_map(wanted, found, where, name)
            if inner is not None:
                return inner
        return None
    if len(desired) != len(live):
        return path
    for index, (wanted, found) in enumerate(zip(desired, live, strict=True)):
        where = f"{path}[{index}]"
        if isinstance(wanted, dict) and isinstance(found, dict):
            inner = _in_map(wanted, found, where, name)
            if inner is not None:
                return inner
        elif wanted != found:
            return where
    return None


def keys_of(name: str, items: Sequence[Any]) -> tuple[str, ...]:
    """The fields by which server-side apply tells the items of the list ``name`` apart, if it does.

    All other lists it replaces as a whole.
    """
    if name == "ports" and items and isinstance(items[0], dict):
        return ("containerPort" if "containerPort" in items[0] else "port", "protocol")
    return _LIST_KEYS.get(name, ())


def key_of(item: ReadOnlyJson, keys: tuple[str, ...]) -> tuple[Any, ...]:
    """What tells ``item`` apart from the others."""
    return tuple(item.get(k, "TCP" if k == "protocol" else None) for k in keys)


def _same_scalar(wanted: Any, found: Any, *, is_quantity: bool) -> bool:
    if not is_quantity or found is _ABSENT:
        return False
    try:
        return parse_quantity(str(wanted)) == parse_quantity(str(found))
    except ValueError:
        return False


_ABSENT: Final = object()

__all__ = ["ATOMIC_MAPS", "difference", "key_of", "keys_of"]
