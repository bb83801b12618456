"""Each rule about the objects themselves, and which of several causes is the root."""

from __future__ import annotations

from typing import Any

import pytest

from prism_operator.api.meta import Json
from prism_operator.diagnosis.diagnose import diagnose
from prism_operator.diagnosis.facts import Facts, Unread
from prism_operator.diagnosis.text import diagnosis_text, headline
from tests.diagnosis.builders import (
    PROXY,
    RS,
    STACK,
    a_condition,
    a_container,
    a_deployment,
    a_lease,
    a_node,
    a_pod,
    a_prism,
    a_replica_set,
    a_rollout,
    ago,
    an_event,
    an_object,
    facts_of,
)


def a_stack(*conditions: Json, **more: Any) -> Json:
    return a_prism("PrismStack", "shop", *conditions, **more)


def deleting(obj: Json) -> Json:
    metadata = {**obj["metadata"], "deletionTimestamp": ago(300), "finalizers": ["prism.io/x"]}
    return {**obj, "metadata": metadata}


def with_quota(message: str) -> Facts:
    failure = a_condition("ReplicaFailure", "True", "FailedCreate", message)
    replica_set = a_replica_set(PROXY, failure, replicas=0)
    return facts_of(STACK, PROXY, replica_set)


PAUSE = a_condition("Paused", "True", "Paused", "annotation prism.io/paused on this object, held 2")
CONFLICT = a_condition(
    "NameConflict",
    "True",
    "NameConflict",
    "Deployment default/shop-proxy exists and is not ours: rename or delete it",
)
FORBIDDEN = (
    'cannot create Deployment default/shop-proxy: deployments.apps is forbidden: User "op" cannot '
    'create resource "deployments" in API group "apps" in the namespace "default"'
)
WEBHOOK = 'cannot create Service default/x: Internal error: failed calling webhook "w.io": timeout'
PODS = 'pods "shop-proxy-1-" is forbidden: '
TABLE = {
    "deletion": (
        facts_of(deleting(STACK)),
        "BeingDeleted",
        "it is being deleted, held by the finalizers prism.io/x",
    ),
    "pause": (
        facts_of(a_stack(PAUSE, reason="Paused")),
        "Paused",
        "it is paused: annotation prism.io/paused on this object, held 2",
    ),
    "invalid spec": (
        facts_of(a_stack(reason="InvalidSpec", message="spec.x: 3 is too large")),
        "InvalidSpec",
        "its spec is not valid: spec.x: 3 is too large",
    ),
    "name conflict": (
        facts_of(a_stack(CONFLICT, reason="NameConflict")),
        "NameConflict",
        "a name it needs is taken: Deployment default/shop-proxy exists and is not ours: "
        "rename or delete it",
    ),
    "placement": (
        facts_of(
            a_stack(a_condition("PlacementRefused", "True", "PlacementNotAllowed", "nodeName"))
        ),
        "PlacementNotAllowed",
        "a placement is not allowed: nodeName",
    ),
    "permission of the operator": (
        facts_of(a_stack(a_condition("Stalled", "True", "Forbidden", FORBIDDEN))),
        "NoPermission",
        "the operator cannot create Deployment default/shop-proxy: op may not create deployments",
    ),
    "webhook in the operator's way": (
        facts_of(a_stack(a_condition("Reconciling", "True", "Retrying", WEBHOOK))),
        "WebhookFailed",
        "the operator cannot create Service default/x: "
        "the admission webhook w.io cannot be called: timeout",
    ),
    "quota": (
        with_quota(f"{PODS}exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2"),
        "QuotaExceeded",
        "3 of 3 pods of Deployment shop-proxy cannot be created: "
        "ResourceQuota q is used up: requested pods=1, used pods=2 of pods=2",
    ),
    "quota without requests": (
        with_quota(f"{PODS}failed quota: q: must specify limits.cpu for: proxy"),
        "QuotaExceeded",
        "3 of 3 pods of Deployment shop-proxy cannot be created: "
        "ResourceQuota q takes only pods that specify limits.cpu for: proxy",
    ),
    "limit range": (
        with_quota(f"{PODS}maximum cpu usage per Container is 1, but limit is 2"),
        "LimitRange",
        "3 of 3 pods of Deployment shop-proxy cannot be created: "
        "a LimitRange refuses its resources: maximum cpu usage per Container is 1, but limit is 2",
    ),
    "limit below request": (
        with_quota(
            'Pod "x" is invalid: spec.containers[0].resources.requests: Invalid value: "100m": '
            "must be less than or equal to cpu limit of 50m"
        ),
        "LimitBelowRequest",
        "3 of 3 pods of Deployment shop-proxy cannot be created: it requests cpu 100m, more than "
        "its limit of 50m (which a LimitRange sets where the spec has none)",
    ),
    "pod security": (
        with_quota(f'{PODS}violates PodSecurity "restricted:latest": runAsNonRoot != true'),
        "PodSecurity",
        "3 of 3 pods of Deployment shop-proxy cannot be created: "
        "the namespace admits only pods of the standard restricted: runAsNonRoot != true",
    ),
    "webhook that denies": (
        with_quota('admission webhook "p.io" denied the request: no latest'),
        "WebhookDenied",
        "3 of 3 pods of Deployment shop-proxy cannot be created: "
        "the admission webhook p.io denies it: no latest",
    ),
    "webhook that is dead": (
        with_quota('Internal error occurred: failed calling webhook "p.io": no route'),
        "WebhookFailed",
        "3 of 3 pods of Deployment shop-proxy cannot be created: "
        "the admission webhook p.io cannot be called: no route",
    ),
    "policy": (
        with_quota("ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no"),
        "PolicyDenied",
        "3 of 3 pods of Deployment shop-proxy cannot be created: "
        "the ValidatingAdmissionPolicy p denies it: no",
    ),
    "service account": (
        with_quota(
            f'{PODS}error looking up service account default/x: serviceaccount "x" not found'
        ),
        "ServiceAccountMissing",
        "3 of 3 pods of Deployment shop-proxy cannot be created: ServiceAccount x does not exist",
    ),
    "priority class": (
        with_quota(f"{PODS}no PriorityClass with name high was found"),
        "PriorityClassMissing",
        "3 of 3 pods of Deployment shop-proxy cannot be created: PriorityClass high does not exist",
    ),
    "namespace that ends": (
        with_quota(f"{PODS}unable to create new content because it is being terminated"),
        "NamespaceTerminating",
        "3 of 3 pods of Deployment shop-proxy cannot be created: "
        "namespace default is being deleted",
    ),
    "some other refusal": (
        with_quota("no luck today"),
        "PodsRefused",
        "3 of 3 pods of Deployment shop-proxy cannot be created: no luck today",
    ),
    "backend": (
        facts_of(a_prism("PrismBackend", "nats", reason="Refused", message="refused")),
        "Refused",
        "the backend is not healthy (Refused): refused",
    ),
    "backend nobody checks": (
        facts_of(a_prism("PrismBackend", "n", ready="Unknown", reason="NotChecked", message="no")),
        "NotChecked",
        "the backend is not checked: no",
    ),
    "missing Deployment": (
        facts_of(STACK),
        "NotCreatedYet",
        "Deployment shop-proxy does not exist yet",
    ),
    "missing pattern": (
        facts_of({**STACK, "spec": {"patterns": [{"name": "orders"}]}}, PROXY),
        "NotCreatedYet",
        "PrismPattern orders does not exist yet",
    ),
    "deadline": (
        facts_of(
            STACK,
            a_deployment(
                STACK,
                "shop-proxy",
                a_condition("Progressing", "False", "ProgressDeadlineExceeded"),
            ),
        ),
        "ProgressDeadlineExceeded",
        "the rollout of Deployment shop-proxy made no progress for 600 s",
    ),
    "rollout": (
        facts_of(STACK, a_deployment(STACK, availableReplicas=1, replicas=3)),
        "RolloutInProgress",
        "Deployment shop-proxy is rolling out: 1 of 3 replicas are available",
    ),
    "anything else": (
        facts_of(a_stack(reason="Strange", message="never seen"), a_deployment(None)),
        "Strange",
        "Strange: never seen",
    ),
}


