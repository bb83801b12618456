"""Operators as processes of the simulated cluster: started, stopped, killed at any write."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prism_operator.api.meta import LEASE, Json, Ref, resource_of
from prism_operator.planning.settings import Settings
from prism_operator.ports import Outcome, Reader, Writer
from prism_operator.runtime.metrics import NoMetrics
from prism_operator.runtime.operator import WATCHED, Operator, Options
from simulator.apiserver.client import InProcessReader, InProcessWriter
from simulator.apiserver.server import ApiServer
from simulator.backends import SimulatedBackends
from simulator.clock import VirtualClock
from simulator.control_planes import SimulatedControlPlanes
from simulator.controllers.world import Change
from simulator.faults import Faults, FaultyReader, FaultyWriter, Upset
from simulator.kernel import SECOND_US, Component, Kernel, Phase, Us
from simulator.randomness import Streams

RECOVERY_US = 60 * SECOND_US  # the longest wait between two tries, and then some


class KilledError(BaseException):
    """``kill -9``: nothing in the operator may catch it and go on."""


class WatchedWriter:
    """A ``Writer`` that counts what it wrote, and can be made to kill its process.

    The n-th write is done, but nobody hears the answer.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.writes = 0  # Leases aside
        self._until_death: int | None = None

    def die_after(self, writes: int) -> None:
        """Kills the process with the n-th write from now on."""
        self._until_death = writes

    def create(self, obj: Json, field_manager: str) -> Outcome:
        """See ``Writer``."""
        return self._done(self._writer.create(obj, field_manager), obj["kind"])

    def apply(
        self, obj: Json, field_manager: str, *, force: bool, subresource: str = ""
    ) -> Outcome:
        """See ``Writer``."""
        outcome = self._writer.apply(obj, field_manager, force=force, subresource=subresource)
        return self._done(outcome, obj["kind"])

    def replace(self, obj: Json, field_manager: str, *, subresource: str = "") -> Outcome:
        """See ``Writer``."""
        outcome = self._writer.replace(obj, field_manager, subresource=subresource)
        return self._done(outcome, resource_of(obj).kind)

    def patch_json(self, ref: Ref, operations: Sequence[Json], field_manager: str) -> Outcome:
        """See ``Writer``."""
        outcome = self._writer.patch_json(ref, operations, field_manager)
        return self._done(outcome, ref.resource.kind)

    def delete(self, ref: Ref, *, uid: str, resource_version: str | None = None) -> Outcome:
        """See ``Writer``."""
        outcome = self._writer.delete(ref, uid=uid, resource_version=resource_version)
        return self._done(outcome, ref.resource.kind)

    def _done(self, outcome: Outcome, kind: str) -> Outcome:
        if kind == LEASE.kind:
            return outcome
        self.writes += 1
        if self._until_death is not None:
            self._until_death -= 1
            if self._until_death == 0:
                raise KilledError
        return outcome


