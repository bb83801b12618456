"""One scenario, run: the API server, its controllers, the operator and the world in one kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from time import perf_counter

from prism_operator.api.crd import build_crds
from prism_operator.api.meta import (
    PRISM_PATTERN,
    PRISM_STACK,
    Ref,
)
from prism_operator.runtime.operator import Options
from simulator.apiserver.garbage import GarbageCollector
from simulator.apiserver.namespaces import NamespaceController
from simulator.apiserver.server import ApiServer
from simulator.apiserver.types import Catalog, Kind
from simulator.autoscaling.keda.crds import keda_crds
from simulator.autoscaling.keda.operator import KedaOperator
from simulator.autoscaling.metrics import ClusterMetrics
from simulator.autoscaling.prometheus import Prometheus, Query
from simulator.backends import SimulatedBackends
from simulator.checkers import all_checkers
from simulator.checkers.cost import CostIsNodeHours
from simulator.checkers.offsets import EveryOffsetOnce
from simulator.checkers.requests import RequestsConserved
from simulator.clock import VirtualClock
from simulator.cluster.api import ENDPOINT_SLICE, ApiWorld, Cache, has_ready_endpoints
from simulator.cluster.kubelet import ImageBehaviour, Kubelets, PodTimings
from simulator.cluster.limits import ClientLimit
from simulator.cluster.nodes import Machine
from simulator.control_planes import SimulatedControlPlanes
from simulator.controllers.deployment import DeploymentController
from simulator.controllers.disruption import DisruptionController
from simulator.controllers.endpoints import EndpointsController
from simulator.controllers.nodelifecycle import NodeLifecycle
from simulator.controllers.objects import is_true
from simulator.controllers.podautoscaler import PodAutoscalers
from simulator.controllers.replicaset import ReplicaSetController
from simulator.controllers.world import Change, SyncLoop
from simulator.expectations import Counters, Judges, described
from simulator.infrastructure import Infrastructure
from simulator.inputs import BadInputError
from simulator.kernel import SECOND_US, Component, Kernel, LivelockError, Phase, Us
from simulator.operators import OperatorProcess
from simulator.randomness import Streams
from simulator.scenario import LoadedScenario
from simulator.scenario.cluster import UNLIMITED, ClientSpec
from simulator.scenario.timeline import Event
from simulator.scheduling.scheduler import Scheduler
from simulator.series import Recorder
from simulator.trace import Sink, Trace
from simulator.user import User
from simulator.workloads.host import Workloads

SCHEDULER = "default-scheduler"
CONTROLLER_MANAGER = "kube-controller-manager"
LEASE_NAMESPACE = "prism-system"
SYNCS_PER_INSTANT_MAX = 100_000
VIOLATIONS_SHOWN_MAX = 20
WORK_STEP_US = 5 * SECOND_US  # how often queues are looked at where nobody asks


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to."""

    scenario: str
    seed: int
    simulated_s: float
    wall_s: float
    ready: int
    of: int  # stacks and stand-alone patterns
    restarts: int
    evictions: int
    writes: int  # of all operators, Leases aside
    met: int
    expected: int
    log_hash: str
    # One line for every expectation that was not met and every promise that was broken.
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return not self.failures


@lru_cache(maxsize=1)
def _kinds() -> tuple[Kind, ...]:
    """What every simulated server serves; compiling the CRDs' schemas takes a while."""
    catalog = Catalog.builtin()
    for crd in build_crds():
        catalog.add_crd(crd)
    return tuple(catalog)


@lru_cache(maxsize=1)
def _keda_kinds() -> tuple[Kind, ...]:
    catalog = Catalog({})
    return tuple(kind for crd in keda_crds() for kind in catalog.add_crd(crd))


def _catalog(*, keda: bool = False) -> Catalog:
    kinds = (*_kinds(), *(_keda_kinds() if keda else ()))
    resources = ((kind.resource, kind) for kind in kinds)
    return Catalog({(r.group, r.version, r.plural): kind for r, kind in resources})


