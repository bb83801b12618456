"""A stack that was applied becomes Ready, and `kubectl wait` says when."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from e2e.cluster import Cluster
from e2e.promises.operator import Operator
from e2e.promises.samples import SAMPLES, apply_sample, delete_sample
from e2e.stacks import (
    Stack,
)
from e2e.waiting import eventually


@pytest.fixture
def applied(cluster: Cluster) -> Iterator[Callable[[str], None]]:
    """Applies samples; deletes them at the end."""
    names: list[str] = []

    def apply(name: str) -> None:
        names.append(name)
        apply_sample(cluster, name)

    yield apply
    for name in names:
        delete_sample(cluster, name)


def test_quick_start_of_the_memo_becomes_ready_in_default(
    cluster: Cluster, operator: Operator, applied: Callable[[str], None]
) -> None:
    applied("prism-dev.yaml")

    cluster.kubectl("wait", "--for=condition=Ready", "prismstack/prism-dev", "--timeout=60s")

    everything = cluster.kubectl("get", "all", "--selector=stack=prism-dev", "--output=name")
    for expected in (
        "deployment.apps/prism-dev-proxy",
        "deployment.apps/prism-dev-admin",
        "deployment.apps/keyvalue-memstore",
        "service/prism-dev-proxy",
        "service/prism-dev-admin",
        "service/keyvalue-memstore",
        "pod/prism-dev-proxy-",
    ):
        assert expected in everything
    of_ours = cluster.kubectl("get", "prism")
    assert re.search(r"prismstack.prism.io/prism-dev +True ", of_ours)
    assert re.search(r"prismpattern.prism.io/keyvalue-memstore +True ", of_ours)
    # The memo's name for patterns.
    assert "keyvalue-memstore" in cluster.kubectl("get", "patternrunners")
    events = cluster.kubectl("get", "events", "--field-selector=involvedObject.kind=PrismStack")
    assert "prismstack/prism-dev" in events


def test_first_sample_of_the_memo_becomes_ready_without_its_backends(
    cluster: Cluster, operator: Operator, applied: Callable[[str], None]
) -> None:
    """Its NATS and PostgreSQL do not exist: that is their health, not the stack's readiness."""
    applied("prism-system.yaml")

    place = "--namespace=prism-system"
    cluster.kubectl("wait", "--for=condition=Ready", "prismstack/prism-dev", "--timeout=60s", place)

    stack = Stack(cluster, "prism-system", "prism-dev")
    assert stack.condition("BackendsHealthy")["status"] != "True"
    assert cluster.get("prismbackends", place)["items"]


def test_all_samples_of_the_memo_are_accepted_together(
    cluster: Cluster, operator: Operator, applied: Callable[[str], None]
) -> None:
    for path in sorted(SAMPLES.glob("*.yaml")):
        applied(path.name)

    cluster.kubectl("wait", "--for=condition=Ready", "prismstack/prism-dev", "--timeout=60s")

    def everything_is_judged() -> None:
        for obj in cluster.get("prism", "--all-namespaces")["items"]:
            conditions = obj.get("status", {}).get("conditions", [])
            reasons = {c["type"]: c["reason"] for c in conditions}
            assert "Ready" in reasons, obj["metadata"]["name"]
            assert "InvalidSpec" not in reasons.values(), obj

    eventually(everything_is_judged)
