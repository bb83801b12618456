"""Server-side apply and field ownership, as structured-merge-diff v6 and kube-apiserver do them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prism_operator.api.meta import Json
from simulator.apiserver.types import Kind


@dataclass(frozen=True, slots=True)
class Conflicts:
    """An apply that was refused: 409 with this message and these causes (FieldManagerConflict)."""

    message: str  # Apply failed with 1 conflict: conflict with "kubectl" using apps/v1: .spec.replicas
    causes: tuple[Json, ...]  # {"reason", "message", "field"}


def update(
    kind: Kind, live: Json | None, new: Json, manager: str, time: str, subresource: str = ""
) -> Json:
    """``new`` with the managedFields that a create (``live`` None), PUT or patch leaves.

    ``new`` is decoded; its own managedFields count (an empty list resets them, a changed list is
    taken as it is). ``time`` is an RFC 3339 timestamp in whole seconds.
    """
    raise NotImplementedError


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
        TypedError: The patch or the live object does not fit the schema (500).
    """
    raise NotImplementedError


def keep_timestamps(old: Json, new: Json) -> Json:
    """``new`` with the managedFields of ``old`` when they differ in nothing but their times."""
    raise NotImplementedError


def scale(
    kind: Kind, live: Json, replicas: int, manager: str, time: str, operation: str = "Update"
) -> Json:
    """``live`` with its replicas set through the scale subresource by ``manager``."""
    raise NotImplementedError


def entries(obj: Json) -> Sequence[Json]:
    """The managedFields of an object, none when it has none."""
    return obj["metadata"].get("managedFields") or ()
