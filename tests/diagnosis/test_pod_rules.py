"""Each rule about pods: what it sees, and the sentence it makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from prism_operator.api.meta import Json
from prism_operator.diagnosis.diagnose import diagnose
from prism_operator.diagnosis.facts import Unread
from prism_operator.diagnosis.findings import Finding
from tests.diagnosis.builders import (
    PROXY,
    RS,
    STACK,
    a_condition,
    a_container,
    a_node,
    a_pod,
    a_rollout,
    ago,
    an_event,
    facts_of,
)


def cause_of(*pods: Json, **facts: Any) -> Finding:
    cause = diagnose(a_rollout(*pods, **facts)).cause
    assert cause is not None
    return cause


def waiting(reason: str, message: str = "") -> Json:
    return {"waiting": {"reason": reason, "message": message}}


def ended(code: int, reason: str = "Error", message: str = "") -> Json:
    return {
        "terminated": {
            "exitCode": code,
            "reason": reason,
            "message": message,
            "finishedAt": ago(20),
        }
    }


IN = "in 1 of 3 pods of Deployment shop-proxy"
TABLE = {
    "image": (
        a_pod(RS, containers=[a_container(**waiting("ImagePullBackOff", "Back-off"))]),
        "ImagePull",
        f'image "proxy:1" of container proxy cannot be pulled (ImagePullBackOff), {IN}',
    ),
    "image name": (
        a_pod(RS, containers=[a_container(**waiting("InvalidImageName"))]),
        "ImagePull",
        f'image "proxy:1" of container proxy cannot be pulled (InvalidImageName), {IN}',
    ),
    "secret": (
        a_pod(
            RS,
            containers=[
                a_container(**waiting("CreateContainerConfigError", 'secret "db" not found'))
            ],
        ),
        "ConfigMissing",
        f"container proxy cannot be created: Secret db does not exist, {IN}",
    ),
    "config map": (
        a_pod(
            RS,
            containers=[
                a_container(**waiting("CreateContainerConfigError", 'configmap "m" not found'))
            ],
        ),
        "ConfigMissing",
        f"container proxy cannot be created: ConfigMap m does not exist, {IN}",
    ),
    "key of a secret": (
        a_pod(
            RS,
            containers=[
                a_container(
                    **waiting(
                        "CreateContainerConfigError", "couldn't find key url in Secret default/db"
                    )
                )
            ],
        ),
        "ConfigMissing",
        f"container proxy cannot be created: Secret db has no key url, {IN}",
    ),
    "command": (
        a_pod(RS, containers=[a_container(**waiting("RunContainerError", "exec: no such file"))]),
        "CannotStart",
        f"container proxy cannot start: exec: no such file, {IN}",
    ),
    "crash loop": (
        a_pod(
            RS, containers=[a_container(restarts=4, **waiting("CrashLoopBackOff"), last=ended(3))]
        ),
        "CrashLoop",
        f"container proxy keeps ending with exit code 3 [CrashLoopBackOff], {IN}",
    ),
    "crash loop with last words": (
        a_pod(
            RS,
            containers=[
                a_container(**waiting("CrashLoopBackOff"), last=ended(1, message="no\n config"))
            ],
        ),
        "CrashLoop",
        'container proxy keeps ending with exit code 1, and said last: "no config" '
        f"[CrashLoopBackOff], {IN}",
    ),
    "killed": (
        a_pod(RS, containers=[a_container(**waiting("CrashLoopBackOff"), last=ended(139))]),
        "CrashLoop",
        "container proxy keeps ending with exit code 139 (SIGSEGV: the program has a bug, or the "
        f"image is for another CPU) [CrashLoopBackOff], {IN}",
    ),
    "ended just now": (
        a_pod(RS, containers=[a_container(**ended(1))]),
        "CrashLoop",
        f"container proxy has ended with exit code 1 [Error], {IN}",
    ),
    "out of memory": (
        a_pod(
            RS,
            spec={
                "containers": [
                    {"name": "proxy", "resources": {"limits": {"memory": "128Mi"}}},
                ]
            },
            containers=[a_container(**waiting("CrashLoopBackOff"), last=ended(137, "OOMKilled"))],
        ),
        "OOMKilled",
        "container proxy is killed for using more memory than its limit of 128Mi (OOMKilled), "
        f"{IN}",
    ),
    "out of memory without a limit": (
        a_pod(RS, containers=[a_container(running={}, last=ended(137, "OOMKilled"))]),
        "OOMKilled",
        f"container proxy is killed for using more memory than its node has (OOMKilled), {IN}",
    ),
    "init container": (
        a_pod(
            RS,
            initContainerStatuses=[
                a_container("migrate", **waiting("CrashLoopBackOff"), last=ended(2))
            ],
            containers=[a_container(**waiting("PodInitializing"))],
        ),
        "CrashLoop",
        f"init container migrate keeps ending with exit code 2 [CrashLoopBackOff], {IN}",
    ),
    "evicted": (
        a_pod(RS, phase="Failed", reason="Evicted", message="low on memory"),
        "PodEvicted",
        "1 of 3 pods of Deployment shop-proxy have ended: Evicted: low on memory",
    ),
    "unschedulable": (
        a_pod(
            RS,
            "a",
            a_condition("PodScheduled", "False", "Unschedulable", "0/3 nodes: 3 Insufficient cpu."),
            node="",
        ),
        "Unschedulable",
        "no node takes 1 of 3 pods of Deployment shop-proxy: 0/3 nodes: 3 Insufficient cpu.",
    ),
    "gated": (
        a_pod(
            RS,
            "a",
            a_condition("PodScheduled", "False", "SchedulingGated"),
            node="",
            spec={"schedulingGates": [{"name": "kueue"}]},
        ),
        "SchedulingGated",
        "the scheduling gates kueue hold back 1 of 3 pods of Deployment shop-proxy",
    ),
    "without a scheduler": (
        a_pod(RS, node=""),
        "NotScheduledYet",
        "the scheduler has not looked at 1 of 3 pods of Deployment shop-proxy yet",
    ),
    "readiness gate": (
        a_pod(
            RS,
            "a",
            a_condition("ContainersReady"),
            spec={"readinessGates": [{"conditionType": "lb"}]},
        ),
        "ReadinessGate",
        "the readiness gates lb hold back 1 of 3 pods of Deployment shop-proxy",
    ),
    "starting": (
        a_pod(RS),
        "ContainersNotStarted",
        "the kubelets have not started the containers of 1 of 3 pods of Deployment shop-proxy yet",
    ),
    "running": (
        a_pod(RS, containers=[a_container(running={"startedAt": ago(4)})]),
        "NotReadyYet",
        f"container proxy runs and is not ready yet, {IN}",
    ),
}


@pytest.mark.parametrize("case", TABLE.values(), ids=TABLE)
def test_the_cause_is_named(case: tuple[Json, str, str]) -> None:
    pod, reason, sentence = case

    cause = cause_of(pod)

    assert (cause.reason, cause.sentence) == (reason, sentence)
    assert cause.remedy is not None
    assert cause.evidence[0].object == "PrismStack shop"
    assert any(e.object == "Pod shop-proxy-1-a" for e in cause.evidence)


def test_a_lost_node_is_told_instead_of_what_its_pods_look_like() -> None:
    pod = a_pod(RS, containers=[a_container(running={})])

    diagnosis = diagnose(
        facts_of(STACK, PROXY, RS, pod, a_node(ready="Unknown", reason="NodeLost"))
    )

    assert diagnosis.cause is not None
    assert diagnosis.cause.sentence == (
        "node node-a is not ready (NodeLost: kubelet stopped posting), "
        "which holds 1 of 3 pods of Deployment shop-proxy"
    )
    assert diagnosis.others == ()


def test_a_node_that_is_gone_is_named() -> None:
    diagnosis = diagnose(facts_of(STACK, PROXY, RS, a_pod(RS)))

    assert diagnosis.cause is not None
    assert diagnosis.cause.reason == "NodeGone"


def test_pods_with_one_trouble_are_told_of_together_and_three_are_shown() -> None:
    container = a_container(**waiting("ErrImagePull"))
    pods = [a_pod(RS, name, containers=[container]) for name in "abcde"]

    cause = cause_of(*pods)

    assert "in 5 of 5 pods" in cause.sentence
    assert [e.object for e in cause.evidence[-4:]] == [
        "Pod shop-proxy-1-a",
        "Pod shop-proxy-1-b",
        "Pod shop-proxy-1-c",
        "2 more pods",
    ]


def test_ready_pods_and_pods_on_their_way_out_are_not_looked_at() -> None:
    leaving = a_pod(RS, "b", containers=[a_container(**ended(1))])
    leaving["metadata"]["deletionTimestamp"] = ago(5)

    cause = cause_of(a_pod(RS, "a", ready=True), leaving)

    assert cause.reason == "RolloutInProgress"


def test_the_registrys_own_words_are_repeated() -> None:
    pod = a_pod(RS, containers=[a_container(**waiting("ImagePullBackOff"))])
    words = 'Failed to pull image "proxy:1": rpc error: code = NotFound desc = failed: not found'

    cause = cause_of(pod, events=(an_event(pod, "Failed", words),))

    assert "cannot be pulled (ImagePullBackOff: not found)" in cause.sentence


def test_a_failing_probe_is_told_from_its_event() -> None:
    pod = a_pod(RS, containers=[a_container(running={})])

    cause = cause_of(pod, events=(an_event(pod, "Unhealthy", "Readiness probe failed: HTTP 503"),))

    assert cause.reason == "ProbeFailing"
    assert "its readiness probe fails: Readiness probe failed: HTTP 503" in cause.sentence


def test_a_failing_startup_probe_is_told_apart() -> None:
    spec = {"containers": [{"name": "proxy", "startupProbe": {}}]}
    pod = a_pod(RS, containers=[a_container(running={})], spec=spec)

    cause = cause_of(pod, events=(an_event(pod, "Unhealthy", "connection refused"),))

    assert "its startup probe fails: connection refused" in cause.sentence


def test_a_secret_that_cannot_be_mounted_is_named() -> None:
    pod = a_pod(RS, containers=[a_container(**waiting("ContainerCreating"))])
    message = 'MountVolume.SetUp failed for volume "tls" : secret "admin-tls" not found'

    cause = cause_of(pod, events=(an_event(pod, "FailedMount", message),))

    assert cause.reason == "FailedMount"
    assert cause.sentence == (
        "what 1 of 3 pods of Deployment shop-proxy need cannot be made: "
        "Secret admin-tls does not exist"
    )


def test_cordoned_nodes_are_named_with_the_command_that_uncordons_them() -> None:
    message = "0/1 nodes are available: 1 node(s) were unschedulable."
    pod = a_pod(RS, "a", a_condition("PodScheduled", "False", "Unschedulable", message), node="")

    diagnosis = diagnose(facts_of(STACK, PROXY, RS, pod, a_node("n1", unschedulable=True)))

    assert diagnosis.cause is not None
    assert diagnosis.cause.remedy is not None
    assert "kubectl uncordon n1" in diagnosis.cause.remedy.commands
    assert any(e.object == "Node n1" and e.what == "is cordoned" for e in diagnosis.cause.evidence)


def test_what_the_operator_found_out_about_the_nodes_says_more_than_the_scheduler() -> None:
    told = a_condition(
        "PlacementUnsatisfiable",
        "True",
        "PlacementUnsatisfiable",
        "spec.proxy: no node carries topology.kubernetes.io/zone",
    )
    stack = {
        **STACK,
        "status": {**STACK["status"], "conditions": [*STACK["status"]["conditions"], told]},
    }
    scheduled = a_condition("PodScheduled", "False", "Unschedulable", "0/1 nodes are available: x.")

    diagnosis = diagnose(facts_of(stack, PROXY, RS, a_pod(RS, "a", scheduled, node="")))

    assert diagnosis.cause is not None
    assert diagnosis.cause.reason == "PlacementUnsatisfiable"
    assert diagnosis.cause.sentence == (
        "spec.proxy: no node carries topology.kubernetes.io/zone "
        "(1 of 3 pods of Deployment shop-proxy wait)"
    )
    assert any("0/1 nodes are available" in e.what for e in diagnosis.cause.evidence)


def test_without_leave_to_read_nodes_pods_are_judged_by_themselves() -> None:
    pod = a_pod(RS, containers=[a_container(**waiting("ErrImagePull"))])
    unread = (Unread("nodes", "no permission to list nodes", "Node"),)

    diagnosis = diagnose(facts_of(STACK, PROXY, RS, pod, unread=unread))

    assert diagnosis.cause is not None
    assert diagnosis.cause.reason == "ImagePull"
    assert diagnosis.unread == unread
