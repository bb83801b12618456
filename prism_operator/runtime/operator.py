"""The operator's loop, the same in production and in simulated time.

``Operator.step`` does everything that can be done without waiting. Who calls it gives it time: the
simulator steps it in virtual time, ``driver`` pumps its parts from threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import structlog

from prism_operator.api.meta import (
    CONFIG_MAP,
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    NODE,
    POD_DISRUPTION_BUDGET,
    POD_MONITOR,
    PRISM_BACKEND,
    PRISM_NAMESPACE,
    PRISM_PATTERN,
    PRISM_RESOURCES,
    PRISM_STACK,
    ROLE,
    ROLE_BINDING,
    SCALED_OBJECT,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    TRIGGER_AUTHENTICATION,
    Json,
    Ref,
    Resource,
)
from prism_operator.planning import PLANNERS, Planner
from prism_operator.planning.checks import Check, Finding
from prism_operator.planning.nodes import lasting_facts
from prism_operator.planning.provisioning import Answer, Call
from prism_operator.planning.settings import Settings
from prism_operator.planning.shards import DEFAULT_SHARD
from prism_operator.ports import Census, Clock, ControlPlane, Metrics, Prober, Reader, Writer
from prism_operator.runtime.applier import Applier
from prism_operator.runtime.cache import (
    Cache,
    Trim,
    desired_unless_foreign,
    identity_unless_ours,
    only_reports,
    scaling_facts,
)
from prism_operator.runtime.census import take_census
from prism_operator.runtime.checks import Checks, Nobody
from prism_operator.runtime.controller import Controller
from prism_operator.runtime.dependencies import Dependencies
from prism_operator.runtime.elector import Alone, Elector, Leadership, LeaseTimes
from prism_operator.runtime.events import Recorder
from prism_operator.runtime.health import SILENCE_MAX_S, Verdict, WatchFacts, judge
from prism_operator.runtime.randomness import Streams
from prism_operator.runtime.reflector import Reflector
from prism_operator.runtime.secrets import Secrets, data_of
from prism_operator.runtime.shards import Share, lease_name_of
from prism_operator.runtime.workqueue import Priority, WorkQueue


def _whole(obj: Json) -> Json:
    return obj


# What the planners look at, and how much of it is kept. Foreign objects are watched too, since one
# with a name of ours must be noticed: docs/decisions/0004-watch-all-keep-little.md.
WATCHED: Mapping[Resource, Trim] = {
    PRISM_STACK: _whole,
    PRISM_PATTERN: _whole,
    PRISM_BACKEND: _whole,
    PRISM_NAMESPACE: _whole,
    DEPLOYMENT: identity_unless_ours,
    SERVICE: identity_unless_ours,
    SERVICE_ACCOUNT: identity_unless_ours,
    CONFIG_MAP: identity_unless_ours,
    ROLE: identity_unless_ours,
    ROLE_BINDING: identity_unless_ours,
    HORIZONTAL_POD_AUTOSCALER: scaling_facts,
    SCALED_OBJECT: scaling_facts,
    TRIGGER_AUTHENTICATION: identity_unless_ours,
    POD_MONITOR: identity_unless_ours,
    POD_DISRUPTION_BUDGET: desired_unless_foreign,
    NODE: lasting_facts,
}

# Events are a courtesy: the next leader does not wait for ours longer than this.
LAST_EVENTS_S = 0.5
# Nodes come by the dozen, and each may concern thousands of objects: they are looked at together.
NODES_SETTLE_S = 5.0

_log = structlog.get_logger("prism_operator.runtime.operator")


@dataclass(frozen=True, slots=True)
class Options:
    """How the loop runs. No ``watch_namespaces`` means all of them."""

    watch_namespaces: tuple[str, ...] = ()
    workers: int = 8
    leader_elect: bool = True
    lease_namespace: str = "prism-system"
    lease_base: str = "prism-operator-leader"
    shard: str = DEFAULT_SHARD
    lease_times: LeaseTimes = field(default_factory=LeaseTimes)
    silence_max_s: float = SILENCE_MAX_S

    @property
    def lease_name(self) -> str:
        """The name of the shard's Lease."""
        return lease_name_of(self.lease_base, self.shard)


