"""What cannot work is refused when it is applied, with field and reason."""

from __future__ import annotations

import re

import pytest

from e2e.cluster import Cluster, KubectlError
from e2e.stacks import (
    Stack,
)


def test_explain_describes_the_fields(cluster: Cluster) -> None:
    explained = cluster.kubectl("explain", "prismstack.spec.proxy")

    assert "KIND:       PrismStack" in explained
    for field in ("image", "replicas", "autoscaling", "placement"):
        assert re.search(rf"^  {field}\t<", explained, re.MULTILINE)
    assert "<no description>" not in explained


def test_strict_apply_refuses_what_the_schema_does_not_know(stack: Stack) -> None:
    with pytest.raises(KubectlError, match=r'unknown field "spec\.proxy\.imagge"'):
        stack.apply(proxy={"imagge": "typo:1"})


def test_rule_between_two_fields_is_enforced_without_an_operator(stack: Stack) -> None:
    with pytest.raises(KubectlError, match=r"renewDeadline.*leaseDuration"):
        stack.apply(admin={"leaderElection": {"leaseDuration": "15s", "renewDeadline": "20s"}})
