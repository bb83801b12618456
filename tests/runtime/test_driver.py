"""The operator with threads, on the machine's own clock."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from prism_operator.adapters.clock import SystemClock
from prism_operator.api.meta import (
    DEPLOYMENT,
    LEASE,
    PRISM_PATTERN,
    PRISM_STACK,
    Json,
    Ref,
)
from prism_operator.planning.plan import Emit
from prism_operator.planning.settings import Settings
from prism_operator.runtime.driver import STOP_TIMEOUT_S, Driver
from prism_operator.runtime.metrics import NoMetrics
from prism_operator.runtime.operator import Operator, Options
from prism_operator.runtime.randomness import Streams
from simulator.apiserver.request import Request, Response

from .world import ADMIN, World

LEASE_REF = Ref(LEASE, "default", "prism-operator-leader")


class Threaded:
    """A world that threads may talk to, and an operator with threads in it."""

    def __init__(self, *, leader_elect: bool = True, workers: int = 4) -> None:
        self.world = World()
        self._lock = threading.RLock()
        handle = self.world.server.handle

        def locked(request: Request) -> Response:
            self.before(request)
            with self._lock:
                return handle(request)

        self.before: Callable[[Request], None] = lambda _request: None
        self.world.server.handle = locked  # type: ignore[method-assign]
        wake = threading.Event()
        self.world.server.on_change(lambda *_: wake.set())
        clock = SystemClock()
        self.operator = Operator(
            reader=self.world.reader(),
            writer=self.world.writer(),
            clock=clock,
            settings=Settings(),
            options=Options(leader_elect=leader_elect, lease_namespace="default"),
            metrics=NoMetrics(),
            streams=Streams(1),
            identity="operator",
        )
        self.driver = Driver(self.operator, clock=clock, workers=workers, wake=wake)

    def start(self) -> Threaded:
        self.driver.start()
        eventually(lambda: self.operator.verdict().ready)
        return self


@pytest.fixture
def threaded() -> Iterator[Threaded]:
    one = Threaded()
    yield one
    one.before = lambda _request: None
    one.driver.stop()


def eventually(is_true: Callable[[], object], within_s: float = 10.0) -> float:
    began = time.monotonic()
    while not is_true():
        assert time.monotonic() - began < within_s, "it never came true"
        time.sleep(0.002)
    return time.monotonic() - began


def a_pattern(name: str) -> Json:
    return {
        "apiVersion": PRISM_PATTERN.api_version,
        "kind": PRISM_PATTERN.kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"pattern": "consumer", "backend": "nats"},
    }


def names(objects: Sequence[Json]) -> list[str]:
    return [o["metadata"]["name"] for o in objects]


def test_patterns_are_brought_about_and_repaired(threaded: Threaded) -> None:
    world = threaded.start().world
    wanted = [f"p{n}" for n in range(20)]
    for name in wanted:
        world.create(a_pattern(name))
    eventually(lambda: set(wanted) <= set(names(world.objects(DEPLOYMENT))))

    world.delete(Ref(DEPLOYMENT, "default", "p7"))
    assert eventually(lambda: "p7" in names(world.objects(DEPLOYMENT))) < 2


def test_no_object_is_written_by_two_workers_at_a_time(threaded: Threaded) -> None:
    at_work: set[str] = set()
    clashes: list[str] = []

    def watch_over(request: Request) -> None:
        if request.user == ADMIN or not request.path.endswith("/status"):
            return
        if request.path in at_work:
            clashes.append(request.path)
        at_work.add(request.path)
        time.sleep(0.002)
        at_work.discard(request.path)

    threaded.before = watch_over
    world = threaded.start().world
    world.create(a_pattern("busy"))
    for n in range(30):
        patch = {"spec": {"replicas": n % 3 + 1}}
        world.edit(Ref(PRISM_PATTERN, "default", "busy"), patch)
        time.sleep(0.003)

    eventually(lambda: world.get(Ref(DEPLOYMENT, "default", "busy")))
    assert clashes == []


def test_an_idle_operator_stops_at_once_and_releases_its_lease(threaded: Threaded) -> None:
    threaded.start()
    eventually(lambda: threaded.world.get(LEASE_REF))
    began = time.monotonic()

    assert threaded.driver.stop()
    assert time.monotonic() - began < STOP_TIMEOUT_S
    lease = threaded.world.get(LEASE_REF)
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == ""


def test_a_call_that_hangs_does_not_hold_up_the_stop_and_keeps_the_lease(
    threaded: Threaded,
) -> None:
    released = threading.Event()
    hanging = threading.Event()

    def hang(request: Request) -> None:
        if request.method == "POST" and request.path.endswith("/deployments"):
            hanging.set()
            released.wait(10)

    threaded.before = hang
    threaded.start().world.create(a_pattern("slow"))
    assert hanging.wait(5)
    began = time.monotonic()

    try:
        assert not threaded.driver.stop(0.5)
        assert time.monotonic() - began < STOP_TIMEOUT_S
        lease = threaded.world.get(LEASE_REF)
        assert lease is not None
        assert lease["spec"]["holderIdentity"] == "operator"
    finally:
        released.set()


def test_a_pass_of_many_slow_calls_is_cut_off_and_the_lease_released(threaded: Threaded) -> None:
    began_writing = threading.Event()

    def slowly(request: Request) -> None:
        if request.method in ("POST", "PATCH", "DELETE"):
            began_writing.set()
            time.sleep(0.2)

    threaded.before = slowly
    stack = {
        "apiVersion": PRISM_STACK.api_version,
        "kind": PRISM_STACK.kind,
        "metadata": {"name": "shop", "namespace": "default"},
        "spec": {
            "admin": {},
            "patterns": [{"name": f"p{n}", "type": "c", "backend": "b"} for n in range(20)],
        },
    }
    threaded.start().world.create(stack)
    assert began_writing.wait(5)
    began = time.monotonic()

    assert threaded.driver.stop()
    assert time.monotonic() - began < STOP_TIMEOUT_S
    lease = threaded.world.get(LEASE_REF)
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == ""
    written = len(threaded.world.writes)
    assert written < 20, "the pass went on"
    time.sleep(0.5)
    assert len(threaded.world.writes) == written


def test_a_thousand_waiting_events_do_not_keep_the_lease(threaded: Threaded) -> None:
    def slowly(request: Request) -> None:
        if request.path.endswith("/events"):
            time.sleep(0.05)

    threaded.before = slowly
    threaded.start()
    for n in range(500):
        emit = Emit("Normal", "Tried", "Try", "told")
        threaded.operator.recorder.record(
            {**a_pattern(f"p{n}")}
            | {"metadata": {"name": f"p{n}", "namespace": "default", "uid": str(n)}},
            emit,
        )
    began = time.monotonic()

    assert threaded.driver.stop()
    assert time.monotonic() - began < STOP_TIMEOUT_S
    lease = threaded.world.get(LEASE_REF)
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == ""


def test_a_bug_in_a_thread_ends_the_operator_instead_of_half_of_it(threaded: Threaded) -> None:
    def broken() -> bool:
        raise ZeroDivisionError

    threaded.operator.recorder.flush = broken  # type: ignore[method-assign]
    threaded.driver.start()
    waiting = threading.Thread(target=threaded.driver.wait, daemon=True)
    waiting.start()
    waiting.join(5)

    assert not waiting.is_alive()
    assert threaded.driver.crashed


def test_an_edit_reaches_the_cluster_in_milliseconds() -> None:
    one = Threaded(leader_elect=False).start()
    try:
        took = []
        for n in range(10):
            began = time.monotonic()
            one.world.create(a_pattern(f"p{n}"))
            eventually(lambda n=n: one.world.get(Ref(DEPLOYMENT, "default", f"p{n}")))
            took.append(time.monotonic() - began)
        # Nothing on the way waits for a clock: only a polling loop could make the fastest slow.
        assert min(took) < 0.5
    finally:
        one.driver.stop()


def test_idleness_costs_no_calls_but_the_leases(threaded: Threaded) -> None:
    threaded.start()
    time.sleep(0.2)
    calls: list[str] = []
    threaded.before = lambda request: calls.append(request.path)
    time.sleep(1)

    assert [path for path in calls if "/leases/" not in path] == []


def test_a_burst_of_signals_stops_it_once_and_hangs_nothing() -> None:
    one = Threaded(leader_elect=False).start()
    before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        for number in before:
            signal.signal(number, lambda *_: one.driver.request_stop())
        for _ in range(50):
            for number in before:
                # Each is handled wherever the main thread is, in the midst of the one before too.
                os.kill(os.getpid(), number)
        one.driver.wait()
        assert one.driver.stop()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
