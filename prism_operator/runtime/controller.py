"""One pass over one object: observe, plan, write, and again until there is nothing left to write.

Level-triggered: a pass looks at what there is, never at what happened. It may be cut off after any
write; the next one goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import structlog

from prism_operator.api.meta import Json, Ref, Resource
from prism_operator.planning import Planner
from prism_operator.planning.checks import Check, Finding
from prism_operator.planning.observed import Failure, Observed
from prism_operator.planning.plan import Emit, Plan, Write
from prism_operator.planning.provisioning import Answer, Call
from prism_operator.planning.settings import Settings
from prism_operator.planning.shards import held_by
from prism_operator.ports import Clock, Failed, Metrics
from prism_operator.runtime.applier import Applier
from prism_operator.runtime.cache import Cache
from prism_operator.runtime.checks import Checks
from prism_operator.runtime.dependencies import Dependencies, Question, RecordingSnapshot
from prism_operator.runtime.events import Recorder
from prism_operator.runtime.secrets import Secrets
from prism_operator.runtime.shards import WAIT_S, Share, Turn
from prism_operator.runtime.workqueue import Priority, WorkQueue

# A plan that still writes after so many rounds disagrees with the server.
ROUNDS_MAX = 5

_log = structlog.get_logger("prism_operator.runtime.controller")


@dataclass(slots=True)
class _Pass:
    """What one pass did, for its log line and the queue."""

    writes: list[str]
    failures: tuple[Failure, ...] = ()
    retry: bool = False
    retry_after_s: float | None = None
    requeue_after_s: float | None = None

    @property
    def result(self) -> str:
        if self.retry:
            return "error" if self.failures else "requeue"
        return "success" if self.requeue_after_s is None else "requeue_after"


class Controller:
    """Reconciles the objects of one kind."""

    def __init__(
        self,
        resource: Resource,
        planner: Planner,
        *,
        cache: Cache,
        dependencies: Dependencies,
        applier: Applier,
        recorder: Recorder,
        secrets: Secrets,
        queue: WorkQueue,
        clock: Clock,
        metrics: Metrics,
        settings: Settings,
        share: Share,
        checks: Checks[Check, Finding],
        calls: Checks[Call, Answer],
    ) -> None:
        self.name = resource.kind.lower()
        self.resource = resource
        self._planner = planner
        self._cache = cache
        self._dependencies = dependencies
        self._applier = applier
        self._recorder = recorder
        self._secrets = secrets
        self._queue = queue
        self._clock = clock
        self._metrics = metrics
        self._settings = settings
        self._share = share
        self._checks = checks
        self._calls = calls
        self._failures: dict[Ref, tuple[Failure, ...]] = {}

    def reconcile(self, key: Ref, term: int) -> None:
        """Makes one pass over the object at ``key`` and tells the queue when to look again."""
        began_s = self._clock.monotonic_s()
        log = _log.bind(
            controller=self.name, kind=key.resource.kind, namespace=key.namespace, name=key.name
        )
        done = _Pass(writes=[])
        try:
            self._run(key, term, done)
        except Exception:  # the edge of the loop: a bug about one object must not stop the others
            log.exception("Reconcile failed")
            done.retry, done.failures = True, ()
            result = "error"
        else:
            result = done.result
        duration_s = self._clock.monotonic_s() - began_s
        if done.retry and done.retry_after_s is not None:
            self._queue.add_after(key, done.retry_after_s)
        elif done.retry:
            self._queue.retry(key)
        else:
            self._queue.forget(key)
            if done.requeue_after_s is not None:
                self._queue.add_after(key, done.requeue_after_s)
        self._metrics.reconciled(self.name, result, duration_s)
        log.info(
            "Reconciled",
            result=result,
            duration_ms=round(duration_s * 1000, 1),
            **({"writes": done.writes} if done.writes else {}),
            **({"failures": [_line(f) for f in done.failures]} if done.failures else {}),
        )

    def _run(self, key: Ref, term: int, done: _Pass) -> None:
        match self._share.take_turn(key, self._cache, self._applier, term):
            case Turn.OTHERS:
                self._failures.pop(key, None)
                self._expect(Plan(key))
                with self._cache.lock:
                    self._dependencies.note(key, set())
                return
            case Turn.WAIT:
                done.requeue_after_s = WAIT_S
                return
            case Turn.RETRY:
                done.retry = True
                return
            case Turn.OURS:
                pass
        failures = self._failures.get(key, ())
        events: dict[Emit, None] = {}
        seen: Json | None = None
        for _ in range(ROUNDS_MAX):
            planned = self._plan(key, failures)
            if planned is None:
                self._failures.pop(key, None)
                if seen is not None:  # it went by what this pass wrote, and that has to be told
                    self._tell(seen, events)
                return
            obj, plan = planned
            seen = obj
            if not plan.writes and failures:
                failures = ()  # overtaken: what failed is no longer wanted
                continue
            if not plan.writes:
                break
            result = self._applier.carry_out(plan, term)
            done.writes += [_describe(write) for write in result.written]
            failures = done.failures = result.failures
            if result.fenced:
                return  # whoever leads next plans everything anew
            if result.ending:
                return  # the object goes with its namespace: nothing to try again, or to say
            if result.given_up:
                self._remember(key, failures)
                done.retry, done.retry_after_s = True, result.retry_after_s
                return
            events.update(dict.fromkeys(plan.events))
            if failures:
                done.retry = True
                obj, plan = self._plan(key, failures) or planned  # for the status that says so
                break
        else:
            failures = done.failures = (_unsettled(plan),)
            done.retry = True
        self._remember(key, failures)
        events.update(dict.fromkeys(plan.events))
        self._finish(obj, plan, tuple(events), term, done)

    def _finish(
        self, obj: Json, plan: Plan, events: tuple[Emit, ...], term: int, done: _Pass
    ) -> None:
        if plan.status is not None:
            if done.writes and not done.failures and not events and self._queue.is_waited_for():
                # Others wait for their objects, and by the time of the next pass the status may
                # have more to say. That pass comes at once when nobody waits any more.
                self._queue.add(plan.ref, Priority.REPORTED)
                return
            status = held_by(plan.status, self._share.name)
            answer = self._applier.set_status(obj, status, term)
            if answer is None:
                return
            done.writes.append("status")
            if isinstance(answer, Failed):
                failure = Failure(plan.ref, "status", answer.reason.value, answer.message)
                done.failures += (failure,)
                done.retry, done.retry_after_s = True, answer.retry_after_s
                return  # its events come with the status they speak of
        self._tell(obj, events)
        done.requeue_after_s = plan.requeue_after_s

    def _tell(self, obj: Json, events: Iterable[Emit]) -> None:
        for emit in events:
            self._recorder.record(obj, emit)

    def _expect(self, plan: Plan) -> None:
        self._checks.expect(plan.ref, plan.check)
        self._calls.expect(plan.ref, plan.call)

    def _plan(self, key: Ref, failures: tuple[Failure, ...]) -> tuple[Json, Plan] | None:
        obj, plan, asked = self._plan_once(key, failures)
        # Once more for each: what one Secret says may lead to the next.
        while self._secrets.look(asked, key):
            obj, plan, asked = self._plan_once(key, failures)
        if obj is None or plan is None:
            self._expect(Plan(key))
            return None
        waits_s = (plan.requeue_after_s, self._secrets.next_look_s(asked))
        next_s = min((s for s in waits_s if s is not None), default=None)
        if self._secrets.unread(asked):
            # Pods that start without what a Secret adds to them would soon be replaced.
            return obj, Plan(key, requeue_after_s=next_s)
        self._expect(plan)
        return obj, replace(plan, requeue_after_s=next_s)

    def _plan_once(
        self, key: Ref, failures: tuple[Failure, ...]
    ) -> tuple[Json | None, Plan | None, set[Question]]:
        with self._cache.lock:
            obj = self._cache.get(key)
            cluster = RecordingSnapshot(self._cache)
            try:
                if obj is None:
                    return None, None, cluster.asked
                heard = self._checks.finding(key), self._calls.finding(key)
                observed = Observed(obj, cluster, failures, *heard)
                plan = self._planner(observed, self._settings, self._clock.now())
                return obj, plan, cluster.asked
            finally:
                self._dependencies.note(key, cluster.asked)

    def _remember(self, key: Ref, failures: tuple[Failure, ...]) -> None:
        if failures:
            self._failures[key] = failures
        else:
            self._failures.pop(key, None)


def _describe(write: Write) -> str:
    return f"{type(write).__name__.lower()} {write.ref}: {write.reason}"


def _unsettled(plan: Plan) -> Failure:
    write = plan.writes[0]
    message = f"still to be written after {ROUNDS_MAX} rounds: {write.reason}"
    return Failure(write.ref, type(write).__name__.lower(), "DoesNotSettle", message)


def _line(failure: Failure) -> str:
    return f"{failure.verb} {failure.ref}: {failure.reason}: {failure.message}"
