"""The HorizontalPodAutoscaler of a component."""

from __future__ import annotations

from typing import Final

from prism_operator.api.autoscaling import Autoscaling
from prism_operator.api.meta import DEPLOYMENT, HORIZONTAL_POD_AUTOSCALER, Json

# Which of several policies counts where the user does not say: shrink carefully, grow boldly.
# Kubernetes itself would take Max for both.
_SELECT_POLICY: Final = {"scaleDown": "Min", "scaleUp": "Max"}


def build_hpa(name: str, namespace: str, labels: Json, scaling: Autoscaling) -> Json:
    """The HorizontalPodAutoscaler of the Deployment of the same name."""
    spec: Json = {
        "scaleTargetRef": scale_target_ref(name),
        "minReplicas": scaling.min_replicas,
        "maxReplicas": scaling.max_replicas,
        "metrics": _metrics(scaling),
    }
    if scaling.behavior is not None:
        spec["behavior"] = with_select_policies(scaling.behavior)
    return {
        "apiVersion": HORIZONTAL_POD_AUTOSCALER.api_version,
        "kind": HORIZONTAL_POD_AUTOSCALER.kind,
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
        "spec": spec,
    }


def scale_target_ref(name: str) -> Json:
    """The reference by which a scaler names a Deployment."""
    return {"apiVersion": DEPLOYMENT.api_version, "kind": DEPLOYMENT.kind, "name": name}


def with_select_policies(behavior: Json) -> Json:
    """The user's behavior, with the policy to select wherever there are policies and no choice."""
    return {
        direction: {**rules, "selectPolicy": rules.get("selectPolicy") or _SELECT_POLICY[direction]}
        if isinstance(rules, dict) and rules.get("policies") and direction in _SELECT_POLICY
        else rules
        for direction, rules in behavior.items()
    }


def _metrics(scaling: Autoscaling) -> list[Json]:
    utilization = {
        "cpu": scaling.target_cpu_utilization_percentage,
        "memory": scaling.target_memory_utilization_percentage,
    }
    resources = [
        {
            "type": "Resource",
            "resource": {
                "name": resource,
                "target": {"type": "Utilization", "averageUtilization": percent},
            },
        }
        for resource, percent in utilization.items()
        if percent is not None
    ]
    return [*resources, *scaling.metrics]
