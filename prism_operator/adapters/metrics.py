"""Prometheus metrics under the names and labels of controller-runtime, workqueue and client-go.

So existing dashboards and alerts work. The names are those of
https://book.kubebuilder.io/reference/metrics-reference; what they do not have is ``prism_*``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from prism_operator import __version__
from prism_operator.api.backend import PROVIDERS
from prism_operator.api.meta import PRISM_RESOURCES, Resource
from prism_operator.ports import Census, ObjectCounts

# A second series for each counter, which nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]

# controller-runtime's buckets of controller_runtime_reconcile_time_seconds.
_RECONCILE_BUCKETS_S = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5),
    *(0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5),
    *(5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0),
)
# workqueue's buckets: powers of ten from 10 ns.
_QUEUE_BUCKETS_S = tuple(10.0**exponent for exponent in range(-8, 4))
_CHECK_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_RESULTS: Final = ("success", "requeue", "requeue_after", "error")

Type: TypeAlias = Literal["counter", "gauge", "histogram"]
# Label values and the number; a single label's value may stand alone.
Rows: TypeAlias = Mapping[Any, float]


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One metric as it is exposed and documented.

    ``of_objects``: reported only by the replica that leads, so that a sum over all replicas (and
    shards) is right. All others are each replica's own.
    """

    name: str
    type: Type
    help: str
    labels: tuple[str, ...] = ()
    of_objects: bool = False
    buckets: tuple[float, ...] = ()


_CONTROLLER: Final = ("controller",)
_QUEUE: Final = ("name", "controller")  # workqueue names a queue twice: dashboards use either

# What the runtime tells as it happens.
TOLD: Final = (
    MetricSpec(
        "controller_runtime_reconcile_total",
        "counter",
        "Total number of reconciliations per controller",
        ("controller", "result"),
    ),
    MetricSpec(
        "controller_runtime_reconcile_errors_total",
        "counter",
        "Total number of reconciliation errors per controller",
        _CONTROLLER,
    ),
    MetricSpec(
        "controller_runtime_reconcile_time_seconds",
        "histogram",
        "Length of time per reconciliation per controller",
        _CONTROLLER,
        buckets=_RECONCILE_BUCKETS_S,
    ),
    MetricSpec(
        "controller_runtime_active_workers",
        "gauge",
        "Number of currently used workers per controller",
        _CONTROLLER,
    ),
    MetricSpec("workqueue_depth", "gauge", "Current depth of workqueue", _QUEUE),
    MetricSpec(
        "workqueue_adds_total", "counter", "Total number of adds handled by workqueue", _QUEUE
    ),
    MetricSpec(
        "workqueue_retries_total", "counter", "Total number of retries handled by workqueue", _QUEUE
    ),
    MetricSpec(
        "workqueue_queue_duration_seconds",
        "histogram",
        "How long in seconds an item stays in workqueue before being requested",
        _QUEUE,
        buckets=_QUEUE_BUCKETS_S,
    ),
    MetricSpec(
        "leader_election_master_status",
        "gauge",
        "Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, "
        "1 indicates master. 'name' is the string used to identify the lease",
        ("name",),
    ),
    MetricSpec(
        "rest_client_requests_total",
        "counter",
        "Number of HTTP requests, partitioned by status code, method, and host",
        ("code", "method", "host"),
    ),
    MetricSpec(
        "prism_operator_writes_total",
        "counter",
        "Number of objects written, by verb, kind and result",
        ("verb", "group", "kind", "result"),
    ),
    MetricSpec(
        "prism_operator_backend_checks_total",
        "counter",
        "Health checks of backends, by provider and result (Healthy, or the reason it is not)",
        ("provider", "result"),
    ),
    MetricSpec(
        "prism_operator_backend_check_seconds",
        "histogram",
        "How long health checks that succeeded took, by provider",
        ("provider",),
        buckets=_CHECK_BUCKETS_S,
    ),
    MetricSpec(
        "prism_operator_backend_check_delay_seconds",
        "histogram",
        "How long after their time health checks of backends began",
        buckets=_CHECK_BUCKETS_S,
    ),
    MetricSpec(
        "prism_operator_control_plane_calls_total",
        "counter",
        "Calls of control planes, by method (provision, revoke) and result (ok, or why it failed)",
        ("method", "result"),
    ),
    MetricSpec(
        "prism_operator_control_plane_call_seconds",
        "histogram",
        "How long calls of control planes took that succeeded, by method",
        ("method",),
        buckets=_CHECK_BUCKETS_S,
    ),
    MetricSpec(
        "prism_operator_build_info", "gauge", "Always 1; the label tells the version", ("version",)
    ),
)

