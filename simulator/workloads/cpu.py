"""Load that costs CPU time: so many cores of work, shared evenly by the pods that are ready.

A pod gets no more than its limit; what does not fit is not made up for later.
"""

from __future__ import annotations

from collections.abc import Mapping

from simulator.kernel import SECOND_US, Us
from simulator.series import Recorder
from simulator.workloads.ports import Member
from simulator.workloads.rates import Arrivals, Rate


class CpuLoad:
    """``demand`` is core seconds of work for one target, a second."""

    def __init__(self, name: str, recorder: Recorder, demand: Arrivals) -> None:
        self.name, self._arrivals = name, demand
        self._cell = demand.cell(0)
        self._members: dict[str, Member] = {}
        self._used_core_s: dict[str, float] = {}
        self._now_us: Us = 0
        self._demand = recorder.series(f"{name}.cores", "cores")
        self._usage = recorder.series(f"{name}.used", "cores")
        self._record()

    def demand(self, rate: Rate, now_us: Us) -> None:
        """From now on it is so many cores."""
        self.advance(now_us)
        self._arrivals.change(now_us, rate)
        self._cell = self._arrivals.cell(now_us)
        self._record()

    def joined(self, member: Member, now_us: Us) -> None:
        """See ``Workload``."""
        self.advance(now_us)
        self._members[member.uid] = member
        self._used_core_s.setdefault(member.uid, 0.0)
        self._record()

    def leaving(self, uid: str, now_us: Us) -> None:
        """See ``Workload``."""
        self.advance(now_us)
        self._members.pop(uid, None)
        self._record()

    def left(self, uid: str, now_us: Us, *, abrupt: bool) -> None:
        """See ``Workload``."""
        del abrupt
        self.leaving(uid, now_us)
        self._used_core_s.pop(uid, None)

    def advance(self, now_us: Us) -> Us | None:
        """See ``Workload``."""
        while self._now_us < now_us:
            until = min(now_us, self._cell.end_us)
            elapsed_s = (until - self._now_us) / SECOND_US
            self._now_us = until
            for uid, member in self._members.items():
                self._used_core_s[uid] += self._share(member) * elapsed_s
            if until == self._cell.end_us:
                self._cell = self._arrivals.cell(until)
                self._record()
        return None if self._arrivals.rate.next_change(now_us) is None else self._cell.end_us

    def cpu_core_s(self, uid: str) -> float:
        """See ``Workload``."""
        return self._used_core_s.get(uid, 0.0)

    def pod_metrics(self, uid: str) -> Mapping[str, float]:
        """See ``Workload``; none."""
        del uid
        return {}

    def finish(self, now_us: Us) -> None:
        """See ``Workload``."""
        self.advance(now_us)

    @property
    def _cores(self) -> float:
        span_s = (self._cell.end_us - self._cell.begin_us) / SECOND_US
        return float(self._cell.arrivals[0]) / span_s

    def _share(self, member: Member) -> float:
        share = self._cores / len(self._members)
        limit = member.cpu_limit_cores
        return share if limit is None else min(share, limit)

    def _record(self) -> None:
        self._demand.set(self._now_us, self._cores)
        self._usage.set(self._now_us, sum(map(self._share, self._members.values())))