class Operator:
    """Watches, plans and writes. Its parts are thread-safe where ``driver`` needs them to be."""

    def __init__(
        self,
        *,
        reader: Reader,
        writer: Writer,
        clock: Clock,
        settings: Settings,
        options: Options,
        metrics: Metrics,
        streams: Streams,
        identity: str,
        planners: Mapping[Resource, Planner] = PLANNERS,
        prober: Prober | None = None,
        control_plane: ControlPlane | None = None,
    ) -> None:
        self._clock = clock
        self._metrics = metrics
        self._options = options
        self._started = False
        self._stopping = False
        self._passes_began_s: dict[Ref, float] = {}
        self.queue = WorkQueue(clock, streams, metrics)
        self._dependencies = Dependencies()
        self.share = Share(
            options.shard,
            lease_namespace=options.lease_namespace,
            lease_base=options.lease_base,
            lease_duration_s=options.lease_times.lease_duration_s,
            reader=reader,
            clock=clock,
        )
        self.cache = Cache(
            trims={**self.share.trims(WATCHED), SECRET: data_of},
            listener=self._on_change,
            on_availability=self._on_availability,
        )
        self.reflectors = tuple(
            Reflector(
                resource,
                namespace,
                reader=reader,
                cache=self.cache,
                clock=clock,
                rng=streams.stream("reflector", resource.plural, namespace),
            )
            for resource in WATCHED
            for namespace in (options.watch_namespaces if resource.namespaced else ()) or ("",)
        )
        self.leadership: Leadership = Alone()
        if options.leader_elect:
            self.leadership = Elector(
                namespace=options.lease_namespace,
                name=options.lease_name,
                identity=identity,
                times=options.lease_times,
                reader=reader,
                writer=writer,
                clock=clock,
                rng=streams.stream("elector", identity),
                metrics=metrics,
                is_healthy=lambda: self.verdict().fit_to_lead,
                on_change=self._on_leadership,
            )
        self.recorder = Recorder(
            writer=writer,
            clock=clock,
            identity=identity,
            may_write=lambda: self.leadership.term() is not None,
        )
        applier = Applier(
            reader=reader,
            writer=writer,
            cache=self.cache,
            metrics=metrics,
            may_write=self._may_write,
        )
        self.checks: Checks[Check, Finding] = Checks(
            "checks",
            prober or Nobody(),
            clock=clock,
            streams=streams,
            began=metrics.check_began,
            told=partial(_count_check, metrics),
            on_news=self._on_news,
        )
        self.calls: Checks[Call, Answer] = Checks(
            "calls",
            control_plane or Nobody(),
            clock=clock,
            streams=streams,
            began=lambda _late_s: None,
            told=partial(_count_call, metrics),
            on_news=self._on_news,
        )
        secrets = Secrets(reader=reader, cache=self.cache, clock=clock)
        self._controllers = {
            resource: Controller(
                resource,
                planner,
                cache=self.cache,
                dependencies=self._dependencies,
                applier=applier,
                recorder=self.recorder,
                secrets=secrets,
                queue=self.queue,
                clock=clock,
                metrics=metrics,
                settings=settings,
                share=self.share,
                checks=self.checks,
                calls=self.calls,
            )
            for resource, planner in planners.items()
        }
        self._active = dict.fromkeys(planners, 0)

    def step(self) -> float | None:
        """Does all that can be done now without waiting.

        Returns when there will be more to do by itself, on the monotonic clock, or None.
        """
        while True:
            progress = False
            for reflector in self.reflectors:
                progress |= reflector.step()
            self.leadership.step()
            while self.reconcile_next():
                progress = True
            progress |= self.check()
            progress |= self.call()
            progress |= self.recorder.flush()
            due_s = self._next_due_s()
            if not progress and (due_s is None or due_s > self._clock.monotonic_s()):
                return due_s

    def stop(self) -> None:
        """Ends gracefully: writes the Events that wait, ends the watches, releases the Lease."""
        self.recorder.flush(until_s=self._clock.monotonic_s() + LAST_EVENTS_S)
        self.close()
        self.leadership.release()

    def close(self) -> None:
        """Ends the watches and nothing else: what ``kill -9`` leaves behind."""
        self._stopping = True
        for reflector in self.reflectors:
            reflector.close()
        self.queue.wake()

    def reconcile_next(self) -> bool:
        """Makes one pass if a key waits and we may; returns whether it did."""
        term = self._term()
        if term is None:
            return False
        key = self.queue.pop()
        if key is None:
            return False
        controller = self._controllers[key.resource]
        self._passes_began_s[key] = self._clock.monotonic_s()
        self._busy(controller, +1)
        try:
            controller.reconcile(key, term)
        finally:
            self._busy(controller, -1)
            del self._passes_began_s[key]
            self.queue.done(key)
        return True

    def check(self) -> bool:
        """Takes in what checks of backends found, and begins those that are due if we lead."""
        return self.checks.step(may=self._term() is not None)

    def call(self) -> bool:
        """Takes in what control planes answered, and begins the calls that are due if we lead."""
        return self.calls.step(may=self._term() is not None)

    def wait_for_work(self, timeout_s: float) -> None:
        """Blocks until ``reconcile_next`` may have something to do, at most ``timeout_s``."""
        self.queue.wait(timeout_s, for_keys=self._term() is not None)

    def knows(self, namespace: str) -> bool:
        """Whether the caches have seen all there is in a namespace."""
        watched = self._options.watch_namespaces
        if self._stopping or (watched and namespace not in watched):
            return False
        return all(reflector.synced for reflector in self.reflectors)

    def verdict(self) -> Verdict:
        """Whether we are healthy and ready, and if not, why."""
        return judge(
            watches=[WatchFacts(str(r), r.synced, r.silent_s, r.deaf_s) for r in self.reflectors],
            passes_began_s=list(self._passes_began_s.values()),
            stopping=self._stopping,
            now_s=self._clock.monotonic_s(),
            sees_anything=any(
                not r.is_refused for r in self.reflectors if r.resource in PRISM_RESOURCES
            ),
            silence_max_s=self._options.silence_max_s,
        )

    def census(self) -> Census:
        """The state behind the metrics, without holding up anybody."""
        leads = self._started and self.leadership.term() is not None
        return take_census(self.cache, self.reflectors, shard=self.share.name if leads else None)

    def _may_write(self, term: int) -> bool:
        # Who stops lets no pass go on: it may be cut off anywhere, and others wait for the Lease.
        return not self._stopping and self.leadership.may_write(term)

    def _term(self) -> int | None:
        """The term we may work in, once everything is known that plans are made from."""
        if self._stopping:
            return None
        if not self._started:
            # A plan from half a picture would create what there is and miss what is foreign.
            if not all(reflector.synced for reflector in self.reflectors):
                return None
            self._started = True
            _log.info("Starting workers", workers=self._options.workers)
            self.queue.wake()
        return self.leadership.term()

    def _next_due_s(self) -> float | None:
        due = [reflector.next_due_s() for reflector in self.reflectors]
        due.append(self.leadership.next_due_s())
        if self._term() is not None:
            due += [self.queue.next_due_s(), self.recorder.next_due_s()]
            due += [self.checks.next_due_s(), self.calls.next_due_s()]
        return min((due_s for due_s in due if due_s is not None), default=None)

    def _on_change(self, ref: Ref, old: Json | None, new: Json | None, by: Ref | None) -> None:
        priority = Priority.CHANGED if self._started else Priority.UNSEEN
        if old is not None and new is not None and only_reports(old, new):
            priority = Priority.REPORTED
        if ref.resource in self._controllers and ref != by and self.share.concerns(new):
            self.queue.add(ref, priority)
        for key in self._dependencies.concerned(ref, old, new):
            if key == by:
                continue
            if ref.resource == NODE:
                self.queue.add_after(key, NODES_SETTLE_S)
            else:
                self.queue.add(key, priority)

    def _on_news(self, key: Ref) -> None:
        self.queue.add(key, Priority.REPORTED)

    def _on_availability(self, resource: Resource) -> None:  # noqa: ARG002
        self._add_all()

    def _on_leadership(self) -> None:
        # The one who led before us may have stopped anywhere.
        self._add_all()
        self.queue.wake()

    def _add_all(self) -> None:
        with self.cache.lock:
            for resource in self._controllers:
                for ref in self.cache.refs(resource):
                    if self.share.concerns(self.cache.get(ref)):
                        self.queue.add(ref, Priority.UNSEEN)

    def _busy(self, controller: Controller, change: int) -> None:
        with self.cache.lock:
            self._active[controller.resource] += change
            self._metrics.workers_active(controller.name, self._active[controller.resource])


def _count_check(metrics: Metrics, finding: Finding) -> None:
    result = "Healthy" if finding.trouble is None else finding.trouble.reason
    metrics.checked(finding.target.provider, result, finding.latency_s)


def _count_call(metrics: Metrics, answer: Answer) -> None:
    result = "ok" if answer.trouble is None else answer.trouble.reason
    metrics.called(type(answer.target).__name__.lower(), result, answer.latency_s)
