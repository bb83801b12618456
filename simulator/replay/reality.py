"""A real control plane while a scenario is played on it: what is done to it, and what it does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from prism_operator.api.meta import NODE, POD, Json, Ref, Resource, ref_of, uid_of
from prism_operator.ports import Clock, EventType, Listed, Reader, Watch
from simulator.controllers.objects import condition, is_deleting, is_terminal, is_true, node_of
from simulator.importing.exporting import without_secret_data
from simulator.infrastructure import is_chosen
from simulator.inputs import BadInputError
from simulator.replay.decisions import READ
from simulator.replay.placements import WATCHED, Happened
from simulator.scenario import LoadedScenario
from simulator.scenario.timeline import Event

QUIET_S = 5.0  # longer than anything in it waits before it acts, but for retries
REST_WITHIN_S = 240.0
_PAUSE_S = 0.2
_BEATS = ("lastHeartbeatTime", "lastTransitionTime", "lastUpdateTime")


class ControlPlane(Protocol):
    """A Kubernetes control plane of our own, without nodes, with our CRDs, to be thrown away."""

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        """What kubectl prints. Raises BadInputError with what it complains about."""

    def start_operator(self) -> None:
        """Starts our operator; it is ready when this returns."""


class Reality:
    """One such control plane, watched from the beginning."""

    def __init__(
        self, plane: ControlPlane, reader: Reader, clock: Clock, wait: Callable[[float], object]
    ) -> None:
        self._plane, self._clock, self._wait = plane, clock, wait
        self._recordings = [Recording(reader, r) for r in dict.fromkeys((*READ, *WATCHED))]

    def begin(self, folder: Path, files: Iterable[str], nodes: str, first: Iterable[Event]) -> None:
        """Applies an export: nodes, then what cordons them, then everything else."""
        self._plane.kubectl("apply", f"--filename={folder / nodes}")
        self._until(self._nodes_are_ready, "every node is Ready")
        self._plane.start_operator()
        for event in first:
            self._act(event, None)
        for name in files:
            self._plane.kubectl("apply", f"--filename={folder / name}")
        self.rest()

    def happen(self, event: Event, loaded: LoadedScenario) -> None:
        """Does what an event says, and waits until all is at rest."""
        self._act(event, loaded)
        self.rest()

    def rest(self) -> None:
        """Waits until nothing more happens, or longer than anybody would."""
        quiet_since = began = self._clock.monotonic_s()
        while True:
            now = self._clock.monotonic_s()
            if self._changed():
                quiet_since = now
            if now - quiet_since >= QUIET_S and self._is_decided():
                return
            if now - began > REST_WITHIN_S:
                raise BadInputError([f"the control plane finds no rest in {REST_WITHIN_S:g} s"])
            self._wait(_PAUSE_S)

    def objects(self) -> list[Json]:
        """All that is there now, of the kinds that are compared."""
        self._changed()
        read = [r for r in self._recordings if r.resource in READ]
        return [obj for recording in read for _, obj in sorted(recording.objects.items())]

    def happened(self) -> list[Happened]:
        """All changes of what the scheduler looks at."""
        watched = [r for r in self._recordings if r.resource in WATCHED]
        return [change for recording in watched for change in recording.log]

    def _changed(self) -> bool:
        return sum(recording.drain() for recording in self._recordings) > 0

    def _of(self, resource: Resource) -> list[Json]:
        return [o for r in self._recordings if r.resource == resource for o in r.objects.values()]

    def _nodes_are_ready(self) -> bool:
        nodes = self._of(NODE)
        return bool(nodes) and all(is_true(node, "Ready") for node in nodes)

    def _is_decided(self) -> bool:
        """Whether each pod is where it can be, and nothing outlives its owner.

        The garbage collector hears of a new kind only half a minute after its CRD was installed.
        """
        objects = [obj for r in self._recordings for obj in r.objects.values()]
        there = {uid_of(obj) for obj in objects}
        kinds = {resource.kind for resource in READ}
        return all(map(_is_decided, self._of(POD))) and not any(
            owner["kind"] in kinds and owner["uid"] not in there
            for obj in objects
            for owner in obj["metadata"].get("ownerReferences") or ()
        )

    def _until(self, holds: Callable[[], bool], what: str) -> None:
        began = self._clock.monotonic_s()
        while not holds():
            self._changed()
            if self._clock.monotonic_s() - began > REST_WITHIN_S:
                raise BadInputError([f"the control plane: expected that {what}: not so yet"])
            self._wait(_PAUSE_S)

    # What the timeline says, as somebody types it

    def _act(self, event: Event, loaded: LoadedScenario | None) -> None:
        kubectl = self._plane.kubectl
        if event.apply is not None and loaded is not None:
            for name in event.apply:
                for manifest in loaded.manifests[name]:
                    kubectl(
                        "apply", "--filename=-", stdin=json.dumps(without_secret_data(manifest.obj))
                    )
        if event.patch is not None:
            kind = "json" if isinstance(event.patch.patch, list) else "merge"
            patch = f"--patch={json.dumps(event.patch.patch)}"
            kubectl("patch", *_named(event.patch.target), f"--type={kind}", patch)
        if event.delete is not None:
            cascade = f"--cascade={event.delete.cascade}"
            kubectl("delete", *_named(event.delete.target), cascade, "--wait=false")
        if event.scale is not None:
            kubectl("scale", *_named(event.scale.target), f"--replicas={event.scale.replicas}")
        if event.rollout_restart is not None:
            kubectl("rollout", "restart", *_named(event.rollout_restart))
        for choice, command in ((event.cordon, "cordon"), (event.uncordon, "uncordon")):
            if choice is not None:
                names = sorted(
                    n["metadata"]["name"] for n in self._of(NODE) if is_chosen(n, choice)
                )
                kubectl(command, *names[: choice.count])
        if event.evict is not None:
            self._evict(event.evict)

    def _evict(self, target: Ref) -> None:
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": target.name, "namespace": target.namespace},
        }
        path = target.resource.path(target.namespace, target.name, "eviction")
        self._plane.kubectl("create", "--raw", path, "--filename=-", stdin=json.dumps(body))


class Recording:
    """All changes of one resource since it was made."""

    def __init__(self, reader: Reader, resource: Resource) -> None:
        self.resource, self._reader = resource, reader
        self.objects: dict[Ref, Json] = {}
        self.log: list[Happened] = []
        listed = reader.list(resource)
        self._version = ""
        if isinstance(listed, Listed):  # else the kind is not served: there are none of it
            self._version = listed.resource_version
            for obj in listed.items:
                self._take(obj, gone=False)
        self._watch: Watch | None = self._watched() if self._version else None

    def drain(self) -> int:
        """Takes what arrived; how much of it was more than a heartbeat."""
        if self._watch is None:
            return 0
        count = 0
        for event in self._watch.poll():
            version = str(event.obj["metadata"].get("resourceVersion") or "")
            self._version = version or self._version
            if event.type is not EventType.BOOKMARK:
                count += self._take(event.obj, gone=event.type is EventType.DELETED)
        if self._watch.ended() is not None:
            self._watch.close()
            self._watch = self._watched()
        return count

    def _watched(self) -> Watch:
        return self._reader.watch(self.resource, "", self._version)

    def _take(self, obj: Json, *, gone: bool) -> bool:
        obj = {"apiVersion": self.resource.api_version, "kind": self.resource.kind, **obj}
        ref, version = ref_of(obj), int(obj["metadata"]["resourceVersion"])
        before = self.objects.pop(ref, None)
        if not gone:
            self.objects[ref] = obj
        self.log.append(Happened(version, ref, None if gone else obj))
        return gone or before is None or _content(before) != _content(obj)


def _content(obj: Json) -> object:
    """What of an object is more than the time of its last heartbeat."""
    meta = {
        k: v for k, v in obj["metadata"].items() if k not in ("resourceVersion", "managedFields")
    }
    status = dict(obj.get("status") or {})
    status["conditions"] = [
        {k: v for k, v in c.items() if k not in _BEATS} for c in status.get("conditions") or ()
    ]
    return {**obj, "metadata": meta, "status": status}


def _is_decided(pod: Json) -> bool:
    if is_terminal(pod):
        return True
    if is_deleting(pod):
        return False
    scheduled = condition(pod, "PodScheduled")
    if not node_of(pod):
        return scheduled is not None and scheduled.get("reason") == "Unschedulable"
    return is_true(pod, "Ready")


def _named(target: Ref) -> tuple[str, ...]:
    resource = target.resource
    name = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
    place = (f"--namespace={target.namespace}",) if target.namespace else ()
    return (name, target.name, *place)
