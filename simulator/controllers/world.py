"""What a controller sees of the cluster: a cache that is always up to date, and a client.

Real informers lag; here a component's reaction time stands for that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from prism_operator.api.meta import Json, Ref, Resource
from prism_operator.ports import Reason
from simulator.controllers.workqueue import WorkQueue


class RefusedError(Exception):
    """The API server refused a write."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(reason, message)  # all of it: SimPy makes exceptions anew from their args
        self.reason, self.message = reason, message

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class Change:
    """One object became another: ``old`` is None when it is new, ``new`` when it is gone."""

    ref: Ref
    old: Json | None
    new: Json | None

    @property
    def latest(self) -> Json:
        """The object as it is, or as it last was."""
        latest = self.new if self.new is not None else self.old
        assert latest is not None, "a change has at least one side"  # noqa: S101
        return latest


class World(Protocol):
    """Reads and writes of one controller. Objects are not to be changed in place."""

    def unix_us(self) -> int:
        """The time, in microseconds since 1970."""

    def get(self, ref: Ref) -> Json | None:
        """The object at ``ref``, or None."""

    def list(self, resource: Resource, namespace: str = "") -> Sequence[Json]:
        """All objects of a resource, sorted by reference."""

    def controlled_by(self, uid: str, resource: Resource) -> Sequence[Json]:
        """The objects of a resource whose controller reference has this uid, sorted by uid."""

    def orphans(self, resource: Resource, namespace: str) -> Sequence[Json]:
        """The objects of a resource without a controller, sorted by reference."""

    def pods_with(self, namespace: str, labels: Mapping[str, str]) -> Sequence[Json]:
        """The pods that have at least these labels, sorted by reference."""

    def create(self, obj: Json) -> Json:
        """POST; answers what was stored. Raises ``RefusedError``."""

    def update(self, obj: Json, subresource: str = "") -> Json:
        """PUT, guarded by ``obj``'s resourceVersion. Raises ``RefusedError``."""

    def delete(self, ref: Ref, uid: str) -> None:
        """DELETE in background propagation. Raises ``RefusedError``."""

    def event(
        self, about: Json, type_: Literal["Normal", "Warning"], reason: str, message: str
    ) -> None:
        """Records an Event about an object."""


class SyncLoop(Protocol):
    """A controller with a queue: told of every change, it syncs one key at a time."""

    queue: WorkQueue[Ref]

    def changed(self, change: Change) -> None:
        """Queues what a change concerns."""

    def sync_next(self) -> bool:
        """Syncs the next queued key; False when none is ready."""
