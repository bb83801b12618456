"""Models read what a cluster returns."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from prism_operator.api.autoscaling import Autoscaling
from prism_operator.api.common import Placement
from prism_operator.api.pattern import PrismPattern
from prism_operator.api.stack import PrismStack
from prism_operator.api.validation import parse

from .builders import a_backend, a_namespace, a_pattern, a_stack

_PODS = {"metric": {"name": "lag"}, "target": {"type": "AverageValue", "averageValue": 1}}
_TRIGGER = {"type": "kafka"}


def read_stack(**spec: object) -> PrismStack:
    stack = parse(a_stack(**spec))
    assert isinstance(stack, PrismStack)
    return stack


def read_pattern(**spec: object) -> PrismPattern:
    pattern = parse(a_pattern(**spec))
    assert isinstance(pattern, PrismPattern)
    return pattern


def test_unknown_fields_of_a_newer_version_are_left_out() -> None:
    stack = read_stack(proxy={"replicas": 2, "fromTheFuture": {"a": 1}}, alsoNew=True)

    assert stack.spec.proxy.replicas == 2
    assert not hasattr(stack.spec, "alsoNew")


def test_null_reads_as_absent() -> None:
    stack = read_stack(proxy={"port": None, "resources": None}, admin=None)

    assert stack.spec.proxy.port == 9090
    assert stack.spec.admin is None


def test_stack_without_proxy_has_one_with_all_defaults() -> None:
    proxy = read_stack().spec.proxy

    assert (proxy.replicas, proxy.port, proxy.service_port) == (1, 9090, 9090)
    assert proxy.service.type == "ClusterIP"
    assert proxy.effective_placement == Placement()


def test_admin_is_there_when_it_is_given_unless_it_says_otherwise() -> None:
    assert read_stack().spec.enabled_admin is None
    assert read_stack(admin={"enabled": False}).spec.enabled_admin is None
    admin = read_stack(admin={}).spec.enabled_admin
    assert admin is not None
    assert (admin.port, admin.leader_election.lease_duration_s) == (8981, 15)
    assert (admin.leader_election.renew_deadline_s, admin.leader_election.retry_period_s) == (10, 2)


def test_top_level_resources_and_affinity_are_for_components_without() -> None:
    stack = read_stack(
        resources={"requests": {"cpu": "1"}},
        affinity={"podAffinity": {}},
        admin={"placement": {"resources": {"requests": {"cpu": "2"}}, "affinity": {"x": {}}}},
    )
    proxy, admin = stack.spec.proxy, stack.spec.enabled_admin

    assert admin is not None
    assert stack.spec.resources_of(proxy) == {"requests": {"cpu": "1"}}
    assert stack.spec.resources_of(admin) == {"requests": {"cpu": "2"}}
    assert stack.spec.affinity_of(proxy) == {"podAffinity": {}}
    assert stack.spec.affinity_of(admin) == {"x": {}}


@pytest.mark.parametrize("name", ["runnerSpec", "placement"])
def test_pattern_is_placed_by_either_name(name: str) -> None:
    pattern = read_pattern(**{name: {"nodeSelector": {"disk": "fast"}}})

    assert pattern.spec.effective_placement.node_selector == {"disk": "fast"}


def test_pattern_listens_on_8080_with_or_without_a_service() -> None:
    assert read_pattern().spec.port == 8080
    assert read_pattern(service={}).spec.port == 8080
    assert read_pattern(service={"port": 9000}).spec.port == 9000


def test_backend_config_is_a_reference_or_settings_by_provider() -> None:
    kafka = {"bootstrapServers": "kafka:9092", "topics": ["orders"]}
    inline = read_pattern(backendConfig={"kafka": kafka}).spec.backend_config
    named = read_pattern(backendConfig={"name": "nats", "namespace": "x"}).spec.backend_config

    assert inline is not None
    assert (inline.name, inline.inline) == (None, {"kafka": kafka})
    assert named is not None
    assert (named.name, named.namespace, named.inline) == ("nats", "x", {})


@pytest.mark.parametrize(
    ("autoscaling", "scaler"),
    [
        ({"targetCPUUtilizationPercentage": 50}, "hpa"),
        ({"metrics": [{"type": "Pods", "pods": _PODS}]}, "hpa"),
        ({"triggers": [_TRIGGER]}, "keda"),
        ({"scaler": "keda", "triggers": [_TRIGGER]}, "keda"),
        ({"scaler": "hpa", "targetMemoryUtilizationPercentage": 50}, "hpa"),
    ],
    ids=str,
)
def test_scaler_is_keda_when_only_triggers_are_given(autoscaling: object, scaler: str) -> None:
    assert Autoscaling.model_validate(autoscaling).effective_scaler == scaler


@pytest.mark.parametrize(
    ("replicas", "initial"), [(1, 2), (2, 2), (5, 5), (9, 9), (30, 9)], ids=str
)
def test_workload_starts_within_the_bounds_of_its_scaler(replicas: int, initial: int) -> None:
    scaling = {"minReplicas": 2, "maxReplicas": 9, "targetCPUUtilizationPercentage": 50}
    proxy = read_stack(proxy={"replicas": replicas, "autoscaling": scaling}).spec.proxy

    assert (proxy.initial_replicas, proxy.least_replicas) == (initial, 2)


def test_switched_off_autoscaling_leaves_the_replicas_alone() -> None:
    proxy = read_stack(proxy={"replicas": 7, "autoscaling": {"enabled": False}}).spec.proxy

    assert proxy.effective_autoscaling is None
    assert (proxy.initial_replicas, proxy.least_replicas) == (7, 7)


@pytest.mark.parametrize(
    ("backend", "provider"),
    [
        ({"name": "memstore"}, "memstore"),
        ({"name": "nats", "secretRef": {"name": "s"}}, "nats"),
        ({"name": "postgres", "secretRef": {"name": "s"}}, "postgres"),
        ({"name": "main-redis", "secretRef": {"name": "s"}}, "redis"),
        ({"name": "main", "connectionString": "postgresql://db/main"}, "postgres"),
        ({"name": "main", "connectionString": "amqps://queue"}, "rabbitmq"),
        ({"name": "redis", "connectionString": "nats://queue"}, "nats"),
        ({"name": "redis", "provider": "valkey", "secretRef": {"name": "s"}}, "valkey"),
    ],
    ids=str,
)
def test_provider_is_read_off_the_url_or_the_name(
    backend: dict[str, object], provider: str
) -> None:
    (read,) = read_stack(backends=[{"type": "cache", **backend}]).spec.backends

    assert read.effective_provider == provider


def test_pause_is_the_annotation_with_the_value_true() -> None:
    stack = a_stack()
    stack["metadata"]["annotations"] = {"prism.io/paused": "true"}

    assert parse(stack).is_paused
    assert not parse(a_stack()).is_paused


def test_models_are_frozen() -> None:
    stack = read_stack()

    with pytest.raises(ValidationError, match="frozen"):
        stack.spec.proxy = stack.spec.proxy  # type: ignore[misc]


def test_status_that_the_operator_has_not_written_yet_reads_as_empty() -> None:
    for obj in (a_stack(), a_pattern(), a_backend(), a_namespace()):
        status = parse(obj).status

        assert (status.phase, status.observed_generation, status.conditions) == ("", 0, [])
