"""Proxies that are spread over zones are, and stay so when an image is rolled out."""

from __future__ import annotations

from collections import Counter

import pytest

from e2e.cluster import Cluster, Json
from e2e.promises.operator import Operator
from e2e.stacks import NEXT_IMAGE, PROXY, Stack, assert_equal
from e2e.waiting import eventually

ZONE = "topology.kubernetes.io/zone"


@pytest.fixture
def three_zones(cluster: Cluster) -> dict[str, str]:
    """The zone of each node that takes pods."""
    nodes = [n for n in cluster.get("nodes")["items"] if not n["spec"].get("taints")]
    zones = {n["metadata"]["name"]: n["metadata"]["labels"].get(ZONE, "") for n in nodes}
    if len(set(zones.values()) - {""}) < 3:
        pytest.skip(f"needs nodes in three zones; this cluster has {sorted(set(zones.values()))}")
    return zones


def test_proxies_are_in_every_zone_before_and_after_a_rollout(
    stack: Stack, three_zones: dict[str, str], operator: Operator
) -> None:
    proxy: Json = {**PROXY, "replicas": 6, "placement": {"strategy": "MultiZone"}}

    def two_in_each() -> None:
        pods = stack.cluster.get("pods", "--selector=component=prism-proxy", stack.place)["items"]
        there = [p["spec"]["nodeName"] for p in pods if "deletionTimestamp" not in p["metadata"]]
        counts = Counter(three_zones[node] for node in there)
        assert_equal(counts, {"zone-a": 2, "zone-b": 2, "zone-c": 2})

    stack.apply(proxy=proxy).wait_until_ready()
    two_in_each()

    stack.apply(proxy={**proxy, "image": NEXT_IMAGE}).wait_until_ready()
    eventually(two_in_each)