@pytest.mark.parametrize("case", TABLE.values(), ids=TABLE)
def test_the_cause_is_named(case: tuple[Facts, str, str]) -> None:
    facts, reason, sentence = case

    diagnosis = diagnose(facts)

    assert diagnosis.cause is not None
    assert (diagnosis.cause.reason, diagnosis.cause.sentence) == (reason, sentence)
    assert diagnosis.cause.evidence
    assert diagnosis.cause.remedy is not None
    assert sentence.rstrip(".") in headline(diagnosis)
    assert not diagnosis.is_ready


def test_refusals_are_read_off_events_while_the_condition_is_not_there_yet() -> None:
    replica_set = a_replica_set(PROXY, replicas=0)
    event = an_event(replica_set, "FailedCreate", "Error creating: no luck", count=9)

    cause = diagnose(facts_of(STACK, PROXY, replica_set, events=(event,))).cause

    assert cause is not None
    assert cause.sentence == "3 of 3 pods of Deployment shop-proxy cannot be created: no luck"
    assert any("FailedCreate, 9 times" in e.what for e in cause.evidence)


def test_an_old_refusal_is_over() -> None:
    replica_set = a_replica_set(PROXY, replicas=0)
    event = an_event(replica_set, "FailedCreate", "no luck", age_s=3600)

    cause = diagnose(facts_of(STACK, PROXY, replica_set, events=(event,))).cause

    assert cause is not None
    assert cause.reason == "RolloutInProgress"


