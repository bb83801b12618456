"""Load that costs CPU time: so many cores of work, shared evenly by the pods that are ready.

A pod gets no more than its limit; what does not fit is not made up for later.
"""

from __future__ import annotations

from collections.abc import Mapping

from simulator.kernel import SECOND_US, Us
from simulator.series import Recorder
from simulator.workloads.ports import Member


class CpuLoad:
    """``cores`` of work for one target."""

    def __init__(self, name: str, recorder: Recorder, cores: float) -> None:
        self.name, self._cores = name, cores
        self._members: dict[str, Member] = {}
        self._used_core_s: dict[str, float] = {}
        self._now_us: Us = 0
        self._demand = recorder.series(f"{name}.cores", "cores")
        self._usage = recorder.series(f"{name}.used", "cores")
        self._record()

    def demand(self, cores: float, now_us: Us) -> None:
        """From now on it is so many cores."""
        self.advance(now_us)
        self._cores = cores
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
        elapsed_s = (now_us - self._now_us) / SECOND_US
        self._now_us = now_us
        for uid, member in self._members.items():
            self._used_core_s[uid] += self._share(member) * elapsed_s
        return None

    def cpu_core_s(self, uid: str) -> float:
        """See ``Workload``."""
        return self._used_core_s.get(uid, 0.0)

    def memory_bytes(self, uid: str) -> int:
        """See ``Workload``; not modelled."""
        del uid
        return 0

    def pod_metrics(self, uid: str) -> Mapping[str, float]:
        """See ``Workload``; none."""
        del uid
        return {}

    def _share(self, member: Member) -> float:
        share = self._cores / len(self._members)
        limit = member.cpu_limit_cores
        return share if limit is None else min(share, limit)

    def _record(self) -> None:
        self._demand.set(self._now_us, self._cores)
        self._usage.set(self._now_us, sum(map(self._share, self._members.values())))
