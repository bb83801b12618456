"""A cluster in which one call of the operator, or one event that it is told, goes wrong.

The operator talks to the fake API server through the HTTP adapters, so what it makes of a 410 or
of a reset connection is what it makes of it in production. Only watches are read in process.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import requests

from prism_operator.adapters.connection import connect_over
from prism_operator.api.meta import (
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    SCALED_OBJECT,
    Json,
    Ref,
    Resource,
    ref_of,
    uid_of,
)
from prism_operator.planning.settings import Settings
from prism_operator.ports import EventType, Failed, Listed, Outcome, Reason, Watch, WatchEvent
from prism_operator.runtime.metrics import NoMetrics
from prism_operator.runtime.operator import Operator, Options
from prism_operator.runtime.randomness import Streams
from simulator.apiserver.client import InProcessReader, InProcessWatch
from simulator.apiserver.garbage import GarbageCollector
from simulator.apiserver.request import Request, Response
from simulator.apiserver.storage import Change
from simulator.apiserver.transport import InProcessAdapter
from tests.runtime import keda
from tests.runtime.world import Crash, World

from .checkers import Checkers
from .kinds import CALL_FAULTS, EVENT_FAULTS, CallFault

OPERATORS = ("operator", "standby")
LEASES = "/leases"
NO_TIMES = {"lastUpdateTime": None, "lastTransitionTime": None}
# How long a call hangs that is to land after somebody else has taken the lead.
HANG_S = 40.0


@dataclass(frozen=True)
class Call:
    """What is to happen to the call, or to the watch event, with this number."""

    number: int
    fault: str


class Cluster(World):
    """A world with one operator, or two of which one leads, and everything around them."""

    def __init__(self) -> None:
        super().__init__()
        self.settings = Settings()
        self.demand = 3
        self.elect = False
        self._made: Counter[Ref] = Counter()
        self._begin()

    def fork(self) -> Self:
        twin = super().fork()
        twin._made = Counter(self._made)
        twin._begin()
        return twin

    def _begin(self) -> None:
        self.running: dict[str, Operator] = {}
        self.calls: list[str] = []
        self.events: list[str] = []
        self.upsets: list[Call] = []  # those still to come, in order
        self.upset: list[str] = []  # what they hit
        self.checkers = Checkers(self)
        self._counted_from = 0
        self._user = ""
        self.is_recording = False
        self.fault = self._intercept
        self.server.registry.uids = self._uid
        self._garbage = GarbageCollector(self.server)
        self.server.on_change(self._on_change)

    # -- what the operators do

    def start(self, user: str = "operator") -> None:
        """Starts an operator; in the place of the one that ran under this name, if one did."""
        if user in self.running:
            self.running[user].close()
        reader = _Reader(self, user)
        connection = connect_over(_Transport(self, user))
        self.running[user] = Operator(
            reader=reader,
            writer=connection.writer(),
            clock=self.clock,
            settings=self.settings,
            options=Options(leader_elect=self.elect, lease_namespace="default"),
            metrics=NoMetrics(),
            streams=Streams(len(self.upset)),
            identity=user,
        )

    def advance(self, seconds: float) -> None:
        """Lets the operators run; one that crashed is started anew, or its standby takes over."""
        until_s = self.clock.elapsed_s + seconds
        while True:
            left_s = max(0.0, until_s - self.clock.elapsed_s)
            try:
                self.run(*self.running.values(), seconds=left_s)
            except Crash as crash:
                self._bury(str(crash))
            else:
                return

    def _bury(self, user: str) -> None:
        if len(self.running) > 1:
            self.running.pop(user).close()
        else:
            self.start(user)

    def act(self) -> None:
        """Lets everybody else act once: Deployments roll out, scalers scale, garbage goes."""
        for deployment in self.objects(DEPLOYMENT):
            self._roll_out(deployment)
        keda.step(self, self.demand)
        while self._garbage.step():
            pass

    def _roll_out(self, deployment: Json) -> None:
        replicas = deployment["spec"]["replicas"]
        counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
        status = {
            "observedGeneration": deployment["metadata"]["generation"],
            # The server drops what is zero.
            **dict.fromkeys(counts, replicas or None),
            "conditions": [
                {"type": kind, "status": "True", "reason": reason, **NO_TIMES}
                for kind, reason in (
                    ("Progressing", "NewReplicaSetAvailable"),
                    ("Available", "MinimumReplicasAvailable"),
                )
            ],
        }
        current = deployment.get("status") or {}
        if any(current.get(key) != value for key, value in status.items()):
            meta = deployment["metadata"]
            self.edit(
                Ref(DEPLOYMENT, meta["namespace"], meta["name"]), {"status": status}, "status"
            )

    # -- what happens to their calls

    def record(self, upsets: Sequence[Call] = ()) -> None:
        """From here on calls and events are counted, and upset as said."""
        self.is_recording = True
        self.upsets = list(upsets)

    def stop_recording(self) -> None:
        """Whatever comes now is neither counted nor upset."""
        self.is_recording = False

    def _intercept(self, request: Request, response: Response | None) -> Response | None:
        if request.user not in OPERATORS or not self.is_recording or LEASES in request.path:
            return None
        if response is None:
            self.calls.append(_named(request))
            return self._upset(request, self._due(CALL_FAULTS, len(self.calls)))
        return self._upset_after(request, response)

    def _due(self, faults: Mapping[str, CallFault], number: int) -> CallFault | None:
        if not self.upsets or self.upsets[0].fault not in faults:
            return None
        if self.upsets[0].number != number - self._counted_from:
            return None
        return faults[self.upsets[0].fault]

    def _hit(self, what: str) -> None:
        self.upsets.pop(0)
        self.upset.append(what)
        self._counted_from = len(self.calls)

    def _upset(self, request: Request, fault: CallFault | None) -> Response | None:
        if fault is None or fault.after:
            return None
        self._hit(_named(request))
        if fault.hangs:
            self.advance_others(request.user, HANG_S)
            self._user = request.user
            return None
        return fault.strike(request)

    def _upset_after(self, request: Request, response: Response) -> Response | None:
        fault = self._due(CALL_FAULTS, len(self.calls))
        if fault is None or not fault.after:
            return None
        self._hit(_named(request))
        return fault.strike(request)

    def advance_others(self, user: str, seconds: float) -> None:
        """Lets all but one operator run: that one hangs in a call."""
        others = [o for name, o in self.running.items() if name != user]
        self.run(*others, seconds=seconds)

    def event(self, watch: _Watch, events: list[WatchEvent]) -> list[WatchEvent]:
        """What a watch delivers of ``events``, after what is to happen to one of them."""
        if not self.is_recording:
            return events
        for position, event in enumerate(events):
            if event.type is EventType.BOOKMARK:
                continue
            self.events.append(f"{event.type.value} {ref_of(event.obj)}")
            upset = self.upsets[0] if self.upsets else None
            if upset and upset.fault in EVENT_FAULTS and upset.number == len(self.events):
                self._hit(self.events[-1])
                return EVENT_FAULTS[upset.fault](watch, events, position)
        return events

    def _uid(self, resource: Resource, namespace: str, name: str) -> str:
        """One that tells how often there was an object of this name, and nothing else."""
        ref = Ref(resource, namespace, name)
        self._made[ref] += 1
        return f"{ref}, number {self._made[ref]}"

    def scalers(self) -> Iterator[Json]:
        """Whatever sets a number of replicas; what KEDA makes for a ScaledObject counts as that."""
        key = (SCALED_OBJECT.group, SCALED_OBJECT.version, SCALED_OBJECT.plural)
        scaled = self.objects(SCALED_OBJECT) if self.server.catalog.get(*key) else []
        for obj in scaled:
            yield {**obj, "apiVersion": SCALED_OBJECT.api_version, "kind": SCALED_OBJECT.kind}
        uids = {uid_of(obj) for obj in scaled}
        hpa = HORIZONTAL_POD_AUTOSCALER
        for obj in self.objects(hpa):
            owners = obj["metadata"].get("ownerReferences") or ()
            if not any(owner["uid"] in uids for owner in owners):
                yield {**obj, "apiVersion": hpa.api_version, "kind": hpa.kind}

    def _on_request(self, request: Request, response: Response | None) -> Response | None:
        self._user = request.user
        return super()._on_request(request, response)

    def _on_change(self, resource: Resource, change: Change) -> None:
        self.checkers.see(resource, change, by=self._user)


def _named(request: Request) -> str:
    watches = " (watch)" if request.query.get("watch") else ""
    return f"{request.method} {request.path}{watches}"


class _Transport(InProcessAdapter):
    """The transport of one operator; what it raises is what ``requests`` raises."""

    def __init__(self, cluster: Cluster, user: str) -> None:
        super().__init__(cluster.server, user)


class _Reader:
    """Lists and gets over HTTP, watches in process."""

    def __init__(self, cluster: Cluster, user: str) -> None:
        self._cluster = cluster
        self._http = connect_over(_Transport(cluster, user)).reader()
        self._in_process = InProcessReader(cluster.server, user)

    def list(self, resource: Resource, namespace: str = "") -> Listed | Failed:
        # Over HTTP where something may happen to it: that takes ten times as long.
        reader = self._http if self._cluster.is_recording else self._in_process
        return reader.list(resource, namespace)

    def get(self, ref: Ref) -> Outcome:
        return self._http.get(ref)

    def watch(self, resource: Resource, namespace: str, resource_version: str) -> Watch:
        try:
            watch = self._in_process.watch(resource, namespace, resource_version)
        except requests.RequestException as error:
            watch = InProcessWatch(None, Failed(Reason.TRANSIENT, str(error)))
        return _Watch(self._cluster, watch)


class _Watch:
    """A watch that can be ended, held up or told to repeat itself."""

    def __init__(self, cluster: Cluster, watch: Watch) -> None:
        self.clock = cluster.clock
        self.silent_until_s = 0.0
        self._cluster = cluster
        self._watch = watch
        self.end: Failed | None = None

    def poll(self) -> Sequence[WatchEvent]:
        if self.end is not None:
            return ()
        if self.silent_until_s:
            if self.clock.elapsed_s >= self.silent_until_s:
                # The server's timeout: the client goes on from the last thing that it heard.
                self.end = Failed(Reason.TRANSIENT, "the watch ended")
            return ()
        return self._cluster.event(self, list(self._watch.poll()))

    def ended(self) -> Failed | None:
        return self.end or self._watch.ended()

    def close(self) -> None:
        self._watch.close()
