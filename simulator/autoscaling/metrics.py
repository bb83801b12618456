"""The three metrics APIs of a simulated cluster, and who answers for each."""

from __future__ import annotations

from collections.abc import Mapping

from simulator.autoscaling.keda.operator import KedaOperator
from simulator.autoscaling.replicas import Sample
from simulator.workloads.host import Workloads


class ClusterMetrics:
    """``MetricsApi``: metrics-server for resources, KEDA for external; nobody for custom ones."""

    def __init__(self, workloads: Workloads, keda: KedaOperator) -> None:
        self._workloads, self._keda = workloads, keda

    def resource(self, pod_uid: str, name: str) -> Sample | None:
        """See ``MetricsApi``."""
        return self._workloads.resource(pod_uid, name)

    def custom(self, pod_uid: str, name: str) -> Sample | None:
        """See ``MetricsApi``."""
        del pod_uid, name
        return None

    def external(self, namespace: str, name: str, labels: Mapping[str, str]) -> int | None:
        """See ``MetricsApi``."""
        return self._keda.external(namespace, name, labels)
