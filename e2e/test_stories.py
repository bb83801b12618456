"""How an operator behaves that is idle, killed, one of two, or started wrongly.

What users are promised of their stacks is in e2e/promises.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.cluster import Cluster, Json, LocalCluster
from e2e.operator_process import OperatorProcess, operator_command, operator_kubeconfig
from e2e.stacks import ADMIN, MEMSTORE, PROXY, QUEUE, Stack, assert_equal, image_of
from e2e.waiting import eventually

StartOperator = Callable[..., OperatorProcess]

DEEP = bool(os.environ.get("PRISM_DEEP"))
IDLE_S = 120.0 if DEEP else 20.0
# After how many writes the operator is killed.
CRASHES = range(1, 17) if DEEP else (1, 3, 6, 10)
OPERATOR = "prism-operator"


def test_idle_operator_writes_nothing_but_its_lease(
    local_cluster: LocalCluster, stack: Stack, start_operator: StartOperator
) -> None:
    # The end of an earlier test's namespace is work, not idleness.
    eventually(
        lambda: _assert_absent("Terminating", local_cluster.kubectl("get", "namespaces")),
        within_s=60,
    )
    start_operator("--leader-elect")
    stack.apply(proxy=PROXY, admin=ADMIN, patterns=[MEMSTORE, QUEUE]).wait_until_ready()
    settled_s = 3.0
    time.sleep(settled_s)
    before = len(local_cluster.audit_events(OPERATOR))

    time.sleep(IDLE_S)

    written = [_write(event) for event in local_cluster.audit_events(OPERATOR)[before:]]
    assert [w for w in written if not w.endswith(" leases")] == []
    assert written, "the Lease is renewed every few seconds"


def test_killed_operator_converges_after_its_restart(
    local_cluster: LocalCluster, stack: Stack, start_operator: StartOperator
) -> None:
    """Killed after ever more writes, so at another point of the same work each time."""
    everything: dict[str, Json | list[Json]] = {
        "proxy": PROXY,
        "admin": ADMIN,
        "patterns": [MEMSTORE, QUEUE],
    }
    less: dict[str, Json | list[Json]] = {"proxy": {"image": "proxy:2"}, "patterns": [MEMSTORE]}
    names = {"memory", "queue", "shop-admin", "shop-admin-leader-election", "shop-proxy"}
    operator = start_operator()
    stack.apply(**less).wait_until_ready()

    for crash, writes in enumerate(CRASHES):
        already = len(local_cluster.audit_events(OPERATOR))
        spec, expected = [(everything, names), (less, {"memory", "shop-proxy"})][crash % 2]
        stack.apply(**spec)
        deadline_s = time.monotonic() + 2  # the smaller change takes fewer writes
        while (
            len(local_cluster.audit_events(OPERATOR)) < already + writes
            and time.monotonic() < deadline_s
        ):
            time.sleep(0.005)
        operator.kill()

        operator = start_operator()
        stack.wait_until_ready()
        eventually(lambda expected=expected: assert_equal(stack.names(), expected))  # type: ignore[misc]


def test_of_two_operators_one_writes_and_the_other_takes_over(
    local_cluster: LocalCluster, stack: Stack, start_operator: StartOperator
) -> None:
    first = start_operator("--leader-elect", user="operator-one")
    stack.apply(proxy=PROXY).wait_until_ready()
    start_operator("--leader-elect", user="operator-two")

    def work(image: str) -> None:
        stack.apply(proxy={"image": image})
        eventually(lambda: assert_equal(image_of(stack.deployment("shop-proxy")), image))

    for version in range(2, 5):
        work(f"proxy:{version}")
    assert _writes_of(local_cluster, "operator-one")
    assert _writes_of(local_cluster, "operator-two") == []

    # A graceful end hands the Lease over at once; nobody waits for it to expire.
    assert first.terminate() == 0
    handed_over_s = time.monotonic()
    work("proxy:5")
    assert time.monotonic() - handed_over_s < 10
    written = _writes_of(local_cluster, "operator-one")
    work("proxy:6")
    assert _writes_of(local_cluster, "operator-one") == written
    assert _writes_of(local_cluster, "operator-two")


def test_killed_leader_is_followed_once_its_lease_has_run_out(
    local_cluster: LocalCluster, stack: Stack, start_operator: StartOperator
) -> None:
    leader = start_operator("--leader-elect", user="operator-one")
    stack.apply(proxy=PROXY).wait_until_ready()
    start_operator("--leader-elect", user="operator-two")

    leader.kill()
    stack.apply(proxy={"image": "proxy:2"})

    # leaseDuration 15 s, retryPeriod 2 s with its jitter, and a busy machine
    eventually(
        lambda: assert_equal(image_of(stack.deployment("shop-proxy")), "proxy:2"), within_s=40
    )


def test_api_server_restart_is_survived(
    local_cluster: LocalCluster, stack: Stack, operator: OperatorProcess
) -> None:
    stack.apply(proxy=PROXY).wait_until_ready()

    local_cluster.restart("kube-apiserver")
    stack.apply(proxy={"image": "proxy:2"})

    eventually(lambda: assert_equal(image_of(stack.deployment("shop-proxy")), "proxy:2"))


def test_terminated_operator_ends_with_zero(start_operator: StartOperator) -> None:
    assert start_operator("--leader-elect").terminate() == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "--workers=0"], "workers"),
        (["run", "--no-such-flag"], "--no-such-flag"),
        (["run", "--log-level=loud"], "loud"),
    ],
)
def test_wrong_flag_is_named(cluster: Cluster, arguments: list[str], says: str) -> None:
    assert says in _refusal(cluster.environment(), *arguments)


def test_kubeconfig_that_does_not_exist_is_named(cluster: Cluster) -> None:
    environment = {**cluster.environment(), "KUBECONFIG": "/nowhere/kubeconfig"}

    assert "/nowhere/kubeconfig" in _refusal(environment, "run")


def test_missing_permission_is_named_with_verb_and_resource(local_cluster: LocalCluster) -> None:
    nobody = local_cluster.user_kubeconfig("nobody")

    said = _refusal(local_cluster.environment(nobody), "run")

    assert "list" in said
    assert "prismstacks" in said


def test_cluster_without_the_crds_is_told_what_to_do(tmp_path: Path) -> None:
    with LocalCluster.start(tmp_path, kwok=False, controllers=False, scheduler=False) as bare:
        environment = bare.environment(operator_kubeconfig(bare))

        assert "CRDs are not installed: run make install" in _refusal(environment, "run")


def _refusal(environment: dict[str, str], *arguments: str) -> str:
    """What prism-operator says when it refuses to start: exit code 2, and no traceback."""
    result = subprocess.run(
        operator_command(*arguments), env=environment, capture_output=True, text=True, timeout=60
    )
    output = result.stdout + result.stderr
    assert result.returncode == 2, output
    assert "Traceback" not in output
    return output


def _write(event: Json) -> str:
    ref = event["objectRef"]
    subresource = f"/{ref['subresource']}" if "subresource" in ref else ""
    return f"{event['verb']} {ref['resource']}{subresource}"


def _writes_of(cluster: LocalCluster, user: str) -> list[str]:
    """Writes other than the Lease's, with which candidates ask for it."""
    written = [_write(event) for event in cluster.audit_events(user)]
    return [w for w in written if not w.endswith(" leases")]


def _assert_absent(part: str, whole: str) -> None:
    assert part not in whole
