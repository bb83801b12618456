"""What is made for autoscaling, and what is said when it cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from prism_operator.api.autoscaling import Autoscaling
from prism_operator.api.meta import (
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    SCALED_OBJECT,
    TRIGGER_AUTHENTICATION,
    Json,
    Ref,
    Resource,
)
from prism_operator.planning import plan_pattern, plan_stack
from prism_operator.planning.autoscaling.triggers import problems_of
from prism_operator.planning.observed import FrozenSnapshot, Observed
from prism_operator.planning.plan import Delete, Plan
from prism_operator.planning.resources.hpa import with_select_policies
from prism_operator.planning.targets import scale_target_of

from .builders import (
    NAMESPACE,
    NOW,
    SETTINGS,
    a_pattern,
    a_stack,
    an_object,
    condition,
    owned,
    written,
)

KEDA = frozenset({SCALED_OBJECT, TRIGGER_AUTHENTICATION})
KAFKA = {"type": "kafka", "metadata": {"bootstrapServers": "k:9092", "consumerGroup": "g"}}


def plan(obj: Json, *others: Json, served: frozenset[Resource] = KEDA) -> Plan:
    planner = plan_stack if obj["kind"] == "PrismStack" else plan_pattern
    snapshot = FrozenSnapshot([obj, *others], served=served)
    return planner(Observed(obj, snapshot), SETTINGS, NOW)


def scaled_object(*triggers: Json, **more: Any) -> Json:
    scaling = {"maxReplicas": 5, "triggers": list(triggers) or [KAFKA], **more}
    others = [a_secret("one"), a_secret("two")]
    spec = written(plan(a_pattern(autoscaling=scaling), *others), "ScaledObject", "orders")["spec"]
    return dict(spec)


def a_secret(name: str, **data: str) -> Json:
    return an_object("v1", "Secret", name, data=data or {"password": "cA=="})


# --- HorizontalPodAutoscaler

RULES: Json = {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"scaleDown": RULES}, {"scaleDown": {**RULES, "selectPolicy": "Min"}}),
        ({"scaleUp": RULES}, {"scaleUp": {**RULES, "selectPolicy": "Max"}}),
        (
            {"scaleDown": {**RULES, "selectPolicy": "Disabled"}},
            {"scaleDown": {**RULES, "selectPolicy": "Disabled"}},
        ),
        (
            {"scaleUp": {"stabilizationWindowSeconds": 0}},
            {"scaleUp": {"stabilizationWindowSeconds": 0}},
        ),
    ],
)
def test_policies_without_a_choice_shrink_carefully_and_grow_boldly(
    given: Json, expected: Json
) -> None:
    assert with_select_policies(given) == expected


def test_an_hpa_without_behavior_leaves_it_to_kubernetes() -> None:
    scaling = {"maxReplicas": 5, "targetCPUUtilizationPercentage": 70}

    made = written(plan(a_pattern(autoscaling=scaling)), "HorizontalPodAutoscaler", "orders")

    assert "behavior" not in made["spec"]
    assert made["spec"]["scaleTargetRef"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "orders",
    }


def test_what_an_hpa_complains_of_is_said_and_degrades_nothing() -> None:
    pattern = a_pattern(autoscaling={"maxReplicas": 5, "targetCPUUtilizationPercentage": 70})
    told = {
        "type": "ScalingActive",
        "status": "False",
        "reason": "FailedGetResourceMetric",
        "message": "no metrics",
    }
    live = an_object(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        "orders",
        spec={"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "orders"}},
        status={"conditions": [told]},
    )

    planned = plan(pattern, owned(live, pattern))

    assert condition(planned, "ScalerReady")["reason"] == "FailedGetResourceMetric"
    assert "no metrics" in condition(planned, "ScalerReady")["message"]
    assert condition(planned, "Degraded")["status"] == "False"


def test_disabled_autoscaling_makes_no_scaler_and_holds_the_number() -> None:
    scaling = {"enabled": False, "maxReplicas": 5, "targetCPUUtilizationPercentage": 70}

    planned = plan(a_pattern(replicas=7, autoscaling=scaling))

    assert [write.ref.resource for write in planned.writes] == [DEPLOYMENT]
    assert written(planned, "Deployment", "orders")["spec"]["replicas"] == 7


def test_the_admin_yields_to_a_foreign_scaler_too() -> None:
    stack = a_stack(admin={"replicas": 3})
    target = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "demo-admin"}
    }
    foreign = an_object("autoscaling/v2", "HorizontalPodAutoscaler", "theirs", spec=target)

    planned = plan(stack, foreign)

    assert "theirs" in condition(planned, "ForeignScaler")["message"]
    assert [event.reason for event in planned.events] == ["ForeignScaler"]
    assert condition(planned, "Degraded")["status"] == "False"


# --- ScaledObject


def test_a_scaled_object_has_the_documented_defaults() -> None:
    made = scaled_object()

    assert (made["pollingInterval"], made["cooldownPeriod"]) == (10, 300)
    assert made["advanced"]["restoreToOriginalReplicaCount"] is False
    behavior = made["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] == 300
    for field in ("initialCooldownPeriod", "idleReplicaCount", "fallback"):
        assert field not in made


def test_what_the_user_says_of_keda_is_passed_on() -> None:
    made = scaled_object(
        {**KAFKA, "name": "lag", "useCachedMetrics": True, "metricType": "AverageValue"},
        minReplicas=2,
        idleReplicaCount=0,
        initialCooldownPeriod=30,
        fallback={"failureThreshold": 3, "replicas": 4},
        behavior={"scaleDown": RULES},
    )

    assert made["triggers"][0] == {
        **KAFKA,
        "name": "lag",
        "useCachedMetrics": True,
        "metricType": "AverageValue",
    }
    assert (made["idleReplicaCount"], made["initialCooldownPeriod"]) == (0, 30)
    assert made["fallback"] == {"failureThreshold": 3, "replicas": 4, "behavior": "static"}
    behavior = made["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior["scaleDown"]["selectPolicy"] == "Min"


@pytest.mark.parametrize("kind", ["cpu", "memory"])
def test_the_type_in_the_metadata_of_a_resource_trigger_becomes_its_metric_type(kind: str) -> None:
    made = scaled_object({"type": kind, "metadata": {"type": "Utilization", "value": "80"}})

    assert made["triggers"] == [
        {"type": kind, "metadata": {"value": "80"}, "metricType": "Utilization"}
    ]


# --- Triggers

COMPLETE: dict[str, dict[str, str]] = {
    "kafka": {"bootstrapServers": "k", "consumerGroup": "g"},
    "nats-jetstream": {
        "natsServerMonitoringEndpoint": "n",
        "account": "$G",
        "stream": "s",
        "consumer": "c",
    },
    "aws-sqs-queue": {"queueURL": "u", "awsRegion": "r"},
    "rabbitmq": {"queueName": "q", "host": "h", "queueLength": "5"},
    "redis": {"listName": "l", "address": "a"},
    "postgresql": {
        "query": "q",
        "targetQueryValue": "1",
        "host": "h",
        "port": "1",
        "userName": "u",
        "dbName": "d",
        "sslmode": "require",
    },
    "cpu": {"value": "80", "type": "Utilization"},
    "memory": {"value": "80", "type": "AverageValue"},
    "cron": {"timezone": "UTC", "start": "a", "end": "b", "desiredReplicas": "3"},
    "prometheus": {"serverAddress": "s", "query": "q", "threshold": "1"},
}


def problems(kind: str, metadata: dict[str, str], **more: Any) -> list[str]:
    scaling = {"maxReplicas": 5, "triggers": [{"type": kind, "metadata": metadata, **more}]}
    return problems_of(Autoscaling.model_validate(scaling), "spec.autoscaling")


@pytest.mark.parametrize(
    ("kind", "missing"), [(kind, key) for kind, metadata in COMPLETE.items() for key in metadata]
)
def test_a_trigger_that_lacks_what_its_type_needs_is_told_so(kind: str, missing: str) -> None:
    metadata = COMPLETE[kind]
    assert problems(kind, metadata) == []

    (told,) = problems(kind, {key: value for key, value in metadata.items() if key != missing})

    assert told.startswith(f"spec.autoscaling.triggers[0] ({kind}) ")
    assert missing in told or missing == "type"


@pytest.mark.parametrize(
    ("kind", "metadata"),
    [
        ("redis", {"listName": "l"}),
        ("postgresql", {"query": "q", "targetQueryValue": "1"}),
        ("rabbitmq", {"queueName": "q", "mode": "QueueLength", "value": "5"}),
        ("aws-sqs-queue", {"queueURL": "u"}),
    ],
)
def test_what_the_credentials_may_hold_is_not_missed(kind: str, metadata: dict[str, str]) -> None:
    assert problems(kind, metadata)
    assert problems(kind, metadata, authenticationRef={"name": "one"}) == []


def test_a_type_that_is_not_in_the_table_is_kedas_to_judge() -> None:
    assert problems("solace-event-queue", {}) == []


def test_a_trigger_that_lacks_metadata_makes_no_scaler_and_is_one_event() -> None:
    planned = plan(a_pattern(autoscaling={"maxReplicas": 5, "triggers": [{"type": "kafka"}]}))

    assert [write.ref.resource for write in planned.writes] == [DEPLOYMENT]
    assert "bootstrapServers" in condition(planned, "TriggerInvalid")["message"]
    assert [event.reason for event in planned.events] == ["TriggerInvalid"]


# --- Credentials


def test_each_secret_gets_a_trigger_authentication_of_its_own() -> None:
    triggers = [
        {**KAFKA, "authenticationRef": {"name": name}} for name in ("one", "two", "one", "theirs")
    ]
    theirs = an_object("keda.sh/v1alpha1", "TriggerAuthentication", "theirs")
    pattern = a_pattern(autoscaling={"maxReplicas": 5, "triggers": triggers})

    planned = plan(pattern, a_secret("one", b="", a=""), a_secret("two"), theirs)

    used = written(planned, "ScaledObject", "orders")["spec"]["triggers"]
    assert [t["authenticationRef"]["name"] for t in used] == [
        "orders-trigger-auth",
        "orders-trigger-auth-2",
        "orders-trigger-auth",
        "theirs",
    ]
    made = written(planned, "TriggerAuthentication", "orders-trigger-auth")
    assert made["spec"]["secretTargetRef"] == [
        {"parameter": "a", "name": "one", "key": "a"},
        {"parameter": "b", "name": "one", "key": "b"},
    ]
    last = [write.ref.resource for write in planned.writes]
    assert last.index(SCALED_OBJECT) > last.index(TRIGGER_AUTHENTICATION)


def test_a_reference_with_a_kind_is_left_to_keda() -> None:
    ref = {"name": "shared", "kind": "ClusterTriggerAuthentication"}

    made = scaled_object({**KAFKA, "authenticationRef": ref})

    assert made["triggers"][0]["authenticationRef"] == ref


def test_a_trigger_authentication_nobody_uses_any_more_is_deleted() -> None:
    pattern = a_pattern()
    unused = an_object("keda.sh/v1alpha1", "TriggerAuthentication", "orders-trigger-auth")

    planned = plan(pattern, owned(unused, pattern))

    deleted = [write.ref for write in planned.writes if isinstance(write, Delete)]
    assert deleted == [Ref(TRIGGER_AUTHENTICATION, NAMESPACE, "orders-trigger-auth")]


# --- Targets


@pytest.mark.parametrize(
    ("resource", "target", "name"),
    [
        (
            HORIZONTAL_POD_AUTOSCALER,
            {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"},
            "a",
        ),
        (SCALED_OBJECT, {"name": "a"}, "a"),
        (SCALED_OBJECT, {"kind": "StatefulSet", "name": "a"}, None),
        (
            HORIZONTAL_POD_AUTOSCALER,
            {"apiVersion": "other.io/v1", "kind": "Deployment", "name": "a"},
            None,
        ),
        (DEPLOYMENT, {"name": "a"}, None),
    ],
)
def test_a_scaler_counts_for_the_deployment_it_names(
    resource: Resource, target: Json, name: str | None
) -> None:
    spec = {"scaleTargetRef": target}
    obj = an_object(resource.api_version, resource.kind, "x", spec=spec)

    expected = None if name is None else Ref(DEPLOYMENT, NAMESPACE, name)
    assert scale_target_of(obj) == expected
