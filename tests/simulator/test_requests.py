"""Requests: against queueing theory, requests one by one, and a fluid in closed form."""

import heapq
import math
import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.checkers.requests import RequestsConserved
from simulator.kernel import Kernel
from simulator.series import Recorder
from simulator.workloads.mmc import (
    SURVIVALS,
    erlang_c,
    lost_share,
    mean_response,
    response_times,
    survival,
)
from simulator.workloads.ports import Member
from simulator.workloads.rates import Arrivals, Knot, Rate
from simulator.workloads.requests import RequestLoad, Requests


def us(seconds: float) -> int:
    return round(seconds * 1e6)


def a_member(name: str, limit: float | None = None) -> Member:
    return Member(name, name, "default", "node", 1.0, limit)


class Load:
    """Some requests to some pods, without an endpoint lag unless said."""

    def __init__(
        self, rate: Rate | float, pods: int = 1, *, limit: float | None = None, **how: float
    ) -> None:
        costs = {"cpu_s": 0.01, "wait_s": 0.0, "concurrency": 1, "endpoint_lag_us": 0, **how}
        self.recorder = Recorder()
        asked = rate if isinstance(rate, Rate) else Rate.constant(rate)
        self.load = RequestLoad(
            "web",
            self.recorder,
            Requests(**costs),
            Arrivals(asked, [1.0]),  # type: ignore[arg-type]
        )
        for i in range(pods):
            self.load.joined(a_member(f"p{i}", limit), 0)

    def latency(self, share: float, from_s: float = 0, to_s: float = 1e6) -> float:
        latency = self.recorder.distribution("web.latency")
        return latency.quantile(share, us(from_s), us(to_s))[0]

    def number(self, what: str) -> float:
        return self.recorder.series(f"web.{what}").last


# Queueing theory


@pytest.mark.parametrize(
    ("servers", "offered", "waits"),
    [(1, 0.5, 0.5), (2, 1.0, 1 / 3), (5, 4.0, 0.554113), (10, 8.0, 0.409180)],
)
def test_erlang_c_is_that_of_the_tables(servers: int, offered: float, waits: float) -> None:
    assert erlang_c(servers, offered) == pytest.approx(waits, rel=1e-5)


@pytest.mark.parametrize("servers", [1, 2, 7, 32])
@pytest.mark.parametrize("busy", [0.05, 0.5, 0.8, 0.95, 0.99])
def test_response_times_are_those_of_a_stationary_mmc_queue(servers: int, busy: float) -> None:
    times = response_times(servers, busy)
    for share, time in zip(SURVIVALS[1:], times[1:], strict=True):
        assert survival(servers, servers * busy, time) == pytest.approx(share, rel=5e-3)


def test_latencies_under_a_steady_load_are_those_of_mmc() -> None:
    load = Load(70.0, pods=2, concurrency=4, cpu_s=0.1, timeout_us=us(100))
    load.load.advance(us(3600))

    mean, _ = load.recorder.distribution("web.latency").mean(0, us(3600))
    assert mean == pytest.approx(0.1 * mean_response(4, 3.5), rel=0.01)
    for share in (0.5, 0.9, 0.99):
        assert survival(4, 3.5, load.latency(share) / 0.1) == pytest.approx(1 - share, rel=0.02)


@pytest.mark.parametrize("busy", [0.3, 0.8, 0.95, 0.999])
@pytest.mark.parametrize("patience", [0.5, 3.0, 40.0])
def test_those_who_leave_one_server_are_as_many_as_in_closed_form(
    busy: float, patience: float
) -> None:
    """Barrer (1957)."""
    left = math.exp(-(1 - busy) * patience)
    closed = (1 - busy) * busy * left / (1 - busy**2 * left)
    assert lost_share(1, busy, patience) == pytest.approx(closed, rel=1e-9)


def one_by_one(
    rate: float, servers: int, service_s: float, seconds: float, patience_s: float = math.inf
) -> tuple[list[float], int]:
    """A plain simulation of the queue: each request, each server; who leaves is only counted."""
    stream, free, now = random.Random(3), [0.0] * servers, 0.0
    heapq.heapify(free)
    latencies, gone = [], 0
    while True:
        now += stream.expovariate(rate)
        if now > seconds:
            return latencies, gone
        begin = max(now, free[0])
        if begin - now > patience_s:
            gone += 1
            continue
        end = begin + stream.expovariate(1 / service_s)
        heapq.heapreplace(free, end)
        latencies.append(end - now)


