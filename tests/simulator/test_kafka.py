"""The model of a Kafka topic and its group: what it promises, and that its numbers are right."""

import random
from collections.abc import Sequence

import numpy as np
import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.autoscaling.keda.kafka import BrokerError
from simulator.checkers.offsets import EveryOffsetOnce
from simulator.kernel import SECOND_US
from simulator.series import Recorder
from simulator.workloads.groups import GroupTimings, Protocols, in_ranges, sticky
from simulator.workloads.kafka import Done, KafkaTopic, TopicSettings
from simulator.workloads.ports import Member
from simulator.workloads.rates import Arrivals, Rate, zipf

PROTOCOLS: Sequence[Protocols] = ("eager", "cooperative", "kip848")


class Topic:
    """A topic in a test's hands; times are seconds."""

    def __init__(
        self,
        partitions: int = 4,
        produce: float | Rate = 0.0,
        *,
        rate: float = 10.0,
        protocol: Protocols = "cooperative",
        shares: Sequence[float] | None = None,
        noise: int | None = None,
        commit_s: float = 5.0,
        retention_s: float = 1e6,
        session_s: float = 45.0,
    ) -> None:
        self.recorder = Recorder()
        shares = shares or [1 / partitions] * partitions
        course = produce if isinstance(produce, Rate) else Rate.constant(produce)
        self.topic = KafkaTopic(
            "orders",
            self.recorder,
            TopicSettings(
                "orders",
                shares,
                protocol,
                GroupTimings(session_timeout_us=round(session_s * SECOND_US)),
                commit_us=round(commit_s * SECOND_US),
                retention_us=round(retention_s * SECOND_US),
            ),
            Arrivals(course, shares, noise),
            per_pod_per_s=lambda _: rate,
        )
        self.checker = EveryOffsetOnce(self.topic)

    def join(self, at_s: float, *uids: str) -> None:
        for uid in uids:
            self.topic.joined(Member(uid, uid, "default", "node", 1.0, None), us(at_s))

    def die(self, at_s: float, uid: str) -> None:
        self.topic.left(uid, us(at_s), abrupt=True)

    def leave(self, at_s: float, uid: str) -> None:
        self.topic.leaving(uid, us(at_s))

    def done(self, at_s: float) -> float:
        self.topic.advance(us(at_s))
        return float(self.topic._first_done.sum())

    def lag(self, at_s: float) -> int:
        self.topic.advance(us(at_s))
        return self.topic.lag

    def owners(self, at_s: float) -> list[str]:
        self.topic.advance(us(at_s))
        return [(owner or "-").partition("/")[0] for owner in self.topic.group.owners]

    def delay(self, share: float, from_s: float, to_s: float) -> tuple[float, bool]:
        delays = self.recorder.distribution("orders.delay")
        return delays.quantile(share, us(from_s), us(to_s))


def us(seconds: float) -> int:
    return round(seconds * SECOND_US)


# Numbers


def fluid(
    points: Sequence[tuple[float, float]], rate: float, begins_s: float, at_s: float
) -> float:
    """What a server of a constant rate has done of a flow, in closed form (Reich 1958).

    ``points`` are (time, come by then), linear between. Done by t is the least over s of what had
    come by s and could be done from s to t.
    """
    known = [(t, a) for t, a in points if begins_s <= t <= at_s]
    for t in (begins_s, at_s):
        known.append((t, float(np.interp(t, *zip(*points, strict=True)))))
    best = min(a + rate * (at_s - t) for t, a in known)
    # It begins with what has come before: until it is empty for the first time it does all it can.
    return min(best, rate * (at_s - begins_s))


steps = st.lists(st.tuples(st.integers(5, 300), st.integers(0, 60)), min_size=1, max_size=8)


@settings(deadline=None, max_examples=60)
@given(steps, st.integers(1, 50), st.sampled_from([1, 3, 8]), st.sampled_from([0.0, 1.1]))
def test_what_is_done_is_what_a_fluid_would_do(
    course: list[tuple[int, int]], rate: int, partitions: int, skew: float
) -> None:
    """One consumer of several partitions wastes no time while any of them has messages."""
    at, total, knots, points = 0, 0.0, [], [(0.0, 0.0)]
    for length, value in course:
        knots.append((us(at), float(value)))
        at, total = at + length, total + length * value
        knots.append((us(at), float(value)))
        points.append((float(at), total))
    points.append((at + 1000.0, total + 1000.0 * course[-1][1]))
    topic = Topic(partitions, Rate.through(knots), rate=rate, shares=zipf(partitions, skew))
    topic.join(0, "a")  # it works from 3 s on, when the group's first delay is over

    for at_s in sorted((3.0, 7.5, 100.0, float(at), at + 400.0)):
        assert topic.done(at_s) == pytest.approx(fluid(points, rate, 3.0, at_s), rel=1e-9, abs=1e-5)


