"""Emptying nodes as ``kubectl drain`` does: cordon, evict, try again every 5 seconds, wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from prism_operator.api.meta import NODE, Json, Ref, ref_of
from simulator.cluster.api import ApiWorld
from simulator.cluster.eviction import evict
from simulator.controllers.objects import is_deleting, is_terminal
from simulator.controllers.world import RefusedError
from simulator.kernel import SECOND_US, Alarm, Kernel, Phase, Us

RETRY_US = 5 * SECOND_US  # pkg/drain: evictions that are refused are tried again after 5 s
WAIT_US = SECOND_US  # and its waitForDelete looks every second


def cordon(world: ApiWorld, name: str, *, unschedulable: bool = True) -> bool:
    """Marks a node unschedulable, or schedulable again; False when there is no such node."""
    node = world.get(Ref(NODE, "", name))
    if node is None:
        return False
    if bool(node["spec"].get("unschedulable")) != unschedulable:
        spec = {k: v for k, v in node["spec"].items() if k != "unschedulable"}
        if unschedulable:
            spec["unschedulable"] = True
        world.update({**node, "spec": spec})
    return True


@dataclass(slots=True)
class _Drain:
    ends_at: Us | None
    then: Callable[[bool], None]
    next_try: Us = 0
    alarm: Alarm | None = None


class Drains:
    """The nodes that are being emptied."""

    def __init__(
        self,
        kernel: Kernel,
        world: ApiWorld,
        on_evicted: Callable[[Ref], None],
        tell: Callable[[str, str], None],
    ) -> None:
        self._kernel, self._world = kernel, world
        self._on_evicted, self._tell = on_evicted, tell
        self._drains: dict[str, _Drain] = {}

    def start(
        self, name: str, *, within_us: Us | None, then: Callable[[bool], None] = lambda _: None
    ) -> None:
        """Cordons a node and evicts its pods; ``then`` hears whether it is empty in time."""
        if not cordon(self._world, name):
            then(True)
            return
        now = self._kernel.now_us
        ends_at = None if within_us is None else now + within_us
        self._forget(name)
        self._drains[name] = _Drain(ends_at, then)
        self._step(name)

    def ends_at(self, name: str) -> tuple[Us | None] | None:
        """By when a node that is being emptied has to be, if there is such a time."""
        drain = self._drains.get(name)
        return None if drain is None else (drain.ends_at,)

    def stop(self, name: str) -> None:
        """Gives up on a node, which stays cordoned."""
        self._forget(name)

    def _forget(self, name: str) -> None:
        drain = self._drains.pop(name, None)
        if drain is not None and drain.alarm is not None:
            drain.alarm.cancel()

    def _step(self, name: str) -> None:
        drain, now = self._drains[name], self._kernel.now_us
        pods = [pod for pod in self._world.cache.pods_on(name) if not is_terminal(pod)]
        if not pods:
            self._finish(name, empty=True)
            return
        if drain.ends_at is not None and now >= drain.ends_at:
            self._finish(name, empty=False)
            return
        if now >= drain.next_try:
            drain.next_try = now + RETRY_US
            for pod in pods:
                if not is_deleting(pod):
                    self._evict(name, pod)
        due = now + WAIT_US if drain.ends_at is None else min(now + WAIT_US, drain.ends_at)
        drain.alarm = self._kernel.at(
            due, Phase.SCENARIO, f"drain {name}", lambda: self._step(name)
        )

    def _evict(self, name: str, pod: Json) -> None:
        try:
            refusal = evict(self._world, pod)
        except RefusedError as refused:
            refusal = str(refused)
        if refusal is None:
            self._on_evicted(ref_of(pod))
        else:
            self._tell("eviction refused", f"{ref_of(pod)} on {name}: {refusal}")

    def _finish(self, name: str, *, empty: bool) -> None:
        drain = self._drains.pop(name)
        self._tell("drained" if empty else "drain timed out", f"Node {name}")
        drain.then(empty)
