"""Kubelets: what becomes of a pod once it has a node.

Pulling (one image after another, not again while it is on the node), starting, running, ready;
restarts with the crash-loop backoff; graceful termination. One calendar entry per step, no process
per pod. On a machine that is down nothing goes on, and goes on when it is back.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeAlias

from prism_operator.api.meta import POD, Json, Ref, ref_of, uid_of
from simulator.cluster.api import ApiWorld
from simulator.cluster.nodes import Machine, post_ready
from simulator.cluster.pods import Pods, pod_condition
from simulator.controllers.objects import (
    condition,
    is_deleting,
    is_ready,
    is_terminal,
    node_of,
    phase,
    timestamp,
)
from simulator.controllers.world import Change
from simulator.kernel import SECOND_US, Alarm, Kernel, Phase, Us
from simulator.randomness import Span, Streams

# CrashLoopBackOff: the first restart is immediate, then 10 s, doubled up to 5 min.
BACKOFF_BASE_US = 10 * SECOND_US
BACKOFF_MAX_US = 300 * SECOND_US


Step: TypeAlias = Callable[[Json], None]


@dataclass(frozen=True, slots=True)
class PodTimings:
    """How long the steps of a pod's life take."""

    pull: Span  # of an image that is not on the node yet
    start: Span  # from the images being there to the containers running
    ready: Span  # from running to the readiness probe succeeding
    stop: Span  # from SIGTERM to the end; the grace period bounds it


@dataclass(frozen=True, slots=True)
class ImageBehaviour:
    """What is particular about the containers of some images."""

    image: str  # a shell pattern
    pulls: bool = True
    becomes_ready: bool = True
    crash_after: Span | None = None  # counted from running, every time
    ready: Span | None = None