class Simulation:
    """A cluster in virtual time with the operator in it."""

    def __init__(
        self, loaded: LoadedScenario, *, seed: int | None = None, log: Sink | None = None
    ) -> None:
        self._loaded, scenario = loaded, loaded.scenario
        self.scenario, self.seed = scenario, scenario.seed if seed is None else seed
        self.kernel = Kernel()
        self.clock = VirtualClock(self.kernel, scenario.clock.start)
        self.server = ApiServer(
            self.clock, _catalog(keda=scenario.cluster.autoscaling.keda), seed=self.seed
        )
        self.cache = Cache(self.server)
        self.trace = Trace(log)
        self.recorder = Recorder()
        self.user = User(self.server)
        self.evictions = 0
        self._streams = Streams(self.seed)
        self._violations: list[str] = []
        self._checkers = all_checkers(
            self.cache, lambda: any(operator.works for operator in self.operators)
        )
        self._check_due = False
        self.machines: dict[str, Machine] = {}
        self._build_control_plane()
        self._build_autoscalers()
        self.backends = SimulatedBackends(self.clock)
        self.control_planes = SimulatedControlPlanes(
            self.clock, partial(has_ready_endpoints, self.cache)
        )
        self.infrastructure = Infrastructure(
            self.kernel,
            self._world("kubelet"),
            scenario.cluster,
            self.machines,
            self.kubelets,
            self.workloads,
            self.scheduler.snapshot,
            self._streams,
            self.recorder,
            path=loaded.path,
            on_evicted=self._evicted,
            on_lost=self._manager.wake,
            tell=self._tell,
        )
        self._keep_books()
        self.operators = self._build_operators()
        counters = Counters(
            lambda: self.kubelets.restarts,
            lambda: self.evictions,
            lambda: sum(operator.writes for operator in self.operators),
        )
        measured = (scenario.clock.warmup, scenario.duration - scenario.clock.drain)
        self.judges = Judges(self.cache, counters, self.recorder, scenario.duration, measured)
        self.judges.expect(scenario.expect)
        self.cache.on_change(self._changed)
        self._install()
        self.infrastructure.begin()
        self._plan()

    # Setting up

    def _install(self) -> None:
        name = {"name": LEASE_NAMESPACE}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": name}
        self._world("prism-sim").create(namespace)

    def _build_control_plane(self) -> None:
        cluster = self.scenario.cluster
        loops: Mapping[str, Callable[[ApiWorld], SyncLoop]] = {
            "deployment-controller": DeploymentController,
            "replicaset-controller": ReplicaSetController,
            "controllermanager": DisruptionController,
            "endpoint-slice-controller": partial(EndpointsController, resource=ENDPOINT_SLICE),
        }
        worlds = {n: self._world(CONTROLLER_MANAGER, n, cluster.clients.controllers) for n in loops}
        self._sync_loops = tuple((make(worlds[name]), worlds[name]) for name, make in loops.items())
        self._node_lifecycle = NodeLifecycle(
            self._world(CONTROLLER_MANAGER, "node-controller"),
            self.cache.pods_on,
            lambda name: self.machines[name].last_heartbeat(self.kernel.now_us),
            self._evicted,
        )
        self._garbage = GarbageCollector(self.server)
        self._namespaces = NamespaceController(self.server)
        self._manager = Component(
            self.kernel,
            Phase.CONTROLLER,
            CONTROLLER_MANAGER,
            self._run_controllers,
            cluster.reaction.controllers,
        )
        self.scheduler = Scheduler(
            self._world(SCHEDULER, client=cluster.clients.scheduler),
            self._streams.stream("kube-scheduler", "preemption").randrange,
        )
        self._scheduling = Component(
            self.kernel,
            Phase.SCHEDULER,
            "kube-scheduler",
            partial(self._since_start, self.scheduler.step),
            cluster.reaction.scheduler,
        )
        pods = cluster.pods
        self.kubelets = Kubelets(
            self.kernel,
            self._world("kubelet"),
            self.machines,
            PodTimings(pods.pull, pods.start, pods.ready, pods.stop),
            [
                ImageBehaviour(i.match, i.pulls, i.becomes_ready, i.crash_after, i.ready)
                for i in cluster.images
            ],
            self._streams,
        )

    def _keep_books(self) -> None:
        prices = {name: pool.price for name, pool in self.scenario.cluster.pools.items()}
        rate = self.recorder.series("cost.rate", "per hour")
        cost = CostIsNodeHours(self.kernel, self.cache, rate, prices)
        supply = self.infrastructure.supply
        supply.on_launched, supply.on_ended = cost.launched, cost.ended
        topics = [EveryOffsetOnce(topic) for topic in self.workloads.topics]
        requests = [RequestsConserved(load, self.kernel) for load in self.workloads.requests]
        self._books: list[EveryOffsetOnce | RequestsConserved | CostIsNodeHours] = [
            *topics,
            *requests,
            cost,
        ]

    def _build_autoscalers(self) -> None:
        spec = self.scenario.cluster.autoscaling
        self._started_us = self.clock.unix_us() - self.kernel.now_us
        self.workloads = Workloads(
            self.kernel,
            self.cache,
            self.recorder,
            self.scenario.workloads,
            self._started_us,
            self._streams,
            self._loaded.surroundings,
        )
        self.prometheus = self._build_prometheus()
        self.keda = KedaOperator(self._world("keda-operator"), self.workloads, self.prometheus)
        self.hpas = PodAutoscalers(
            self._world(CONTROLLER_MANAGER, "horizontal-pod-autoscaler"),
            ClusterMetrics(self.workloads, self.keda, self.prometheus),
            spec.hpa_sync,
        )
        steps = {"horizontal-pod-autoscaler": self.hpas.step, "keda-operator": self.keda.step}
        reaction_us = self.scenario.cluster.reaction.controllers
        self._scaling, self._keda = (
            Component(
                self.kernel, Phase.CONTROLLER, name, partial(self._since_start, step), reaction_us
            )
            for name, step in steps.items()
        )
        self._work = Component(self.kernel, Phase.NODE, "workloads", self._advance_workloads)
        self._scraping = Component(self.kernel, Phase.NODE, "metrics-server", self._scrape)
        if self.workloads.is_measured:
            offset_us = self._streams.stream("metrics-server").randrange(spec.metrics_resolution)
            self._scraping.wake_at(offset_us)
        self._work.wake()

    def _build_prometheus(self) -> Prometheus | None:
        spec = self.scenario.cluster.autoscaling.prometheus
        if spec is None:
            return None
        queries = {
            text: Query(q.series or str(q.rate), q.window if q.rate else None)
            for text, q in spec.queries.items()
        }
        prometheus = Prometheus(
            self.kernel,
            self.workloads,
            self.recorder,
            queries,
            scrape_us=spec.scrape,
            window_us=spec.window,
            started_us=self._started_us,
        )
        scraping = Component(self.kernel, Phase.NODE, "prometheus", prometheus.scrape)
        scraping.wake_at(self._streams.stream("prometheus").randrange(spec.scrape))
        return prometheus

    def _since_start(self, step: Callable[[], Us | None]) -> Us | None:
        """A step that answers in time since 1970, in time since the simulation began."""
        due = step()
        return None if due is None else due - self._started_us

    def _advance_workloads(self) -> Us | None:
        goes_on = self.workloads.advance()
        self._check_soon()
        return self.kernel.now_us + WORK_STEP_US if goes_on else None

    def _scrape(self) -> Us | None:
        self.workloads.scrape()
        return self.kernel.now_us + self.scenario.cluster.autoscaling.metrics_resolution

    def _build_operators(self) -> list[OperatorProcess]:
        spec = self.scenario.operator
        # Checks that find the same for ever are left out: they would be most of a long run.
        checked = any(event.backend is not None for event in self.scenario.timeline)
        options = Options(
            watch_namespaces=spec.watch_namespaces,
            leader_elect=(spec.replicas > 1 if spec.leader_elect is None else spec.leader_elect),
            lease_namespace=LEASE_NAMESPACE,
        )
        return [
            OperatorProcess(
                self.kernel,
                self.server,
                self.clock,
                self._streams,
                options,
                ordinal=ordinal,
                via=spec.via,
                reaction_us=self.scenario.cluster.reaction.operator,
                tell=self._tell,
                backends=self.backends if checked else None,
                control_planes=self.control_planes,
            )
            for ordinal in range(spec.replicas)
        ]

    def _plan(self) -> None:
        """Puts everything the scenario says on the calendar."""
        self.kernel.at(0, Phase.SCENARIO, "", self._begin)
        for i, event in enumerate(self.scenario.timeline):
            key = f"{i:06d}"
            self.kernel.at(event.at, Phase.SCENARIO, key, partial(self.happen, event))
        self.kernel.at(self.scenario.duration, Phase.CHECK, "", self._check)

    def _world(self, manager: str, reporter: str = "", client: ClientSpec = UNLIMITED) -> ApiWorld:
        limit = ClientLimit(self.clock.unix_us, client.qps, client.burst)
        apart = manager == SCHEDULER  # it has a client of its own for Events
        return ApiWorld(
            self.server, self.cache, self.clock, manager, reporter, limit, events_apart=apart
        )

    # Running

    def run(self, *, steps: int = 1, on_step: Callable[[], None] = lambda: None) -> Result:
        """Runs the scenario to its end; ``on_step`` is called after each of ``steps`` equal parts.

        Raises:
            BadInputError: The API server refused something that the scenario does.
        """
        began = perf_counter()  # how long it took, never what happens
        for step in range(1, steps + 1):
            self.kernel.run_until(self.scenario.duration * step // steps)
            on_step()
        self.workloads.finish()
        self._check()
        for books in self._books:
            self._note(books.name, books.violations())
        self.judges.finish()
        return self._result(perf_counter() - began)

    def run_until(self, seconds: float) -> None:
        """Goes on to a point in simulated time; for tests that look in between."""
        self.kernel.run_until(round(seconds * SECOND_US))

    def _begin(self) -> None:
        for name in self.scenario.manifests:
            self.apply(name)
        for operator in self.operators:
            operator.start()

    def apply(self, name: str) -> None:
        """Applies a manifest file of the scenario.

        Raises:
            BadInputError: The API server refused it.
        """
        for manifest in self._loaded.manifests[name]:
            self.user.apply(manifest)

    def happen(self, event: Event) -> None:
        """Has what an event says happen now.

        Raises:
            BadInputError: The API server refused it, or it names what is not there.
        """
        name = event.name or event.action
        self.trace.record(self.kernel.now_us, "event", name)
        if event.name is not None:
            self.judges.happened(event.name, self.kernel.now_us)
            for deadline in self.judges.deadlines():
                self.kernel.at(deadline + 1, Phase.CHECK, "", self._check)
        self._act(event)
        self._check_soon()

    def _act(self, event: Event) -> None:
        for name in event.apply or ():
            self.apply(name)
        if event.patch is not None:
            self.user.patch(event.patch.target, event.patch.patch)
        if event.delete is not None:
            self.user.delete(event.delete.target, event.delete.cascade)
        if event.scale is not None:
            self.user.scale(event.scale.target, event.scale.replicas)
        if event.rollout_restart is not None:
            self.user.rollout_restart(event.rollout_restart, self.clock.unix_us())
        self.infrastructure.act(event)
        if (crash := event.operator_crash) is not None:
            self._operator(crash.replica).kill(
                after_writes=crash.after_writes, restart_after_us=crash.restart_after
            )
        if event.operator_restart is not None:
            restart = event.operator_restart
            self._operator(restart.replica).restart(restart.after)
        if (api := event.api_server) is not None:
            struck = self.operators if api.replica is None else [self._operator(api.replica)]
            for operator in struck:
                operator.upset(api.upset, api.for_)
        if event.load is not None:
            self.workloads.act(event.load)
            self._work.wake()
        if (backend := event.backend) is not None:
            self.backends.set(backend.namespace, backend.name, backend.state)
        if (plane := event.control_plane) is not None:
            self.control_planes.set(plane.namespace, plane.stack, plane.state)
        if event.keda is not None:
            self.keda.is_down = event.keda == "down"
            self._keda.wake()
        if event.metrics_server is not None:
            self.workloads.metrics_server_is_down = event.metrics_server == "down"
        if event.prometheus is not None and self.prometheus is not None:
            self.prometheus.is_down = event.prometheus == "down"

    def _operator(self, replica: int) -> OperatorProcess:
        if replica >= len(self.operators):
            raise BadInputError(
                [
                    f"{self._loaded.path}: there is no operator replica {replica}, "
                    f"operator.replicas is {len(self.operators)}"
                ]
            )
        return self.operators[replica]

    def lose(self, *names: str) -> None:
        """Cuts nodes off."""
        self.infrastructure.lose(*names)

    def _changed(self, change: Change) -> None:
        """Tells everybody about a write, within the write."""
        now = self.kernel.now_us
        self.trace.record_change(now, change)
        for checker in self._checkers:
            self._note(checker.name, checker.changed(change, now))
        for loop, _ in self._sync_loops:
            loop.changed(change)
        self._node_lifecycle.changed(change)
        self._manager.wake()
        if self.scheduler.changed(change):
            self._scheduling.wake()
        self.kubelets.changed(change)
        self.workloads.changed(change)
        if self.hpas.changed(change):
            self._scaling.wake()
        if self.keda.changed(change):
            self._keda.wake()
        for operator in self.operators:
            operator.changed(change)
        self._check_soon()

    def _run_controllers(self) -> Us | None:
        """kube-controller-manager: every queue until nothing is left to do at this instant."""
        syncs = 0
        while (
            any(w.free_at() is None and loop.sync_next() for loop, w in self._sync_loops)
            or self._garbage.step()
            or self._namespaces.step()
        ):
            syncs += 1
            if syncs > SYNCS_PER_INSTANT_MAX:
                raise LivelockError(
                    f"controllers find no rest at {self.kernel.now_us / SECOND_US:.6f} s"
                )
        dues = [self._node_lifecycle.step(self.kernel.now_us)]
        started = self.clock.unix_us() - self.kernel.now_us
        for loop, world in self._sync_loops:
            due = loop.queue.next_due_us()
            if due is not None:
                dues.append(max(due, world.free_at() or 0) - started)
        return min((due for due in dues if due is not None), default=None)

    def _evicted(self, ref: Ref) -> None:
        self.evictions += 1
        self._tell("evicted", str(ref))

    # Judging

    def _check_soon(self) -> None:
        if not self._check_due:
            self._check_due = True
            self.kernel.at(self.kernel.now_us, Phase.CHECK, "", self._check)

    def _check(self) -> None:
        self._check_due = False
        now = self.kernel.now_us
        for checker in self._checkers:
            self._note(checker.name, checker.rested(now))
        self.judges.look(now)

    def _note(self, checker: str, violations: Iterable[str]) -> None:
        for violation in violations:
            at = f"{self.kernel.now_us / SECOND_US:.3f} s"
            self._violations.append(f"broken promise {checker} at {at}: {violation}")

    def _tell(self, what: str, about: str) -> None:
        self.trace.record(self.kernel.now_us, what, about)

    def _result(self, wall_s: float) -> Result:
        failures = [
            f"expected {described(judge.expectation)}: {judge.why}"
            for judge in self.judges.judges
            if not judge.verdict
        ]
        ready, of = self._readiness()
        more = len(self._violations) - VIOLATIONS_SHOWN_MAX
        return Result(
            scenario=self._loaded.name,
            seed=self.seed,
            simulated_s=self.kernel.now_us / SECOND_US,
            wall_s=wall_s,
            ready=ready,
            of=of,
            restarts=self.kubelets.restarts,
            evictions=self.evictions,
            writes=sum(operator.writes for operator in self.operators),
            met=sum(bool(judge.verdict) for judge in self.judges.judges),
            expected=len(self.judges.judges),
            log_hash=self.trace.hash,
            failures=(
                *failures,
                *self._violations[:VIOLATIONS_SHOWN_MAX],
                *([f"… and {more} more broken promises"] if more > 0 else ()),
            ),
        )

    @property
    def violations(self) -> tuple[str, ...]:
        """Every promise that the checkers saw broken so far, with the time."""
        return tuple(self._violations)

    def _readiness(self) -> tuple[int, int]:
        stacks = list(self.cache.list(PRISM_STACK))
        alone = [
            pattern
            for pattern in self.cache.list(PRISM_PATTERN)
            if not pattern["metadata"].get("ownerReferences")
        ]
        tops = [*stacks, *alone]
        return sum(is_true(obj, "Ready") for obj in tops), len(tops)
