"""Control planes of proxies in virtual time: what they know, what they answer, and when.

A call that arrived is carried out whether or not its caller still lives to hear of it.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from prism_operator.api.meta import Ref
from prism_operator.planning.checks import AUTHENTICATION, LOST, REFUSED, TIMEOUT, Trouble
from prism_operator.planning.provisioning import (
    GARBAGE,
    NOT_IMPLEMENTED,
    NOT_REGISTERED,
    Answer,
    Call,
    Provision,
    Request,
    rejected,
)
from prism_operator.ports import Clock

LATENCY_S: Final = 0.01
SLOW_S: Final = 5.0  # longer than a revocation waits at times, shorter than the server's deadline


class ControlPlaneState(StrEnum):
    """What a control plane does when it is called."""

    UP = "up"
    SLOW = "slow"
    DOWN = "down"  # nobody listens
    HUNG = "hung"  # it accepts, and never answers
    NO_PROXY = "no-proxy"  # none has registered
    LOST = "lost"  # it does as it is told, and the answer is lost
    UNIMPLEMENTED = "unimplemented"
    ACKNOWLEDGING = "acknowledging"  # it says that it revoked, and that it cannot do so yet
    REFUSING = "refusing"
    UNAUTHENTICATED = "unauthenticated"
    GARBAGE = "garbage"


_TROUBLES: Final = {
    ControlPlaneState.DOWN: REFUSED,
    ControlPlaneState.NO_PROXY: NOT_REGISTERED,
    ControlPlaneState.LOST: LOST,
    ControlPlaneState.UNIMPLEMENTED: NOT_IMPLEMENTED,
    ControlPlaneState.REFUSING: rejected("as it was told to"),
    ControlPlaneState.UNAUTHENTICATED: AUTHENTICATION,
    ControlPlaneState.GARBAGE: GARBAGE,
}
_DOES_IT: Final = (ControlPlaneState.UP, ControlPlaneState.SLOW, ControlPlaneState.LOST)
NOT_YET: Final = "namespace revocation is not implemented yet"


@dataclass(slots=True)
class ControlPlaneModel:
    """The control plane of one stack."""

    state: ControlPlaneState = ControlPlaneState.UP
    namespaces: dict[str, Provision] = field(default_factory=dict)
    calls: list[Request] = field(default_factory=list)

    def carry_out(self, request: Request) -> str:
        """Does what a healthy server does, and returns what it says of it."""
        self.calls.append(request)
        if isinstance(request, Provision):
            self.namespaces[request.namespace] = request
            return ""
        self.namespaces.pop(request.namespace, None)
        return ""


@dataclass(order=True, slots=True)
class _Arrival:
    due_s: float
    number: int
    model: ControlPlaneModel = field(compare=False)
    request: Request = field(compare=False)


class SimulatedControlPlanes:
    """The control planes of all stacks: each is up until it is said to be otherwise.

    ``is_ready(namespace, service)`` tells whether somebody serves a Service.
    """

    def __init__(
        self, clock: Clock, is_ready: Callable[[str, str], bool] = lambda _namespace, _service: True
    ) -> None:
        self.clock = clock
        self._is_ready = is_ready
        self._models: dict[tuple[str, str], ControlPlaneModel] = {}
        self._arrivals: list[_Arrival] = []
        self._order = itertools.count()

    def set(self, namespace: str, stack: str, state: ControlPlaneState) -> None:
        """From now on the stack's control plane is found in this state."""
        self.of(namespace, stack).state = state

    def of(self, namespace: str, stack: str) -> ControlPlaneModel:
        """The stack's control plane, with all that has arrived there carried out."""
        while self._arrivals and self._arrivals[0].due_s <= self.clock.monotonic_s():
            arrival = heapq.heappop(self._arrivals)
            arrival.model.carry_out(arrival.request)
        return self._models.setdefault((namespace, stack), ControlPlaneModel())

    def client(self) -> SimulatedControlPlaneClient:
        """A ``ControlPlane`` for one process of the operator."""
        return SimulatedControlPlaneClient(self)

    def receive(self, call: Call) -> tuple[float, Trouble | None, str]:
        """Takes a call in; the seconds until its answer, and what that is."""
        request = call.target
        namespace, stack = request.admin.stack
        model, state = self.of(namespace, stack), self._state_of(request)
        if state is ControlPlaneState.HUNG:
            return call.timeout_s, TIMEOUT, ""
        wait_s = SLOW_S if state is ControlPlaneState.SLOW else LATENCY_S
        if state is ControlPlaneState.ACKNOWLEDGING:
            if not isinstance(request, Provision):
                return wait_s, None, NOT_YET
            state = ControlPlaneState.UP
        if state in _DOES_IT:
            due_s = self.clock.monotonic_s() + wait_s / 2
            heapq.heappush(self._arrivals, _Arrival(due_s, next(self._order), model, request))
        return wait_s, _TROUBLES.get(state), ""

    def _state_of(self, request: Request) -> ControlPlaneState:
        namespace, stack = request.admin.stack
        state = self.of(namespace, stack).state
        if state is not ControlPlaneState.UP:
            return state
        if not self._is_ready(namespace, request.admin.host.partition(".")[0]):
            return ControlPlaneState.DOWN
        if isinstance(request, Provision) and not self._is_ready(namespace, request.proxy):
            return ControlPlaneState.NO_PROXY
        return state


class SimulatedControlPlaneClient:
    """A ``ControlPlane`` that calls nobody."""

    def __init__(self, planes: SimulatedControlPlanes) -> None:
        self._planes = planes
        self._answers: list[tuple[float, int, Ref, Call, Trouble | None, str]] = []
        self._order = itertools.count()

    def notify_with(self, notify: Callable[[], None]) -> None:
        """See ``Prober``. Nobody waits in virtual time: ``next_due_s`` says when to look."""

    def begin(self, key: Ref, call: Call) -> None:
        """See ``ControlPlane``."""
        wait_s, trouble, said = self._planes.receive(call)
        due_s = self._planes.clock.monotonic_s() + wait_s
        answer = (due_s, next(self._order), key, call, trouble, said)
        heapq.heappush(self._answers, answer)

    def poll(self) -> list[tuple[Ref, Answer]]:
        """See ``ControlPlane``."""
        return list(self._due())

    def next_due_s(self) -> float | None:
        """See ``ControlPlane``."""
        return self._answers[0][0] if self._answers else None

    def _due(self) -> Iterator[tuple[Ref, Answer]]:
        clock = self._planes.clock
        while self._answers and self._answers[0][0] <= clock.monotonic_s():
            _, _, key, call, trouble, said = heapq.heappop(self._answers)
            latency_s = LATENCY_S if trouble is None else None
            yield key, Answer(call.target, clock.now(), trouble, said, latency_s)
