"""A Kafka topic and the pods that read it.

Between two events everything is linear in time: what is produced, what each member of the group
does, and so every offset. Events are the ends of the arrivals' intervals, partitions that run
empty, and what happens to the group. A member works at its rate, on all of its partitions that have
messages alike; it commits from time to time, and what it did since is done again by the next owner
when it dies.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from simulator.autoscaling.keda.kafka import BrokerError, Partition
from simulator.kernel import Us
from simulator.series import Recorder
from simulator.workloads.fifo import Fifo, after
from simulator.workloads.groups import NEVER, Group, GroupTimings, Protocols, Time
from simulator.workloads.ports import Member
from simulator.workloads.rates import Arrivals, Rate

Floats = NDArray[np.float64]
_NOTHING = 1e-6  # messages: less than this is rounding
RETENTION_CHECK_US = 300_000_000  # log.retention.check.interval.ms


@dataclass(frozen=True, slots=True)
class TopicSettings:
    """Kafka's defaults: ``auto.commit.interval.ms`` 5 s, ``log.retention.hours`` 168."""

    topic: str
    shares: Sequence[float]  # of what is produced, by partition
    protocol: Protocols = "cooperative"
    timings: GroupTimings = field(default_factory=GroupTimings)
    commit_us: int = 5_000_000
    retention_us: int = 604_800_000_000


@dataclass(slots=True)
class _Consumer:
    per_us: float
    commits_from: Time  # its commits are every interval from here on
    uses_core_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Done:
    """A member did the messages of a partition between two offsets; a fact for checkers."""

    partition: int
    uid: str
    begin: float
    end: float


