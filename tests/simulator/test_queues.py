"""Queues other than Kafka: what becomes of messages when the pod that holds them dies."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.autoscaling.keda.kafka import BrokerError
from simulator.kernel import SECOND_US
from simulator.series import Recorder
from simulator.workloads.ports import Member
from simulator.workloads.queues import RETURNS_AFTER_US, Queue
from simulator.workloads.rates import Arrivals, Rate


def us(seconds: float) -> int:
    return round(seconds * SECOND_US)


def a_queue(kind: str, produce: float = 0.0, *, rate: float = 10.0, holds: int = 1) -> Queue:
    return Queue(
        "jobs",
        Recorder(),
        RETURNS_AFTER_US[kind],
        Arrivals(Rate.constant(produce), [1.0]),
        per_pod_per_s=lambda _: rate,
        holds=holds,
    )


def join(queue: Queue, at_s: float, *uids: str) -> None:
    for uid in uids:
        queue.joined(Member(uid, uid, "default", "node", 1.0, None), us(at_s))


def after(queue: Queue, at_s: float) -> tuple[int, int]:
    """Messages that are not done, and those that the scaler counts."""
    queue.advance(us(at_s))
    return queue.lag, queue.depth(held=True)


def test_pods_share_a_queue_and_nothing_is_done_before_it_comes() -> None:
    queue = a_queue("rabbitmq", 15.0)
    join(queue, 0, "a")
    assert after(queue, 100)[0] == 500

    join(queue, 100, "b")
    assert after(queue, 200)[0] == 0
    assert after(queue, 1000)[0] == 0


@pytest.mark.parametrize("kind", ["rabbitmq", "postgresql"])
def test_what_a_dead_pod_held_is_there_again_at_once(kind: str) -> None:
    queue = a_queue(kind, rate=10.0, holds=50)
    queue.add(100, 0)
    join(queue, 0, "a")
    queue.left("a", us(1), abrupt=True)
    join(queue, 1, "b")

    assert queue.redelivered == 50
    assert after(queue, 10) == (0, 0)


@pytest.mark.parametrize("kind", ["nats-jetstream", "aws-sqs-queue"])
def test_what_a_dead_pod_held_comes_back_after_its_timeout(kind: str) -> None:
    queue = a_queue(kind, rate=100.0, holds=50)
    queue.add(100, 0)
    join(queue, 0, "a")
    queue.left("a", us(0.1), abrupt=True)
    join(queue, 0.1, "b")

    assert after(queue, 30) == (50, 50)  # counted among those in flight, and nobody can have it
    assert queue.depth(held=False) == 0
    assert after(queue, 31) == (0, 0)


def test_what_a_dead_pod_had_popped_from_redis_is_lost() -> None:
    queue = a_queue("redis", rate=10.0, holds=5)
    queue.add(100, 0)
    join(queue, 0, "a")
    assert after(queue, 1) == (90, 90)
    assert queue.depth(held=False) == 85

    queue.left("a", us(1), abrupt=True)
    join(queue, 1, "b")
    assert after(queue, 60) == (0, 0)
    assert queue.lost == 5


def test_a_pod_that_is_told_to_stop_takes_nothing_with_it() -> None:
    queue = a_queue("redis", rate=10.0, holds=5)
    queue.add(100, 0)
    join(queue, 0, "a")
    queue.leaving("a", us(1))
    queue.left("a", us(3), abrupt=True)

    assert queue.lost == 0


def test_a_queue_runs_empty_however_long_and_fast_it_goes() -> None:
    """After a day a microsecond is short of digits: what remains takes less than the next one."""
    for rate in np.linspace(0.7e6, 1.3e6, 12):
        queue = a_queue("rabbitmq", rate=rate)
        join(queue, 86_000, "a")
        queue.add(654_321, us(86_300.5))
        assert after(queue, 86_400) == (0, 0)


def test_a_server_that_is_down_answers_nobody_and_producers_catch_up_after() -> None:
    queue = a_queue("rabbitmq", 5.0)
    join(queue, 0, "a")
    queue.set_broker(False, us(10))
    queue.advance(us(20))
    with pytest.raises(BrokerError):
        queue.depth(held=True)
    assert queue.lag == 0

    queue.set_broker(True, us(20))
    assert queue.lag == 50
    assert after(queue, 40) == (0, 0)


history = st.lists(
    st.tuples(
        st.floats(0.1, 60),
        st.sampled_from(["join", "leave", "die", "add"]),
        st.integers(0, 4),
    ),
    max_size=20,
)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(RETURNS_AFTER_US)), history)
def test_messages_are_conserved_whatever_happens(
    kind: str, events: list[tuple[float, str, int]]
) -> None:
    queue, at, there, added = a_queue(kind, 7.0, rate=9.0, holds=3), 0.0, set[str](), 0
    for wait, what, who in events:
        at = round(at + wait, 3)
        uid = f"pod-{who}"
        if what == "join" and uid not in there:
            there.add(uid)
            join(queue, at, uid)
        elif what == "leave" and uid in there:
            there.remove(uid)
            queue.leaving(uid, us(at))
        elif what == "die" and uid in there:
            there.remove(uid)
            queue.left(uid, us(at), abrupt=True)
        elif what == "add":
            queue.add(who, us(at))
            added += who
        assert 0 <= queue.depth(held=False) <= queue.depth(held=True)
    join(queue, at, "last")
    queue.produce(Rate.constant(0), us(at))
    queue.advance(us(at + 100_000))

    come = 7 * at + added
    assert queue.lag == 0
    assert queue._done + queue.lost == pytest.approx(come, rel=1e-9, abs=1e-5)
    assert (queue.lost == 0) or kind == "redis"


def test_delays_are_those_of_first_come_first_served() -> None:
    recorder = Recorder()
    rate = Rate.constant(60).then(us(100), Rate.constant(0))
    queue = Queue(
        "jobs",
        recorder,
        RETURNS_AFTER_US["rabbitmq"],
        Arrivals(rate, [1.0]),
        per_pod_per_s=lambda _: 50.0,
    )
    join(queue, 0, "a")
    queue.finish(us(200))

    delays = recorder.distribution("jobs.delay")
    values = [delays.quantile(share, 0, us(200))[0] for share in (0.25, 0.5, 1.0)]
    assert values == pytest.approx(np.array([5, 10, 20]), abs=1e-3)
