"""The Service in front of a component."""

from __future__ import annotations

from prism_operator.api.common import ServiceSpec
from prism_operator.api.meta import SERVICE, Json
from prism_operator.planning.resources.pod_template import (
    METRICS_PORT_NAME,
    PORT_NAME,
    Workload,
)


def build_service(workload: Workload, service: ServiceSpec, port: int) -> Json:
    """The Service of a workload's pods. Metrics have a port of their own only where the pods do."""
    ports: list[Json] = [{"name": PORT_NAME, "port": port, "targetPort": PORT_NAME}]
    metrics_port = workload.metrics_port
    if metrics_port is not None and metrics_port not in (port, workload.port):
        ports.append(
            {"name": METRICS_PORT_NAME, "port": metrics_port, "targetPort": METRICS_PORT_NAME}
        )
    metadata: Json = {
        "name": workload.name,
        "namespace": workload.namespace,
        "labels": dict(workload.labels),
    }
    if service.annotations:
        metadata["annotations"] = dict(service.annotations)
    return {
        "apiVersion": SERVICE.api_version,
        "kind": SERVICE.kind,
        "metadata": metadata,
        "spec": {
            "type": service.type,
            "selector": dict(workload.selector),
            "ports": [{**entry, "protocol": "TCP"} for entry in ports],
        },
    }