# The operator itself


def unseen(**more: Any) -> Json:
    stack = a_stack()
    return {**stack, "metadata": {**stack["metadata"], "generation": 2, **more}}


def test_an_operator_that_stopped_is_the_cause_of_all_that_is_not_looked_at() -> None:
    diagnosis = diagnose(facts_of(unseen(), lease=a_lease(renewed_s=300)))

    assert diagnosis.cause is not None
    assert diagnosis.cause.sentence == (
        "the operator is not running: its Lease prism-system/prism-operator-leader "
        "is not renewed for 5m"
    )
    assert diagnosis.cause.evidence[0].what == "generation 2 of the spec is not looked at, only 1"


def test_a_released_lease_says_that_nobody_took_over() -> None:
    cause = diagnose(facts_of(unseen(), lease=a_lease("", renewed_s=40))).cause

    assert cause is not None
    assert "was released and not taken again for 40s" in cause.sentence


def test_no_trace_of_an_operator_is_the_cause_when_nobody_looked() -> None:
    other = an_object("Lease", "another", namespace="prism-system")

    cause = diagnose(facts_of(unseen(), other)).cause

    assert cause is not None
    assert cause.sentence == (
        "the operator is not running: there is neither a Lease prism-operator-leader "
        "nor a Deployment of it in prism-system"
    )


def test_an_operator_that_runs_elsewhere_is_told_from_one_that_does_not_run() -> None:
    cause = diagnose(facts_of(unseen())).cause

    assert cause is not None
    assert cause.reason == "OperatorBehind"
    assert cause.sentence == (
        "the operator runs, but has not looked at its newest spec for 2m: "
        "it may not watch namespace default, or it is stuck"
    )


def test_a_spec_of_just_now_is_waited_for() -> None:
    written = [{"manager": "kubectl", "time": ago(1)}]

    cause = diagnose(facts_of(unseen(managedFields=written))).cause

    assert cause is not None
    assert cause.reason == "NotLookedAtYet"


def an_operator(*conditions: Json, replicas: int = 1, **status: int) -> Json:
    deployment = a_deployment(
        None, "prism-operator-controller-manager", *conditions, replicas=replicas, **status
    )
    labels = {"app.kubernetes.io/name": "prism-operator"}
    metadata = {**deployment["metadata"], "namespace": "prism-system", "labels": labels}
    return {**deployment, "metadata": metadata}


def test_the_operators_own_pods_are_looked_at() -> None:
    deployment = an_operator()
    replica_set = a_replica_set(deployment)
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    last = {"terminated": {"exitCode": 2, "message": "CRDs are not installed"}}
    pod = a_pod(replica_set, containers=[a_container("manager", **waiting, last=last)])

    cause = diagnose(
        facts_of(unseen(), deployment, replica_set, pod, a_node(), lease=a_lease(renewed_s=99))
    ).cause

    assert cause is not None
    assert cause.sentence == (
        "the operator is not running: container manager keeps ending with exit code 2, and said "
        'last: "CRDs are not installed" [CrashLoopBackOff], '
        "in 1 of 1 pods of Deployment prism-operator-controller-manager"
    )


def test_an_operator_scaled_to_zero_is_told() -> None:
    cause = diagnose(facts_of(unseen(), an_operator(replicas=0), lease=a_lease(""))).cause

    assert cause is not None
    assert cause.remedy is not None
    assert "is scaled to 0" in cause.sentence
    assert cause.remedy.commands == (
        "kubectl scale deployment prism-operator-controller-manager -n prism-system --replicas=1",
    )


def test_what_may_not_be_read_is_said_instead_of_guessed() -> None:
    unread = (
        Unread("leases in namespace prism-system", "no permission to list leases", "Operator"),
    )
    other = an_object("Lease", "another", namespace="prism-system")

    cause = diagnose(facts_of(unseen(), other, unread=unread)).cause

    assert cause is not None
    assert cause.reason == "OperatorUnknown"
    assert "whether the operator runs cannot be seen" in cause.sentence


