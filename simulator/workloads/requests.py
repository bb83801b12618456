"""Requests that clients send to pods: who gets them, how long they take, which ones fail.

A pod is an M/M/c queue, of whatever binds first: its CPU limit (c cores, each request with so much
CPU time, and a constant time in which it waits for others), or its ``concurrency`` (c requests at a
time, each for both times). While it keeps up, response times are those of the stationary queue at
the rate of the moment; beyond, a queue of its own grows and is worked off as a fluid. In both, who
would wait longer than the clients' timeout fails, and is tried again.

Clients choose a pod for each request, or for each connection: then a new pod gets its share only as
connections end. A Service's endpoints follow readiness late; what is sent to a pod that does not
serve any more fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from simulator.arithmetic import exp
from simulator.kernel import SECOND_US, Us
from simulator.series import Recorder
from simulator.workloads.fifo import Time
from simulator.workloads.mmc import SURVIVALS, lost_share, response_times
from simulator.workloads.ports import Member
from simulator.workloads.rates import Arrivals, Rate

_AGAIN_US = SECOND_US  # clients try again after so long
_NOTHING = 1e-9  # requests: less than this is rounding
_FEW = 1e-6  # of a pod's requests: a smaller share does not fail
_EVEN = 1e-4  # of all connections: pods that are as close to their share have it
_BATCHES = tuple(a - b for a, b in pairwise((*SURVIVALS[:-1], 0.0)))


@dataclass(frozen=True, slots=True)
class Requests:
    """What a request costs, and what clients do. ``keepalive_us`` 0: a pod for each request."""

    cpu_s: float
    wait_s: float
    concurrency: int
    timeout_us: Us = 1 * SECOND_US
    retries: int = 0
    connections: float = 100.0
    keepalive_us: Us = 0
    endpoint_lag_us: Us = SECOND_US
    counter: str = "http_requests_total"
    gauge: str = "http_connections"


@dataclass(slots=True)
class _Pod:
    member: Member
    slots: int
    per_slot: float  # requests a microsecond
    beside_s: float  # what a request takes besides
    serves: bool = True
    hangs: bool = False  # it does not even refuse
    listed: bool = False  # among the endpoints, as clients see them
    will_be: tuple[Time, bool] | None = None  # when they see it otherwise
    connections: float = 0.0
    queue: float = 0.0  # requests beyond those it keeps up with
    served: float = 0.0
    rate: float = 0.0  # of requests, a second, at the last step

    @property
    def capacity(self) -> float:
        return self.slots * self.per_slot


@dataclass(frozen=True, slots=True)
class Counted:
    """What became of requests within a step."""

    served: float
    failed: float


class RequestLoad:
    """Requests of one kind to the pods of one target."""

    def __init__(self, name: str, recorder: Recorder, how: Requests, arrivals: Arrivals) -> None:
        self.name, self.arrivals, self._how = name, arrivals, how
        self._cell = arrivals.cell(0)
        self._now: Time = 0.0
        self._pods: dict[str, _Pod] = {}
        self._used_core_s: dict[str, float] = {}
        # Requests to be tried again, by how often they were tried, with the time lost so far.
        self._again: list[tuple[float, float]] = [(0.0, 0.0)] * (how.retries + 1)
        self.served = self.failed = self.retried = 0.0
        self.on_counted: Callable[[Counted], None] = lambda _: None
        self.on_asked: Callable[[], None] = lambda: None  # just before the rate changes
        self._series = {
            what: recorder.series(f"{name}.{what}", unit)
            for what, unit in (
                ("requests", "per second"), ("served", "requests"), ("errors", "requests"),
                ("retries", "requests"), ("waiting", "requests"), ("used", "cores"),
                ("imbalance", "ratio"), ("connections", "connections"),
            )
        }  # fmt: skip
        self._latency = recorder.distribution(f"{name}.latency", "s")
        self._record()

    # What happens

    def ask(self, rate: Rate, now_us: Us) -> None:
        """From now on requests come at this rate."""
        self.advance(now_us)
        self.on_asked()
        self.arrivals.change(now_us, rate)
        self._cell = self.arrivals.cell(now_us)
        self._record()

    def joined(self, member: Member, now_us: Us) -> None:
        """See ``Workload``. Clients see it when the endpoints have reached them."""
        self.advance(now_us)
        how, uid = self._how, member.uid
        pod = self._pods.setdefault(uid, _Pod(member, *_station(how, member.cpu_limit_cores)))
        pod.serves, pod.hangs = True, False
        pod.will_be = None if pod.listed else (self._now + how.endpoint_lag_us, True)
        self._used_core_s.setdefault(uid, 0.0)
        self._connect()
        self._see()
        self._record()

    def leaving(self, uid: str, now_us: Us) -> None:
        """See ``Workload``. It serves what it gets until it is gone; its connections it closes."""
        self.advance(now_us)
        pod = self._pods.get(uid)
        if pod is not None:
            self._unlist(pod)
            self._reconnect(pod)
            self._see()
        self._record()

    def cut_off(self, uid: str, now_us: Us) -> None:
        """A pod cannot be reached any more, and nobody knows: what is sent to it times out."""
        self.advance(now_us)
        pod = self._pods.get(uid)
        if pod is not None:
            pod.hangs = True
            self._stop(pod)
        self._record()

    def left(self, uid: str, now_us: Us, *, abrupt: bool) -> None:
        """See ``Workload``. What waits in it fails."""
        del abrupt
        self.advance(now_us)
        pod = self._pods.get(uid)
        if pod is None:
            return
        self._stop(pod)
        self._unlist(pod)
        if pod.will_be is None:
            del self._pods[uid]
        self._see()
        self._record()

    def _stop(self, pod: _Pod) -> None:
        pod.serves = False
        lost, pod.queue = pod.queue, 0.0
        self._fail(lost, [1.0, *([0.0] * self._how.retries)], self._lost_s(pod))
        self._reconnect(pod)

    def _unlist(self, pod: _Pod) -> None:
        if not pod.listed:
            pod.will_be = None
        elif pod.will_be is None:
            pod.will_be = (self._now + self._how.endpoint_lag_us, False)

    def _lost_s(self, pod: _Pod) -> float:
        return self._how.timeout_us / 1e6 if pod.hangs else 0.0

    # Time

    def advance(self, now_us: Us) -> Us | None:
        """See ``Workload``."""
        while self._now < now_us:
            end = min([now_us, self._cell.end_us, *self._dues()])
            if self._how.retries and (self._some_fail or any(n for n, _ in self._again)):
                end = min(end, self._now + _AGAIN_US)
            elif self._connections_move:
                end = min(end, self._now + max(_AGAIN_US, self._how.keepalive_us / 32))
            self._step(end)
            if self._now >= self._cell.end_us:
                self._cell = self.arrivals.cell(int(self._now))
            self._see()
        self._record()
        quiet = self.arrivals.rate.next_change(now_us) is None and not self._cell.arrivals.any()
        return None if quiet and not self.waiting and not self._dues() else now_us + 1

    def _dues(self) -> list[Time]:
        return [pod.will_be[0] for pod in self._pods.values() if pod.will_be is not None]

    @property
    def _some_fail(self) -> bool:
        listed, cell, how = self._listed(), self._cell, self._how
        rate = float(cell.arrivals[0]) / (cell.end_us - cell.begin_us)
        return rate > 0 and any(
            not pod.serves
            or pod.queue
            or self._some_leave(
                pod,
                rate * (pod.connections / how.connections if how.keepalive_us else 1 / len(listed)),
            )
            for pod in listed
        )

    def _some_leave(self, pod: _Pod, rate: float) -> bool:
        return rate > pod.capacity or self._leaving(pod.slots, pod.per_slot, rate) > 0

    def _leaving(self, slots: int, per_slot: float, rate: float) -> float:
        """The share of requests that a pod which keeps up has waiting longer than clients do."""
        share = lost_share(slots, rate / per_slot, self._how.timeout_us * per_slot)
        return share if share >= _FEW else 0.0

    @property
    def _connections_move(self) -> bool:
        live = [pod for pod in self._listed() if pod.serves]
        if not self._how.keepalive_us or not live:
            return False
        even = self._how.connections / len(live)
        return any(
            abs(pod.connections - even) > _EVEN * self._how.connections for pod in live
        ) or len(live) < len(self._listed())

    def _listed(self) -> list[_Pod]:
        return [pod for pod in self._pods.values() if pod.listed]

    def _see(self) -> None:
        """Clients come to know what the endpoints are by now."""
        for uid, pod in list(self._pods.items()):
            if pod.will_be is None or pod.will_be[0] > self._now:
                continue
            pod.listed, pod.will_be = pod.will_be[1], None
            if not pod.listed:
                self._reconnect(pod)
                if not pod.serves:
                    del self._pods[uid]
            self._connect()

    def _reconnect(self, pod: _Pod) -> None:
        pod.connections = 0.0
        self._connect()

    def _connect(self) -> None:
        """Clients without a connection open one, to any of the pods that answer.

        Those that choose a pod for each request have them spread evenly.
        """
        live = [pod for pod in self._listed() if pod.serves]
        if live and not self._how.keepalive_us:
            for pod in self._pods.values():
                pod.connections = 0.0
        missing = max(
            0.0, self._how.connections - sum(pod.connections for pod in self._pods.values())
        )
        for pod in live:
            pod.connections += missing / len(live)

    def _shares(self, span: Time) -> dict[str, float]:
        """Of the requests within a span of time, the share of each pod; connections move on."""
        listed, how = self._listed(), self._how
        if not how.keepalive_us:
            return {pod.member.uid: 1 / len(listed) for pod in listed}
        live = [pod for pod in listed if pod.serves]
        dead = len(listed) - len(live)
        left = exp(-span / how.keepalive_us)
        mean = (1 - left) * how.keepalive_us / span
        shares: dict[str, float] = {}
        for pod in live:
            even = how.connections / len(live)
            away = pod.connections - even
            shares[pod.member.uid] = (even + away * mean) / how.connections
            pod.connections = even + away * left
        # New connections try pods that do not answer; the request that opens one is lost there.
        rate = float(self._cell.arrivals[0]) / (self._cell.end_us - self._cell.begin_us)
        if dead and rate > 0:
            opened = how.connections / how.keepalive_us
            lost = min(1.0, opened * dead / len(listed) / rate) if live else 1.0
            shares = {uid: share * (1 - lost) for uid, share in shares.items()}
            for pod in listed:
                if not pod.serves:
                    shares[pod.member.uid] = lost / dead
        return shares

    def _step(self, end: Time) -> None:
        begin, span = self._now, end - self._now
        self._now = end
        if span <= 0:
            return
        cell = self._cell
        fresh = float(cell.arrivals[0]) * span / (cell.end_us - cell.begin_us)
        tries, self._again = self._again, [(0.0, 0.0)] * (self._how.retries + 1)
        amounts = [fresh, *(amount for amount, _ in tries[1:])]
        late_s = [0.0, *(late for _, late in tries[1:])]
        total = sum(amounts)
        self.retried += total - fresh
        for pod in self._pods.values():
            pod.rate = 0.0
        if total <= 0 and not any(pod.queue for pod in self._pods.values()):
            return
        mix = [amount / total for amount in amounts] if total > 0 else [0.0] * len(amounts)
        shares = self._shares(span)
        if not shares:
            self._fail(total, mix, 0.0)
        seen: dict[tuple[float, float, int, float, float], float] = {}
        for uid in sorted({*shares, *(u for u, pod in self._pods.items() if pod.queue)}):
            pod, come = self._pods[uid], total * shares.get(uid, 0.0)
            pod.rate = come / span * 1e6
            if not pod.serves:
                self._fail(come, mix, self._lost_s(pod))
                continue
            key = (come, pod.queue, pod.slots, pod.per_slot, pod.beside_s)
            seen[key] = seen.get(key, 0) + 1
            self._work(pod, come, span, mix)
        for (come, queue, slots, per_slot, beside_s), pods in seen.items():
            later_s = [beside_s + late for late in late_s]
            self._tell(begin, span, come, queue, per_slot, slots, pods, mix, later_s)

    def _work(self, pod: _Pod, come: float, span: Time, mix: list[float]) -> None:
        """What a pod gets done within a span of time in which so many requests come."""
        room = pod.capacity * self._how.timeout_us
        able = pod.capacity * span
        waiting = pod.queue + come
        left = waiting - min(waiting, able)
        refused = max(0.0, left - room)
        at_rest = span - _drains_for(pod.queue, come / span, pod.capacity, span)
        if at_rest > 0 and come > 0:
            refused += come / span * at_rest * self._leaving(pod.slots, pod.per_slot, come / span)
        pod.queue = max(0.0, left - refused) if left > _NOTHING else 0.0
        done = waiting - refused - pod.queue
        pod.served += done
        self.served += done
        self.on_counted(Counted(done, 0.0))
        self._used_core_s[pod.member.uid] += done * self._how.cpu_s
        self._fail(refused, mix, self._how.timeout_us / 1e6)

    def _fail(self, amount: float, mix: list[float], lost_s: float) -> None:
        """So many attempts failed: they are tried again, or given up."""
        if amount <= 0:
            return
        for tried, share in enumerate(mix):
            failing = amount * share
            if tried == self._how.retries:
                self.failed += failing
                self.on_counted(Counted(0.0, failing))
            else:
                before, late = self._again[tried + 1]
                both = before + failing
                if both > 0:
                    lost = (tried + 1) * lost_s
                    self._again[tried + 1] = (both, (before * late + failing * lost) / both)

    def _tell(
        self, begin: Time, span: Time, come: float, queue: float, per_slot: float, slots: int,
        pods: float, mix: list[float], late_s: list[float],
    ) -> None:  # fmt: skip
        """Records the response times of what came to some pods that are alike."""
        if come <= 0:
            return
        capacity, rate = slots * per_slot, come / span
        room = capacity * self._how.timeout_us
        at, waits = begin, queue / capacity
        phases: list[tuple[Time, float, float, float]] = []  # length, waits, rate that is answered
        net = rate - capacity
        if net > 0:
            fills = max(0.0, min(span, (room - queue) / net))
            full = room / capacity
            phases.append((fills, waits, waits + fills * net / capacity, rate))
            phases.append((span - fills, full, full, capacity))
        else:
            drains = _drains_for(queue, rate, capacity, span)
            phases.append((drains, waits, waits + drains * net / capacity, rate))
            answered = rate * (1 - self._leaving(slots, per_slot, rate))
            phases.append((span - drains, 0.0, 0.0, answered))
        for length, first, last, answered in phases:
            if length <= 0:
                continue
            alone = first == last == 0.0
            patience = self._how.timeout_us * per_slot
            times = response_times(slots, rate / capacity if alone else 0.0, patience)
            for tried, share in enumerate(mix):
                weight = answered * length * share * pods
                if weight > 0:
                    self._add(int(at), weight, late_s[tried], (first, last), times, per_slot)
            at += length

    def _add(
        self, at: Us, weight: float, late_s: float, waits: tuple[float, float],
        times: tuple[float, ...], per_slot: float,
    ) -> None:  # fmt: skip
        least, most = min(waits) / 1e6 + late_s, max(waits) / 1e6 + late_s
        unit_s = 1 / per_slot / 1e6
        for i, batch in enumerate(_BATCHES):
            low, high = times[i] * unit_s, times[i + 1] * unit_s
            self._latency.add(at, weight * batch, least + low, most + high)

    def finish(self, now_us: Us) -> None:
        """The run is over: what waits has waited so long, and would have longer."""
        self.advance(now_us)
        if self.waiting > 0:
            self._latency.add(now_us, self.waiting, 0.0, self._how.timeout_us / 1e6, censored=True)

    # What others see

    @property
    def waiting(self) -> float:
        """Requests that are neither answered nor given up."""
        queued = sum(pod.queue for pod in self._pods.values())
        return queued + sum(amount for amount, _ in self._again)

    def cpu_core_s(self, uid: str) -> float:
        """See ``Workload``."""
        return self._used_core_s.get(uid, 0.0)

    def connections(self, uid: str) -> float:
        """How many connections a pod has."""
        pod = self._pods.get(uid)
        return pod.connections if pod is not None else 0.0

    def pod_metrics(self, uid: str) -> Mapping[str, float]:
        """See ``Workload``: a counter of requests answered, and a gauge of connections."""
        pod = self._pods.get(uid)
        if pod is None:
            return {}
        return {self._how.counter: pod.served, self._how.gauge: pod.connections}

    def _record(self) -> None:
        now, cell = int(self._now), self._cell
        asked = float(cell.arrivals[0]) / (cell.end_us - cell.begin_us) * 1e6
        rates = [pod.rate for pod in self._pods.values() if pod.serves and pod.listed]
        mean = sum(rates) / len(rates) if rates else 0.0
        busy = [min(pod.rate, pod.capacity * 1e6) for pod in self._pods.values() if pod.serves]
        for what, value in (
            ("requests", asked),
            ("served", int(self.served)),
            ("errors", int(self.failed)),
            ("retries", int(self.retried)),
            ("waiting", int(self.waiting)),
            ("used", sum(busy) * self._how.cpu_s),
            ("imbalance", max(rates) / mean if mean else 0.0),
            ("connections", sum(pod.connections for pod in self._pods.values())),
        ):
            self._series[what].set(now, value)


def _drains_for(queue: float, rate: float, capacity: float, span: Time) -> Time:
    """So long of a span there is a queue beyond what a pod keeps up with."""
    if rate > capacity:
        return span
    if queue <= 0:
        return 0.0
    return min(span, queue / (capacity - rate)) if rate < capacity else span


def _station(how: Requests, limit_cores: float | None) -> tuple[int, float, float]:
    """What binds: how many requests at a time, each one's rate a microsecond, the time besides."""
    slots, per_slot = how.concurrency, 1 / (how.cpu_s + how.wait_s)
    if limit_cores is not None and how.cpu_s and limit_cores / how.cpu_s < slots * per_slot:
        cores = max(1, int(limit_cores))
        return cores, limit_cores / cores / how.cpu_s / 1e6, how.wait_s
    return slots, per_slot / 1e6, 0.0