class KafkaTopic:
    """One topic with one consumer group."""

    def __init__(
        self,
        name: str,
        recorder: Recorder,
        settings: TopicSettings,
        arrivals: Arrivals,
        *,
        per_pod_per_s: Callable[[Member], float],
        starts_after_us: Callable[[Member], Us] = lambda _: 0,
        core_s_per_message: float = 0.0,
    ) -> None:
        self.name, self._settings, self._arrivals = name, settings, arrivals
        self._per_pod_per_s, self._starts_after_us = per_pod_per_s, starts_after_us
        self._core_s_per_message = core_s_per_message
        count = len(settings.shares)
        self.group = Group(count, settings.protocol, settings.timings, self)
        self._consumers: dict[str, _Consumer] = {}
        self._ids: dict[str, str] = {}  # of the member that a pod is now
        self._incarnations = 0
        self._starting: dict[str, tuple[Time, Member]] = {}  # pods whose consumer comes up
        self._now: Time = 0.0
        self._down_since: Time | None = None
        self._cell = arrivals.cell(0)
        self._arriving = self._per_us()  # a microsecond, by partition
        self._working = np.zeros(count)
        self._produced, self._position = np.zeros(count), np.zeros(count)
        self._committed, self._first_done = np.zeros(count), np.zeros(count)
        self._log_start = np.zeros(count)
        self._held = np.zeros(count)  # by producers that reach no broker
        self._keeps_up = np.ones(count, bool)  # position is what is produced
        self._log: deque[tuple[Time, Floats]] = deque()  # what was produced when, for retention
        self._retained_at: Time = RETENTION_CHECK_US
        self._next = 0  # the partition that gets the next message of those that come at once
        self.reprocessed, self.lost = 0.0, 0.0
        self.on_done: Callable[[Done], None] = lambda _: None
        self._lag = recorder.series(f"{name}.lag", "messages")
        self._done_series = recorder.series(f"{name}.processed", "messages")
        self._oldest = recorder.series(f"{name}.oldest", "s")
        self._rebalances = recorder.series(f"{name}.rebalances", "rebalances")
        self._reprocessed = recorder.series(f"{name}.reprocessed", "messages")
        self._lost = recorder.series(f"{name}.lost", "messages")
        delays = recorder.distribution(f"{name}.delay", "s")
        self._waiting = [Fifo(delays) for _ in range(count)]

    # What happens

    def produce(self, rate: Rate, now_us: Us) -> None:
        """From now on messages come at this rate."""
        self.advance(now_us)
        self._arrivals.change(now_us, rate)
        self._next_cell()

    def add(self, messages: int, now_us: Us) -> None:
        """Messages come at once, beside those of the rate; to the partitions in turn."""
        self.advance(now_us)
        count = len(self._produced)
        each, rest = divmod(messages, count)
        more = np.full(count, float(each))
        more[[(self._next + i) % count for i in range(rest)]] += 1
        self._next = (self._next + rest) % count
        self._come(more)
        self._record()

    def commit_all(self, now_us: Us) -> None:
        """Everything that waits is done and committed at once, by somebody else."""
        self.advance(now_us)
        for p, (first, end) in enumerate(zip(self._first_done, self._produced, strict=True)):
            if end > first:
                self.on_done(Done(p, "", float(first), float(end)))
        self._position[:] = self._first_done[:] = self._committed[:] = self._produced
        self._keeps_up[:] = True
        self._allot()
        self._record()

    def set_broker(self, is_up: bool, now_us: Us) -> None:
        """Brokers go down, or come back: what producers held then comes at once."""
        self.advance(now_us)
        if not is_up and self._down_since is None:
            self._down_since = self._now
        elif is_up and self._down_since is not None:
            since, self._down_since = self._down_since, None
            self.group.paused(since, self._now)
            held, self._held = self._held, np.zeros(len(self._held))
            self._come(held)
            self._step_group()
        self._allot()

    def joined(self, member: Member, now_us: Us) -> None:
        """See ``Workload``. The consumer asks to be a member when it has come up."""
        self.advance(now_us)
        self._incarnations += 1
        self._ids[member.uid] = f"{member.uid}/{self._incarnations}"  # a restart is another member
        self._starting[member.uid] = (self._now + self._starts_after_us(member), member)
        self._step_group()

    def leaving(self, uid: str, now_us: Us) -> None:
        """See ``Workload``. It commits and says that it leaves."""
        self._gone(uid, now_us, says_so=self._down_since is None)

    def left(self, uid: str, now_us: Us, *, abrupt: bool) -> None:
        """See ``Workload``."""
        self._gone(uid, now_us, says_so=not abrupt and self._down_since is None)

    def _gone(self, uid: str, now_us: Us, *, says_so: bool) -> None:
        self.advance(now_us)
        self._starting.pop(uid, None)
        member = self._ids.pop(uid, None)
        if member is None:
            return
        if says_so:
            self.group.left(member, self._now)
        else:
            self.group.died(member, self._now)
        self._allot()

    def taken(self, partition: int, uid: str, now: Time) -> None:
        """See ``Moves``."""
        del uid, now
        self._position[partition] = max(self._committed[partition], self._log_start[partition])
        self._keeps_up[partition] = self._position[partition] >= self._produced[partition]

    def given_up(self, partition: int, now: Time, *, commits: bool) -> None:
        """See ``Moves``."""
        del now
        if commits:
            self._committed[partition] = self._position[partition]
        self._working[partition], self._keeps_up[partition] = 0.0, False

    # Time

    def advance(self, now_us: Us) -> Us | None:
        """See ``Workload``."""
        while self._now < now_us:
            self._integrate(min(now_us, self._next_event()))
            if self._now >= self._cell.end_us:
                self._next_cell()
            if self._now >= self._retained_at:
                self._retain()
            self._step_group()
        self._record()
        return None if self._is_idle else now_us + 1

    @property
    def _is_idle(self) -> bool:
        quiet = not self._arriving.any() and self._arrivals.rate.next_change(int(self._now)) is None
        still = not self._working.any() or self._down_since is not None
        nobody_moves = self.group.due == NEVER and not self._starting
        return quiet and still and nobody_moves

    def _next_event(self) -> Time:
        ends: list[Time] = [self._cell.end_us, self._retained_at]
        if self._down_since is None:
            ends += [self.group.due, *(at for at, _ in self._starting.values())]
            closing = self._working - self._arriving
            waiting = self._produced - self._position > _NOTHING
            some = ~self._keeps_up & waiting & (closing > 0)
            if some.any():
                left = (self._produced[some] - self._position[some]) / closing[some]
                ends.append(after(self._now, float(left.min())))
        return max(self._now, min(ends))

    def _integrate(self, to: Time) -> None:
        """Goes on to ``to``, with nothing but time passing."""
        begin, span = self._now, to - self._now
        self._now = to
        if span <= 0:
            return
        come = self._arriving * span
        if self._down_since is not None:
            self._held += come
            return
        self._produced += come
        before = self._position.copy()
        self._position += self._working * span
        empty = self._keeps_up | (self._position >= self._produced - _NOTHING)
        np.copyto(self._position, self._produced, where=empty & (self._working > 0))
        self._commit(begin, before)
        self._account(begin, before)
        newly = empty & ~self._keeps_up & (self._working > 0)
        if newly.any():
            self._keeps_up |= newly
            self._allot()

    def _commit(self, begin: Time, before: Floats) -> None:
        every = self._settings.commit_us
        for uid, mine in self._owned().items():
            since = self._consumers[uid].commits_from
            last = since + (self._now - since) // every * every
            if last > begin and not self.group.is_dead(uid):
                done = before[mine] + self._working[mine] * (last - begin)
                self._committed[mine] = np.minimum(done, self._position[mine])

    def _account(self, begin: Time, before: Floats) -> None:
        """What was done for the first time, after which delay, and by whom."""
        busy = np.flatnonzero(self._position > before)
        for p in busy.tolist():
            uid = self.group.owners[p]
            done = float(self._position[p] - before[p])
            if uid is not None:
                self._consumers[uid].uses_core_s += done * self._core_s_per_message
                self.on_done(Done(p, uid, float(before[p]), float(self._position[p])))
            self.reprocessed += max(0.0, min(self._position[p], self._first_done[p]) - before[p])
            self._delays(p, begin, float(before[p]))
        np.maximum(self._first_done, self._position, out=self._first_done)

    def _delays(self, p: int, begin: Time, before: float) -> None:
        first = max(float(self._first_done[p]), before)
        end, produced = float(self._position[p]), float(self._produced[p])
        if end <= first:
            return
        fifo, rate = self._waiting[p], float(self._working[p])
        if self._keeps_up[p]:
            fifo.passed(self._now, end - first, produced)
        else:
            fifo.came(self._now, produced)
            fifo.done(begin + (first - before) / rate, self._now, first, end)

    def _next_cell(self) -> None:
        self._cell = self._arrivals.cell(int(self._now))
        self._arriving = self._per_us()
        for p, fifo in enumerate(self._waiting):
            if self._first_done[p] >= self._produced[p]:
                fifo.restart(self._now, float(self._produced[p]))
            else:
                fifo.came(self._now, float(self._produced[p]))
        self._allot()

    def _per_us(self) -> Floats:
        return self._cell.arrivals / (self._cell.end_us - self._cell.begin_us)

    def _come(self, more: Floats) -> None:
        for p in np.flatnonzero(more).tolist():
            self._waiting[p].came(self._now, float(self._produced[p]))
            self._waiting[p].came(self._now, float(self._produced[p] + more[p]))
        self._produced += more
        self._keeps_up &= more == 0
        self._allot()

    def _retain(self) -> None:
        """Deletes what is too old, read or not."""
        self._retained_at += RETENTION_CHECK_US
        self._log.append((self._now, self._produced.copy()))
        kept_from = self._now - self._settings.retention_us
        if self._log[0][0] > kept_from:
            return
        while self._log and self._log[0][0] <= kept_from:
            _, start = self._log.popleft()
        np.maximum(self._log_start, start, out=self._log_start)
        self.lost += float(np.add.accumulate(np.maximum(self._log_start - self._first_done, 0))[-1])
        for values in (self._first_done, self._position):
            np.maximum(values, self._log_start, out=values)

    def _step_group(self) -> None:
        if self._down_since is not None:
            return
        begun = [u for u, (at, _) in self._starting.items() if at <= self._now]
        for uid in begun:
            _, member = self._starting.pop(uid)
            per_us = self._per_pod_per_s(member) / 1e6
            self._consumers[self._ids[uid]] = _Consumer(per_us, self._now)
            self.group.joined(self._ids[uid], self._now)
        acts = self.group.due <= self._now
        if acts:
            self.group.step(self._now)
        if begun or acts:
            self._allot()

    def _owned(self) -> dict[str, list[int]]:
        owned: dict[str, list[int]] = {}
        for partition, uid in enumerate(self.group.owners):
            if uid is not None:
                owned.setdefault(uid, []).append(partition)
        return owned

    def _allot(self) -> None:
        """How fast each partition is read: its owner's rate, shared by those that have messages."""
        self._working[:] = 0.0
        if self._down_since is not None:
            return
        for uid, mine in self._owned().items():
            left = 0.0 if self.group.is_dead(uid) else self._consumers[uid].per_us
            if left <= 0.0:
                self._keeps_up[mine] &= self._arriving[mine] == 0
                continue
            hungry = list(mine)
            while hungry:
                share = left / len(hungry)
                content = [p for p in hungry if self._keeps_up[p] and self._arriving[p] <= share]
                if not content:
                    break
                for p in content:
                    self._working[p] = self._arriving[p]
                    left -= float(self._arriving[p])
                    hungry.remove(p)
            for p in hungry:
                self._working[p], self._keeps_up[p] = left / len(hungry), False

    # What others see

    @property
    def lag(self) -> int:
        """Messages that are produced and not committed."""
        return int((np.floor(self._produced) - np.floor(self._committed)).astype(np.int64).sum())

    def partitions(self) -> Sequence[Partition]:
        """The partitions as a broker tells of them. Raises BrokerError while it is down."""
        if self._down_since is not None:
            raise BrokerError(f"{self.name}: no broker answers")
        return self.offsets()

    def offsets(self) -> Sequence[Partition]:
        """The partitions as they are, whoever can ask."""
        topic = self._settings.topic
        return [
            Partition(topic, number, int(start), int(latest), int(done))
            for number, (start, latest, done) in enumerate(
                zip(self._log_start, self._produced, self._committed, strict=True)
            )
        ]

    def finish(self, now_us: Us) -> None:
        """The run is over: what is not done has waited so long, and would have longer."""
        self.advance(now_us)
        for fifo, first, made in self._unfinished():
            fifo.unfinished(self._now, first, made)

    def _unfinished(self) -> Iterator[tuple[Fifo, float, float]]:
        """The partitions where something waits: what is done and what is produced."""
        some = np.flatnonzero(self._produced - self._first_done >= 1).tolist()
        return (
            (self._waiting[p], float(self._first_done[p]), float(self._produced[p])) for p in some
        )

    def cpu_core_s(self, uid: str) -> float:
        """See ``Workload``."""
        consumer = self._consumers.get(self._ids.get(uid, ""))
        return consumer.uses_core_s if consumer else 0.0

    def pod_metrics(self, uid: str) -> Mapping[str, float]:
        """See ``Workload``; none."""
        del uid
        return {}

    def _record(self) -> None:
        now = int(self._now)
        self._lag.set(now, self.lag)
        self._done_series.set(now, int(np.add.accumulate(self._first_done)[-1]))
        self._rebalances.set(now, self.group.rebalances)
        self._reprocessed.set(now, int(self.reprocessed))
        self._lost.set(now, int(self.lost))
        oldest = min((f.born(first) for f, first, _ in self._unfinished()), default=self._now)
        self._oldest.set(now, (self._now - oldest) / 1e6)
