"""The pods that wait for a node: whose turn it is, and what makes another attempt worth while.

After ``pkg/scheduler/backend/queue`` of Kubernetes 1.37 with its default feature gates. Pods
that back off are taken early when no other waits (SchedulerPopFromBackoffQ). Since an attempt takes
no time here, both queues run empty at every instant, and backing off says who comes later.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from prism_operator.api.meta import Ref

_SECOND_US: Final = 1_000_000
_BACKOFF_FIRST_US, _BACKOFF_MOST_US = _SECOND_US, 10 * _SECOND_US
_GIVE_ANOTHER_TRY_US: Final = 300 * _SECOND_US
_LOOK_EVERY_US: Final = 30 * _SECOND_US


@dataclass(slots=True)
class Waiting:
    """A waiting pod: since when it is queued, and what kept it from every node so far."""

    ref: Ref
    uid: str
    priority: int
    serial: int
    queued_us: int
    failures: int = 0
    rejecters: frozenset[str] = frozenset()

    @property
    def backs_off_until_us(self) -> int:
        """1 s after the first failure, twice as long each time, 10 s at most."""
        if not self.failures:
            return 0
        doubled = _BACKOFF_FIRST_US << min(self.failures - 1, 10)
        until = self.queued_us + min(doubled, _BACKOFF_MOST_US)
        return until - until % _SECOND_US


class SchedulingQueue:
    """Active pods, pods that back off, and pods that nothing has become better for."""

    def __init__(self) -> None:
        self._active: dict[str, Waiting] = {}
        self._backing_off: dict[str, Waiting] = {}
        self._unschedulable: dict[str, Waiting] = {}
        self._serial = 0

    def add(self, ref: Ref, uid: str, priority: int, now_us: int) -> None:
        """A pod without a node is there."""
        self.remove(uid)
        self._serial += 1
        self._active[uid] = Waiting(ref, uid, priority, self._serial, now_us)

    def remove(self, uid: str) -> None:
        """A pod is gone, or has a node."""
        for pods in (self._active, self._backing_off, self._unschedulable):
            pods.pop(uid, None)

    def find(self, uid: str) -> Waiting | None:
        """A pod of the queue."""
        queues = (self._active, self._backing_off, self._unschedulable)
        return next((pods[uid] for pods in queues if uid in pods), None)

    @property
    def is_ready(self) -> bool:
        """Whether any pod is to be tried now."""
        return bool(self._active or self._backing_off)

    @property
    def has_unschedulable(self) -> bool:
        """Whether any pod waits for the cluster to change."""
        return bool(self._unschedulable)

    def pop(self, now_us: int) -> Waiting | None:
        """The next to be tried: the most important, then who has been queued longest."""
        for uid, pod in list(self._backing_off.items()):
            if pod.backs_off_until_us < now_us - now_us % _SECOND_US:
                self._active[uid] = self._backing_off.pop(uid)
        if self._active:
            pod = min(self._active.values(), key=lambda p: (-p.priority, p.queued_us, p.serial))
            return self._active.pop(pod.uid)
        if self._backing_off:
            pod = min(
                self._backing_off.values(),
                key=lambda p: (p.backs_off_until_us, -p.priority, p.queued_us, p.serial),
            )
            return self._backing_off.pop(pod.uid)
        return None

    def failed(self, pod: Waiting, rejecters: frozenset[str], now_us: int) -> None:
        """No node took a pod; it waits for a change that one of its rejecters cares for."""
        self._serial += 1
        self._unschedulable[pod.uid] = Waiting(
            pod.ref, pod.uid, pod.priority, self._serial, now_us, pod.failures + 1, rejecters
        )

    def move(self, may_help: Callable[[Waiting], bool]) -> None:
        """Something changed: who may profit is tried again."""
        for uid, pod in list(self._unschedulable.items()):
            if may_help(pod):
                self._backing_off[uid] = self._unschedulable.pop(uid)

    def flush(self, now_us: int) -> int | None:
        """Tries again who has waited five minutes; when the next will have, if any waits."""
        look = now_us - now_us % _LOOK_EVERY_US
        self.move(lambda pod: look - pod.queued_us > _GIVE_ANOTHER_TRY_US)
        oldest = min((pod.queued_us for pod in self._unschedulable.values()), default=None)
        if oldest is None:
            return None
        due = oldest + _GIVE_ANOTHER_TRY_US
        return due - due % _LOOK_EVERY_US + _LOOK_EVERY_US
