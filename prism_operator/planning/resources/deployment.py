"""The Deployment of a component."""

from __future__ import annotations

from prism_operator.api.meta import DEPLOYMENT, Json
from prism_operator.planning.placement import rollout_strategy
from prism_operator.planning.resources.pod_template import Workload, build_pod_template


def build_deployment(workload: Workload) -> Json:
    """The Deployment; ``spec.selector`` is the workload's and never changes for its name."""
    component = workload.component
    template = build_pod_template(workload)
    labels, affinity = template["metadata"]["labels"], template["spec"].get("affinity")
    return {
        "apiVersion": DEPLOYMENT.api_version,
        "kind": DEPLOYMENT.kind,
        "metadata": {
            "name": workload.name,
            "namespace": workload.namespace,
            "labels": dict(workload.labels),
        },
        "spec": {
            "replicas": workload.replicas,
            "selector": {"matchLabels": dict(workload.selector)},
            "strategy": rollout_strategy(component.strategy, affinity, labels),
            "template": template,
        },
    }


def without_replicas(obj: Json) -> Json:
    """The object, if a Deployment then one that leaves the number of its replicas to others."""
    if obj["kind"] != DEPLOYMENT.kind:
        return obj
    return {**obj, "spec": {key: value for key, value in obj["spec"].items() if key != "replicas"}}