@pytest.mark.parametrize("rate", [32.0, 39.8])
def test_those_who_leave_agree_with_requests_one_by_one(rate: float) -> None:
    latencies, gone = one_by_one(rate, 4, 0.1, 10_000, 0.2)
    plain = sorted(latencies)
    load = Load(rate, concurrency=4, cpu_s=0.1, timeout_us=us(0.2))
    load.load.advance(us(10_000))
    assert load.load.failed == pytest.approx(gone, rel=0.05)
    for share in (0.5, 0.9, 0.99):
        assert load.latency(share) == pytest.approx(plain[int(share * len(plain))], rel=0.03)


def test_latencies_agree_with_requests_one_by_one() -> None:
    plain = sorted(one_by_one(36.0, 4, 0.1, 40_000)[0])
    load = Load(36.0, concurrency=4, cpu_s=0.1, timeout_us=us(100))
    load.load.advance(us(40_000))
    for share in (0.5, 0.9, 0.99):
        assert load.latency(share) == pytest.approx(plain[int(share * len(plain))], rel=0.06)


def test_a_burst_is_worked_off_as_requests_one_by_one_are() -> None:
    """Ten seconds of three times what fits: the fluid is the mean of many plain runs."""
    service_s, waits = 0.01, []
    for seed in range(40):
        stream, free, now = random.Random(seed), 0.0, 0.0
        while now < 10:
            now += stream.expovariate(300)
            begin = max(now, free)
            free = begin + stream.expovariate(1 / service_s)
        waits.append(free - 10)
    load = Load(Rate([Knot(0, 300, 300), Knot(us(10), 300, 0)]), timeout_us=us(1000))
    load.load.advance(us(10))
    waiting_s = load.load.waiting * service_s
    assert waiting_s == pytest.approx(sum(waits) / len(waits), rel=0.03)


# A fluid, to 1e-9


def test_a_queue_grows_and_empties_as_the_fluid_does() -> None:
    load = Load(Rate([Knot(0, 50, 150), Knot(us(8), 150, 20)]), timeout_us=us(30))
    load.load.advance(us(8))
    assert load.load.waiting == pytest.approx(8 * 50, rel=1e-9)
    load.load.advance(us(10))
    assert load.load.waiting == pytest.approx(400 - 2 * 80, rel=1e-9)
    load.load.advance(us(20))
    assert load.load.waiting == 0
    assert load.load.served == pytest.approx(8 * 150 + 12 * 20, rel=1e-9)
    # Who came last waited longest: 400 requests at 100 a second.
    assert load.latency(0.9999, 0, 9) > 4.0


def test_connections_move_to_a_new_pod_as_they_end() -> None:
    load = Load(100.0, pods=2, cpu_s=0.001, keepalive_us=us(60), connections=90.0)
    load.load.joined(a_member("new"), us(100))
    load.load.advance(us(160))
    # After one mean life of a connection 1 − 1/e of the fair share has come.
    assert load.load.pod_metrics("new")["http_connections"] == pytest.approx(
        30 * (1 - math.exp(-1)), rel=1e-9
    )
    served = load.load.pod_metrics("new")["http_requests_total"]
    assert served == pytest.approx(100 / 3 * (60 - 60 * (1 - math.exp(-1))), rel=1e-9)
    assert load.number("imbalance") > 1.1


def test_with_a_pod_for_each_request_a_new_one_has_its_share_at_once() -> None:
    load = Load(100.0, pods=1, cpu_s=0.001)
    load.load.joined(a_member("new"), us(100))
    load.load.advance(us(110))
    assert load.load.pod_metrics("new")["http_requests_total"] == pytest.approx(500, rel=1e-9)
    assert [load.load.connections(uid) for uid in ("p0", "new")] == [50, 50]
    assert load.number("connections") == 100
    assert load.number("imbalance") == 1.0


# What fails


def test_a_pod_gets_requests_when_the_endpoints_have_reached_the_clients() -> None:
    load = Load(10.0, pods=0, endpoint_lag_us=us(3))
    load.load.joined(a_member("p"), us(100))
    load.load.advance(us(110))
    assert load.load.failed == pytest.approx(10 * 103)
    assert load.load.served == pytest.approx(10 * 7)


def test_a_pod_that_stops_before_the_endpoints_know_loses_requests() -> None:
    load = Load(10.0, pods=2, endpoint_lag_us=us(4))
    load.load.advance(us(100))
    before = load.load.failed
    load.load.leaving("p0", us(100))
    load.load.left("p0", us(101), abrupt=False)
    load.load.advance(us(120))
    # From its end to the update of the endpoints: 3 s of half of the requests.
    assert load.load.failed - before == pytest.approx(15)