def test_a_ready_object_under_a_dead_operator_is_ready_with_a_warning() -> None:
    stack = a_stack(ready="True", reason="ComponentsReady")
    deployment = a_deployment(stack, availableReplicas=3)

    diagnosis = diagnose(facts_of(stack, deployment, lease=a_lease(renewed_s=99)))

    assert diagnosis.is_ready
    assert "the operator is not running" in headline(diagnosis)


def test_a_deployment_that_a_dead_operator_would_have_made_again_is_its_fault() -> None:
    cause = diagnose(facts_of(STACK, lease=a_lease(renewed_s=99))).cause

    assert cause is not None
    assert cause.reason == "OperatorNotRunning"


def test_what_a_dead_operator_has_said_of_the_newest_spec_still_counts() -> None:
    invalid = a_stack(reason="InvalidSpec", message="spec.x: 3 is too large")

    diagnosis = diagnose(facts_of(invalid, lease=a_lease(renewed_s=99)))

    assert diagnosis.cause is not None
    assert diagnosis.cause.reason == "InvalidSpec"
    assert [f.reason for f in diagnosis.others] == ["OperatorNotRunning"]


# Which is the root


def test_roots_come_before_what_they_bring_about() -> None:
    waiting = {"waiting": {"reason": "ImagePullBackOff"}}
    pod = a_pod(RS, containers=[a_container(**waiting)])
    broken = facts_of(a_stack(CONFLICT, PAUSE, reason="Paused"), PROXY, RS, a_node(), pod)

    diagnosis = diagnose(broken)

    assert diagnosis.cause is not None
    assert diagnosis.cause.reason == "Paused"
    assert [f.reason for f in diagnosis.others] == ["NameConflict", "ImagePull"]


def test_pods_are_ranked_across_deployments() -> None:
    pattern = a_prism("PrismPattern", "orders", owner=STACK)
    deployment = a_deployment(pattern, "orders")
    replica_set = a_replica_set(deployment)
    crash = a_pod(RS, containers=[a_container(waiting={"reason": "CrashLoopBackOff"})])
    pull = a_pod(replica_set, containers=[a_container(waiting={"reason": "ErrImagePull"})])

    diagnosis = diagnose(
        facts_of(STACK, PROXY, RS, pattern, deployment, replica_set, crash, pull, a_node())
    )

    assert diagnosis.cause is not None
    assert [diagnosis.cause.about, *(f.about for f in diagnosis.others)] == ["orders", "shop-proxy"]
    assert [e.object for e in diagnosis.cause.evidence] == [
        "PrismStack shop",
        "PrismPattern orders",
        "Deployment orders",
        "Pod orders-1-a",
    ]


def test_a_rollout_is_not_told_where_its_pods_say_why() -> None:
    pod = a_pod(RS, containers=[a_container(waiting={"reason": "ErrImagePull"})])

    diagnosis = diagnose(a_rollout(pod))

    assert diagnosis.others == ()


def test_the_version_that_fails_is_named_beside_the_one_that_serves() -> None:
    newest = a_replica_set(PROXY, revision=2)
    bad = a_pod(newest, containers=[a_container(waiting={"reason": "ErrImagePull"})])

    cause = diagnose(a_rollout(newest, a_pod(RS, ready=True), bad)).cause

    assert cause is not None
    assert any(e.object == "ReplicaSet shop-proxy-2" and "newest" in e.what for e in cause.evidence)


# Without enough to go by


@pytest.mark.parametrize("kind", ["Pod", "ReplicaSet", "Event", "Deployment"])
def test_a_cause_that_cannot_be_read_is_not_guessed(kind: str) -> None:
    unread = (Unread(f"{kind} in namespace default", "no permission", kind),)

    diagnosis = diagnose(facts_of(STACK, PROXY, unread=unread))

    assert diagnosis.cause is not None
    assert diagnosis.cause.reason == "CannotTell"
    assert f"cannot be read: {kind} in namespace default: no permission" in headline(diagnosis)


# Ready, with something to be said


