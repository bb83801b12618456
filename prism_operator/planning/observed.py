"""What a plan is made from: one object, and a read-only view of everything its plan depends on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from prism_operator.api.meta import (
    Json,
    Ref,
    Resource,
    controller_uid_of,
    ref_of,
    resource_of,
    uid_of,
)
from prism_operator.planning.checks import Finding
from prism_operator.planning.provisioning import Answer
from prism_operator.planning.targets import scale_target_of


class Snapshot(Protocol):
    """A consistent view of the cluster: the runtime's caches, or a ``FrozenSnapshot`` in tests.

    Objects always carry ``apiVersion`` and ``kind``. Sequences are sorted by reference.
    """

    def get(self, ref: Ref) -> Json | None:
        """The object at ``ref``, or None."""

    def owned_by(self, uid: str) -> Sequence[Json]:
        """Every object whose controller owner reference has this uid."""

    def list(self, resource: Resource, namespace: str = "") -> Sequence[Json]:
        """All objects of a resource, in one namespace or (``""``) in all."""

    def scalers_of(self, deployment: Ref) -> Sequence[Json]:
        """Every HorizontalPodAutoscaler and ScaledObject that scales the Deployment."""

    def serves(self, resource: Resource) -> bool | None:
        """Whether the cluster serves the resource (KEDA's, say); None when that is not known."""

    def can_read(self, resource: Resource) -> bool:
        """Whether we may list the resource; without it, what it would say is unknown."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A write of an earlier pass that did not succeed and was not overtaken since."""

    ref: Ref
    verb: str
    reason: str  # Forbidden, Invalid, Conflict, Timeout, …: fit for a condition's reason
    message: str


@dataclass(frozen=True, slots=True)
class Observed:
    """One object with the view its plan is made from. ``obj`` is as the API server returned it."""

    obj: Json
    cluster: Snapshot
    failures: tuple[Failure, ...] = ()
    finding: Finding | None = None  # of the newest check, if it is checked
    answer: Answer | None = None  # to the newest call of its control plane, if one is called


@dataclass(frozen=True)
class FrozenSnapshot:
    """A snapshot made of a list of objects, for tests, ``plan -f`` and golden plans."""

    objects: Iterable[Json]
    served: frozenset[Resource] = frozenset()
    unreadable: frozenset[Resource] = frozenset()
    _by_ref: dict[Ref, Json] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._by_ref.update(sorted((ref_of(o), o) for o in self.objects))

    def get(self, ref: Ref) -> Json | None:
        """See ``Snapshot``."""
        return self._by_ref.get(ref)

    def owned_by(self, uid: str) -> Sequence[Json]:
        """See ``Snapshot``."""
        return [o for o in self._by_ref.values() if uid and controller_uid_of(o) == uid]

    def list(self, resource: Resource, namespace: str = "") -> Sequence[Json]:
        """See ``Snapshot``."""
        return [
            o
            for ref, o in self._by_ref.items()
            if ref.resource == resource and namespace in ("", ref.namespace)
        ]

    def scalers_of(self, deployment: Ref) -> Sequence[Json]:
        """See ``Snapshot``."""
        return [o for o in self._by_ref.values() if scale_target_of(o) == deployment]

    def serves(self, resource: Resource) -> bool | None:
        """See ``Snapshot``."""
        return resource in self.served or any(resource_of(o) == resource for o in self.objects)

    def can_read(self, resource: Resource) -> bool:
        """See ``Snapshot``."""
        return resource not in self.unreadable


__all__ = ["Failure", "FrozenSnapshot", "Observed", "Snapshot", "uid_of"]
