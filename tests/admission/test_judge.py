"""Who is denied, who is warned, and who is left alone."""

from __future__ import annotations

from typing import Any

import pytest

from prism_operator.admission.review import Judgement
from prism_operator.api.meta import SCALED_OBJECT, SECRET, TRIGGER_AUTHENTICATION, Json, Ref
from prism_operator.planning import plan_stack
from tests.planning.builders import (
    NAMESPACE,
    NOW,
    SETTINGS,
    a_backend,
    a_pattern,
    a_prism_object,
    a_stack,
    an_object,
    condition,
    observed,
    owned,
)

from .builders import judged

ALLOWED = Judgement()


def a_tenant(name: str = "acme", /, namespace_id: str = "acme", **metadata: Any) -> Json:
    spec = {"namespaceId": namespace_id, "proxyRef": {"name": "demo-proxy"}}
    return a_prism_object("PrismNamespace", name, spec, **metadata)


def as_new(obj: Json) -> Json:
    """As it comes with a creation, before it is stored."""
    kept = ("name", "namespace", "annotations", "labels")
    metadata = {key: value for key, value in obj["metadata"].items() if key in kept}
    return {**obj, "metadata": metadata}


DEMO_PROXY = owned(an_object("v1", "Service", "demo-proxy"), a_stack())

DENIED = {
    "a Deployment of somebody else has the proxy's name": (
        judged(as_new(a_stack()), an_object("apps/v1", "Deployment", "demo-proxy")),
        "Deployment prism-system/demo-proxy exists and is not ours",
    ),
    "another stack has a pattern of that name": (
        judged(
            as_new(a_stack(patterns=[{"name": "orders", "type": "consumer", "backend": "kafka"}])),
            a_stack("other"),
            owned(a_pattern(), a_stack("other")),
        ),
        "PrismPattern prism-system/orders belongs to PrismStack other: rename one of the two",
    ),
    "a Deployment of somebody else has the name of the stack's pattern": (
        judged(
            as_new(a_stack(patterns=[{"name": "orders", "type": "consumer", "backend": "kafka"}])),
            an_object("apps/v1", "Deployment", "orders"),
        ),
        "PrismPattern orders: Deployment prism-system/orders exists and is not ours",
    ),
    "a ConfigMap of somebody else has the name of the pattern's": (
        judged(
            as_new(a_pattern(config={"size": 1})), an_object("v1", "ConfigMap", "orders-config")
        ),
        "ConfigMap prism-system/orders-config exists and is not ours",
    ),
    "an older namespace has the id": (
        judged(
            as_new(a_tenant("acme")),
            a_tenant("older", creationTimestamp="2026-01-01T00:00:00Z"),
            DEMO_PROXY,
        ),
        "spec.namespaceId: acme is taken on this proxy by PrismNamespace prism-system/older:"
        " choose another",
    ),
    "an older namespace has the id of the stack's": (
        judged(
            as_new(a_stack(namespaces=[{"name": "acme", "namespaceId": "acme"}])),
            a_tenant("older", creationTimestamp="2026-01-01T00:00:00Z"),
        ),
        "PrismNamespace acme: spec.namespaceId: acme is taken on this proxy",
    ),
    "a password would stand in a ConfigMap": (
        judged(as_new(a_pattern(backendConfig={"kafka": {"url": "kafka://me:hunter2@kafka"}}))),
        "spec.backendConfig.kafka.url: a URL holds a user name or password",
    ),
    "a password would stand in the ConfigMap of the stack's pattern": (
        judged(
            as_new(
                a_stack(
                    patterns=[
                        {
                            "name": "orders",
                            "type": "consumer",
                            "backend": "kafka",
                            "config": {"url": "kafka://me:hunter2@kafka"},
                        }
                    ]
                )
            )
        ),
        "PrismPattern orders: spec.config.url: a URL holds a user name or password",
    ),
    "the admin's Secret is out of its reach": (
        judged(as_new(a_stack(admin={"tls": {"secretRef": {"name": "t", "namespace": "x"}}}))),
        "spec.admin.tls.secretRef.namespace: is not prism-system",
    ),
    "a node is named without the right to": (
        judged(as_new(a_pattern(placement={"nodeName": "n-1"}))),
        "nodeName",
    ),
}


@pytest.mark.parametrize("case", DENIED)
def test_denied_when(case: str) -> None:
    judgement, told = DENIED[case]

    (denial,) = judgement.denials
    assert told in denial
    assert "hunter2" not in denial
    assert not judgement.allowed