def by_the_event(seed: int, rate: float, per_s: float, burst: tuple[float, float, float]) -> float:
    """Messages one by one: Poisson arrivals, a constant time for each; the backlog at the end."""
    env, draw = simpy.Environment(), random.Random(seed)
    queue = simpy.Store(env)
    begin, end, times = burst

    def produce() -> object:
        while True:
            now = rate * times if begin <= env.now < end else rate
            yield env.timeout(draw.expovariate(now))
            queue.put(1)

    def consume() -> object:
        yield env.timeout(3)
        while True:
            yield queue.get()
            yield env.timeout(1 / per_s)

    env.process(produce())
    env.process(consume())
    env.run(end)
    return len(queue.items)


def test_the_backlog_after_a_burst_is_distributed_as_event_by_event() -> None:
    """300 s of three times the load: mean and spread over 30 seeds, beside messages one by one."""
    burst = (100.0, 400.0, 3.0)
    plain = [by_the_event(seed, 10.0, 20.0, burst) for seed in range(30)]
    ours = []
    for seed in range(30):
        rate = Rate.constant(10).then(us(100), Rate.constant(30))
        topic = Topic(4, rate, rate=20.0, noise=seed)
        topic.join(0, "a")
        topic.topic.advance(us(400))
        ours.append(sum(p.latest for p in topic.topic.offsets()) - topic.done(400))
    error = (np.var(plain) / 30 + np.var(ours) / 30) ** 0.5
    assert abs(np.mean(plain) - np.mean(ours)) < 3 * error
    assert 0.6 < np.std(ours) / np.std(plain) < 1.6


def test_the_delay_of_a_message_is_the_time_it_waits() -> None:
    """60 messages a second for 100 s at 50 a second: the last waits 20 s, the median 10 s."""
    rate = Rate.constant(0).then(us(10), Rate.constant(60)).then(us(110), Rate.constant(0))
    topic = Topic(2, rate, rate=50.0)
    topic.join(0, "a")
    topic.topic.finish(us(300))

    assert topic.delay(0.5, 0, 300) == (pytest.approx(10, abs=1e-3), False)
    assert topic.delay(1.0, 0, 300) == (pytest.approx(20, abs=1e-3), False)


def test_what_is_not_done_at_the_end_makes_a_percentile_a_lower_bound() -> None:
    topic = Topic(2, 60.0, rate=50.0)
    topic.join(0, "a")
    topic.topic.finish(us(300))

    assert topic.delay(0.5, 0, 300)[1] is False
    value, censored = topic.delay(0.99, 0, 300)
    assert censored
    assert value == pytest.approx(300 - 300 * 50 / 60, rel=0.05)


def test_what_waits_at_the_end_counts_for_the_time_it_came_whenever_the_oldest_did() -> None:
    topic = Topic(2, 100.0, rate=500.0)
    topic.join(0, "a")
    topic.leave(200, "a")
    topic.topic.finish(us(1200))

    value, censored = topic.delay(0.5, 300, 1200)
    assert censored
    assert value == pytest.approx(450, abs=10)


def test_a_partition_runs_empty_however_long_and_fast_it_goes() -> None:
    """After a day a microsecond is short of digits: what remains takes less than the next one."""
    for rate in np.linspace(0.7e6, 1.3e6, 12):
        topic = Topic(1, rate=rate)
        topic.join(86_000, "a")
        topic.topic.add(654_321, us(86_300.5))
        assert topic.done(86_400) == 654_321


# The group


def test_ranges_and_even_shares() -> None:
    assert in_ranges(["a", "b", "c"], 7) == ["a", "a", "a", "b", "b", "c", "c"]
    assert sticky(["a", "b"], ["a", "a", "a", "a"]) == ["a", "a", "b", "b"]
    assert sticky(["a", "b", "c"], ["a", "b", None, "b"]) == ["a", "b", "c", "b"]
    assert sticky([], ["a"]) == [None]