def test_a_pod_that_waits_for_the_endpoints_before_it_stops_loses_none() -> None:
    load = Load(10.0, pods=2, endpoint_lag_us=us(4))
    load.load.advance(us(100))
    before = load.load.failed
    load.load.leaving("p0", us(100))
    load.load.left("p0", us(105), abrupt=False)
    load.load.advance(us(120))
    assert load.load.failed == before


def test_requests_to_a_pod_that_is_cut_off_are_tried_again_elsewhere() -> None:
    load = Load(10.0, pods=2, retries=1, timeout_us=us(2), concurrency=4)
    load.load.advance(us(100))
    load.load.cut_off("p0", us(100))
    load.load.advance(us(150))
    assert load.load.retried == pytest.approx(10 / 2 * 50, rel=0.03)
    # The second attempt goes to it as often as the first.
    assert load.load.failed == pytest.approx(10 / 4 * 50, rel=0.05)
    assert load.latency(0.99, 100, 150) > 2.0, "the timeout of the first attempt"

    load.load.left("p0", us(150), abrupt=True)
    failed = load.load.failed
    load.load.advance(us(200))
    assert load.load.failed - failed < 10


def test_who_would_wait_longer_than_the_timeout_fails() -> None:
    load = Load(150.0, timeout_us=us(2))
    load.load.advance(us(100))
    assert load.load.waiting == pytest.approx(200), "two seconds' worth"
    assert load.load.failed == pytest.approx(100 * 50 - 200)
    assert load.latency(0.999) < 2.2


def test_retries_make_an_overload_worse() -> None:
    def failed_and_retried(retries: int) -> tuple[float, float]:
        load = Load(Rate([Knot(0, 90, 150), Knot(us(60), 150, 90)]), retries=retries)
        load.load.advance(us(120))
        return load.load.failed, load.load.retried

    once, thrice = failed_and_retried(0), failed_and_retried(2)
    assert once[1] == 0
    assert thrice[1] > once[0]


def test_a_cpu_limit_throttles() -> None:
    load = Load(150.0, concurrency=8, limit=1.0)
    load.load.advance(us(100))
    assert load.load.cpu_core_s("p0") == pytest.approx(100)
    assert load.load.served == pytest.approx(100 * 100)


events = st.lists(
    st.tuples(
        st.floats(0.1, 30),
        st.sampled_from(["joined", "leaving", "left", "cut off", "ask"]),
        st.integers(0, 4),
    ),
    max_size=25,
)


@settings(deadline=None, max_examples=60)
@given(events, st.integers(0, 2), st.sampled_from([0.0, 20.0]), st.booleans())
def test_requests_are_conserved_whatever_happens(
    history: list[tuple[float, str, int]], retries: int, keepalive_s: float, noisy: bool
) -> None:
    kernel = Kernel()
    how = Requests(0.01, 0.02, 2, us(1), retries, 50.0, us(keepalive_s), us(1))
    load = RequestLoad(
        "web", Recorder(), how, Arrivals(Rate.constant(120), [1.0], 7 if noisy else None)
    )
    checker = RequestsConserved(load, kernel)
    at = 0.0
    for span, what, who in history:
        at += span
        kernel.run_until(us(at))
        uid, now = f"p{who}", kernel.now_us
        match what:
            case "joined":
                load.joined(a_member(uid, 1.0), now)
            case "leaving":
                load.leaving(uid, now)
            case "left":
                load.left(uid, now, abrupt=True)
            case "cut off":
                load.cut_off(uid, now)
            case "ask":
                load.ask(Rate.constant(who * 60.0), now)
        assert list(checker.violations()) == []
    assert load.waiting >= 0


def test_the_checker_finds_a_request_that_is_lost() -> None:
    kernel = Kernel()
    load = Load(100.0).load
    checker = RequestsConserved(load, kernel)
    kernel.run_until(us(10))
    load.advance(us(10))
    load.on_counted = lambda _: None
    kernel.run_until(us(20))
    assert "2000 requests came" in next(iter(checker.violations()))


def test_two_ways_to_the_same_time_come_to_the_same() -> None:
    """Being asked in between changes nothing that is counted."""
    often, once = (Load(Rate.constant(150), pods=2, keepalive_us=us(30)) for _ in range(2))
    for now in range(1, 601):
        often.load.advance(us(now))
    once.load.advance(us(600))
    assert often.load.served == pytest.approx(once.load.served, rel=1e-9)
    assert all(a <= b for a, b in pairwise(sorted([often.latency(0.5), often.latency(0.9)])))