class Kubelets:
    """All kubelets of the cluster."""

    def __init__(
        self,
        kernel: Kernel,
        world: ApiWorld,
        machines: Mapping[str, Machine],
        timings: PodTimings,
        behaviours: Sequence[ImageBehaviour],
        streams: Streams,
    ) -> None:
        self._kernel, self._world, self._pods = kernel, world, Pods(world)
        self._machines, self._timings, self._streams = machines, timings, streams
        self._behaviours = behaviours
        self._alarms: dict[str, Alarm] = {}  # by pod uid: the next step of its life
        self._ending: set[str] = set()
        self.restarts = 0

    def changed(self, change: Change) -> None:
        """Begins or ends the life of a pod."""
        if change.ref.resource != POD:
            return
        pod, uid = change.new, uid_of(change.latest)
        if pod is None:
            self._forget(uid)
        elif not node_of(pod) or node_of(pod) not in self._machines:
            return
        elif is_deleting(pod):
            if uid not in self._ending:
                self._ending.add(uid)
                self._terminate(pod)
        elif change.old is None or not node_of(change.old):
            self._after(0, pod, self._pull)

    def lose(self, name: str) -> None:
        """The machine is cut off: nothing is heard of it, nothing goes on there."""
        if self._machines[name].down_since is None:
            self._machines[name].down_since = self._kernel.now_us

    def recover(self, name: str) -> None:
        """The machine is back: its kubelet reports, and goes on with every pod."""
        machine = self._machines[name]
        if machine.down_since is None:
            return
        machine.down_since = None
        post_ready(self._world, name)
        for pod in self._pods.on(name):
            if is_deleting(pod):
                self._terminate(pod)
            else:
                self._after(0, pod, self._go_on)

    def _go_on(self, pod: Json) -> None:
        """Takes up a pod where its containers stand; only its conditions were changed meanwhile."""
        statuses = (pod.get("status") or {}).get("containerStatuses") or ()
        if phase(pod) != "Running":
            self._pull(pod)
        elif all(c["ready"] for c in statuses):
            self._become_ready(pod, self._crash_in(pod))
        elif any("waiting" in c["state"] for c in statuses):
            self._restart(pod)
        else:
            self._go_on_from_running(pod)

    # The steps of a life

    def _pull(self, pod: Json) -> None:
        machine, now = self._machines[node_of(pod)], self._kernel.now_us
        if any(not self._behaviour(image).pulls for image in _images(pod)):
            self._wait_for_image(pod)
            return
        until = now
        for image in _images(pod):
            if image not in machine.pulled_at:
                machine.pull_free_at = max(machine.pull_free_at, now) + self._draw("pull", pod)
                machine.pulled_at[image] = machine.pull_free_at
            until = max(until, machine.pulled_at[image])
        self._after(until - now + self._draw("start", pod), pod, self._run)

    def _run(self, pod: Json) -> None:
        machine, now = self._machines[node_of(pod)], timestamp(self._world.unix_us())
        address = machine.next_address()
        status = {
            **(pod.get("status") or {}),
            "phase": "Running",
            "startTime": now,
            "podIP": address,
            "podIPs": [{"ip": address}],
            "containerStatuses": self._container_statuses(pod, restarts=0, ready=False, since=now),
            "conditions": self._conditions(pod, ready=False),
        }
        self._pods.set_status(pod, status)
        self._go_on_from_running(pod)

    def _go_on_from_running(self, pod: Json) -> None:
        behaviours = [self._behaviour(image) for image in _images(pod)]
        spans = [b.ready or self._timings.ready for b in behaviours]
        ready = max(*(s.draw(self._stream(pod)) for s in spans), _initial_delay_us(pod))
        crash = self._crash_in(pod)
        if all(b.becomes_ready for b in behaviours) and (crash is None or ready < crash):
            left = None if crash is None else crash - ready
            self._after(ready, pod, lambda pod: self._become_ready(pod, left))
        elif crash is not None:
            self._after(crash, pod, self._crash)

    def _become_ready(self, pod: Json, crash_in: Us | None = None) -> None:
        if not is_ready(pod):
            self._set_ready(pod)
        if crash_in is not None:
            self._after(crash_in, pod, self._crash)

    def _crash(self, pod: Json) -> None:
        self.restarts += 1
        restarts = _restarts(pod) + 1
        status = pod["status"]
        backoff = 0 if restarts == 1 else min(BACKOFF_BASE_US << (restarts - 2), BACKOFF_MAX_US)
        statuses = [
            {
                **c,
                "ready": False,
                "started": False,
                "restartCount": restarts,
                "state": {
                    "waiting": {
                        "reason": "CrashLoopBackOff",
                        "message": f"back-off {backoff // SECOND_US}s restarting failed container",
                    }
                },
            }
            for c in status.get("containerStatuses") or ()
        ]
        self._pods.set_status(
            pod,
            {
                **status,
                "containerStatuses": statuses,
                "conditions": self._conditions(pod, ready=False),
            },
        )
        self._world.event(pod, "Warning", "BackOff", "Back-off restarting failed container")
        self._after(backoff + self._draw("start", pod), pod, self._restart)

    def _restart(self, pod: Json) -> None:
        now = timestamp(self._world.unix_us())
        statuses = self._container_statuses(pod, restarts=_restarts(pod), ready=False, since=now)
        self._pods.set_status(pod, {**pod["status"], "containerStatuses": statuses})
        self._go_on_from_running(pod)

    def _wait_for_image(self, pod: Json) -> None:
        statuses = [
            {
                "name": c["name"],
                "image": c["image"],
                "imageID": "",
                "ready": False,
                "started": False,
                "restartCount": 0,
                "state": {
                    "waiting": {
                        "reason": "ImagePullBackOff",
                        "message": f'Back-off pulling image "{c["image"]}"',
                    }
                },
            }
            for c in pod["spec"]["containers"]
        ]
        conditions = self._conditions(pod, ready=False)
        status = {**(pod.get("status") or {}), "containerStatuses": statuses}
        self._pods.set_status(pod, {**status, "conditions": conditions})
        self._world.event(pod, "Warning", "Failed", f'Failed to pull image "{_images(pod)[0]}"')

    def _terminate(self, pod: Json) -> None:
        if is_terminal(pod) or phase(pod) == "Pending":
            self._after(0, pod, self._end)
            return
        grace_s = pod["metadata"].get("deletionGracePeriodSeconds", 30)
        stop = min(self._draw("stop", pod), grace_s * SECOND_US)
        self._after(stop, pod, self._end)

    def _end(self, pod: Json) -> None:
        self._pods.remove(pod)

    # Calendar

    def _after(self, delay: Us, pod: Json, step: Step) -> None:
        ref, uid = ref_of(pod), uid_of(pod)
        earlier = self._alarms.pop(uid, None)
        if earlier is not None:
            earlier.cancel()
        when = self._kernel.now_us + delay
        self._alarms[uid] = self._kernel.at(
            when, Phase.NODE, str(ref), lambda: self._take_step(ref, uid, step)
        )

    def _take_step(self, ref: Ref, uid: str, step: Step) -> None:
        self._alarms.pop(uid, None)
        pod = self._pods.get(ref, uid)
        if pod is None or self._machines[node_of(pod)].down_since is not None:
            return
        if is_deleting(pod) and step != self._end:
            return
        step(pod)

    def _forget(self, uid: str) -> None:
        self._ending.discard(uid)
        alarm = self._alarms.pop(uid, None)
        if alarm is not None:
            alarm.cancel()

    # Status

    def _set_ready(self, pod: Json) -> None:
        status = pod["status"]
        statuses = [
            {**c, "ready": True, "started": True} for c in status.get("containerStatuses") or ()
        ]
        self._pods.set_status(
            pod,
            {
                **status,
                "containerStatuses": statuses,
                "conditions": self._conditions(pod, ready=True),
            },
        )

    def _conditions(self, pod: Json, *, ready: bool) -> list[Json]:
        now = self._world.unix_us()
        conditions = list((pod.get("status") or {}).get("conditions") or ())
        truths = {"PodReadyToStartContainers": True, "Initialized": True}
        for type_, truth in (truths | {"ContainersReady": ready, "Ready": ready}).items():
            before = condition(pod, type_)
            if before is not None and before["status"] == str(truth):
                continue
            more = (
                {}
                if truth
                else {
                    "reason": "ContainersNotReady",
                    "message": "containers with unready status: "
                    f"[{' '.join(c['name'] for c in pod['spec']['containers'])}]",
                }
            )
            conditions = [c for c in conditions if c["type"] != type_]
            conditions.append(pod_condition(type_, str(truth), now, **more))
        return conditions

    @staticmethod
    def _container_statuses(pod: Json, *, restarts: int, ready: bool, since: str) -> list[Json]:
        return [
            {
                "name": c["name"],
                "image": c["image"],
                "imageID": f"sim://{c['image']}",
                "ready": ready,
                "started": ready,
                "restartCount": restarts,
                "state": {"running": {"startedAt": since}},
            }
            for c in pod["spec"]["containers"]
        ]

    # Draws

    def _behaviour(self, image: str) -> ImageBehaviour:
        for behaviour in self._behaviours:
            if fnmatchcase(image, behaviour.image):
                return behaviour
        return ImageBehaviour(image="*")

    def _crash_in(self, pod: Json) -> Us | None:
        spans = (self._behaviour(image).crash_after for image in _images(pod))
        return min((span.draw(self._stream(pod)) for span in spans if span), default=None)

    def _draw(self, step: str, pod: Json) -> Us:
        span: Span = getattr(self._timings, step)
        return span.draw(self._stream(pod))

    def _stream(self, pod: Json) -> random.Random:
        ref = ref_of(pod)
        return self._streams.stream("pod", ref.namespace, ref.name)


def _images(pod: Json) -> list[str]:
    return [c["image"] for c in pod["spec"]["containers"]]


def _restarts(pod: Json) -> int:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return max((c.get("restartCount", 0) for c in statuses), default=0)


def _initial_delay_us(pod: Json) -> Us:
    probes = (c.get("readinessProbe") or {} for c in pod["spec"]["containers"])
    return max((p.get("initialDelaySeconds", 0) for p in probes), default=0) * SECOND_US