def test_ready_says_just_that() -> None:
    stack = a_stack(ready="True", reason="ComponentsReady")
    facts = facts_of(stack, a_deployment(stack, availableReplicas=3))

    assert diagnosis_text(diagnose(facts)) == "PrismStack default/shop is Ready.\n"


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        (a_condition("BackendResolved", "False", "BackendNotFound", "no"), "BackendNotFound"),
        (a_condition("ScalerReady", "False", "KedaNotInstalled", "no"), "KedaNotInstalled"),
        (a_condition("ForeignScaler", "True", "ForeignScaler", "hpa x"), "ForeignScaler"),
        (a_condition("TriggerInvalid", "True", "TriggerInvalid", "no"), "TriggerInvalid"),
        (a_condition("PlacementIneffective", "True", "X", "no"), "PlacementIneffective"),
        (a_condition("EvenAdminReplicas", "True", "X", "no"), "EvenAdminReplicas"),
    ],
)
def test_what_does_not_stop_ready_is_a_warning(condition: Json, reason: str) -> None:
    pattern = a_prism("PrismPattern", "orders", condition, ready="True", reason="DeploymentReady")
    deployment = a_deployment(pattern, "orders", availableReplicas=3)

    diagnosis = diagnose(facts_of(pattern, deployment))

    assert diagnosis.is_ready
    assert [f.reason for f in diagnosis.warnings] == [reason]
    assert headline(diagnosis).startswith("PrismPattern default/orders is Ready, but ")


def test_one_trouble_with_a_scaler_is_told_once() -> None:
    conditions = (
        a_condition("ForeignScaler", "True", "ForeignScaler", "hpa x"),
        a_condition("ScalerReady", "False", "ForeignScaler", "hpa x"),
    )
    pattern = a_prism("PrismPattern", "orders", *conditions, ready="True")

    diagnosis = diagnose(facts_of(pattern, a_deployment(pattern, "orders", availableReplicas=3)))

    assert len(diagnosis.warnings) == 1


def test_a_scaler_at_its_limit_is_a_warning() -> None:
    pattern = a_prism("PrismPattern", "orders", ready="True")
    limited = a_condition("ScalingLimited", "True", "TooManyReplicas", "more than the maximum")
    hpa = an_object(
        "HorizontalPodAutoscaler",
        "orders",
        owner=pattern,
        spec={"maxReplicas": 5},
        status={"conditions": [limited]},
    )
    deployment = a_deployment(pattern, "orders", availableReplicas=3)

    diagnosis = diagnose(facts_of(pattern, hpa, deployment))

    assert [f.reason for f in diagnosis.warnings] == ["AtMaxReplicas"]


def test_a_service_that_leads_nowhere_is_a_warning() -> None:
    stack = a_stack(ready="True")
    deployment = a_deployment(stack, availableReplicas=3)
    replica_set = a_replica_set(deployment)
    service = an_object("Service", "shop-proxy", owner=stack)
    slice_ = an_object(
        "EndpointSlice",
        "shop-proxy-x",
        metadata={"labels": {"kubernetes.io/service-name": "shop-proxy"}},
        endpoints=[{"conditions": {"ready": False}}],
    )
    pod = a_pod(replica_set, ready=True)

    diagnosis = diagnose(facts_of(stack, deployment, replica_set, service, slice_, pod))

    assert [f.reason for f in diagnosis.warnings] == ["NoEndpoints"]


def test_unhealthy_backends_of_a_ready_stack_are_warnings() -> None:
    stack = a_stack(ready="True")
    backend = a_prism("PrismBackend", "nats", owner=stack, reason="Refused", message="refused")

    diagnosis = diagnose(facts_of(stack, a_deployment(stack, availableReplicas=3), backend))

    assert headline(diagnosis) == (
        "PrismStack default/shop is Ready, but PrismBackend nats is not healthy: refused."
    )


# How it is told


def test_the_text_is_cause_evidence_and_remedy() -> None:
    waiting = {"waiting": {"reason": "ErrImagePull", "message": "not found"}}
    pod = a_pod(RS, containers=[a_container(**waiting)])

    text = diagnosis_text(diagnose(a_rollout(pod)))

    assert (
        text
        == """\
PrismStack default/shop is not Ready: image "proxy:1" of container proxy cannot be pulled \
(ErrImagePull), in 1 of 3 pods of Deployment shop-proxy.

Evidence:
  PrismStack shop        Ready is False (RolloutInProgress): proxy: 0 of 3 replicas are \
available  (60s)
  Deployment shop-proxy  0 of 3 replicas are available
  Pod shop-proxy-1-a     container proxy waits: ErrImagePull: not found  (90s)

What to do:
  Correct spec.proxy.image, or let the nodes pull it (imagePullSecrets: none)
    kubectl edit prismstack shop -n default
    kubectl describe pod shop-proxy-1-a -n default
"""
    )


def test_programs_get_the_same_as_json() -> None:
    told = diagnose(facts_of(a_stack(PAUSE, reason="Paused"))).as_json()

    assert told["ready"] == "False"
    assert told["cause"]["reason"] == "Paused"
    assert told["cause"]["remedy"]["commands"] == [
        "kubectl annotate prismstack shop prism.io/paused- -n default"
    ]
    assert told["cause"]["evidence"][0]["since"] == ago(60)
