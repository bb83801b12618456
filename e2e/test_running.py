"""Running it: who leads, what a stopped leader may still do, and shards, on a real API server."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable

import pytest

from e2e.cluster import Cluster, LocalCluster
from e2e.operator_process import OperatorProcess
from e2e.waiting import eventually, throughout
from prism_operator.rbac import LEASE_NAME

StartOperator = Callable[..., OperatorProcess]
# The Lease's 15 s and a retry of 2 s; beyond that, what a busy machine takes for a write.
FAILOVER_S = 17.0
SLACK_S = 8.0


def apply_stack(cluster: LocalCluster, namespace: str, image: str, **labels: str) -> None:
    stack = {
        "apiVersion": "prism.io/v1alpha1",
        "kind": "PrismStack",
        "metadata": {"name": "shop", "namespace": namespace, "labels": labels},
        "spec": {"proxy": {"image": image}},
    }
    cluster.kubectl("apply", "--filename=-", stdin=json.dumps(stack))


def proxy_has(cluster: LocalCluster, namespace: str, image: str) -> None:
    deployment = cluster.get("deployment", "shop-proxy", f"--namespace={namespace}")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == image


def writes_of(cluster: LocalCluster, user: str) -> list[str]:
    """What a user wrote, Leases, Events and questions aside."""
    aside = ("leases", "events", "selfsubjectaccessreviews", "secrets")
    return [
        f"{event['verb']} {event['requestURI'].partition('?')[0]}"
        for event in cluster.audit_events(user)
        if event["verb"] not in ("get", "list", "watch")
        and event["objectRef"]["resource"] not in aside
    ]


def leader_among(operators: dict[str, OperatorProcess]) -> str:
    def one_leads() -> str:
        leading = [name for name, one in operators.items() if "Became the leader" in one.log]
        assert len(leading) == 1, leading
        return leading[0]

    return eventually(one_leads, within_s=FAILOVER_S + SLACK_S)


def test_of_three_operators_the_dead_and_the_frozen_are_followed_and_write_no_more(
    local_cluster: LocalCluster, namespace: str, start_operator: StartOperator
) -> None:
    users = ("leads-one", "leads-two", "leads-three")
    operators = {user: start_operator("--leader-elect", user=user) for user in users}
    dead = leader_among(operators)
    apply_stack(local_cluster, namespace, "proxy:1")
    eventually(lambda: proxy_has(local_cluster, namespace, "proxy:1"))

    operators.pop(dead).kill()
    killed_s = time.monotonic()
    apply_stack(local_cluster, namespace, "proxy:2")
    within_s = FAILOVER_S + SLACK_S
    eventually(lambda: proxy_has(local_cluster, namespace, "proxy:2"), within_s=within_s)
    print(f"followed a kill -9 after {time.monotonic() - killed_s:.1f} s")

    # A process that is frozen past its Lease, and wakes up believing that it leads. It is at rest
    # before: nobody can take back a write that was decided on and not yet sent.
    throughout(lambda: proxy_has(local_cluster, namespace, "proxy:2"), for_s=2)
    frozen = leader_among(operators)
    os.kill(operators[frozen].pid, signal.SIGSTOP)
    try:
        apply_stack(local_cluster, namespace, "proxy:3")
        eventually(lambda: proxy_has(local_cluster, namespace, "proxy:3"), within_s=within_s)
        written = writes_of(local_cluster, frozen)
        assert written
    finally:
        os.kill(operators[frozen].pid, signal.SIGCONT)
    apply_stack(local_cluster, namespace, "proxy:4")
    eventually(lambda: proxy_has(local_cluster, namespace, "proxy:4"))
    throughout(lambda: proxy_has(local_cluster, namespace, "proxy:4"), for_s=3)
    assert writes_of(local_cluster, frozen) == written
    assert "Lost the lease" in operators[frozen].log

    # The last one is stopped as impatient people do, and the one that was frozen leads again.
    (last,) = operators.keys() - {frozen}
    began_s = time.monotonic()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        os.kill(operators[last].pid, number)
    assert operators[last].terminate() == 0
    assert time.monotonic() - began_s < 2 + SLACK_S
    assert "released" in operators[last].log_tail(1)
    apply_stack(local_cluster, namespace, "proxy:5")
    eventually(lambda: proxy_has(local_cluster, namespace, "proxy:5"), within_s=2 + SLACK_S)


def test_shards_share_the_stacks_and_one_moves_without_a_restart(
    local_cluster: LocalCluster, namespace: str, start_operator: StartOperator
) -> None:
    start_operator("--leader-elect", user="shard-default")
    blue = start_operator("--leader-elect", "--shard=blue", user="shard-blue")
    place = f"--namespace={namespace}"
    apply_stack(local_cluster, namespace, "proxy:1")
    wait = ("wait", "--for=condition=Ready", "prismstack/shop", "--timeout=60s", place)
    local_cluster.kubectl(*wait)
    assert writes_of(local_cluster, "shard-blue") == []
    before = local_cluster.get("deployment", "shop-proxy", place)
    pods = local_cluster.kubectl("get", "pods", "--output=name", place)

    local_cluster.kubectl("label", "prismstack", "shop", "prism.io/shard=blue", place)

    def is_moved(shard: str | None) -> None:
        assert local_cluster.get("prismstack", "shop", place)["status"].get("shard") == shard
        for kind in ("deployment", "service"):
            labels = local_cluster.get(kind, "shop-proxy", place)["metadata"]["labels"]
            assert labels.get("prism.io/shard") == shard

    eventually(lambda: is_moved("blue"))
    written = writes_of(local_cluster, "shard-default")
    apply_stack(local_cluster, namespace, "proxy:2", **{"prism.io/shard": "blue"})
    eventually(lambda: proxy_has(local_cluster, namespace, "proxy:2"))
    local_cluster.kubectl(*wait)
    assert writes_of(local_cluster, "shard-default") == written
    after = local_cluster.get("deployment", "shop-proxy", place)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert pods
    lease = local_cluster.get("lease", f"{LEASE_NAME}-blue", "--namespace=default")
    assert lease["spec"]["holderIdentity"]

    # Blue dies, and the stack is given back: its Lease is waited for, and nothing else.
    blue.kill()
    local_cluster.kubectl("label", "prismstack", "shop", "prism.io/shard-", place)
    eventually(lambda: is_moved(None), within_s=FAILOVER_S + SLACK_S)
    local_cluster.kubectl(*wait)


def test_metrics_of_a_running_operator_tell_of_its_objects(
    local_cluster: LocalCluster, namespace: str, start_operator: StartOperator
) -> None:
    operator = start_operator("--leader-elect")
    apply_stack(local_cluster, namespace, "proxy:1")
    wait = ("wait", "--for=condition=Ready", "prismstack/shop", "--timeout=60s")
    local_cluster.kubectl(*wait, f"--namespace={namespace}")

    def told() -> None:
        metrics = operator.metrics()
        assert metrics['prism_stacks{phase="Running"}'] >= 1
        assert metrics[f'leader_election_master_status{{name="{LEASE_NAME}"}}'] == 1
        assert metrics['prism_operator_cache_objects{kind="PrismStack"}'] >= 1
        assert metrics['controller_runtime_reconcile_errors_total{controller="prismstack"}'] == 0

    eventually(told)


@pytest.mark.parametrize("flags", [("--shard=Not_One",), ("--shard=blue", "--no-leader-elect")])
def test_a_shard_that_makes_no_sense_is_refused(
    cluster: Cluster, start_operator: StartOperator, flags: tuple[str, ...]
) -> None:
    with pytest.raises(RuntimeError, match=r"ended with 2[\s\S]*--shard"):
        start_operator("--leader-elect", *flags)
