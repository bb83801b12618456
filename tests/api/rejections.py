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


def _exceeds(resource: str) -> str:
    return f"the request of {resource} exceeds its limit: lower it, or raise the limit"


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
_RESERVED = (
    "is a label that the operator sets itself, as it does"
    " app, component, stack, pattern, backend, runner and app.kubernetes.io/*: use another"
)
_CREDENTIALS = (
    "holds a user name or password, which whoever may read this object could read: move the URL to"
    " a Secret and name that in secretRef"
)
_NAME_FIELD = {"fieldPath": "metadata.name"}
_CPU_TRIGGER = {"type": "cpu", "metadata": {"value": "70"}}
_FALLBACK = {"failureThreshold": 3, "replicas": 2}


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
        "a pattern has the name stack-admin of the stack's proxy or admin: rename it",
    ),
    # Components
    Rejection(
        a_stack(proxy={"podLabels": {"app": "mine"}}),
        "spec.proxy.podLabels",
        f"app {_RESERVED}",
    ),
    Rejection(
        a_pattern(podLabels={"app.kubernetes.io/name": "mine"}),
        "spec.podLabels",
        f"app.kubernetes.io/name {_RESERVED}",
    ),
    Rejection(
        a_stack(proxy={"resources": _MORE_THAN_ALLOWED}),
        "spec.proxy.resources.requests",
        _exceeds("cpu"),
    ),
    Rejection(
        a_stack(resources={"requests": {"memory": "1Gi"}, "limits": {"memory": "1G"}}),
        "spec.resources.requests",
        _exceeds("memory"),
    ),
    Rejection(
        a_stack(admin={"placement": {"resources": _MORE_THAN_ALLOWED}}),
        "spec.admin.placement.resources.requests",
        _exceeds("cpu"),
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
    Rejection(
        a_pattern(image="my image:1"),
        "spec.image",
        '"my image:1" is no reference of an image: write registry/name:tag without spaces',
    ),
    # Kubernetes types
    Rejection(
        a_pattern(placement={"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}),
        "spec.placement.tolerations[0].value",
        "b stands beside operator Exists, which takes no value: remove it, or use operator Equal",
    ),
    Rejection(
        a_stack(proxy={"placement": {"tolerations": [{"effect": "NoSchedule"}]}}),
        "spec.proxy.placement.tolerations[0].key",
        "a toleration without key is for every taint: give it operator Exists, or a key",
    ),
    Rejection(
        a_pattern(
            runnerSpec={
                "tolerations": [
                    {"key": "a", "operator": "Exists"},
                    {"key": "a", "operator": "Exists", "tolerationSeconds": 60},
                ]
            }
        ),
        "spec.runnerSpec.tolerations[1].tolerationSeconds",
        "60 needs effect NoExecute: set it, or remove tolerationSeconds",
    ),
    Rejection(
        a_pattern(
            placement={
                "topologySpreadConstraints": [
                    {
                        "maxSkew": 1,
                        "topologyKey": "topology.kubernetes.io/zone",
                        "whenUnsatisfiable": "ScheduleAnyway",
                        "minDomains": 3,
                    }
                ]
            }
        ),
        "spec.placement.topologySpreadConstraints[0].minDomains",
        "3 needs whenUnsatisfiable DoNotSchedule: set it, or remove minDomains",
    ),
    Rejection(
        a_stack(
            patterns=[
                {
                    "name": "a",
                    "type": "t",
                    "backend": "b",
                    "env": [{"name": "A", "value": "1", "valueFrom": {"fieldRef": _NAME_FIELD}}],
                }
            ]
        ),
        "spec.patterns[0].env[0].valueFrom",
        "value and valueFrom are both given: remove one",
    ),
    Rejection(
        a_pattern(probes={"liveness": {"periodSeconds": 5}}),
        "spec.probes.liveness",
        "a probe needs exactly one of exec, grpc, httpGet and tcpSocket",
    ),
    Rejection(
        a_stack(admin={"podSecurityContext": {"runAsUser": 0, "runAsNonRoot": True}}),
        "spec.admin.podSecurityContext.runAsUser",
        "0 is root, which runAsNonRoot forbids: change one of the two",
    ),
    Rejection(
        a_stack(proxy={"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}}),
        "spec.proxy.strategy.rollingUpdate",
        "rollingUpdate stands beside type Recreate: remove one",
    ),
    Rejection(
        a_stack(proxy={"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}}),
        "spec.proxy.strategy.rollingUpdate.maxSurge",
        "maxSurge and maxUnavailable are both 0, so that no pod could ever be replaced: raise one",
    ),
    # Leader election
    Rejection(
        a_stack_with_election(leaseDuration="900ms", renewDeadline="800ms", retryPeriod="1ms"),
        f"{_ELECTION}.leaseDuration",
        "900ms is shorter than 1s, the unit a Lease counts in",
    ),
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
        "two triggers have the name lag: rename one",
    ),
    Rejection(
        a_stack_with_scaling(minReplicas=0, maxReplicas=3, triggers=[_CPU_TRIGGER]),
        f"{_SCALING}.minReplicas",
        "0 needs a trigger that is not of type cpu or memory: without pods nothing would ever ask"
        " for one",
    ),
    Rejection(
        a_stack_with_scaling(maxReplicas=3, targetCPUUtilizationPercentage=70, fallback=_FALLBACK),
        f"{_SCALING}.fallback",
        "fallback needs scaler keda: a HorizontalPodAutoscaler has none",
    ),
    Rejection(
        a_stack_with_scaling(maxReplicas=3, triggers=[_CPU_TRIGGER], fallback=_FALLBACK),
        f"{_SCALING}.fallback",
        "fallback needs a trigger that is not of type cpu or memory: KEDA never fails to read"
        " those",
    ),
    Rejection(
        a_stack_with_scaling(maxReplicas=3, triggers=[{**_TRIGGER, "metricType": "Utilization"}]),
        f"{_SCALING}.triggers[0].metricType",
        "Utilization is not for a trigger of type kafka: Utilization goes with cpu and memory,"
        " Value with all others, AverageValue with each",
    ),
    Rejection(
        a_stack_with_scaling(maxReplicas=3, triggers=[{**_CPU_TRIGGER, "useCachedMetrics": True}]),
        f"{_SCALING}.triggers[0].useCachedMetrics",
        "a trigger of type cpu has no metrics that could be cached: remove useCachedMetrics",
    ),
    Rejection(
        a_stack_with_scaling(
            maxReplicas=3, triggers=[{**_CPU_TRIGGER, "authenticationRef": {"name": "kafka"}}]
        ),
        f"{_SCALING}.triggers[0].authenticationRef",
        "a trigger of type cpu takes no credentials: remove authenticationRef",
    ),
    Rejection(
        a_stack_with_scaling(maxReplicas=3, metrics=[{"type": "Pods"}]),
        f"{_SCALING}.metrics[0].type",
        "Pods is unknown, or its section is missing: the types are ContainerResource"
        " (containerResource), External (external), Object (object), Pods (pods), Resource"
        " (resource)",
    ),
    # Backends
    Rejection(
        a_backend(connection={"url": "redis://me:hunter2@redis:6379"}),
        "spec.connection.url",
        _CREDENTIALS,
    ),
    Rejection(
        a_stack(
            backends=[
                {"name": "nats", "type": "messaging", "connectionString": "nats://token@nats:4222"}
            ]
        ),
        "spec.backends[0].connectionString",
        _CREDENTIALS,
    ),
    *(
        Rejection(
            a_backend(connection={"secretRef": {"name": "redis", "keys": {key: "a/b"}}}),
            f"spec.connection.secretRef.keys.{key}",
            '"a/b" is no key of a Secret: letters, digits, - _ and . only',
        )
        for key in ("url", "username", "password")
    ),
    Rejection(
        a_backend(healthCheck={"timeout": "11s"}),
        "spec.healthCheck.timeout",
        "11s is longer than interval 10s: checks would overtake each other",
    ),
    Rejection(
        a_stack(observability={"tracing": {"endpoint": "http://me:hunter2@jaeger:14268"}}),
        "spec.observability.tracing.endpoint",
        "holds a user name or password, which would be readable in the pods: leave it out",
    ),
    Rejection(
        a_stack(
            backends=[
                {
                    "name": "nats",
                    "type": "messaging",
                    "connectionString": "nats://nats:4222",
                    "secretRef": {"name": "nats"},
                }
            ]
        ),
        "spec.backends[0].connectionString",
        "connectionString and secretRef are both given: remove one",
    ),
    Rejection(
        a_stack(
            backends=[{"name": "main", "type": "database", "connectionString": "mysql://db/main"}]
        ),
        "spec.backends[0].provider",
        "provider is missing, and neither connectionString nor name tells it:"
        " set nats, kafka, redis, postgres, rabbitmq, sqs or memstore",
    ),
    Rejection(
        a_stack(
            backends=[
                {
                    "name": "memstore",
                    "type": "cache",
                    "healthCheck": {"interval": "500ms", "timeout": "1ms"},
                }
            ]
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
        a_backend(connection={}),
        "spec.connection.url",
        "neither url nor secretRef is given: set one",
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
    Rejection(
        a_namespace(quotas={"rateLimit": {"burstSize": 10}}),
        "spec.quotas.rateLimit.requestsPerSecond",
        "burstSize 10 stands without requestsPerSecond: set that too",
    ),
    Rejection(
        a_namespace(quotas={"rateLimit": {"requestsPerSecond": 100, "burstSize": 0}}),
        "spec.quotas.rateLimit.burstSize",
        "0 lets no request pass, whatever requestsPerSecond 100 says: set at least 1, or leave it"
        " out",
    ),
    Rejection(
        a_namespace(auth={"oidcClientId": "prism"}),
        "spec.auth.oidcIssuer",
        "oidcClientId prism stands without oidcIssuer: set the issuer's URL",
    ),
    Rejection(
        a_namespace(auth={"oidcIssuer": "https://me:hunter2@login.example.com"}),
        "spec.auth.oidcIssuer",
        "is no URL of an OpenID Connect issuer: write https://host/path, without user information,"
        " query or fragment",
    ),
    Rejection(
        a_stack(
            namespaces=[
                {"name": "a", "namespaceId": "acme"},
                {"name": "b", "namespaceId": "acme"},
            ]
        ),
        "spec.namespaces",
        "two namespaces on the stack's proxy have the namespaceId acme: one of them would never be"
        " provisioned",
    ),
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