# What is counted when it is asked for.
OF_OBJECTS: Final[Mapping[MetricSpec, Callable[[ObjectCounts], Rows]]] = {
    MetricSpec("prism_stacks", "gauge", "PrismStacks by phase", ("phase",), True): (
        lambda counts: counts.stacks
    ),
    MetricSpec(
        "prism_patterns",
        "gauge",
        "PrismPatterns by scaler (none, hpa, keda) and phase",
        ("scaler", "phase"),
        True,
    ): lambda counts: counts.patterns,
    MetricSpec(
        "prism_backends",
        "gauge",
        "PrismBackends by provider and health (healthy, unhealthy, unknown)",
        ("provider", "health"),
        True,
    ): lambda counts: counts.backends,
    MetricSpec("prism_namespaces", "gauge", "PrismNamespaces by phase", ("phase",), True): (
        lambda counts: counts.namespaces
    ),
    MetricSpec(
        "prism_rollouts_in_progress",
        "gauge",
        "Objects with a rollout under way, by kind",
        ("kind",),
        True,
    ): lambda counts: counts.rollouts,
    MetricSpec(
        "prism_conditions",
        "gauge",
        "Objects with a condition that is true and tells of something bad, by kind and condition",
        ("kind", "condition"),
        True,
    ): lambda counts: counts.conditions,
}
OF_REPLICA: Final[Mapping[MetricSpec, Callable[[Census], Rows]]] = {
    MetricSpec(
        "prism_operator_cache_objects", "gauge", "Objects in the cache, by kind", ("kind",)
    ): lambda census: census.cached,
    MetricSpec(
        "prism_operator_watch_restarts_total",
        "counter",
        "Watches that ended and were begun again, by kind and reason; the server ends each "
        "after 4 to 5 minutes (Transient)",
        ("kind", "reason"),
    ): lambda census: census.watch_restarts,
    MetricSpec(
        "prism_operator_watch_silence_seconds",
        "gauge",
        "For how long a kind's watch has told nothing, not even a bookmark",
        ("kind",),
    ): lambda census: census.silent_s,
}
METRICS: Final = (*OF_OBJECTS, *TOLD, *OF_REPLICA)


