"""Structural schemas: the shape of objects, compiled for speed."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Schema:
    """One node of a structural schema, for walking objects (merge, patch, ownership).

    ``type`` is object, array, string, integer, number, boolean or ``""`` (anything). An object has
    either ``properties`` or ``additional`` (a map), or neither (free-form, when ``preserve``).
    """

    type: str = ""
    properties: dict[str, Schema] = field(default_factory=dict)
    additional: Schema | None = None
    items: Schema | None = None
    preserve: bool = False  # x-kubernetes-preserve-unknown-fields
    list_type: str = "atomic"  # atomic, set, map
    map_type: str = "granular"  # granular, atomic
    list_map_keys: tuple[str, ...] = ()
    # Strategic merge patch: merge, replace, retainKeys; and the key of a merged list.
    patch_strategy: tuple[str, ...] = ()
    patch_merge_key: str = ""
