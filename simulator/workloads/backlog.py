"""A queue and the pods that work it off: a Kafka topic with its partitions, or one plain queue.

Messages are whole numbers. Time goes in steps of a second: what arrives within one is spread over
the partitions in turn, and every pod works at its rate on the partitions it has, one pod for each
partition at most. What a pod has done is committed at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from simulator.autoscaling.keda.kafka import BrokerError, Partition
from simulator.kernel import SECOND_US, Us
from simulator.series import Recorder
from simulator.workloads.ports import Member

STEP_US = SECOND_US


class Backlog:
    """One queue. ``arrivals_per_s`` and ``per_pod_per_s`` are messages a second."""

    def __init__(
        self,
        name: str,
        recorder: Recorder,
        *,
        topic: str = "",
        partitions: int = 1,
        arrivals_per_s: float = 0.0,
        per_pod_per_s: float = 0.0,
    ) -> None:
        self.name, self._topic = name, topic
        self.arrivals_per_s, self._per_pod_per_s = arrivals_per_s, per_pod_per_s
        self.is_down = False
        self.arrived = 0
        self._latest = [0] * partitions
        self._done = [0] * partitions
        self._members: list[str] = []
        self._arriving = 0.0  # the part of a message that is not there yet
        self._working: dict[str, float] = {}
        self._next = 0  # the partition that gets the next message
        self._now_us: Us = 0
        self._lag = recorder.series(f"{name}.lag", "messages")
        self._processed = recorder.series(f"{name}.processed", "messages")

    @property
    def lag(self) -> int:
        """Messages that wait."""
        return sum(self._latest) - sum(self._done)

    @property
    def is_idle(self) -> bool:
        """Whether nothing happens by itself."""
        nobody = not self._members or not self._per_pod_per_s or self.lag == 0
        return not self.arrivals_per_s and nobody

    def add(self, messages: int) -> None:
        """Messages come at once, beside those of the rate."""
        partitions = len(self._latest)
        each, rest = divmod(messages, partitions)
        for i in range(partitions):
            self._latest[(self._next + i) % partitions] += each + (i < rest)
        self._next = (self._next + rest) % partitions
        self.arrived += messages
        self._record()

    def commit_all(self) -> None:
        """Everything that waits is done at once."""
        self._done = list(self._latest)
        self._record()

    def partitions(self) -> Sequence[Partition]:
        """The partitions as a broker tells of them. Raises BrokerError while it is down."""
        if self.is_down:
            raise BrokerError(f"{self.name}: no broker answers")
        return [
            Partition(self._topic, number, 0, latest, done)
            for number, (latest, done) in enumerate(zip(self._latest, self._done, strict=True))
        ]

    def joined(self, member: Member, now_us: Us) -> None:
        """See ``Workload``."""
        self.advance(now_us)
        self._members = sorted({*self._members, member.uid})

    def leaving(self, uid: str, now_us: Us) -> None:
        """See ``Workload``."""
        self.advance(now_us)
        self._members = [m for m in self._members if m != uid]
        self._working.pop(uid, None)

    def left(self, uid: str, now_us: Us, *, abrupt: bool) -> None:
        """See ``Workload``."""
        del abrupt
        self.leaving(uid, now_us)

    def advance(self, now_us: Us) -> Us | None:
        """See ``Workload``."""
        while self._now_us + STEP_US <= now_us:
            if self.is_idle:
                self._now_us = now_us // STEP_US * STEP_US
                break
            self._now_us += STEP_US
            self._step()
        return None if self.is_idle else self._now_us + STEP_US

    def cpu_core_s(self, uid: str) -> float:
        """See ``Workload``; not modelled for queues."""
        del uid
        return 0.0

    def memory_bytes(self, uid: str) -> int:
        """See ``Workload``; not modelled."""
        del uid
        return 0

    def pod_metrics(self, uid: str) -> Mapping[str, float]:
        """See ``Workload``; none."""
        del uid
        return {}

    def _step(self) -> None:
        self._arriving += self.arrivals_per_s * STEP_US / SECOND_US
        whole = int(self._arriving)
        self._arriving -= whole
        if not self.is_down:  # nobody can read or write a broker that is down
            for i, uid in enumerate(self._members[: len(self._latest)]):
                self._work(uid, range(i, len(self._latest), len(self._members)))
            self.add(whole)

    def _work(self, uid: str, partitions: range) -> None:
        allowance = self._working.get(uid, 0.0) + self._per_pod_per_s * STEP_US / SECOND_US
        messages = int(allowance)
        for number in partitions:
            done = min(messages, self._latest[number] - self._done[number])
            self._done[number] += done
            messages -= done
        # What was not needed is not saved up; only the part of a message under way is.
        self._working[uid] = allowance - int(allowance)

    def _record(self) -> None:
        self._lag.set(self._now_us, self.lag)
        self._processed.set(self._now_us, sum(self._done))
