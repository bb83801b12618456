"""A node that is drained or lost costs a stack at most what its budget allows, and not for long."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator

import pytest

from e2e.cluster import Cluster, Json, LocalCluster
from e2e.promises.operator import Operator
from e2e.stacks import PROXY, Stack
from e2e.waiting import eventually

REPLICAS = 4
# Pods of a node that is gone are collected after 40 s at the earliest, every 20 s.
COLLECTED_S = 120.0


@pytest.fixture
def restored(cluster: Cluster) -> Iterator[Callable[[str], None]]:
    """Notes a node that a test takes away; brings it back."""
    noted: dict[str, Json] = {}

    def note(name: str) -> None:
        noted[name] = cluster.get("node", name)

    yield note
    for name, node in noted.items():
        if not cluster.kubectl("get", "node", name, "--ignore-not-found"):
            if isinstance(cluster, LocalCluster):
                kept = {"name": name, "labels": node["metadata"]["labels"]}
                again = {"apiVersion": "v1", "kind": "Node", "metadata": kept}
                room = {k: node["status"][k] for k in ("capacity", "allocatable")}
                cluster.kubectl(
                    "create", "--filename=-", stdin=json.dumps({**again, "status": room})
                )
            else:  # a kubelet registers its node when it starts
                subprocess.run(["docker", "restart", name], check=True, timeout=120)
        cluster.kubectl("uncordon", name)


def test_drain_of_a_node_never_takes_more_than_one_proxy_at_a_time(
    stack: Stack, restored: Callable[[str], None], operator: Operator
) -> None:
    stack.apply(proxy={**PROXY, "replicas": REPLICAS}).wait_until_ready()
    node = _node_with_most(stack)
    restored(node)

    drain = ("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s")
    process = subprocess.Popen(
        [*stack.cluster.kubectl_command, *drain],
        env=stack.cluster.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    seen = []
    while process.poll() is None:
        seen.append(stack.deployment("shop-proxy")["status"].get("availableReplicas", 0))
    _, said = process.communicate()

    assert process.returncode == 0, said
    assert min(seen) >= REPLICAS - 1
    stack.wait_until_ready()
    assert node not in _nodes(stack)


def test_proxies_of_a_lost_node_come_up_on_others(
    stack: Stack, restored: Callable[[str], None], operator: Operator
) -> None:
    if stack.cluster.kubectl("config", "current-context").strip() == "docker-desktop":
        pytest.skip("needs a node to lose; Docker Desktop has only one")
    stack.apply(proxy={**PROXY, "replicas": REPLICAS}).wait_until_ready()
    node = _node_with_most(stack)
    restored(node)

    stack.cluster.kubectl("delete", "node", node)

    def is_elsewhere() -> None:
        assert node not in _nodes(stack)
        assert stack.deployment("shop-proxy")["status"].get("availableReplicas") == REPLICAS
        assert stack.condition("Ready")["status"] == "True"

    eventually(is_elsewhere, within_s=COLLECTED_S)


def _nodes(stack: Stack) -> list[str]:
    pods = stack.cluster.get("pods", "--selector=component=prism-proxy", stack.place)["items"]
    return [pod["spec"].get("nodeName", "") for pod in pods]


def _node_with_most(stack: Stack) -> str:
    nodes = _nodes(stack)
    return max(sorted(set(nodes)), key=nodes.count)
