"""What leaves the spec is removed, and a deleted stack leaves nothing."""

from __future__ import annotations

from e2e.promises.operator import Operator
from e2e.stacks import (
    ADMIN,
    MEMSTORE,
    PROXY,
    QUEUE,
    Stack,
)
from e2e.waiting import eventually


def test_pattern_that_leaves_the_stack_takes_its_objects_along(
    stack: Stack, operator: Operator
) -> None:
    stack.apply(proxy=PROXY, patterns=[MEMSTORE, QUEUE]).wait_until_ready()
    assert "deployment.apps/queue" in stack.objects()

    stack.apply(proxy=PROXY, patterns=[MEMSTORE])

    def queue_is_gone() -> None:
        assert not [name for name in stack.objects() if name.endswith("/queue")]

    eventually(queue_is_gone, within_s=10)
    assert "deployment.apps/memory" in stack.objects()
    assert "prismpattern.prism.io/memory" in stack.objects()


def test_deleted_stack_leaves_nothing(stack: Stack, operator: Operator) -> None:
    stack.apply(proxy=PROXY, admin=ADMIN, patterns=[MEMSTORE, QUEUE]).wait_until_ready()
    assert len(stack.objects()) >= 12

    stack.cluster.kubectl("delete", "prismstack", "shop", "--timeout=30s", stack.place)

    def nothing_left() -> None:
        everything = "all,serviceaccounts,roles,rolebindings,prism,leases,hpa,pdb,endpointslices"
        listed = stack.cluster.kubectl("get", everything, "--output=name", stack.place)
        assert listed.split() == ["serviceaccount/default"]
        maps = stack.cluster.kubectl("get", "configmaps", "--output=name", stack.place)
        assert maps.split() == ["configmap/kube-root-ca.crt"]

    eventually(nothing_left)