class PrometheusMetrics:
    """Implements ``ports.Metrics`` on a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._take_census: Callable[[], Census] = Census
        told: dict[str, Any] = {spec.name: _collector(spec, self._registry) for spec in TOLD}
        self._reconciles = told["controller_runtime_reconcile_total"]
        self._reconcile_errors = told["controller_runtime_reconcile_errors_total"]
        self._reconcile_time = told["controller_runtime_reconcile_time_seconds"]
        self._active_workers = told["controller_runtime_active_workers"]
        self._depth = told["workqueue_depth"]
        self._adds = told["workqueue_adds_total"]
        self._retries = told["workqueue_retries_total"]
        self._queue_time = told["workqueue_queue_duration_seconds"]
        self._leading = told["leader_election_master_status"]
        self._requests = told["rest_client_requests_total"]
        self._writes = told["prism_operator_writes_total"]
        self._checks = told["prism_operator_backend_checks_total"]
        self._check_time = told["prism_operator_backend_check_seconds"]
        self._check_delay = told["prism_operator_backend_check_delay_seconds"]
        self._calls = told["prism_operator_control_plane_calls_total"]
        self._call_time = told["prism_operator_control_plane_call_seconds"]
        told["prism_operator_build_info"].labels(__version__).set(1)
        # An increase from nothing to one is none to Prometheus: series begin at 0.
        for controller in (resource.kind.lower() for resource in PRISM_RESOURCES):
            self._reconcile_errors.labels(controller)
            for result in _RESULTS:
                self._reconciles.labels(controller, result)
        self._registry.register(_AtScrape(lambda: self._take_census()))
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    def count_with(self, take_census: Callable[[], Census]) -> None:
        """From now on ``expose`` asks ``take_census`` for what is counted when asked for."""
        self._take_census = take_census

    def expose(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def requested(self, method: str, host: str, code: str) -> None:
        """One HTTP request ended; ``code`` is ``<error>`` when it had no answer."""
        self._requests.labels(code, method, host).inc()

    def reconciled(self, controller: str, result: str, duration_s: float) -> None:
        """See ``ports.Metrics``."""
        self._reconciles.labels(controller, result).inc()
        self._reconcile_time.labels(controller).observe(duration_s)
        if result == "error":
            self._reconcile_errors.labels(controller).inc()

    def queue_changed(self, controller: str, depth: int) -> None:
        """See ``ports.Metrics``."""
        self._depth.labels(controller, controller).set(depth)

    def queue_added(self, controller: str) -> None:
        """See ``ports.Metrics``."""
        self._adds.labels(controller, controller).inc()

    def queue_retried(self, controller: str) -> None:
        """See ``ports.Metrics``."""
        self._retries.labels(controller, controller).inc()

    def queue_waited(self, controller: str, waited_s: float) -> None:
        """See ``ports.Metrics``."""
        self._queue_time.labels(controller, controller).observe(waited_s)

    def workers_active(self, controller: str, active: int) -> None:
        """See ``ports.Metrics``."""
        self._active_workers.labels(controller).set(active)

    def wrote(self, verb: str, resource: Resource, result: str) -> None:
        """See ``ports.Metrics``."""
        self._writes.labels(verb, resource.group, resource.kind, result).inc()

    def check_began(self, late_s: float) -> None:
        """See ``Metrics``."""
        self._check_delay.observe(late_s)

    def checked(self, provider: str, result: str, latency_s: float | None) -> None:
        """See ``Metrics``."""
        provider = provider if provider in PROVIDERS else "other"
        self._checks.labels(provider, result).inc()
        if latency_s is not None:
            self._check_time.labels(provider).observe(latency_s)

    def called(self, method: str, result: str, latency_s: float | None) -> None:
        """See ``Metrics``."""
        self._calls.labels(method, result).inc()
        if latency_s is not None:
            self._call_time.labels(method).observe(latency_s)

    def leading(self, name: str, is_leader: bool) -> None:
        """See ``ports.Metrics``."""
        self._leading.labels(name).set(int(is_leader))


class _AtScrape(Collector):
    """Turns a census, taken anew for each scrape, into metrics."""

    def __init__(self, take_census: Callable[[], Census]) -> None:
        self._take_census = take_census

    def describe(self) -> Iterable[Metric]:
        """The names, so that registering asks for no census."""
        return [_family(spec, {}) for spec in (*OF_OBJECTS, *OF_REPLICA)]

    def collect(self) -> Iterator[Metric]:
        """See ``prometheus_client.registry.Collector``."""
        census = self._take_census()
        if census.objects is not None:
            for spec, rows_of in OF_OBJECTS.items():
                yield _family(spec, rows_of(census.objects))
        for spec, rows_from in OF_REPLICA.items():
            yield _family(spec, rows_from(census))


def _collector(spec: MetricSpec, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    if spec.type == "histogram":
        return Histogram(spec.name, spec.help, spec.labels, buckets=spec.buckets, registry=registry)
    make = Counter if spec.type == "counter" else Gauge
    return make(spec.name, spec.help, spec.labels, registry=registry)


def _family(spec: MetricSpec, rows: Rows) -> Metric:
    make = CounterMetricFamily if spec.type == "counter" else GaugeMetricFamily
    family = make(spec.name, spec.help, labels=spec.labels)
    for values in sorted(rows):
        labels: Sequence[str] = (values,) if isinstance(values, str) else values
        family.add_metric(labels, rows[values])
    return family
