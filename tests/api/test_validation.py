"""Errors in the words a user needs, and the same offline as on the API server."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prism_operator.api.meta import Json
from prism_operator.api.validation import InvalidObject, Problem, parse

from .builders import (
    a_backend,
    a_namespace,
    a_pattern,
    a_stack,
    a_stack_with_election,
    a_stack_with_scaling,
)
from .rejections import REJECTIONS, Rejection

_SPREAD = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
_POLICY = {"type": "Pods", "value": 1, "periodSeconds": 60}


def problems_of(obj: Json) -> list[str]:
    with pytest.raises(InvalidObject) as caught:
        parse(obj)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("rejection", REJECTIONS, ids=str)
def test_rule_rejects_with_the_text_of_the_api_server(rejection: Rejection) -> None:
    assert problems_of(rejection.obj) == [str(rejection)]


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        (a_stack(proxy={"port": 70000}), "spec.proxy.port: 70000 is above 65535"),
        (a_stack(proxy={"port": "http"}), 'spec.proxy.port: "http" is not an integer'),
        (a_stack(proxy={"replicas": -1}), "spec.proxy.replicas: -1 is below 0"),
        (a_stack(proxy={"replicas": 1.5}), "spec.proxy.replicas: 1.5 is not an integer"),
        (a_stack(proxy=[]), "spec.proxy: a list is not an object"),
        (a_stack(admin={"enabled": "yes"}), 'spec.admin.enabled: "yes" is not true or false'),
        (
            a_stack(proxy={"placement": {"strategy": "MultiCloud"}}),
            "spec.proxy.placement.strategy: \"MultiCloud\" is not one of 'MultiZone',"
            " 'MultiRegion', 'DedicatedNodes', 'Spot', 'BackendProximity'"
            " or 'ControlPlaneIsolation'",
        ),
        (
            a_stack(proxy={"autoscaling": {"scaler": "vpa"}}),
            "spec.proxy.autoscaling.scaler: \"vpa\" is not one of 'hpa' or 'keda'",
        ),
        (a_stack(patterns=[{"type": "a", "backend": "b"}]), "spec.patterns[0].name: is required"),
        (
            a_stack(patterns=[{"name": "a.b", "type": "a", "backend": "b"}]),
            'spec.patterns[0].name: "a.b" does not match ^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$',
        ),
        (
            a_stack(patterns=[{"name": "a", "type": "t", "backend": "b"}] * 2),
            "spec.patterns: name a is there more than once",
        ),
        (a_stack(patterns={}), "spec.patterns: an object is not a list"),
        (
            a_backend(allowedNamespaces=["a", "b", "a"]),
            "spec.allowedNamespaces: value a is there more than once",
        ),
        (
            a_stack_with_election(leaseDuration="15"),
            'spec.admin.leaderElection.leaseDuration: "15" does not match'
            r" ^([0-9]{1,9}(\.[0-9]{1,9})?(ns|us|µs|ms|s|m|h))+$",
        ),
        (
            a_namespace(ttl="999999999h"),
            'spec.ttl: "999999999h" is longer than the 292 years a duration can say',
        ),
        (
            a_stack(proxy={"resources": {"requests": {"cpu": "banana"}, "limits": {"cpu": 1}}}),
            'spec.proxy.resources.requests.cpu: "banana" is not a quantity such as 500m, 2, 512Mi'
            " or 1e3",
        ),
        (a_pattern(env={}), "spec.env: an object is not a list"),
        (a_namespace(namespaceId=""), "spec.namespaceId: is empty"),
        (
            a_namespace(namespaceId="n" * 64),
            "spec.namespaceId: is longer than 63 characters",
        ),
        (
            {**a_stack(), "kind": "PrismStck"},
            'kind: "PrismStck" is not one of PrismStack, PrismNamespace, PrismPattern,'
            " PrismBackend",
        ),
        ({}, "kind: null is not one of PrismStack, PrismNamespace, PrismPattern, PrismBackend"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_error_names_the_field_what_it_holds_and_what_it_should(obj: Json, message: str) -> None:
    assert problems_of(obj) == [message]


def test_every_problem_is_told_at_once() -> None:
    stack = a_stack(
        admin={"leaderElection": {"renewDeadline": "20s", "retryPeriod": "30s"}},
        proxy={"podDisruptionBudget": {"maxUnavailable": "200%"}},
    )

    assert problems_of(stack) == [
        "spec.proxy.podDisruptionBudget.maxUnavailable:"
        " 200% is neither a number from 1 nor a percentage from 1% to 100%",
        "spec.admin.leaderElection.renewDeadline: 20s is not below leaseDuration 15s",
        "spec.admin.leaderElection.retryPeriod: 30s is not below renewDeadline 20s",
    ]


@pytest.mark.parametrize(
    "obj",
    [
        a_backend(connection={"url": "redis://user:hunter2@redis" + "s" * 5000}),
        a_backend(connection="redis://user:hunter2@redis"),
        a_backend(provider="redis://user:hunter2@redis"),
        a_backend(connection={"url": {"password": "hunter2"}}),
        a_stack(backends=[{"name": "x", "type": "cache", "connectionString": "a://b:hunter2@c"}]),
        a_stack(proxy={"env": "PASSWORD=hunter2" + "x" * 64}),
    ],
    ids=str,
)
def test_error_never_repeats_a_url_or_a_long_text(obj: Json) -> None:
    assert "hunter2" not in " ".join(problems_of(obj))


def test_problem_of_the_whole_object_has_no_path() -> None:
    assert str(Problem("", "is not an object")) == "is not an object"


_ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["requests", "limits", "cpu", "name", "x"]), inner)
    ),
    max_leaves=8,
)
_FIELDS = [
    "autoscaling",
    "backendConfig",
    "connection",
    "env",
    "healthCheck",
    "leaderElection",
    "placement",
    "podLabels",
    "podDisruptionBudget",
    "replicas",
    "resources",
    "runnerSpec",
    "service",
    "ttl",
]
_SECTION = st.dictionaries(st.sampled_from(_FIELDS), _ANY_JSON, max_size=3)


@given(
    st.sampled_from([a_stack, a_pattern, a_backend, a_namespace]),
    st.dictionaries(
        st.sampled_from(["proxy", "admin", "backends", "patterns", "resources"]),
        _SECTION | st.lists(_SECTION, max_size=2) | _ANY_JSON,
    ),
    _SECTION,
)
def test_whatever_is_given_is_read_or_refused_with_a_problem(
    an_object: Callable[..., Json], sections: Json, section: Json
) -> None:
    try:
        parse(an_object(**{**section, **sections}))
    except InvalidObject as error:
        assert all(problem.message for problem in error.problems)  # noqa: PT017 - either is fine


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        (
            a_pattern(resources={"requests": 5}),
            "spec.resources.requests: 5 is not an object",
        ),
        (
            a_pattern(resources={"requests": {"cpu": 1}, "limits": [1]}),
            "spec.resources.limits: a list is not an object",
        ),
        (
            a_pattern(resources={"requests": {"cpu": None}}),
            "spec.resources.requests.cpu: null is not an integer or a string",
        ),
        (
            a_stack(patterns=[{"name": "a", "type": "t", "backend": "b", "env": [{}]}]),
            "spec.patterns[0].env[0].name: is required",
        ),
        (
            a_stack(proxy={"env": [{"name": "A", "value": 1}]}),
            "spec.proxy.env[0].value: 1 is not a string",
        ),
        (
            a_stack(
                affinity={"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": {}}}
            ),
            "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution:"
            " an object is not a list",
        ),
        (
            a_stack(proxy={"probes": {"liveness": {"tcpSocket": {"port": True}}}}),
            "spec.proxy.probes.liveness.tcpSocket.port: true is not an integer or a string",
        ),
        (
            a_stack(proxy={"placement": {"tolerations": ["spot"]}}),
            'spec.proxy.placement.tolerations[0]: "spot" is not an object',
        ),
        (
            a_pattern(placement={"tolerations": [{"key": "a", "operator": "In"}]}),
            'spec.placement.tolerations[0].operator: "In" is not one of Exists, Equal, Lt, Gt',
        ),
        (
            a_pattern(runnerSpec={"topologySpreadConstraints": [{**_SPREAD, "maxSkew": 0}]}),
            "spec.runnerSpec.topologySpreadConstraints[0].maxSkew: 0 is below 1",
        ),
        (
            a_pattern(runnerSpec={"topologySpreadConstraints": [{**_SPREAD, "topologyKey": ""}]}),
            "spec.runnerSpec.topologySpreadConstraints[0].topologyKey: is empty",
        ),
        (
            a_stack_with_scaling(
                maxReplicas=3,
                targetCPUUtilizationPercentage=70,
                behavior={"scaleDown": {"stabilizationWindowSeconds": 3601}},
            ),
            "spec.proxy.autoscaling.behavior.scaleDown.stabilizationWindowSeconds:"
            " 3601 is above 3600",
        ),
        (
            a_stack_with_scaling(
                maxReplicas=3,
                targetCPUUtilizationPercentage=70,
                behavior={"scaleUp": {"policies": [{**_POLICY, "type": "Node"}]}},
            ),
            "spec.proxy.autoscaling.behavior.scaleUp.policies[0].type:"
            ' "Node" is not one of Pods, Percent',
        ),
        (
            a_pattern(resources={"requests": {"cpu": -1}}),
            "spec.resources.requests.cpu: -1 is below 0",
        ),
        (
            a_pattern(resources={"requests": {"cpu": "-500m"}}),
            'spec.resources.requests.cpu: "-500m" is not a quantity such as 500m, 2, 512Mi or 1e3',
        ),
        (a_pattern(env=[{"name": ""}]), "spec.env[0].name: is empty"),
        (
            a_pattern(strategy={"type": "OnDelete"}),
            'spec.strategy.type: "OnDelete" is not one of RollingUpdate, Recreate',
        ),
        (
            a_pattern(placement={"tolerations": [{"key": "a", "value": "v" * 64}]}),
            "spec.placement.tolerations[0].value: is longer than 63 characters",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_kubernetes_types_are_checked_to_their_last_field(obj: Json, message: str) -> None:
    assert problems_of(obj) == [message]