WARNED = {
    "an even number of admins": (
        judged(as_new(a_stack(admin={"replicas": 4}))),
        "an even number of admins tolerates no more failures than 3",
    ),
    "a backend that does not exist": (
        judged(as_new(a_pattern(backendConfig={"name": "broker"}))),
        "PrismBackend prism-system/broker does not exist",
    ),
    "a backend that is not for this namespace": (
        judged(
            as_new(a_pattern(backendConfig={"name": "broker", "namespace": "data"})),
            a_backend(metadata={"namespace": "data"}),
        ),
        "is not for namespace prism-system: list it in spec.allowedNamespaces",
    ),
    "a Secret that does not exist": (
        judged(
            as_new(a_backend(connection={"secretRef": {"name": "creds"}})),
            secrets={Ref(SECRET, NAMESPACE, "creds"): None},
        ),
        "spec.connection.secretRef: Secret prism-system/creds does not exist (yet)",
    ),
    "a proxy that does not exist": (
        judged(as_new(a_tenant())),
        "spec.proxyRef: Service prism-system/demo-proxy does not exist (yet)",
    ),
    "a proxy that is none": (
        judged(as_new(a_tenant()), an_object("v1", "Service", "demo-proxy")),
        "is not a PrismStack's: name the Service <stack>-proxy",
    ),
    "KEDA is not there": (
        judged(as_new(a_pattern(autoscaling={"maxReplicas": 3, "triggers": [{"type": "kafka"}]}))),
        "KEDA is not installed",
    ),
    "a trigger that lacks what its type needs": (
        judged(
            as_new(a_pattern(autoscaling={"maxReplicas": 3, "triggers": [{"type": "kafka"}]})),
            served=frozenset({SCALED_OBJECT, TRIGGER_AUTHENTICATION}),
        ),
        "bootstrapServers",
    ),
    "a provider nobody knows": (
        judged(as_new(a_backend(provider="mongodb"))),
        "spec.provider: mongodb is none that the operator knows",
    ),
    "a change to what a stack made": (
        judged(
            owned(a_pattern(replicas=5), a_stack()), a_stack(), old=owned(a_pattern(), a_stack())
        ),
        "PrismStack demo made this and will write its own spec over it",
    ),
    "an annotation that is misspelt": (
        judged(as_new(a_pattern(metadata={"annotations": {"prism.io/pause": "true"}}))),
        "metadata.annotations: prism.io/pause is unknown to the operator",
    ),
    "a pause that is none": (
        judged(a_pattern(metadata={"annotations": {"prism.io/paused": "yes"}}), old=a_pattern()),
        'prism.io/paused does nothing until its value is "true"',
    ),
    "an id that a namespace which is going away still has": (
        judged(
            as_new(a_tenant("acme")),
            a_tenant(
                "older",
                creationTimestamp="2026-01-01T00:00:00Z",
                deletionTimestamp="2026-01-02T00:00:00Z",
            ),
        ),
        "does not exist (yet)",
    ),
}


@pytest.mark.parametrize("case", WARNED)
def test_warned_of(case: str) -> None:
    judgement, told = WARNED[case]

    assert judgement.allowed
    assert any(told in warning for warning in judgement.warnings), judgement.warnings


CONFLICT = an_object("apps/v1", "Deployment", "demo-proxy")
LEFT = owned(an_object("apps/v1", "Deployment", "demo-proxy"), a_stack(metadata={"uid": "before"}))


@pytest.mark.parametrize(
    "judgement",
    [
        judged(as_new(a_stack())),
        judged(as_new(a_stack()), LEFT),
        judged(a_stack(), CONFLICT, operation="DELETE"),
        judged(a_stack(metadata={"deletionTimestamp": "now"}), CONFLICT, old=a_stack()),
        judged(a_stack(metadata={"finalizers": ["f"]}), CONFLICT, old=a_stack()),
        judged({**a_stack(), "status": {"phase": "Failed"}}, CONFLICT, old=a_stack()),
        judged(as_new(a_stack()), CONFLICT, options={"fieldManager": "prism-operator"}),
        judged({**CONFLICT, "spec": {}}),
        judged(
            as_new(
                a_stack(
                    patterns=[{"name": "orders", "type": "t", "backend": "nats"}],
                    backends=[
                        {"name": "nats", "type": "messaging", "connectionString": "nats://n"}
                    ],
                    namespaces=[{"name": "acme", "namespaceId": "acme"}],
                )
            )
        ),
        judged(as_new(a_tenant()), DEMO_PROXY, a_stack()),
    ],
    ids=[
        "all is well",
        "a deleted stack left it behind",
        "it is a deletion",
        "it is being deleted",
        "only finalizers change",
        "only the status changes",
        "the operator writes",
        "it is none of our kinds",
        "a stack brings what its patterns and namespaces refer to",
        "the proxy is there",
    ],
)
def test_nothing_is_said_when(judgement: Judgement) -> None:
    assert (list(judgement.denials), list(judgement.warnings)) == ([], [])


def test_what_was_as_bad_before_is_warned_of_and_no_reason_to_deny() -> None:
    old, new = a_stack(proxy={"replicas": 1}), a_stack(proxy={"replicas": 2})

    judgement = judged(new, CONFLICT, old=old)

    assert judgement.allowed
    assert "is not ours" in judgement.warnings[0]


def test_an_edit_that_brings_a_conflict_is_denied() -> None:
    patterns = [{"name": "orders", "type": "consumer", "backend": "kafka"}]

    foreign = an_object("apps/v1", "Deployment", "orders")
    judgement = judged(a_stack(patterns=patterns), foreign, old=a_stack())

    assert not judgement.allowed


def test_a_name_conflict_is_a_condition_without_a_webhook() -> None:
    plan = plan_stack(observed(a_stack(), CONFLICT), SETTINGS, NOW)

    assert condition(plan, "NameConflict")["status"] == "True"
