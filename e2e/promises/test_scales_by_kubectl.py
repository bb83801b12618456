"""`kubectl scale` scales a pattern."""

from __future__ import annotations

import json

from e2e.cluster import Json
from e2e.promises.operator import Operator
from e2e.stacks import (
    IMAGE,
    MEMSTORE,
    PROXY,
    Stack,
)
from e2e.waiting import eventually


def test_pattern_is_scaled_by_kubectl_and_a_stacks_number_comes_back(
    stack: Stack, operator: Operator
) -> None:
    alone: Json = {
        "apiVersion": "prism.io/v1alpha1",
        "kind": "PrismPattern",
        "metadata": {"name": "alone"},
        "spec": {"pattern": "keyvalue", "backend": "memstore", "image": IMAGE},
    }
    stack.cluster.kubectl("apply", "--filename=-", stack.place, stdin=json.dumps(alone))
    stack.apply(proxy=PROXY, patterns=[MEMSTORE]).wait_until_ready()

    for name in ("alone", "memory"):
        stack.cluster.kubectl("scale", "prismpattern", name, "--replicas=3", stack.place)

    def has_replicas(name: str, replicas: int) -> None:
        assert stack.deployment(name)["spec"]["replicas"] == replicas

    eventually(lambda: has_replicas("alone", 3))
    eventually(lambda: has_replicas("memory", 1))
