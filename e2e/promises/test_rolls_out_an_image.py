"""A new image is rolled out, and Ready means that it is."""

from __future__ import annotations

from e2e.promises.operator import Operator
from e2e.stacks import (
    NEXT_IMAGE,
    PROXY,
    Stack,
    image_of,
)


def test_changed_spec_is_rolled_out(stack: Stack, operator: Operator) -> None:
    stack.apply(proxy=PROXY).wait_until_ready()

    stack.apply(proxy={"image": NEXT_IMAGE, "replicas": 4})
    stack.cluster.kubectl("wait", "--for=condition=Ready=false", "prismstack/shop", stack.place)
    stack.wait_until_ready()

    deployment = stack.deployment("shop-proxy")
    assert image_of(deployment) == NEXT_IMAGE
    assert deployment["status"]["availableReplicas"] == 4
