"""What a stack runs can be reached, and comes back when it crashes. Needs pods that run."""

from __future__ import annotations

import re
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from e2e.cluster import Cluster
from e2e.promises.operator import MANAGER, SYSTEM, Operator
from e2e.stacks import MEMSTORE, PROXY, Stack
from e2e.waiting import eventually

pytestmark = pytest.mark.usefixtures("real_pods")


def test_services_of_proxy_and_pattern_answer(stack: Stack, operator: Operator) -> None:
    stack.apply(proxy=PROXY, patterns=[MEMSTORE]).wait_until_ready()

    for service, port in (("shop-proxy", 9090), ("memory", 8080)):
        with _forwarded(stack, service, port) as url:
            assert urllib.request.urlopen(url, timeout=10).read() == b"prism stand-in\n"


def test_logs_of_a_stack_are_read_by_its_label(stack: Stack, operator: Operator) -> None:
    stack.apply(proxy=PROXY).wait_until_ready()

    assert "Listening on" in stack.cluster.kubectl("logs", "--selector=stack=shop", stack.place)


def test_crashed_container_is_back_and_the_stack_ready(stack: Stack, operator: Operator) -> None:
    stack.apply(proxy={**PROXY, "replicas": 1}).wait_until_ready()

    crash = "import os, signal; os.kill(1, signal.SIGTERM)"
    execute = ("exec", "deployment/shop-proxy", stack.place, "--", "python", "-c", crash)
    stack.cluster.kubectl(*execute)

    def has_restarted() -> None:
        (pod,) = stack.cluster.get("pods", "--selector=stack=shop", stack.place)["items"]
        assert pod["status"]["containerStatuses"][0]["restartCount"] >= 1

    eventually(has_restarted, within_s=60)
    stack.wait_until_ready()


def test_operator_logs_what_it_does_as_json(cluster: Cluster, operator: Operator) -> None:
    log = cluster.kubectl("logs", f"deployment/{MANAGER}", SYSTEM, "--container=manager")

    assert re.search(r'"msg": ?"Starting workers"', log)


@contextmanager
def _forwarded(stack: Stack, service: str, port: int) -> Iterator[str]:
    """An address on this machine that reaches a Service, once it listens."""
    command = [*stack.cluster.kubectl_command, "port-forward", f"service/{service}", f":{port}"]
    with subprocess.Popen(
        [*command, stack.place],
        env=stack.cluster.environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            first = process.stdout.readline()
            match = re.search(r"127\.0\.0\.1:(\d+)", first)
            assert match, first
            yield f"http://127.0.0.1:{match[1]}/"
        finally:
            process.terminate()
