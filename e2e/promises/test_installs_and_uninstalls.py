"""The operator comes and goes without touching what runs."""

from __future__ import annotations

import pytest

from e2e.cluster import Cluster
from e2e.promises.conftest import install, make
from e2e.promises.operator import SYSTEM, Operator
from e2e.stacks import NEXT_IMAGE, PROXY, Stack, image_of


def test_stacks_run_on_without_an_operator_and_are_found_again(
    cluster: Cluster, stack: Stack, operator: Operator
) -> None:
    stack.apply(proxy=PROXY).wait_until_ready()
    uid = stack.deployment("shop-proxy")["metadata"]["uid"]

    operator.stop()
    make(cluster, "undeploy")
    try:
        assert "controller-manager" not in cluster.kubectl("get", "deployments", SYSTEM)
        assert stack.deployment("shop-proxy")["status"]["availableReplicas"] == 2
        assert stack.condition("Ready")["status"] == "True"
    finally:
        install(cluster)
    operator.start()

    stack.apply(proxy={**PROXY, "image": NEXT_IMAGE}).wait_until_ready()
    assert stack.deployment("shop-proxy")["metadata"]["uid"] == uid
    assert image_of(stack.deployment("shop-proxy")) == NEXT_IMAGE


def test_crds_are_not_removed_while_resources_exist(
    cluster: Cluster, stack: Stack, operator: Operator
) -> None:
    stack.apply(proxy=PROXY).wait_until_ready()

    with pytest.raises(AssertionError, match="Prism resources exist"):
        make(cluster, "uninstall")

    assert stack.condition("Ready")["status"] == "True"
