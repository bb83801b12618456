"""Leader election by a Lease, and the fence that keeps a former leader from writing.

The protocol is client-go's (``k8s.io/client-go/tools/leaderelection``): whoever sees a Lease
unchanged for its duration, by its own monotonic clock, may take it; whoever cannot renew within the
renew deadline stops leading. Clocks need not agree, only run at about the same speed. Unlike
client-go's, a candidate never waits longer than the retry period, and looks again at the moment the
Lease runs out: a leader that dies is followed after the Lease's duration and one retry at most.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog

from prism_operator.api.meta import FIELD_MANAGER, LEASE, Json, Ref
from prism_operator.ports import Clock, Failed, Metrics, Ok, Outcome, Reader, Reason, Writer

_log = structlog.get_logger("prism_operator.runtime.elector")


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """The three times of leader election, in seconds; each shorter than the one before."""

    lease_duration_s: float = 15.0
    renew_deadline_s: float = 10.0
    retry_period_s: float = 2.0


class Leadership(Protocol):
    """Whether this process may write."""

    def term(self) -> int | None:
        """The number of the current term, or None while somebody else may be leading."""

    def may_write(self, term: int) -> bool:
        """Whether what was planned in ``term`` may still be written now."""

    def next_due_s(self) -> float | None:
        """When ``step`` has something to do, on the monotonic clock."""

    def step(self) -> None:
        """Does what is due."""

    def release(self) -> None:
        """Lets the next one lead at once. Nothing may be written afterwards."""


class Alone:
    """Leadership without an election: for one process that nobody competes with."""

    def __init__(self) -> None:
        self._released = False

    def term(self) -> int | None:
        """See ``Leadership``."""
        return None if self._released else 0

    def may_write(self, term: int) -> bool:  # noqa: ARG002
        """See ``Leadership``."""
        return not self._released

    def next_due_s(self) -> float | None:
        """See ``Leadership``."""
        return None

    def step(self) -> None:
        """See ``Leadership``."""

    def release(self) -> None:
        """See ``Leadership``."""
        self._released = True


@dataclass(frozen=True, slots=True)
class _Held:
    term: int
    until_s: float  # the renew deadline, on the monotonic clock


class Elector:
    """Takes, renews and releases one Lease. ``step`` is called by one thread at a time."""

    def __init__(
        self,
        *,
        namespace: str,
        name: str,
        identity: str,
        times: LeaseTimes,
        reader: Reader,
        writer: Writer,
        clock: Clock,
        rng: random.Random,
        metrics: Metrics,
        is_healthy: Callable[[], bool],
        on_change: Callable[[], None],
    ) -> None:
        self.ref = Ref(LEASE, namespace, name)
        self.identity = identity
        self._times = times
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._rng = rng
        self._metrics = metrics
        self._is_healthy = is_healthy
        self._on_change = on_change
        self._terms = 0
        # Read by workers at any time: one reference, replaced as a whole.
        self._held: _Held | None = None
        self._observed: Json | None = None
        self._observed_s = 0.0
        self._next_s: float | None = clock.monotonic_s()
        self._trouble: Reason | None = None
        metrics.leading(name, False)

    def term(self) -> int | None:
        """See ``Leadership``."""
        held = self._held
        return held.term if held and self._clock.monotonic_s() < held.until_s else None

    def may_write(self, term: int) -> bool:
        """See ``Leadership``."""
        return self.term() == term

    def next_due_s(self) -> float | None:
        """See ``Leadership``."""
        return self._next_s

    def step(self) -> None:
        """See ``Leadership``."""
        now_s = self._clock.monotonic_s()
        if self._next_s is None or now_s < self._next_s:
            return
        if self._held and not self._is_healthy():
            # A leader that cannot work but keeps its Lease would stop everybody.
            _log.error("Releasing the lease: unhealthy", lease=str(self.ref))
            self._give_up()
        if self._held and now_s >= self._held.until_s:
            self._lose("not renewed within the renew deadline")
        if self._held:
            self._renew(self._held)
        elif self._is_healthy():
            self._try_to_acquire()
        self._next_s = self._clock.monotonic_s() + self._pause_s()

    def release(self) -> None:
        """See ``Leadership``."""
        self._next_s = None
        if self._held:
            self._give_up()

    def _pause_s(self) -> float:
        period_s = self._times.retry_period_s
        if self._held:
            # Not beyond the deadline: losing must be noticed when it happens.
            left_s = self._held.until_s - self._clock.monotonic_s()
            return max(0.0, min(period_s, left_s))
        # Candidates spread over half a period, and all come when the Lease runs out.
        pause_s = period_s * (1 - self._rng.random() / 2)
        left_s = self._runs_out_s(self._observed) - self._clock.monotonic_s()
        return min(pause_s, left_s) if left_s > 0 else pause_s

    def _try_to_acquire(self) -> None:
        began_s = self._clock.monotonic_s()
        answer = self._reader.get(self.ref)
        if isinstance(answer, Failed) and answer.reason is Reason.NOT_FOUND:
            self._won(began_s, self._writer.create(self._lease(None), FIELD_MANAGER))
        elif isinstance(answer, Failed):
            self._say(answer)
        else:
            self._observe(answer.obj)
            if self._is_free(answer.obj):
                lease = self._lease(answer.obj)
                self._won(began_s, self._writer.replace(lease, FIELD_MANAGER))

    def _renew(self, held: _Held) -> None:
        for _ in range(2):
            began_s = self._clock.monotonic_s()
            answer = self._writer.replace(self._lease(self._observed), FIELD_MANAGER)
            if isinstance(answer, Ok):
                self._observe(answer.obj)
                self._trouble = None
                # Counted from before the call: others count from its arrival at the earliest.
                self._held = _Held(held.term, began_s + self._times.renew_deadline_s)
                if self._clock.monotonic_s() >= self._held.until_s:
                    self._lose("the renewal took longer than the renew deadline")
                return
            if answer.reason not in (Reason.CONFLICT, Reason.NOT_FOUND):
                self._say(answer)
                return
            # Changed by somebody, or by a renewal of ours whose answer was lost: look.
            current = self._reader.get(self.ref)
            if isinstance(current, Ok) and _holder(current.obj) == self.identity:
                self._observe(current.obj)
                continue
            if isinstance(current, Ok):
                self._observe(current.obj)
                self._lose(f"taken by {_holder(current.obj) or 'nobody'}")
            elif current.reason is Reason.NOT_FOUND:
                self._lose("deleted")
            else:
                self._say(current)
            return

    def _won(self, began_s: float, answer: Outcome) -> None:
        if isinstance(answer, Failed):
            # Lost the race: somebody else wrote first, and the next look will tell who.
            if answer.reason not in (Reason.CONFLICT, Reason.ALREADY_EXISTS):
                self._say(answer)
            return
        self._observe(answer.obj)
        self._trouble = None
        self._terms += 1
        self._held = _Held(self._terms, began_s + self._times.renew_deadline_s)
        _log.info("Became the leader", lease=str(self.ref), identity=self.identity)
        self._metrics.leading(self.ref.name, True)
        self._on_change()

    def _lose(self, why: str) -> None:
        self._held = None
        _log.error("Lost the lease", lease=str(self.ref), identity=self.identity, reason=why)
        self._metrics.leading(self.ref.name, False)
        self._on_change()

    def _give_up(self) -> None:
        self._held = None  # before the others hear of it
        self._metrics.leading(self.ref.name, False)
        answer = self._writer.replace(self._lease(self._observed, release=True), FIELD_MANAGER)
        if isinstance(answer, Failed):
            self._say(answer)
        else:
            _log.info("Released the lease", lease=str(self.ref), identity=self.identity)
        self._on_change()

    def _is_free(self, lease: Json) -> bool:
        holder = _holder(lease)
        if holder in ("", self.identity):
            return True
        return self._clock.monotonic_s() >= self._runs_out_s(lease)

    def _runs_out_s(self, lease: Json | None) -> float:
        spec = (lease or {}).get("spec") or {}
        return self._observed_s + float(spec.get("leaseDurationSeconds") or 0)

    def _observe(self, lease: Json) -> None:
        if self._observed is None or self._observed.get("spec") != lease.get("spec"):
            self._observed_s = self._clock.monotonic_s()
        self._observed = lease

    def _lease(self, current: Json | None, *, release: bool = False) -> Json:
        """The Lease with us as its holder (or nobody), to follow ``current``."""
        now = micro_time(self._clock.now())
        before = (current or {}).get("spec") or {}
        same_holder = current is not None and _holder(current) == self.identity
        transitions = int(before.get("leaseTransitions") or 0)
        return {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": (
                {"name": self.ref.name, "namespace": self.ref.namespace}
                if current is None
                else current["metadata"]
            ),
            "spec": {
                **before,
                "holderIdentity": "" if release else self.identity,
                # Whole seconds, rounded up: a Lease knows no fractions.
                "leaseDurationSeconds": 1 if release else -int(-self._times.lease_duration_s // 1),
                "acquireTime": before.get("acquireTime", now) if same_holder else now,
                "renewTime": now,
                "leaseTransitions": transitions + (current is not None and not same_holder),
            },
        }

    def _say(self, failed: Failed) -> None:
        if failed.reason is not self._trouble:
            self._trouble = failed.reason
            _log.warning(
                "Cannot use the lease",
                lease=str(self.ref),
                reason=failed.reason.value,
                error=failed.message,
            )


def micro_time(moment: datetime) -> str:
    """A time as Kubernetes' MicroTime, like ``2026-03-02T00:00:00.000000Z``."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _holder(lease: Json) -> str:
    return str((lease.get("spec") or {}).get("holderIdentity") or "")
