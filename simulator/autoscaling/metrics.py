"""The three metrics APIs of a simulated cluster, and who answers for each."""

from __future__ import annotations

from collections.abc import Mapping

from simulator.autoscaling.keda.operator import KedaOperator
from simulator.autoscaling.prometheus import Prometheus
from simulator.autoscaling.replicas import Sample
from simulator.workloads.host import Workloads


class ClusterMetrics:
    """``MetricsApi``: metrics-server, the adapter of Prometheus if there is one, and KEDA."""

    def __init__(
        self, workloads: Workloads, keda: KedaOperator, prometheus: Prometheus | None = None
    ) -> None:
        self._workloads, self._keda, self._prometheus = workloads, keda, prometheus

    def resource(self, pod_uid: str, name: str) -> Sample | None:
        """See ``MetricsApi``."""
        return self._workloads.resource(pod_uid, name)

    def custom(self, pod_uid: str, name: str) -> Sample | None:
        """See ``MetricsApi``."""
        return None if self._prometheus is None else self._prometheus.custom(pod_uid, name)

    def external(self, namespace: str, name: str, labels: Mapping[str, str]) -> int | None:
        """See ``MetricsApi``."""
        return self._keda.external(namespace, name, labels)
