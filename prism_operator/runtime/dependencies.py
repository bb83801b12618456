"""What each plan looked at, which is exactly what has to change before the plan can.

A planner is pure and sees the cluster only through its ``Snapshot``. Noting what it asked there
says whom an event concerns: owners, users of a backend that does not exist yet, a name that
somebody else has taken. No list of references has to be kept in step with the planners.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from prism_operator.api.meta import Json, Ref, Resource, controller_uid_of
from prism_operator.planning.observed import Snapshot
from prism_operator.planning.targets import scale_target_of


@dataclass(frozen=True, slots=True)
class ScalersOf:
    """The question who scales a Deployment."""

    deployment: Ref


# An object, all objects of a resource in a namespace, all that the owner with a uid controls, or
# the scalers of a Deployment.
Question: TypeAlias = Ref | tuple[Resource, str] | str | ScalersOf


class RecordingSnapshot:
    """A ``Snapshot`` that notes what it was asked."""

    def __init__(self, cluster: Snapshot) -> None:
        self._cluster = cluster
        self.asked: set[Question] = set()

    def get(self, ref: Ref) -> Json | None:
        """See ``Snapshot``."""
        self.asked.add(ref)
        return self._cluster.get(ref)

    def owned_by(self, uid: str) -> Sequence[Json]:
        """See ``Snapshot``."""
        self.asked.add(uid)
        return self._cluster.owned_by(uid)

    def list(self, resource: Resource, namespace: str = "") -> Sequence[Json]:
        """See ``Snapshot``."""
        self.asked.add((resource, namespace))
        return self._cluster.list(resource, namespace)

    def scalers_of(self, deployment: Ref) -> Sequence[Json]:
        """See ``Snapshot``."""
        self.asked.add(ScalersOf(deployment))
        return self._cluster.scalers_of(deployment)

    def serves(self, resource: Resource) -> bool | None:
        """See ``Snapshot``. Changes of this concern everybody, so they are not noted."""
        return self._cluster.serves(resource)

    def can_read(self, resource: Resource) -> bool:
        """See ``Snapshot``. Changes of this concern everybody, so they are not noted."""
        return self._cluster.can_read(resource)


class Dependencies:
    """Which keys asked which questions in their latest plan. Not thread-safe."""

    def __init__(self) -> None:
        self._asked: dict[Ref, set[Question]] = {}
        self._askers: dict[Question, set[Ref]] = {}

    def note(self, key: Ref, asked: set[Question]) -> None:
        """Replaces what ``key`` depends on; nothing at all forgets it."""
        before = self._asked.get(key, set())
        if asked == before:
            return
        for question in before - asked:
            askers = self._askers[question]
            askers.discard(key)
            if not askers:
                del self._askers[question]
        for question in asked - before:
            self._askers.setdefault(question, set()).add(key)
        if asked:
            self._asked[key] = asked
        else:
            self._asked.pop(key, None)

    def concerned(self, ref: Ref, old: Json | None, new: Json | None) -> Iterator[Ref]:
        """The keys whose plan may differ after this change, each once, in a stable order."""
        questions: set[Question] = {ref, (ref.resource, ref.namespace), (ref.resource, "")}
        for obj in (old, new):
            if obj is None:
                continue
            if owner := controller_uid_of(obj):
                questions.add(owner)
            if target := scale_target_of(obj):
                questions.add(ScalersOf(target))
        found: set[Ref] = set()
        for question in questions:
            found |= self._askers.get(question, set())
        yield from sorted(found)
