"""KEDA's ScaledObject of a component."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prism_operator.api.autoscaling import Autoscaling, Trigger
from prism_operator.api.meta import SCALED_OBJECT, Json
from prism_operator.planning.resources.hpa import scale_target_ref, with_select_policies

RESOURCE_TRIGGERS: Final = frozenset({"cpu", "memory"})
_DEFAULT_BEHAVIOR: Final[Json] = {
    "scaleDown": {
        "stabilizationWindowSeconds": 300,
        "policies": [{"type": "Percent", "value": 50, "periodSeconds": 60}],
    },
    "scaleUp": {
        "stabilizationWindowSeconds": 0,
        "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
    },
}


def build_scaled_object(
    name: str,
    namespace: str,
    labels: Json,
    scaling: Autoscaling,
    authentications: Mapping[str, str],
) -> Json:
    """The ScaledObject of the Deployment of the same name.

    ``authentications`` says which TriggerAuthentication stands for a name in an authenticationRef
    without a kind.
    """
    behavior = scaling.behavior
    fallback = scaling.fallback
    return {
        "apiVersion": SCALED_OBJECT.api_version,
        "kind": SCALED_OBJECT.kind,
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
        "spec": {
            "scaleTargetRef": scale_target_ref(name),
            "minReplicaCount": scaling.min_replicas,
            "maxReplicaCount": scaling.max_replicas,
            "pollingInterval": scaling.polling_interval,
            "cooldownPeriod": scaling.cooldown_period,
            "initialCooldownPeriod": scaling.initial_cooldown_period,
            "idleReplicaCount": scaling.idle_replica_count,
            "fallback": None
            if fallback is None
            else {
                "failureThreshold": fallback.failure_threshold,
                "replicas": fallback.replicas,
                "behavior": fallback.behavior,
            },
            "advanced": {
                "restoreToOriginalReplicaCount": scaling.restore_to_original_replica_count,
                "horizontalPodAutoscalerConfig": {
                    "behavior": _DEFAULT_BEHAVIOR
                    if behavior is None
                    else with_select_policies(behavior)
                },
            },
            "triggers": [_trigger(trigger, authentications) for trigger in scaling.triggers],
        },
    }


def _trigger(trigger: Trigger, authentications: Mapping[str, str]) -> Json:
    metadata, metric_type = dict(trigger.metadata), trigger.metric_type
    if trigger.type in RESOURCE_TRIGGERS:
        # KEDA refuses it there since 2.18.
        given = metadata.pop("type", None)
        metric_type = metric_type or given  # type: ignore[assignment]
    built: Json = {"type": trigger.type, "metadata": metadata}
    if trigger.name is not None:
        built["name"] = trigger.name
    if metric_type is not None:
        built["metricType"] = metric_type
    if trigger.use_cached_metrics:
        built["useCachedMetrics"] = True
    ref = trigger.authentication_ref
    if ref is not None and ref.kind is not None:
        built["authenticationRef"] = {"name": ref.name, "kind": ref.kind}
    elif ref is not None:
        built["authenticationRef"] = {"name": authentications.get(ref.name, ref.name)}
    return built
