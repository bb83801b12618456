"""What a proxy is told of a namespace, and what is said of references that lead nowhere."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from prism_operator.api.meta import Json
from prism_operator.planning import plan_namespace
from prism_operator.planning.observed import Observed
from prism_operator.planning.plan import Hold, Plan
from prism_operator.planning.provisioning import Answer, MetricsEndpoint, Provision, Usage
from prism_operator.planning.settings import Settings
from prism_operator.planning.tenancy import FINALIZER

from .builders import (
    NAMESPACE,
    NOW,
    a_backend,
    a_pattern,
    a_prism_object,
    a_stack,
    an_object,
    condition,
    observed,
    owned,
)

PROVISIONING = Settings(provision_namespaces=True)
SECRET_WORD = "hunter2"  # noqa: S105 - to be looked for


def a_namespace(*, metadata: Json | None = None, **spec: Any) -> Json:
    spec = {"namespaceId": "acme", "proxyRef": {"name": "demo-proxy"}, **spec}
    held = {"finalizers": [FINALIZER], "annotations": {"prism.io/provisioned-on": PLACE}}
    return a_prism_object("PrismNamespace", "tenant", spec, **(held | (metadata or {})))


PLACE = f"{NAMESPACE}/demo-proxy"


def a_proxy(stack: Json) -> Json:
    return owned(an_object("v1", "Service", "demo-proxy"), stack)


def plan(obj: Json, *others: Json, answer: Answer | None = None) -> Plan:
    seen: Observed = replace(observed(obj, *others), answer=answer)
    return plan_namespace(seen, PROVISIONING, NOW)


def in_stack(obj: Json, *others: Json, **admin: Any) -> Plan:
    stack = a_stack("demo", admin=admin)
    return plan(obj, stack, a_proxy(stack), *others)


def request(obj: Json, *others: Json, **admin: Any) -> Provision:
    call = in_stack(obj, *others, **admin).call
    assert call is not None
    assert isinstance(call.target, Provision)
    return call.target


def a_secret(name: str, **data: str) -> Json:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return an_object("v1", "Secret", name, data=encoded)


TLS = a_secret("admin-tls", **{"ca.crt": "PEM"})
LOGIN = a_secret("login", url=f"postgres://prism:{SECRET_WORD}@pg:5432/a")
DATABASE = a_backend(
    "pg", type="database", provider="postgres", connection={"secretRef": {"name": "login"}}
)
ROWS = a_pattern("rows", pattern="keyvalue", backendConfig={"name": "pg"})


def test_quotas_tags_and_name_travel_as_metadata() -> None:
    told = request(
        a_namespace(
            displayName="ACME",
            tags={"tenant": "acme"},
            quotas={
                "maxKeys": 1,
                "maxConnections": 2,
                "rateLimit": {"requestsPerSecond": 3, "burstSize": 4},
            },
        )
    )

    assert dict(told.metadata) == {
        "displayName": "ACME",
        "quota.burstSize": "4",
        "quota.maxConnections": "2",
        "quota.maxKeys": "1",
        "quota.requestsPerSecond": "3",
        "tag.tenant": "acme",
    }


def test_auth_travels_as_options_of_oidc() -> None:
    auth = {"oidcIssuer": "https://i", "oidcClientId": "c", "serviceAccounts": ["a", "b"]}

    told = request(a_namespace(auth=auth))

    assert told.auth is not None
    assert dict(told.auth) == {"issuer": "https://i", "client_id": "c", "service_accounts": "a,b"}


def test_patterns_travel_with_their_settings_and_backends_without_credentials_in_the_url() -> None:
    pattern = {**ROWS, "spec": {**ROWS["spec"], "config": {"ttl": "5s", "cache": {"size": 3}}}}

    told = request(
        a_namespace(patterns=["rows"]),
        *(pattern, DATABASE, LOGIN, TLS),
        tls={"secretRef": {"name": "admin-tls"}},
    )

    assert dict(told.patterns)["rows"].pattern == "keyvalue"
    assert dict(dict(told.patterns)["rows"].settings) == {"ttl": "5s", "cache.size": "3"}
    backend = dict(told.backends)["pg"]
    assert backend.url == "postgres://pg:5432/a"
    assert dict(backend.credentials) == {"username": "prism", "password": SECRET_WORD}
    assert SECRET_WORD not in repr(told)


def test_credentials_stay_where_the_admin_has_no_tls_and_the_status_says_so() -> None:
    obj = a_namespace(patterns=["rows"])
    told = request(obj, ROWS, DATABASE, LOGIN)
    assert dict(told.backends)["pg"].credentials == ()

    stack = a_stack("demo", admin={})
    planned = plan(obj, stack, a_proxy(stack), ROWS, DATABASE, LOGIN, answer=Answer(told, NOW))

    assert "credentials of pg were not sent" in condition(planned, "Ready")["message"]


def test_patterns_that_do_not_exist_are_named_and_said_to_be_missing() -> None:
    obj = a_namespace(patterns=["gone"])
    told = request(obj)
    assert dict(told.patterns)["gone"].settings == ()

    stack = a_stack("demo", admin={})
    planned = plan(obj, stack, a_proxy(stack), answer=Answer(told, NOW))

    assert condition(planned, "Ready")["status"] == "True"
    assert condition(planned, "PatternsResolved")["reason"] == "PatternNotFound"
    assert "gone" in condition(planned, "PatternsResolved")["message"]


def test_nothing_is_called_before_the_finalizer_is_written() -> None:
    planned = in_stack(a_namespace(metadata={"finalizers": [], "annotations": {}}))

    (write,) = planned.writes
    assert isinstance(write, Hold)
    assert (write.place, planned.call) == (PLACE, None)


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        ((), "ProxyNotFound"),
        ((an_object("v1", "Service", "demo-proxy"),), "ProxyNotAStacks"),
        ((a_proxy(a_stack("demo")),), "ProxyNotFound"),
        ((a_stack("demo"), a_proxy(a_stack("demo"))), "NoAdmin"),
        (
            (
                a_stack("demo", admin={"tls": {"secretRef": {"name": "none"}}}),
                a_proxy(a_stack("demo")),
            ),
            "SecretNotFound",
        ),
        (
            (
                a_stack("demo", admin={"tls": {"secretRef": {"name": "half"}}}),
                a_proxy(a_stack("demo")),
                a_secret("half", **{"tls.crt": "PEM"}),
            ),
            "SecretKeyMissing",
        ),
    ],
)
def test_what_keeps_a_namespace_from_its_proxy_is_told(
    others: tuple[Json, ...], reason: str
) -> None:
    planned = plan(a_namespace(), *others)

    assert (planned.call, condition(planned, "Ready")["reason"]) == (None, reason)


def test_a_proxy_that_cannot_be_seen_is_not_taken_for_gone() -> None:
    settings = replace(PROVISIONING, watch_namespaces=("elsewhere",))
    deleted = a_namespace()
    deleted["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:05Z"

    planned = plan_namespace(observed(deleted), settings, NOW)

    assert planned.writes == ()
    assert condition(planned, "Ready")["reason"] == "ProxyNotWatched"


def test_an_answer_about_earlier_settings_says_nothing_about_these() -> None:
    told = request(a_namespace(displayName="before"))
    stack = a_stack("demo", admin={})

    planned = plan(a_namespace(), stack, a_proxy(stack), answer=Answer(told, NOW))

    assert condition(planned, "Ready")["reason"] == "Provisioning"


def test_the_same_answer_is_written_once() -> None:
    obj, stack = a_namespace(), a_stack("demo", admin={})
    answer = Answer(request(obj), NOW)
    first = plan(obj, stack, a_proxy(stack), answer=answer)

    again = plan({**obj, "status": first.status}, stack, a_proxy(stack), answer=answer)

    assert again.is_empty
    assert again.call is not None


def with_usage(usage: Usage | None, *, proxies: int) -> Json:
    obj = a_namespace()
    stack = a_stack("demo", admin={}, observability={"enabled": True})
    deployment = an_object("apps/v1", "Deployment", "demo-proxy", spec={"replicas": proxies})
    answer = Answer(request(obj), NOW, usage=usage)
    status = plan(obj, stack, a_proxy(stack), deployment, answer=answer).status
    assert status is not None
    return status


def test_what_all_proxies_say_of_the_namespace_is_in_its_status() -> None:
    usage = Usage(proxies=2, keys=40, connections=5, requests_per_second=5.5)

    assert with_usage(usage, proxies=2)["metrics"] == {
        "currentKeys": 40,
        "currentConnections": 5,
        "requestRate": 5.5,
    }


@pytest.mark.parametrize("usage", [None, Usage(proxies=1, keys=40), Usage(proxies=2)])
def test_what_only_some_of_the_proxies_say_is_not_told(usage: Usage | None) -> None:
    assert "metrics" not in with_usage(usage, proxies=2)


def test_metrics_are_read_where_the_stack_serves_them() -> None:
    ports = [{"name": "prism", "port": 80}, {"name": "metrics", "port": 9100}]
    stack = a_stack("demo", admin={}, observability={"enabled": True})
    service = {**a_proxy(stack), "spec": {"ports": ports}}

    call = plan(a_namespace(), stack, service).call

    assert call is not None
    assert call.metrics == MetricsEndpoint(f"demo-proxy.{NAMESPACE}.svc", 9100)
    silent = a_stack("demo", admin={})
    call = plan(a_namespace(), silent, {**a_proxy(silent), "spec": {"ports": ports}}).call
    assert call is not None
    assert call.metrics is None
