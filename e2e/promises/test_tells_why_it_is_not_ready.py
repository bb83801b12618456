"""A stack that is not Ready says what is wrong and where."""

from __future__ import annotations

from e2e.promises.operator import Operator
from e2e.stacks import (
    PROXY,
    Stack,
    assert_equal,
)
from e2e.waiting import eventually, throughout

NEVER_READY = {"e2e.prism.io/never-ready": "true"}  # without Docker; on kind the image is not there


def test_image_that_does_not_start_is_said_with_its_component(
    stack: Stack, operator: Operator
) -> None:
    stack.apply(proxy={"image": "broken:1", "podAnnotations": NEVER_READY})

    def is_said() -> None:
        assert stack.condition("Progressing")["status"] == "True"
        ready = stack.condition("Ready")
        assert ready["status"] == "False"
        assert ready["message"] == "proxy: 0 of 1 replicas are available"

    eventually(is_said)
    throughout(lambda: assert_equal(stack.condition("Ready")["status"], "False"), for_s=3)


def test_broken_image_leaves_the_pods_before_it_running(stack: Stack, operator: Operator) -> None:
    stack.apply(proxy=PROXY).wait_until_ready()

    stack.apply(proxy={**PROXY, "image": "broken:1", "podAnnotations": NEVER_READY})

    eventually(lambda: assert_equal(stack.condition("Ready")["status"], "False"))
    throughout(
        lambda: assert_equal(stack.deployment("shop-proxy")["status"]["availableReplicas"], 2),
        for_s=3,
    )


def test_pods_that_fit_on_no_node_are_told_from_the_nodes(stack: Stack, operator: Operator) -> None:
    resources = {"requests": {"cpu": "1000"}}
    stack.apply(proxy={**PROXY, "resources": resources})

    def is_said() -> None:
        unsatisfiable = stack.condition("PlacementUnsatisfiable")
        assert unsatisfiable["status"] == "True"
        assert "cpu" in unsatisfiable["message"]

    eventually(is_said)
    events = stack.cluster.kubectl("get", "events", stack.place, "--output=json")
    assert "PlacementUnsatisfiable" in events
