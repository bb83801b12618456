"""Prometheus metrics under the names and labels of controller-runtime, workqueue and client-go.

So existing dashboards and alerts work. The names are those of
https://book.kubebuilder.io/reference/metrics-reference; what they do not have is
``prism_operator_*``.
"""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from prism_operator import __version__
from prism_operator.api.meta import Resource

# controller-runtime's buckets of controller_runtime_reconcile_time_seconds.
_RECONCILE_BUCKETS_S = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5),
    *(0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5),
    *(5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0),
)
# workqueue's buckets: powers of ten from 10 ns.
_QUEUE_BUCKETS_S = tuple(10.0**exponent for exponent in range(-8, 4))


class PrometheusMetrics:
    """Implements ``ports.Metrics`` on a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()

        def counter(name: str, documentation: str, *labels: str) -> Counter:
            return Counter(name, documentation, labels, registry=self._registry)

        def gauge(name: str, documentation: str, *labels: str) -> Gauge:
            return Gauge(name, documentation, labels, registry=self._registry)

        self._reconciles = counter(
            "controller_runtime_reconcile_total",
            "Total number of reconciliations per controller",
            *("controller", "result"),
        )
        self._reconcile_errors = counter(
            "controller_runtime_reconcile_errors_total",
            "Total number of reconciliation errors per controller",
            "controller",
        )
        self._reconcile_time = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "Length of time per reconciliation per controller",
            ("controller",),
            buckets=_RECONCILE_BUCKETS_S,
            registry=self._registry,
        )
        self._active_workers = gauge(
            "controller_runtime_active_workers",
            "Number of currently used workers per controller",
            "controller",
        )
        # workqueue names a queue twice: dashboards select by either label.
        self._depth = gauge(
            "workqueue_depth", "Current depth of workqueue", *("name", "controller")
        )
        self._adds = counter(
            "workqueue_adds_total",
            "Total number of adds handled by workqueue",
            *("name", "controller"),
        )
        self._retries = counter(
            "workqueue_retries_total",
            "Total number of retries handled by workqueue",
            *("name", "controller"),
        )
        self._queue_time = Histogram(
            "workqueue_queue_duration_seconds",
            "How long in seconds an item stays in workqueue before being requested",
            ("name", "controller"),
            buckets=_QUEUE_BUCKETS_S,
            registry=self._registry,
        )
        self._leading = gauge(
            "leader_election_master_status",
            "Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, "
            "1 indicates master. 'name' is the string used to identify the lease",
            "name",
        )
        self._requests = counter(
            "rest_client_requests_total",
            "Number of HTTP requests, partitioned by status code, method, and host",
            *("code", "method", "host"),
        )
        self._writes = counter(
            "prism_operator_writes_total",
            "Number of objects written, by verb, kind and result",
            *("verb", "group", "kind", "result"),
        )
        build = gauge(
            "prism_operator_build_info", "Always 1; the label tells the version", "version"
        )
        build.labels(__version__).set(1)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

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

    def leading(self, name: str, is_leader: bool) -> None:
        """See ``ports.Metrics``."""
        self._leading.labels(name).set(int(is_leader))
