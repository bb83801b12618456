"""What others made is never touched, and the condition says so."""

from __future__ import annotations

from e2e.cluster import Json
from e2e.promises.operator import Operator
from e2e.stacks import (
    MEMSTORE,
    PROXY,
    Stack,
    assert_equal,
)
from e2e.waiting import eventually, throughout


def test_foreign_deployment_is_left_alone_and_said(stack: Stack, operator: Operator) -> None:
    create = ("create", "deployment", "shop-proxy", "--image=foreign:1")
    stack.cluster.kubectl(*create, stack.place)
    # Its own controller still writes its status; nothing else may change.
    before = _spec_and_owners(stack.deployment("shop-proxy"))

    stack.apply(proxy=PROXY, patterns=[MEMSTORE])

    def conflict_is_said() -> None:
        ready = stack.condition("Ready")
        assert ready["status"] == "False"
        assert ready["reason"] == "NameConflict"
        assert "shop-proxy" in ready["message"]

    eventually(conflict_is_said)
    # The rest goes on.
    stack.cluster.kubectl(
        "wait", "--for=condition=Ready", "prismpattern/memory", "--timeout=30s", stack.place
    )
    stack.cluster.kubectl("delete", "prismstack", "shop", "--timeout=30s", stack.place)
    throughout(
        lambda: assert_equal(_spec_and_owners(stack.deployment("shop-proxy")), before), for_s=2
    )


def test_adopted_deployment_becomes_ours(stack: Stack, operator: Operator) -> None:
    """The way back from a restore or ``--cascade=orphan``."""
    stack.apply(proxy=PROXY).wait_until_ready()
    stack.cluster.kubectl("delete", "prismstack", "shop", "--cascade=orphan", stack.place)
    uid = stack.deployment("shop-proxy")["metadata"]["uid"]
    stack.apply(proxy=PROXY)
    eventually(lambda: assert_equal(stack.condition("Ready")["reason"], "NameConflict"))

    for kind in ("deployment", "service", "poddisruptionbudget"):
        stack.cluster.kubectl("annotate", kind, "shop-proxy", "prism.io/adopt=true", stack.place)

    stack.wait_until_ready()
    assert stack.deployment("shop-proxy")["metadata"]["uid"] == uid


def _spec_and_owners(obj: Json) -> object:
    meta = obj["metadata"]
    kept = ("uid", "labels", "annotations", "ownerReferences")
    # Its Deployment controller annotates the revision.
    annotations = {
        k: v
        for k, v in meta.get("annotations", {}).items()
        if k != "deployment.kubernetes.io/revision"
    }
    return obj["spec"], {**{k: meta.get(k) for k in kept}, "annotations": annotations}
