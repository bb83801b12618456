"""What somebody breaks is as it was within two seconds; what they may do is left."""

from __future__ import annotations

from e2e.promises.operator import Operator
from e2e.stacks import (
    MEMSTORE,
    PROXY,
    Stack,
    image_of,
)
from e2e.waiting import eventually, throughout

REPAIR_S = 2.0


def test_deleted_deployment_comes_back_within_two_seconds(stack: Stack, operator: Operator) -> None:
    stack.apply(proxy=PROXY).wait_until_ready()
    before = stack.deployment("shop-proxy")["metadata"]["uid"]

    stack.cluster.kubectl("delete", "deployment", "shop-proxy", "--wait=false", stack.place)

    def is_another() -> None:
        assert stack.deployment("shop-proxy")["metadata"]["uid"] != before

    eventually(is_another, within_s=REPAIR_S)
    stack.wait_until_ready()


def test_edited_image_is_set_back_within_two_seconds(stack: Stack, operator: Operator) -> None:
    stack.apply(proxy=PROXY, patterns=[MEMSTORE]).wait_until_ready()
    for name in ("shop-proxy", "memory"):
        before = image_of(stack.deployment(name))

        stack.cluster.kubectl("set", "image", f"deployment/{name}", "*=hacked:1", stack.place)

        def is_set_back(name: str = name, before: str = before) -> None:
            assert image_of(stack.deployment(name)) == before

        eventually(is_set_back, within_s=REPAIR_S)


def test_rollout_restart_is_not_undone(stack: Stack, operator: Operator) -> None:
    stack.apply(proxy=PROXY).wait_until_ready()

    stack.cluster.kubectl("rollout", "restart", "deployment/shop-proxy", stack.place)
    stack.cluster.kubectl(
        "rollout", "status", "deployment/shop-proxy", "--timeout=30s", stack.place
    )

    def still_restarted() -> None:
        template = stack.deployment("shop-proxy")["spec"]["template"]
        assert "kubectl.kubernetes.io/restartedAt" in template["metadata"]["annotations"]

    throughout(still_restarted, for_s=3)
    stack.wait_until_ready()
