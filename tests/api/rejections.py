"""Objects each rule rejects, and what the user reads: on the API server and offline."""

from __future__ import annotations

from dataclasses import dataclass

from prism_operator.api.meta import Json

from .builders import (
    a_backend,
    a_namespace,
    a_pattern,
    a_stack,
    a_stack_with_election,
    a_stack_with_scaling,
)

_TRIGGER = {"type": "kafka", "metadata": {"topic": "orders"}}
_SMALL = {"requests": {"cpu": "1"}}
_MORE_THAN_ALLOWED = {"requests": {"cpu": "1500m", "memory": "1Gi"}, "limits": {"cpu": 1}}
_SCALING = "spec.proxy.autoscaling"
_ELECTION = "spec.admin.leaderElection"
_NO_PATTERN_NAME = (
    "is no name for a pattern: at most 63 lower-case letters, digits and dashes,"
    " from a letter to a letter or digit, as its Service needs it"
)
_NO_STACK_NAME = (
    "is no name for a stack: at most 57 lower-case letters, digits and dashes,"
    " from a letter to a letter or digit, so that names made of it fit"
)
_ONE_NAME = "the operator sets app, component, stack, pattern, backend, runner and"


@dataclass(frozen=True)
class Rejection:
    """``obj`` has one problem: ``message`` at ``path``."""

    obj: Json
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


