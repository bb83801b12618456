"""Queues other than Kafka: one line of messages, and pods that take from its front.

A pod holds some messages at a time and works at its rate. What becomes of those it held when it
dies is what tells the kinds apart. Between two events everything is linear in time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from simulator.autoscaling.keda.kafka import BrokerError
from simulator.kernel import Us
from simulator.series import Recorder
from simulator.workloads.fifo import Fifo, Time, after
from simulator.workloads.ports import Member
from simulator.workloads.rates import Arrivals, Rate

_NOTHING = 1e-6  # messages: less than this is rounding


# When messages come back that a dead pod held; never where it takes them with it.
RETURNS_AFTER_US: Mapping[str, Us | None] = {
    "nats-jetstream": 30_000_000,  # ack_wait of a consumer
    "aws-sqs-queue": 30_000_000,  # VisibilityTimeout
    "rabbitmq": 0,  # they are queued again when the connection closes
    "redis": None,  # what is popped is in no list
    "postgresql": 0,  # a lock ends with its session
}


class Queue:
    """One queue, worked off by pods."""

    def __init__(
        self,
        name: str,
        recorder: Recorder,
        returns_after_us: Us | None,
        arrivals: Arrivals,
        *,
        per_pod_per_s: Callable[[Member], float],
        starts_after_us: Callable[[Member], Us] = lambda _: 0,
        holds: int = 1,
        core_s_per_message: float = 0.0,
    ) -> None:
        self.name, self._returns_after_us, self._arrivals = name, returns_after_us, arrivals
        self._per_pod_per_s, self._starts_after_us = per_pod_per_s, starts_after_us
        self._holds, self._core_s_per_message = holds, core_s_per_message
        self._rates: dict[str, float] = {}  # a microsecond, of the pods at work
        self._starting: dict[str, tuple[Time, Member]] = {}
        self._used_core_s: dict[str, float] = {}
        self._now: Time = 0.0
        self._is_down = False
        self._cell = arrivals.cell(0)
        self._produced = self._done = self._producers_hold = 0.0
        self._away: list[tuple[Time, float]] = []  # held by the dead, and when they come back
        self.redelivered = self.lost = 0.0
        self._lag = recorder.series(f"{name}.lag", "messages")
        self._done_series = recorder.series(f"{name}.processed", "messages")
        self._redelivered = recorder.series(f"{name}.redelivered", "messages")
        self._lost = recorder.series(f"{name}.lost", "messages")
        self._waiting = Fifo(recorder.distribution(f"{name}.delay", "s"))

    # What happens

    def produce(self, rate: Rate, now_us: Us) -> None:
        """From now on messages come at this rate."""
        self.advance(now_us)
        self._arrivals.change(now_us, rate)
        self._next_cell()

    def add(self, messages: int, now_us: Us) -> None:
        """Messages come at once, beside those of the rate."""
        self.advance(now_us)
        self._come(float(messages))
        self._record()

    def commit_all(self, now_us: Us) -> None:
        """Everything that waits is done at once, by somebody else."""
        self.advance(now_us)
        self._done, self._away = self._produced - self.lost, []
        self._waiting.restart(self._now, self._produced)
        self._record()

    def set_broker(self, is_up: bool, now_us: Us) -> None:
        """The server goes down, or comes back: what producers held then comes at once."""
        self.advance(now_us)
        self._is_down = not is_up
        if is_up:
            held, self._producers_hold = self._producers_hold, 0.0
            self._come(held)

    def joined(self, member: Member, now_us: Us) -> None:
        """See ``Workload``."""
        self.advance(now_us)
        self._starting[member.uid] = (self._now + self._starts_after_us(member), member)
        self._start()

    def leaving(self, uid: str, now_us: Us) -> None:
        """See ``Workload``. It gives back what it holds, and takes no more."""
        self.advance(now_us)
        self._starting.pop(uid, None)
        self._rates.pop(uid, None)

    def left(self, uid: str, now_us: Us, *, abrupt: bool) -> None:
        """See ``Workload``."""
        self.advance(now_us)
        held = self._held / len(self._rates) if uid in self._rates else 0.0
        self.leaving(uid, now_us)
        if not abrupt or held <= 0:
            return
        if self._returns_after_us is None:
            self.lost += held
        else:
            self.redelivered += held
            if self._returns_after_us:
                self._away.append((self._now + self._returns_after_us, held))
        self._record()

    # Time

    def advance(self, now_us: Us) -> Us | None:
        """See ``Workload``."""
        while self._now < now_us:
            self._integrate(min(now_us, self._next_event()))
            if self._now >= self._cell.end_us:
                self._next_cell()
            self._away = [(at, held) for at, held in self._away if at > self._now]
            self._start()
        self._record()
        return None if self._is_idle else now_us + 1

    @property
    def _is_idle(self) -> bool:
        quiet = not self._arriving and self._arrivals.rate.next_change(int(self._now)) is None
        still = not self._rates or self._is_down or self._open <= 0
        return quiet and still and not self._away and not self._starting

    @property
    def _open(self) -> float:
        """Messages that a pod could work on."""
        away = sum(held for _, held in self._away)
        return max(0.0, self._produced - self._done - self.lost - away)

    @property
    def _held(self) -> float:
        """Messages that pods hold: no more than they may, nor than there are."""
        return min(self._open, float(self._holds * len(self._rates)))

    @property
    def _arriving(self) -> float:
        cell = self._cell
        return float(cell.arrivals[0]) / (cell.end_us - cell.begin_us)

    @property
    def _capacity(self) -> float:
        return sum(self._rates.values())

    def _next_event(self) -> Time:
        ends: list[Time] = [self._cell.end_us, *(at for at, _ in self._away)]
        ends += [at for at, _ in self._starting.values()]
        closing = self._capacity - self._arriving
        if not self._is_down and self._open > _NOTHING and closing > 0:
            ends.append(after(self._now, self._open / closing))
        return max(self._now, min(ends))

    def _integrate(self, to: Time) -> None:
        """Goes on to ``to``, with nothing but time passing."""
        begin, span = self._now, to - self._now
        self._now = to
        if span <= 0:
            return
        come = self._arriving * span
        if self._is_down:
            self._producers_hold += come
            return
        kept_up, first = self._open <= _NOTHING, self._done + self.lost
        self._produced += come
        done = min(self._open, self._capacity * span)
        if self._open - done <= _NOTHING:
            done = self._open
        self._done += done
        if done <= 0:
            return
        last = self._done + self.lost
        if kept_up and self._open <= 0:
            self._waiting.passed(self._now, done, self._produced)
        else:
            self._waiting.came(self._now, self._produced)
            self._waiting.done(begin, self._now, first, last)
        used = done * self._core_s_per_message / self._capacity
        for uid, rate in self._rates.items():
            self._used_core_s[uid] = self._used_core_s.get(uid, 0.0) + used * rate

    def _next_cell(self) -> None:
        self._cell = self._arrivals.cell(int(self._now))
        if self._open <= 0 and not self._away:
            self._waiting.restart(self._now, self._produced)
        else:
            self._waiting.came(self._now, self._produced)

    def _come(self, more: float) -> None:
        self._waiting.came(self._now, self._produced)
        self._produced += more
        self._waiting.came(self._now, self._produced)

    def _start(self) -> None:
        for uid in [u for u, (at, _) in self._starting.items() if at <= self._now]:
            _, member = self._starting.pop(uid)
            self._rates[uid] = self._per_pod_per_s(member) / 1e6

    # What others see

    @property
    def lag(self) -> int:
        """Messages that are not done, wherever they are."""
        return int(self._produced) - int(self._done) - int(self.lost)

    def depth(self, *, held: bool) -> int:
        """Messages in it; ``held``: with those that pods hold. Raises BrokerError while down."""
        if self._is_down:
            raise BrokerError(f"{self.name}: the server does not answer")
        return self.lag if held else max(0, int(self._open - self._held))

    def finish(self, now_us: Us) -> None:
        """The run is over: what is not done has waited so long, and would have longer."""
        self.advance(now_us)
        self._waiting.unfinished(self._now, self._done + self.lost, self._produced)

    def cpu_core_s(self, uid: str) -> float:
        """See ``Workload``."""
        return self._used_core_s.get(uid, 0.0)

    def pod_metrics(self, uid: str) -> Mapping[str, float]:
        """See ``Workload``; none."""
        del uid
        return {}

    def _record(self) -> None:
        now = int(self._now)
        self._lag.set(now, self.lag)
        self._done_series.set(now, int(self._done))
        self._redelivered.set(now, int(self.redelivered))
        self._lost.set(now, int(self.lost))
