"""Whose children are whose: adoption of orphans that match, release of children that do not.

Source: pkg/controller/controller_ref_manager.go of Kubernetes 1.37.
"""

from __future__ import annotations

from collections.abc import Iterable

from prism_operator.api.meta import Json, controller_uid_of, ref_of, uid_of
from prism_operator.ports import Reason
from simulator.controllers.objects import (
    is_deleting,
    labels_of,
    matches,
    owner_reference,
    with_metadata,
)
from simulator.controllers.world import RefusedError, World


def claim(world: World, owner: Json, children: Iterable[Json]) -> list[Json]:
    """The children that ``owner`` has after adopting and releasing, in the given order.

    Raises:
        RefusedError: An adoption or a release failed for another reason than the child being gone.
    """
    selector, mine = owner["spec"]["selector"], []
    for child in children:
        controller = controller_uid_of(child)
        fits = matches(selector, labels_of(child))
        if controller == uid_of(owner):
            if fits:
                mine.append(child)
            elif not is_deleting(owner):
                _write(world, _released(child, owner))
        elif controller is None and fits and not is_deleting(owner) and not is_deleting(child):
            fresh = world.get(ref_of(owner))
            if fresh is None or uid_of(fresh) != uid_of(owner) or is_deleting(fresh):
                continue
            adopted = _write(world, _adopted(child, owner))
            if adopted is not None:
                mine.append(adopted)
    return mine


def _adopted(child: Json, owner: Json) -> Json:
    owners = child["metadata"].get("ownerReferences") or []
    return with_metadata(child, ownerReferences=[*owners, owner_reference(owner)])


def _released(child: Json, owner: Json) -> Json:
    owners = child["metadata"].get("ownerReferences") or []
    return with_metadata(child, ownerReferences=[o for o in owners if o["uid"] != uid_of(owner)])


def _write(world: World, child: Json) -> Json | None:
    try:
        return world.update(child)
    except RefusedError as refused:
        if refused.reason is Reason.NOT_FOUND:
            return None
        raise