@given(st.lists(st.sampled_from("abcde"), max_size=12), st.sets(st.sampled_from("abcdef")))
def test_even_shares_move_no_more_than_they_must(owners: list[str], members: set[str]) -> None:
    wanted = sticky(sorted(members), owners)
    if not members:
        return

    held = [wanted.count(uid) for uid in members]
    assert max(held) - min(held) <= 1
    most = -(-len(owners) // len(members))
    for uid in members:
        kept = sum(o == uid == w for o, w in zip(owners, wanted, strict=True))
        assert kept >= min(owners.count(uid), most - 1)


def test_the_first_members_wait_for_each_other() -> None:
    topic = Topic()
    topic.join(0, "a")
    topic.join(1, "b")

    assert topic.owners(2.9) == ["-"] * 4
    assert topic.owners(6.1) == ["a", "a", "b", "b"]


def test_members_beyond_the_partitions_have_nothing_to_do() -> None:
    topic = Topic(2, 100.0, rate=10.0)
    topic.join(0, "a", "b", "c")

    before = topic.done(6)
    assert topic.done(106) - before == pytest.approx(2 * 10 * 100)


@pytest.mark.parametrize(("protocol", "works_on"), [("eager", 5), ("cooperative", 10)])
def test_an_eager_member_stops_until_all_have_rejoined_and_a_cooperative_one_does_not(
    protocol: Protocols, works_on: float
) -> None:
    topic = Topic(4, 100.0, rate=10.0, protocol=protocol)
    topic.join(0, "a")
    topic.join(1, "b")  # their heartbeats are a second apart
    topic.join(10.5, "c")

    half_seconds = np.diff([topic.done(t) for t in np.arange(10.5, 13.5, 0.5)])
    assert min(half_seconds) == pytest.approx(works_on)
    assert sorted(topic.owners(18)) == ["a", "a", "b", "c"]


def test_with_kip848_only_what_moves_pauses_and_others_read_on() -> None:
    topic = Topic(4, 100.0, rate=10.0, protocol="kip848")
    topic.join(0, "a")
    topic.join(11, "b")

    assert topic.owners(10) == ["a"] * 4
    assert topic.owners(11.1) == ["a"] * 4  # the owner learns of it at its next heartbeat
    assert sorted(topic.owners(15)) == ["a", "a", "b", "b"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_partitions_of_a_dead_member_stand_still_until_its_session_ends(
    protocol: Protocols,
) -> None:
    topic = Topic(4, 10.0, rate=10.0, protocol=protocol)
    topic.join(0, "a", "b")
    dead = [p for p, owner in enumerate(topic.owners(50)) if owner == "b"]
    topic.die(60, "b")

    assert [topic.owners(99)[p] for p in dead] == ["b", "b"]
    assert topic.owners(115) == ["a"] * 4


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_member_that_leaves_is_replaced_within_seconds(protocol: Protocols) -> None:
    topic = Topic(4, 10.0, rate=10.0, protocol=protocol)
    topic.join(0, "a", "b")
    topic.leave(60, "b")

    assert topic.owners(66) == ["a"] * 4
    assert topic.topic.reprocessed == 0


def test_what_a_dead_member_had_not_committed_is_done_again() -> None:
    topic = Topic(1, 10.0, rate=20.0, commit_s=5.0)
    topic.join(0, "a")
    topic.join(20, "b")
    topic.die(62, "a")  # its last commit was at 60 s
    topic.done(200)

    assert topic.topic.reprocessed == pytest.approx(20)
    assert not list(topic.checker.violations())


def test_lag_counts_what_is_done_and_not_committed() -> None:
    topic = Topic(1, 10.0, rate=1000.0, commit_s=5.0)
    topic.join(0, "a")

    assert [topic.lag(t) for t in (20.0, 24.0, 25.5)] == [0, 40, 5]


def test_what_is_older_than_retention_is_lost_and_said_to_be() -> None:
    topic = Topic(1, 10.0, rate=20.0, retention_s=600.0)
    topic.topic.advance(us(1500))
    lost = topic.topic.lost
    topic.join(1500, "a")
    topic.done(4000)

    assert lost == pytest.approx(10 * 900)
    assert topic.topic.lost == lost
    assert not list(topic.checker.violations())
    assert topic.topic.offsets()[0].earliest >= 9000


def test_nothing_moves_while_the_broker_is_down_and_producers_catch_up_after() -> None:
    topic = Topic(2, 10.0, rate=50.0)
    topic.join(0, "a")
    before = topic.done(100)
    topic.topic.set_broker(False, us(100))
    with pytest.raises(BrokerError):
        topic.topic.partitions()

    assert topic.done(200) == before
    topic.topic.set_broker(True, us(200))
    assert sum(p.latest for p in topic.topic.partitions()) == 2000
    assert topic.done(300) == pytest.approx(3000)


@pytest.mark.parametrize("died_at", [99.0, 190.0])
def test_a_coordinator_that_is_back_gives_every_member_a_whole_session(died_at: float) -> None:
    topic = Topic(2, 10.0, rate=50.0)
    topic.join(0, "a", "b")
    topic.done(50)
    if died_at < 100:
        topic.die(died_at, "b")
    topic.topic.set_broker(False, us(100))
    if died_at > 100:
        topic.die(died_at, "b")
    topic.topic.set_broker(True, us(200))

    assert topic.owners(244) == ["a", "b"]
    assert topic.owners(250) == ["a", "a"]


# Whatever happens


what = st.sampled_from(["join", "leave", "die", "down", "up", "add"])


@settings(deadline=None, max_examples=80)
@given(
    st.sampled_from(PROTOCOLS),
    st.lists(st.tuples(st.floats(0.1, 40), what, st.integers(0, 5)), max_size=25),
    st.integers(1, 7),
)
def test_every_message_is_done_whatever_happens_to_the_group(
    protocol: Protocols, history: list[tuple[float, str, int]], partitions: int
) -> None:
    topic, at, there, added = Topic(partitions, 7.0, rate=9.0, protocol=protocol), 0.0, set(), 0
    for after, happens, who in history:
        at = round(at + after, 3)
        uid = f"pod-{who}"
        if happens == "join" and uid not in there:
            there.add(uid)
            topic.join(at, uid)
        elif happens in ("leave", "die") and uid in there:
            there.remove(uid)
            topic.leave(at, uid) if happens == "leave" else topic.die(at, uid)
        elif happens in ("down", "up"):
            topic.topic.set_broker(happens == "up", us(at))
        elif happens == "add":
            topic.topic.add(who, us(at))
            added += who
    topic.topic.set_broker(True, us(at))
    topic.join(at, "last-1", "last-2", "last-3")
    end = at + 10_000
    topic.topic.produce(Rate.constant(0), us(at + 1000))
    topic.topic.finish(us(end))

    produced = sum(p.latest for p in topic.topic.offsets())
    assert produced == pytest.approx(7 * (at + 1000) + added, abs=partitions)
    assert topic.topic.lag == 0
    assert topic.done(end) == pytest.approx(7 * (at + 1000) + added, rel=1e-9)
    assert not list(topic.checker.violations())
    held = topic.owners(end)
    counts = [held.count(uid) for uid in {*there, "last-1", "last-2", "last-3"}]
    assert sum(counts) == partitions
    assert max(counts) - min(counts) <= 1


def test_the_checker_excuses_no_skip_by_what_retention_took_from_another_partition() -> None:
    topic = Topic(2, 20.0, rate=20.0, retention_s=600.0)
    topic.topic.advance(us(1500))
    topic.join(1500, "a")
    topic.done(4000)
    assert topic.topic.lost > 1000
    assert not list(topic.checker.violations())

    end = float(topic.topic.offsets()[0].latest)
    topic.topic.on_done(Done(0, "a", end + 100, end + 200))
    assert any("skipped" in said for said in topic.checker.violations())


def test_the_checker_finds_losses_that_are_said_and_did_not_happen() -> None:
    topic = Topic(1, 10.0, rate=20.0)
    topic.join(0, "a")
    topic.done(50)
    topic.topic.lost += 50

    assert len(list(topic.checker.violations())) == 1


@pytest.mark.parametrize("wrong", ["skips", "hides"])
def test_the_checker_finds_what_was_never_done(wrong: str) -> None:
    topic = Topic(1, 10.0, rate=20.0)
    topic.join(0, "a")
    topic.done(50)
    assert not list(topic.checker.violations())

    if wrong == "skips":
        topic.topic.on_done(Done(0, "a", 600.0, 700.0))
    else:
        topic.topic.on_done(Done(0, "a", 0.0, 20.0))
    assert len(list(topic.checker.violations())) == 1
