"""The autoscaling section of proxies and patterns."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from prism_operator.api.fields import (
    AUTOSCALING_V2,
    Bool,
    Count,
    DnsSubdomain,
    LongText,
    Model,
    PositiveCount,
    Upstream,
)
from prism_operator.api.meta import Json
from prism_operator.api.rules import Rule, Shown


class AuthenticationRef(Model):
    """Where a KEDA trigger takes its credentials from."""

    name: DnsSubdomain
    """Name of a TriggerAuthentication, or of a Secret that one is generated for."""
    kind: Literal["TriggerAuthentication", "ClusterTriggerAuthentication"] | None = None
    """Kind of the object; TriggerAuthentication when not given."""


# Whose pods' own use is measured, by the metrics server: KEDA knows less to do with them.
RESOURCE_TRIGGERS = ("cpu", "memory")
_IS_RESOURCE = "self.type in ['cpu', 'memory']"


class Trigger(Model):
    """One source of scaling events for KEDA."""

    RULES = (
        Rule(
            cel=f"!has(self.metricType) || self.metricType == 'AverageValue' || (self.metricType"
            f" == 'Utilization') == ({_IS_RESOURCE})",
            holds=lambda trigger: (
                trigger.metric_type in (None, "AverageValue")
                or (trigger.metric_type == "Utilization") == (trigger.type in RESOURCE_TRIGGERS)
            ),
            message="{metricType} is not for a trigger of type {type}: Utilization goes with cpu"
            " and memory, Value with all others, AverageValue with each",
            at="metricType",
        ),
        Rule(
            cel="!self.useCachedMetrics || !(self.type in ['cpu', 'memory', 'cron'])",
            holds=lambda trigger: (
                not trigger.use_cached_metrics or trigger.type not in (*RESOURCE_TRIGGERS, "cron")
            ),
            message="a trigger of type {type} has no metrics that could be cached: remove"
            " useCachedMetrics",
            at="useCachedMetrics",
            reason="FieldValueForbidden",
        ),
        Rule(
            cel=f"!has(self.authenticationRef) || !({_IS_RESOURCE})",
            holds=lambda trigger: (
                trigger.authentication_ref is None or trigger.type not in RESOURCE_TRIGGERS
            ),
            message="a trigger of type {type} takes no credentials: remove authenticationRef",
            at="authenticationRef",
            reason="FieldValueForbidden",
        ),
    )

    type: Annotated[str, Field(min_length=1, max_length=63)]
    """KEDA scaler, such as kafka, nats-jetstream, aws-sqs-queue or cpu."""
    name: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    """Name of the trigger, unique among the triggers."""
    metadata: Annotated[dict[str, LongText], Field(max_length=64)] = Field(default_factory=dict)
    """Settings of the scaler."""
    metric_type: Literal["AverageValue", "Value", "Utilization"] | None = None
    """How the metric is compared with its target."""
    use_cached_metrics: Bool = False
    """Whether values are cached for the polling interval."""
    authentication_ref: AuthenticationRef | None = None
    """Credentials of the scaler."""


class Fallback(Model):
    """Replicas to hold while KEDA cannot read a trigger."""

    failure_threshold: Count
    """Failed reads in a row after which the fallback holds."""
    replicas: Count
    """Number of replicas to hold."""
    behavior: Literal[
        "static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"
    ] = "static"
    """Whether `replicas` or the current number is held."""


# What makes an autoscaling section KEDA's, in CEL.
_IS_KEDA = (
    "((has(self.scaler) && self.scaler == 'keda') || (!has(self.scaler)"
    " && has(self.triggers) && size(self.triggers) > 0"
    " && !has(self.targetCPUUtilizationPercentage)"
    " && !has(self.targetMemoryUtilizationPercentage)"
    " && (!has(self.metrics) || size(self.metrics) == 0)))"
)


class Autoscaling(Model):
    """Scales the number of replicas with load, by a HorizontalPodAutoscaler or by KEDA."""

    RULES = (
        Rule(
            cel="!self.enabled || has(self.maxReplicas)",
            holds=lambda scaling: not scaling.enabled or scaling.max_replicas is not None,
            message="maxReplicas is missing: set the largest number of replicas",
            at="maxReplicas",
            reason="FieldValueRequired",
        ),
        Rule(
            cel="!has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",
            holds=lambda scaling: (
                scaling.max_replicas is None or scaling.min_replicas <= scaling.max_replicas
            ),
            message="{minReplicas} exceeds maxReplicas {maxReplicas}",
            at="minReplicas",
        ),
        Rule(
            cel=f"!self.enabled || self.minReplicas > 0 || {_IS_KEDA}",
            holds=lambda scaling: (
                not scaling.enabled
                or scaling.min_replicas > 0
                or scaling.effective_scaler == "keda"
            ),
            message="0 needs scaler keda: a HorizontalPodAutoscaler stops at 1",
            at="minReplicas",
        ),
        Rule(
            cel=f"!self.enabled || !has(self.triggers) || size(self.triggers) == 0 || {_IS_KEDA}",
            holds=lambda scaling: (
                not scaling.enabled or not scaling.triggers or scaling.effective_scaler == "keda"
            ),
            message="triggers need scaler keda",
            at="triggers",
            reason="FieldValueForbidden",
        ),
        Rule(
            cel=f"!self.enabled || !{_IS_KEDA} || (has(self.triggers) && size(self.triggers) > 0)",
            holds=lambda scaling: (
                not scaling.enabled or scaling.effective_scaler != "keda" or bool(scaling.triggers)
            ),
            message="scaler keda needs at least one trigger",
            at="triggers",
            reason="FieldValueRequired",
        ),
        Rule(
            cel=f"!self.enabled || {_IS_KEDA}"
            " || has(self.targetCPUUtilizationPercentage)"
            " || has(self.targetMemoryUtilizationPercentage)"
            " || (has(self.metrics) && size(self.metrics) > 0)",
            holds=lambda scaling: (
                not scaling.enabled or scaling.effective_scaler == "keda" or scaling.has_hpa_metrics
            ),
            message="nothing to scale on: set targetCPUUtilizationPercentage,"
            " targetMemoryUtilizationPercentage, metrics or triggers",
            reason="FieldValueRequired",
        ),
        Rule(
            cel=f"!self.enabled || !{_IS_KEDA} || !(has(self.targetCPUUtilizationPercentage)"
            " || has(self.targetMemoryUtilizationPercentage)"
            " || (has(self.metrics) && size(self.metrics) > 0))",
            holds=lambda scaling: (
                not scaling.enabled
                or scaling.effective_scaler != "keda"
                or not scaling.has_hpa_metrics
            ),
            message="metrics and utilization targets need scaler hpa;"
            " with keda add a trigger of type cpu or memory",
            at="metrics",
            reason="FieldValueForbidden",
        ),
        Rule(
            cel="!has(self.idleReplicaCount) || self.idleReplicaCount < self.minReplicas",
            holds=lambda scaling: (
                scaling.idle_replica_count is None
                or scaling.idle_replica_count < scaling.min_replicas
            ),
            message="{idleReplicaCount} is not below minReplicas {minReplicas}",
            at="idleReplicaCount",
        ),
        Rule(
            cel="!has(self.triggers) || self.triggers.all(t, !has(t.name)"
            " || self.triggers.exists_one(u, has(u.name) && u.name == t.name))",
            holds=lambda scaling: not scaling.repeated_trigger_names,
            message="two triggers have the name {name}: rename one",
            at="triggers",
            shown=(
                Shown(
                    "name",
                    "self.triggers.filter(t, has(t.name) && !self.triggers.exists_one(u,"
                    " has(u.name) && u.name == t.name))[0].name",
                    lambda scaling: scaling.repeated_trigger_names[0],
                ),
            ),
        ),
        Rule(
            cel="!self.enabled || self.minReplicas > 0 || !has(self.triggers)"
            " || size(self.triggers) == 0"
            " || self.triggers.exists(t, !(t.type in ['cpu', 'memory']))",
            holds=lambda scaling: (
                not scaling.enabled
                or scaling.min_replicas > 0
                or not scaling.triggers
                or scaling.has_external_trigger
            ),
            message="0 needs a trigger that is not of type cpu or memory: without pods nothing"
            " would ever ask for one",
            at="minReplicas",
        ),
        Rule(
            cel=f"!self.enabled || !has(self.fallback) || {_IS_KEDA}",
            holds=lambda scaling: (
                not scaling.enabled
                or scaling.fallback is None
                or scaling.effective_scaler == "keda"
            ),
            message="fallback needs scaler keda: a HorizontalPodAutoscaler has none",
            at="fallback",
            reason="FieldValueForbidden",
        ),
        Rule(
            cel="!has(self.fallback) || !has(self.triggers) || size(self.triggers) == 0"
            " || self.triggers.exists(t, !(t.type in ['cpu', 'memory']))",
            holds=lambda scaling: (
                scaling.fallback is None or not scaling.triggers or scaling.has_external_trigger
            ),
            message="fallback needs a trigger that is not of type cpu or memory: KEDA never fails"
            " to read those",
            at="fallback",
        ),
    )

    enabled: Bool = True
    """Whether the number of replicas follows load."""
    scaler: Literal["hpa", "keda"] | None = None
    """Who scales: hpa, or keda. When not given, keda if only triggers are given, else hpa."""
    min_replicas: Count = 1
    """Least number of replicas; 0 only with keda."""
    max_replicas: PositiveCount | None = None
    """Largest number of replicas."""
    target_cpu_utilization_percentage: PositiveCount | None = Field(
        None, alias="targetCPUUtilizationPercentage"
    )
    """CPU use to hold on average, in percent of the requests."""
    target_memory_utilization_percentage: PositiveCount | None = None
    """Memory use to hold on average, in percent of the requests."""
    metrics: Annotated[
        list[Json], Upstream(AUTOSCALING_V2 + "MetricSpec"), Field(max_length=32)
    ] = Field(default_factory=list)
    """More metrics for the HorizontalPodAutoscaler."""
    behavior: (
        Annotated[Json, Upstream(AUTOSCALING_V2 + "HorizontalPodAutoscalerBehavior")] | None
    ) = None
    """How fast replicas are added and removed."""
    triggers: Annotated[tuple[Trigger, ...], Field(max_length=16)] = ()
    """Sources of scaling events for KEDA; the highest demand wins."""
    polling_interval: PositiveCount = 10
    """Seconds between KEDA's looks at the triggers."""
    cooldown_period: Count = 300
    """Seconds KEDA waits after the last activity before it scales to 0."""
    initial_cooldown_period: Count | None = None
    """Seconds KEDA waits after the start before it may scale to 0."""
    idle_replica_count: Count | None = None
    """Replicas while no trigger is active; below minReplicas."""
    fallback: Fallback | None = None
    """What holds while KEDA cannot read its triggers."""
    restore_to_original_replica_count: Bool = False
    """Whether the replicas of before return when scaling is switched off."""

    @property
    def has_hpa_metrics(self) -> bool:
        """Whether there is something a HorizontalPodAutoscaler scales on."""
        return bool(
            self.metrics
            or self.target_cpu_utilization_percentage
            or self.target_memory_utilization_percentage
        )

    @property
    def effective_scaler(self) -> Literal["hpa", "keda"]:
        """Who scales, also when the user did not say."""
        if self.scaler is not None:
            return self.scaler
        return "keda" if self.triggers and not self.has_hpa_metrics else "hpa"

    @property
    def has_external_trigger(self) -> bool:
        """Whether a trigger measures something else than the pods' own use."""
        return any(trigger.type not in RESOURCE_TRIGGERS for trigger in self.triggers)

    @property
    def repeated_trigger_names(self) -> list[str]:
        """The names that more than one trigger has."""
        names = [trigger.name for trigger in self.triggers if trigger.name is not None]
        return [name for name in dict.fromkeys(names) if names.count(name) > 1]