class OperatorProcess:
    """One replica of the operator: its current process, and those before it."""

    def __init__(
        self,
        kernel: Kernel,
        server: ApiServer,
        clock: VirtualClock,
        streams: Streams,
        options: Options,
        *,
        ordinal: int,
        via: str,
        reaction_us: Us,
        tell: Callable[[str, str], None],
        backends: SimulatedBackends | None = None,
        control_planes: SimulatedControlPlanes | None = None,
    ) -> None:
        self._backends = backends
        self._control_planes = control_planes
        self._kernel, self._server, self._clock = kernel, server, clock
        self._streams, self._options, self._via = streams, options, via
        self._reaction_us, self._tell = reaction_us, tell
        self.name = f"operator-{ordinal}"
        self._generation = 0
        self._operator: Operator | None = None
        self._writer: WatchedWriter | None = None
        self._component: Component | None = None
        self._writes_before = 0
        self._restart_after_us: Us | None = None
        self._faults = Faults(streams.stream("faults", self.name))
        self._recovers_until: Us = 0
        self._busy_until: Us = 0  # it waits for an answer

    @property
    def writes(self) -> int:
        """What all its processes wrote so far, Leases aside."""
        return self._writes_before + (self._writer.writes if self._writer else 0)

    @property
    def works(self) -> bool:
        """Whether its process runs, may write, and reaches the API server, for a while by now."""
        if self._faults.active or self._kernel.now_us < self._recovers_until:
            return False
        return self._operator is not None and self._operator.leadership.term() is not None

    def upset(self, upset: Upset, for_us: Us) -> None:
        """Upsets its calls and watches for a while."""
        self._faults.begin(upset)
        self._tell(f"{upset.fault} begins", self.name)
        self._kernel.at(
            self._kernel.now_us + for_us, Phase.SCENARIO, self.name, lambda: self._calm(upset)
        )
        if self._component is not None:
            self._component.wake()

    def _calm(self, upset: Upset) -> None:
        self._faults.end(upset)
        self._recovers_until = self._kernel.now_us + RECOVERY_US
        self._tell(f"{upset.fault} ends", self.name)
        if self._component is not None:
            self._component.wake()

    def changed(self, change: Change) -> None:
        """Wakes the process for what it watches."""
        if self._component is not None and (
            change.ref.resource in WATCHED or change.ref.resource == LEASE
        ):
            self._component.wake()

    def start(self) -> None:
        """Starts a process, unless one runs."""
        if self._operator is not None:
            return
        self._generation += 1
        self._busy_until = 0
        identity = f"{self.name}-{self._generation}"
        reader, writer = _ports(self._server, self._via)
        self._writer = WatchedWriter(writer)
        self._operator = Operator(
            reader=FaultyReader(reader, self._faults),
            writer=FaultyWriter(self._writer, self._faults),
            clock=self._clock,
            settings=Settings(
                check_backends=self._backends is not None,
                provision_namespaces=self._control_planes is not None,
                watch_namespaces=self._options.watch_namespaces,
            ),
            options=self._options,
            metrics=NoMetrics(),
            streams=self._streams,
            identity=identity,
            prober=None if self._backends is None else self._backends.prober(),
            control_plane=None if self._control_planes is None else self._control_planes.client(),
        )
        self._tell("started", identity)
        self._component = Component(
            self._kernel, Phase.OPERATOR, self.name, self._step, self._reaction_us
        )
        self._component.wake()

    def stop(self) -> None:
        """Ends the process gracefully."""
        if self._operator is not None:
            self._operator.stop()
            self._gone("stopped")

    def kill(self, *, after_writes: int, restart_after_us: Us | None) -> None:
        """Kills the process now, or with its n-th write from now on."""
        self._restart_after_us = restart_after_us
        if self._writer is None:
            return
        if after_writes:
            self._writer.die_after(after_writes)
        else:
            self._killed()

    def restart(self, after_us: Us) -> None:
        """Stops gracefully and starts again."""
        self.stop()
        self._start_at(self._kernel.now_us + after_us)

    def _step(self) -> Us | None:
        assert self._operator is not None, "a component steps only while its process runs"  # noqa: S101
        if self._kernel.now_us < self._busy_until:
            return self._busy_until
        try:
            due_s = self._operator.step()
        except KilledError:
            self._killed()
            return None
        now_us, waited_us = self._kernel.now_us, self._faults.waited_us()
        if waited_us:
            self._busy_until = now_us + waited_us
            return self._busy_until
        return None if due_s is None else max(now_us + 1, _up(due_s))

    def _killed(self) -> None:
        if self._operator is not None:
            self._operator.close()
        self._gone("killed")
        if self._restart_after_us is not None:
            self._start_at(self._kernel.now_us + self._restart_after_us)

    def _gone(self, how: str) -> None:
        if self._component is not None:
            self._component.stop()
        self._tell(how, f"{self.name}-{self._generation}")
        self._writes_before = self.writes
        self._operator = self._writer = self._component = None

    def _start_at(self, when: Us) -> None:
        self._kernel.at(when, Phase.OPERATOR, self.name, self.start)


def _ports(server: ApiServer, via: str) -> tuple[Reader, Writer]:
    if via == "ports":
        return InProcessReader(server), InProcessWriter(server)
    # Only this way needs the HTTP libraries.
    from prism_operator.adapters.connection import connect_over
    from simulator.apiserver.transport import InProcessAdapter

    connection = connect_over(InProcessAdapter(server))
    return connection.reader(), connection.writer()


def _up(seconds: float) -> Us:
    """Microseconds, rounded up, so that a timer has surely expired when it wakes somebody."""
    return -int(-seconds * SECOND_US // 1)
