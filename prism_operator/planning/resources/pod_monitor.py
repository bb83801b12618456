"""The PodMonitor by which the Prometheus operator finds the metrics of a component's pods."""

from __future__ import annotations

from collections.abc import Mapping

from prism_operator.api.meta import POD_MONITOR, Json


def build_pod_monitor(
    name: str, namespace: str, labels: Mapping[str, str], selector: Mapping[str, str], port: str
) -> Json:
    """The PodMonitor; ``port`` is the container port's name. Path and interval are the defaults."""
    return {
        "apiVersion": POD_MONITOR.api_version,
        "kind": POD_MONITOR.kind,
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
        "spec": {
            "selector": {"matchLabels": dict(selector)},
            "podMetricsEndpoints": [{"port": port}],
        },
    }
