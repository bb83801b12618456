"""The PodDisruptionBudget of a component: how many of its pods a drain may take at a time."""

from __future__ import annotations

from prism_operator.api.meta import POD_DISRUPTION_BUDGET, Json
from prism_operator.planning.resources.pod_template import Workload


def build_budget(workload: Workload, max_unavailable: int | str) -> Json:
    """The budget. ``max_unavailable`` is at least 1 or 1%, so that a drain never waits for ever.

    Percentages round up (``pkg/controller/disruption``): they allow at least one, too.
    """
    return {
        "apiVersion": POD_DISRUPTION_BUDGET.api_version,
        "kind": POD_DISRUPTION_BUDGET.kind,
        "metadata": {
            "name": workload.name,
            "namespace": workload.namespace,
            "labels": dict(workload.labels),
        },
        "spec": {
            "maxUnavailable": max_unavailable,
            "selector": {"matchLabels": dict(workload.selector)},
            # Pods that do not work anyway must not hold up a drain.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }


def needs_budget(workload: Workload) -> bool:
    """Whether there is something to keep: a second replica, or pods on nodes that come and go."""
    component = workload.component
    return component.least_replicas > 1 or component.effective_placement.strategy == "Spot"


def spared_by_quorum(replicas: int) -> int:
    """How many of ``replicas`` voters may be missing while a majority is there; at least 1."""
    quorum = replicas // 2 + 1
    return max(1, replicas - quorum)