REJECTIONS = (
    # Names
    Rejection(a_stack(name="s" * 58), "metadata.name", f"{'s' * 58} {_NO_STACK_NAME}"),
    Rejection(a_stack(name="my.stack"), "metadata.name", f"my.stack {_NO_STACK_NAME}"),
    Rejection(a_stack(name="1st"), "metadata.name", f"1st {_NO_STACK_NAME}"),
    Rejection(a_pattern(name="p" * 64), "metadata.name", f"{'p' * 64} {_NO_PATTERN_NAME}"),
    Rejection(a_pattern(name="a.b"), "metadata.name", f"a.b {_NO_PATTERN_NAME}"),
    Rejection(
        a_stack(patterns=[{"name": "stack-admin", "type": "keyvalue", "backend": "memstore"}]),
        "spec.patterns",
        "a pattern has the name of the stack's proxy or admin",
    ),
    # Components
    Rejection(
        a_stack(proxy={"podLabels": {"app": "mine"}}),
        "spec.proxy.podLabels",
        f"{_ONE_NAME} app.kubernetes.io/ labels itself",
    ),
    Rejection(
        a_pattern(podLabels={"app.kubernetes.io/name": "mine"}),
        "spec.podLabels",
        f"{_ONE_NAME} app.kubernetes.io/ labels itself",
    ),
    Rejection(
        a_stack(proxy={"resources": _MORE_THAN_ALLOWED}),
        "spec.proxy.resources.requests",
        "a request exceeds its limit",
    ),
    Rejection(
        a_stack(resources={"requests": {"memory": "1Gi"}, "limits": {"memory": "1G"}}),
        "spec.resources.requests",
        "a request exceeds its limit",
    ),
    Rejection(
        a_stack(admin={"placement": {"resources": _MORE_THAN_ALLOWED}}),
        "spec.admin.placement.resources.requests",
        "a request exceeds its limit",
    ),
    Rejection(
        a_stack(proxy={"resources": _SMALL, "placement": {"resources": _SMALL}}),
        "spec.proxy.resources",
        "resources stand here and in placement: remove one",
    ),
    Rejection(
        a_stack(admin={"resources": _SMALL, "placement": {"resources": _SMALL}}),
        "spec.admin.resources",
        "resources stand here and in placement: remove one",
    ),
    Rejection(
        a_pattern(resources=_SMALL, runnerSpec={"resources": _SMALL}),
        "spec.resources",
        "resources stand here and in runnerSpec: remove one",
    ),
    Rejection(
        a_pattern(resources=_SMALL, placement={"resources": _SMALL}),
        "spec.resources",
        "resources stand here and in placement: remove one",
    ),
    Rejection(
        a_pattern(runnerSpec={"strategy": "Spot"}, placement={"strategy": "Spot"}),
        "spec.placement",
        "placement and runnerSpec are two names of one thing: remove one",
    ),
    Rejection(
        a_stack(proxy={"placement": {"strategy": "DedicatedNodes"}}),
        "spec.proxy.placement.nodeSelector",
        "strategy DedicatedNodes needs a nodeSelector that names the nodes",
    ),
    Rejection(
        a_stack(proxy={"podDisruptionBudget": {"maxUnavailable": 0}}),
        "spec.proxy.podDisruptionBudget.maxUnavailable",
        "0 is neither a number from 1 nor a percentage from 1% to 100%",
    ),
    Rejection(
        a_stack(proxy={"podDisruptionBudget": {"maxUnavailable": "0%"}}),
        "spec.proxy.podDisruptionBudget.maxUnavailable",
        "0% is neither a number from 1 nor a percentage from 1% to 100%",
    ),
    # Leader election
    Rejection(
        a_stack_with_election(renewDeadline="20s"),
        f"{_ELECTION}.renewDeadline",
        "20s is not below leaseDuration 15s",
    ),
    Rejection(
        a_stack_with_election(leaseDuration="10000ms"),
        f"{_ELECTION}.renewDeadline",
        "10s is not below leaseDuration 10000ms",
    ),
    Rejection(
        a_stack_with_election(retryPeriod="10s"),
        f"{_ELECTION}.retryPeriod",
        "10s is not below renewDeadline 10s",
    ),
    Rejection(
        a_stack_with_election(retryPeriod="0s"),
        f"{_ELECTION}.retryPeriod",
        "0s is not longer than 0s",
    ),
    # Autoscaling
    Rejection(
        a_stack_with_scaling(targetCPUUtilizationPercentage=70),
        f"{_SCALING}.maxReplicas",
        "maxReplicas is missing: set the largest number of replicas",
    ),
    Rejection(
        a_stack_with_scaling(minReplicas=5, maxReplicas=3, targetCPUUtilizationPercentage=70),
        f"{_SCALING}.minReplicas",
        "5 exceeds maxReplicas 3",
    ),
    Rejection(
        a_stack_with_scaling(minReplicas=0, maxReplicas=3, targetCPUUtilizationPercentage=70),
        f"{_SCALING}.minReplicas",
        "0 needs scaler keda: a HorizontalPodAutoscaler stops at 1",
    ),
    Rejection(
        a_stack_with_scaling(
            scaler="hpa", maxReplicas=3, targetCPUUtilizationPercentage=70, triggers=[_TRIGGER]
        ),
        f"{_SCALING}.triggers",
        "triggers need scaler keda",
    ),
    Rejection(
        a_stack_with_scaling(scaler="keda", maxReplicas=3),
        f"{_SCALING}.triggers",
        "scaler keda needs at least one trigger",
    ),
    Rejection(
        a_stack_with_scaling(maxReplicas=3),
        _SCALING,
        "nothing to scale on: set targetCPUUtilizationPercentage,"
        " targetMemoryUtilizationPercentage, metrics or triggers",
    ),
    Rejection(
        a_stack_with_scaling(
            scaler="keda", maxReplicas=3, triggers=[_TRIGGER], targetCPUUtilizationPercentage=70
        ),
        f"{_SCALING}.metrics",
        "metrics and utilization targets need scaler hpa;"
        " with keda add a trigger of type cpu or memory",
    ),
    Rejection(
        a_stack_with_scaling(minReplicas=2, maxReplicas=3, idleReplicaCount=2, triggers=[_TRIGGER]),
        f"{_SCALING}.idleReplicaCount",
        "2 is not below minReplicas 2",
    ),
    Rejection(
        a_pattern(
            autoscaling={
                "maxReplicas": 3,
                "triggers": [{**_TRIGGER, "name": "lag"}, {**_TRIGGER, "name": "lag"}],
            }
        ),
        "spec.autoscaling.triggers",
        "two triggers have the same name",
    ),
    # Backends
    Rejection(
        a_stack(
            backends=[
                {
                    "name": "nats",
                    "type": "messaging",
                    "connectionString": "nats://user:secret@nats:4222",
                    "secretRef": {"name": "nats"},
                }
            ]
        ),
        "spec.backends[0].connectionString",
        "connectionString and secretRef are both given: remove one",
    ),
    Rejection(
        a_stack(
            backends=[
                {"name": "main", "type": "database", "connectionString": "mysql://u:p@db/main"}
            ]
        ),
        "spec.backends[0].provider",
        "provider is missing, and neither connectionString nor name tells it:"
        " set nats, kafka, redis, postgres, rabbitmq, sqs or memstore",
    ),
    Rejection(
        a_stack(
            backends=[{"name": "memstore", "type": "cache", "healthCheck": {"interval": "500ms"}}]
        ),
        "spec.backends[0].healthCheck.interval",
        "500ms is shorter than 1s",
    ),
    Rejection(
        a_stack(backends=[{"name": "redis", "type": "cache"}]),
        "spec.backends[0].connectionString",
        "neither connectionString nor secretRef is given: only provider memstore needs none",
    ),
    Rejection(
        a_backend(connection={"url": "redis://r:6379", "secretRef": {"name": "redis"}}),
        "spec.connection.url",
        "url and secretRef are both given: remove one",
    ),
    Rejection(
        a_backend(connection={}), "spec.connection.url", "neither url nor secretRef is given"
    ),
    Rejection(
        a_backend(provider="redis"),
        "spec.connection",
        "connection is missing: only provider memstore needs none",
    ),
    Rejection(
        a_backend(healthCheck={"timeout": "0s"}),
        "spec.healthCheck.timeout",
        "0s is not longer than 0s",
    ),
    Rejection(
        a_pattern(backendConfig={"namespace": "elsewhere"}),
        "spec.backendConfig.name",
        "namespace is given without the name of a PrismBackend",
    ),
    # Namespaces
    Rejection(a_namespace(ttl="0s"), "spec.ttl", "0s is not longer than 0s"),
)

# What only a comparison with the stored object shows: the object before, and the one after.
REJECTED_CHANGES = (
    (
        a_namespace(namespaceId="acme"),
        Rejection(
            a_namespace(namespaceId="acme-prod"),
            "spec.namespaceId",
            "namespaceId cannot change: delete this PrismNamespace and create another",
        ),
    ),
)
