"""The cluster as it will be once what is asked for is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prism_operator.api.meta import Json, Ref, Resource
from prism_operator.planning.observed import Snapshot


class Overlay:
    """A ``Snapshot`` with some objects in place of the cluster's; None says that there is none."""

    def __init__(self, cluster: Snapshot, objects: Mapping[Ref, Json | None]) -> None:
        self._cluster = cluster
        self._objects = objects

    def get(self, ref: Ref) -> Json | None:
        """See ``Snapshot``."""
        return self._objects[ref] if ref in self._objects else self._cluster.get(ref)

    def owned_by(self, uid: str) -> Sequence[Json]:
        """See ``Snapshot``."""
        return self._cluster.owned_by(uid)

    def list(self, resource: Resource, namespace: str = "") -> Sequence[Json]:
        """See ``Snapshot``."""
        return self._cluster.list(resource, namespace)

    def scalers_of(self, deployment: Ref) -> Sequence[Json]:
        """See ``Snapshot``."""
        return self._cluster.scalers_of(deployment)

    def serves(self, resource: Resource) -> bool | None:
        """See ``Snapshot``."""
        return self._cluster.serves(resource)

    def can_read(self, resource: Resource) -> bool:
        """See ``Snapshot``."""
        return self._cluster.can_read(resource)
