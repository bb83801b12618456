"""The fake API server as a controller sees it: an informer cache with indexes, and a client."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from prism_operator.api.meta import (
    EVENT,
    NODE,
    POD,
    RESOURCES,
    SERVICE,
    Json,
    ReadOnlyJson,
    Ref,
    Resource,
    controller_uid_of,
    uid_of,
)
from prism_operator.ports import Reason
from simulator.apiserver.request import Request
from simulator.apiserver.server import ApiServer
from simulator.apiserver.storage import Change as StoredChange
from simulator.clock import VirtualClock
from simulator.cluster.limits import ClientLimit
from simulator.controllers.endpoints import SERVICE_NAME_LABEL
from simulator.controllers.objects import labels_of, micro_time, node_of
from simulator.controllers.world import Change, RefusedError
from simulator.kernel import SECOND_US, Us

# Events are one kind with two names; storage keeps them under that of the core group.
CORE_EVENT = Resource("", "v1", "Event", "events")
SERIES_ENDS_AFTER_US = 6 * 60 * SECOND_US  # finishTime
SERIES_WRITTEN_EVERY_US = 30 * 60 * SECOND_US  # refreshTime
ENDPOINT_SLICE = Resource("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")
_RESOURCES = {(r.api_version, r.kind): r for r in (*RESOURCES, ENDPOINT_SLICE)}
_REASONS = {r.value: r for r in Reason}


class Cache:
    """Every object there is, as of now, with the indexes that controllers ask for."""

    def __init__(self, server: ApiServer) -> None:
        self._objects: dict[Resource, dict[Ref, Json]] = {}
        self._sorted: dict[Resource, list[Ref]] = {}
        self._owned: dict[str, dict[Ref, Json]] = {}
        self._orphans: dict[tuple[Resource, str], dict[Ref, Json]] = {}  # by namespace
        self._on_node: dict[str, dict[Ref, Json]] = {}
        self._labelled: dict[tuple[str, str, str], dict[Ref, Json]] = {}  # pods
        self._listeners: list[Callable[[Change], None]] = []
        self._event_serial = 0
        server.on_change(self._stored)

    def on_change(self, listener: Callable[[Change], None]) -> None:
        """Tells a listener about every write, in order of subscription."""
        self._listeners.append(listener)

    def get(self, ref: Ref) -> Json | None:
        """The object at ``ref``, or None."""
        return self._objects.get(ref.resource, {}).get(ref)

    def list(self, resource: Resource, namespace: str = "") -> Sequence[Json]:
        """All objects of a resource, sorted by reference."""
        objects = self._objects.get(resource)
        if not objects:
            return ()
        refs = self._sorted.get(resource)
        if refs is None:
            refs = self._sorted[resource] = sorted(objects)
        if namespace:
            return [objects[r] for r in refs if r.namespace == namespace]
        return [objects[r] for r in refs]

    def resources(self) -> Sequence[Resource]:
        """The resources of which there are, or were, objects."""
        return sorted(self._objects)

    def controlled_by(self, uid: str, resource: Resource) -> Sequence[Json]:
        """The objects of a resource with this controller, sorted by uid."""
        mine = self._owned.get(uid, {})
        return sorted((o for ref, o in mine.items() if ref.resource == resource), key=uid_of)

    def orphans(self, resource: Resource, namespace: str) -> Sequence[Json]:
        """The objects of a resource without a controller, sorted by reference."""
        orphans = self._orphans.get((resource, namespace), {})
        return [orphans[ref] for ref in sorted(orphans)]

    def pods_with(self, namespace: str, labels: Mapping[str, str]) -> Sequence[Json]:
        """The pods that have at least these labels, sorted by reference."""
        if not labels:
            return self.list(POD, namespace)
        pods, *more = sorted(
            (self._labelled.get((namespace, *label), {}) for label in labels.items()), key=len
        )
        return [pods[ref] for ref in sorted(pods) if all(ref in others for others in more)]

    def pods_on(self, node: str) -> Sequence[Json]:
        """The pods bound to a node, or (``""``) to none, sorted by reference."""
        pods = self._on_node.get(node, {})
        return [pods[ref] for ref in sorted(pods)]

    def event_serial(self) -> int:
        """A number for the name of an Event, another one every time."""
        self._event_serial += 1
        return self._event_serial

    def _stored(self, resource: Resource, stored: StoredChange) -> None:
        namespace, _, name = stored.key.rpartition("/")
        change = Change(Ref(resource, namespace, name), stored.old, stored.new)
        self._index(change)
        for listener in self._listeners:
            listener(change)

    def _index(self, change: Change) -> None:
        objects, ref = self._objects.setdefault(change.ref.resource, {}), change.ref
        if change.old is None or change.new is None:
            self._sorted.pop(ref.resource, None)
        for obj, keep in ((change.old, False), (change.new, True)):
            if obj is None:
                continue
            _index_in(objects, ref, obj, keep)
            owner = controller_uid_of(obj)
            if owner is not None:
                _index_in(self._owned.setdefault(owner, {}), ref, obj, keep)
            else:
                orphans = self._orphans.setdefault((ref.resource, ref.namespace), {})
                _index_in(orphans, ref, obj, keep)
            if ref.resource == POD:
                _index_in(self._on_node.setdefault(node_of(obj), {}), ref, obj, keep)
                for label in labels_of(obj).items():
                    labelled = self._labelled.setdefault((ref.namespace, *label), {})
                    _index_in(labelled, ref, obj, keep)


def has_ready_endpoints(cache: Cache, namespace: str, service: str) -> bool:
    """Whether a connection to the Service finds somebody."""
    if cache.get(Ref(SERVICE, namespace, service)) is None:
        return False
    return any(
        endpoint["conditions"]["ready"]
        for endpoints in cache.list(ENDPOINT_SLICE, namespace)
        if endpoints["metadata"]["labels"].get(SERVICE_NAME_LABEL) == service
        for endpoint in endpoints["endpoints"] or ()
    )


def _index_in(index: dict[Ref, Json], ref: Ref, obj: Json, keep: bool) -> None:
    if keep:
        index[ref] = obj
    else:
        index.pop(ref, None)


@dataclass(slots=True)
class _Told:
    """An Event that was recorded, and how often it happened since."""

    event: Json
    ref: Ref
    observed_us: Us
    written_us: Us
    count: int = 1


class ApiWorld:
    """``World`` of one component: reads from the shared cache, writes under its own name.

    ``reporter`` is the name in its Events, where that is not the name of its process; ``limit``
    that of its client, which those do not count for that ``events_apart`` are sent over another.
    """

    def __init__(
        self,
        server: ApiServer,
        cache: Cache,
        clock: VirtualClock,
        manager: str,
        reporter: str = "",
        limit: ClientLimit | None = None,
        *,
        events_apart: bool = False,
    ) -> None:
        self._limit, self._events_apart = limit, events_apart
        self._server, self._clock, self.cache = server, clock, cache
        self._manager, self._reporter = manager, reporter or manager
        self._events: dict[tuple[str, str, str], _Told] = {}
        self.get, self.list = cache.get, cache.list
        self.controlled_by, self.orphans = cache.controlled_by, cache.orphans
        self.pods_with = cache.pods_with

    def unix_us(self) -> int:
        """See ``World``."""
        return self._clock.unix_us()

    def free_at(self) -> Us | None:
        """When its client may call again, since 1970; None: now."""
        return None if self._limit is None else self._limit.free_at()

    def create(self, obj: Json) -> Json:
        """See ``World``."""
        path = resource_of(obj).path(obj["metadata"].get("namespace", ""))
        return self._call("POST", path, obj)

    def update(self, obj: Json, subresource: str = "") -> Json:
        """See ``World``."""
        return self._call("PUT", _path_of(obj, subresource), obj)

    def delete(self, ref: Ref, uid: str) -> None:
        """See ``World``."""
        self.delete_within(ref, uid, None)

    def delete_within(self, ref: Ref, uid: str, grace_s: int | None) -> None:
        """Deletes with another grace period than the object's own; 0 is what a kubelet does last.

        Raises:
            RefusedError: The server refused.
        """
        options: Json = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        if grace_s is not None:
            options["gracePeriodSeconds"] = grace_s
        self._call("DELETE", ref.resource.path(ref.namespace, ref.name), options)

    def scale(self, obj: Json, replicas: int) -> None:
        """Writes the scale subresource.

        Raises:
            RefusedError: The server refused.
        """
        scale = {
            "apiVersion": "autoscaling/v1",
            "kind": "Scale",
            "metadata": {k: obj["metadata"][k] for k in ("name", "namespace")},
            "spec": {"replicas": replicas},
        }
        self._call("PUT", _path_of(obj, "scale"), scale)

    def bind(self, pod: Json, node: str) -> None:
        """Binds a pod to a node, as a scheduler does.

        Raises:
            RefusedError: The server refused.
        """
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {k: pod["metadata"][k] for k in ("name", "namespace", "uid")},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        self._call("POST", _path_of(pod, "binding"), binding)

    def event(
        self, about: Json, type_: Literal["Normal", "Warning"], reason: str, message: str
    ) -> None:
        """See ``World``. A repeated Event becomes a series, as client-go's recorder has it.

        Source: ``tools/events/event_broadcaster.go``. The second is written, more are counted and
        written every 30 minutes; after 6 quiet minutes another Event begins. Unlike there another
        message is another Event, as with the older recorder that most controllers use.
        """
        unix_us, key = self.unix_us(), (uid_of(about), reason, message)
        told = self._events.get(key)
        if told is not None and unix_us - told.observed_us <= SERIES_ENDS_AFTER_US:
            told.count, told.observed_us = told.count + 1, unix_us
            if told.count == 2 or unix_us - told.written_us >= SERIES_WRITTEN_EVERY_US:
                told.written_us = unix_us
                series = {"count": told.count, "lastObservedTime": micro_time(unix_us)}
                # The recorder keeps what it sent, and patches: no conflict can stop it.
                latest = self.get(told.ref)
                if latest is not None:
                    version = latest["metadata"]["resourceVersion"]
                    meta = {**told.event["metadata"], "resourceVersion": version}
                    self.update({**told.event, "metadata": meta, "series": series})
            return
        # client-go takes the time in nanoseconds; here it stands still while a component acts.
        moment = self.unix_us() * 1000 + self.cache.event_serial()
        name = f"{about['metadata']['name']}.{moment:x}"
        namespace = about["metadata"].get("namespace") or "default"
        event = {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.kind,
            "metadata": {"name": name, "namespace": namespace},
            "eventTime": micro_time(unix_us),
            "reportingController": self._reporter,
            "reportingInstance": self._manager,
            "action": reason,
            "reason": reason,
            "type": type_,
            "note": message[:1024],
            "regarding": {
                "apiVersion": about["apiVersion"],
                "kind": about["kind"],
                **{k: about["metadata"].get(k, "") for k in ("namespace", "name", "uid")},
            },
        }
        stored_as = Ref(CORE_EVENT, namespace, name)
        self._events[key] = _Told(event, stored_as, unix_us, unix_us)
        self.create(event)

    def _call(self, method: str, path: str, body: Json) -> Json:
        is_event = body.get("kind") == EVENT.kind
        if self._limit is not None and not (is_event and self._events_apart):
            self._limit.take()
        query = {} if method == "DELETE" else {"fieldManager": self._manager}
        response = self._server.handle(
            Request(method, path, query=query, body=body, user=f"system:{self._manager}")
        )
        answer = response.body
        if response.status >= 400:
            status = answer if isinstance(answer, dict) else {}
            reason = _REASONS.get(status.get("reason", ""), Reason.TRANSIENT)
            raise RefusedError(reason, str(status.get("message") or answer))
        assert isinstance(answer, dict), f"{method} {path} answers with an object"  # noqa: S101
        return answer


def resource_of(obj: ReadOnlyJson) -> Resource:
    """The resource of an object; also of those that only the simulator knows."""
    return _RESOURCES[obj["apiVersion"], obj["kind"]]


def _path_of(obj: ReadOnlyJson, subresource: str) -> str:
    meta = obj["metadata"]
    return resource_of(obj).path(meta.get("namespace", ""), meta["name"], subresource)


__all__ = ["ENDPOINT_SLICE", "NODE", "ApiWorld", "Cache", "has_ready_endpoints", "resource_of"]
