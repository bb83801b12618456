"""Deletion of namespaces never wedges and never forgets, whatever fails and whoever dies, and when.

A story is told to an operator: a tenant comes, changes, and goes. In each run the control plane is
in one state from the deletion on, and recovers; the operator is killed before or after one of the
things that it does – requests to the API server, calls, answers heard – and another takes over.
With ``PRISM_DEEP=1`` every death is tried, else some that ``PRISM_SEED`` draws.
"""

from __future__ import annotations

import functools
import os
import random
from dataclasses import dataclass

import pytest

from prism_operator.api.meta import Ref
from prism_operator.planning.provisioning import Answer, Call
from prism_operator.planning.settings import Settings
from prism_operator.runtime.operator import Operator
from simulator.apiserver.request import Request, Response
from simulator.control_planes import ControlPlaneState, SimulatedControlPlaneClient

from .tenants import PROXY, STACK, TENANT, Tenants
from .world import Crash

# As long as the plane is so, the namespace stays on it: the object may not go.
WAITED_FOR = (
    ControlPlaneState.DOWN,
    ControlPlaneState.HUNG,
    ControlPlaneState.NO_PROXY,
    ControlPlaneState.REFUSING,
    ControlPlaneState.UNAUTHENTICATED,
    ControlPlaneState.GARBAGE,
)
# It does as it is told sooner or later, whoever hears of it.
DONE_AT_LAST = (ControlPlaneState.UP, ControlPlaneState.SLOW, ControlPlaneState.LOST)
# It will never do it, and says so.
NEVER = (ControlPlaneState.UNIMPLEMENTED, ControlPlaneState.ACKNOWLEDGING)
DRAWN = 2


@dataclass(frozen=True)
class Death:
    """The operator is killed at the n-th thing it does, before or after that."""

    number: int
    after: bool


class Story(Tenants):
    """A world whose operator dies once, and is followed by another."""

    def __init__(self, death: Death | None = None) -> None:
        super().__init__()
        self.death = death
        self.done = 0
        self.generation = 0
        self.fault = self._at_request
        self.running: Operator | None = None

    def happens(self, *, after: bool) -> None:
        """Kills whoever does this, if that is what is to happen."""
        self.done += not after
        if self.death == Death(self.done, after):
            self.death = None
            raise Crash

    def _at_request(self, request: Request, response: Response | None) -> Response | None:
        if "prismnamespaces" in request.path and request.method != "GET":
            self.happens(after=response is not None)
        return None

    def begin(self) -> None:
        self.generation += 1
        client = MortalClient(self, self.planes.client())
        settings = Settings(provision_namespaces=True)
        self.running = self.operator(settings=settings, control_plane=client)

    def advance(self, seconds: float) -> None:
        """Lets time pass; a killed operator is followed by another after a second."""
        until_s = self.clock.elapsed_s + seconds
        while self.clock.elapsed_s < until_s:
            if self.running is None:
                self.clock.advance(1.0)
                self.begin()
            try:
                assert self.running is not None
                self.run(self.running, seconds=max(0.0, until_s - self.clock.elapsed_s))
            except Crash:
                self.running.close()
                self.running = None

    def is_there(self) -> bool:
        return self.get(TENANT) is not None


class MortalClient:
    """A control plane's client in whose calls its process may be killed."""

    def __init__(self, story: Story, client: SimulatedControlPlaneClient) -> None:
        self._story, self._client = story, client
        self.notify_with, self.next_due_s = client.notify_with, client.next_due_s

    def begin(self, key: Ref, call: Call) -> None:
        self._story.happens(after=False)
        self._client.begin(key, call)
        self._story.happens(after=True)

    def poll(self) -> list[tuple[Ref, Answer]]:
        answers = self._client.poll()
        if answers:
            self._story.happens(after=False)
        return answers


def tell(story: Story, state: ControlPlaneState) -> None:
    """A tenant comes, changes, and is deleted while the control plane is in ``state``."""
    story.begin()
    story.advance(15)
    story.add()
    story.advance(2)
    story.edit(TENANT, {"spec": {"quotas": {"maxKeys": 7}}})
    story.find(state)
    story.advance(0.005)
    story.delete(TENANT)
    story.advance(40)


@functools.cache
def things_done(state: ControlPlaneState) -> int:
    """How many things the operator does in the story that nobody disturbs."""
    undisturbed = Story()
    tell(undisturbed, state)
    return undisturbed.done


def deaths(state: ControlPlaneState) -> list[Death | None]:
    """No death, and one at each thing that is done; a few of them, unless there is time."""
    numbers = range(1, things_done(state) + 1)
    every = [Death(number, after) for number in numbers for after in (False, True)]
    if not os.environ.get("PRISM_DEEP"):
        rng = random.Random(f"{os.environ.get('PRISM_SEED', '1')}/{state}")
        every = rng.sample(every, DRAWN)
    return [None, *every]


@pytest.mark.parametrize("state", [*WAITED_FOR, *DONE_AT_LAST], ids=str)
def test_an_object_outlives_its_namespace_wherever_the_operator_dies(
    state: ControlPlaneState,
) -> None:
    for death in deaths(state):
        story = Story(death)
        tell(story, state)
        if state in WAITED_FOR:
            assert story.is_there() or not story.on_proxy(), f"forgotten: {death}"

        story.find(ControlPlaneState.UP)
        story.advance(75)

        assert not story.is_there(), f"wedged: {death}: {story.status()}"
        assert not story.on_proxy(), f"forgotten: {death}"
        story.advance(600)
        assert not story.on_proxy(), f"came back: {death}"


@pytest.mark.parametrize("state", NEVER, ids=str)
def test_what_can_never_be_revoked_wedges_nothing_and_is_told(state: ControlPlaneState) -> None:
    for death in deaths(state):
        story = Story(death)
        tell(story, state)
        story.advance(30)

        assert not story.is_there(), f"wedged: {death}: {story.status()}"


@pytest.mark.parametrize("state", [ControlPlaneState.HUNG, ControlPlaneState.DOWN, *DONE_AT_LAST])
def test_a_proxy_that_is_gone_for_good_holds_up_nothing(state: ControlPlaneState) -> None:
    for death in deaths(state):
        story = Story(death)
        tell(story, state)
        for ref in (STACK, PROXY):
            if story.get(ref) is not None:
                story.delete(ref)
        story.advance(30)

        assert not story.is_there(), f"wedged: {death}: {story.status()}"
