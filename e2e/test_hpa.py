"""The memo's proxy on the real HPA controller, with metrics that the test serves."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from e2e.cluster import Json, LocalCluster
from e2e.metrics_api import MetricsApi
from e2e.operator_process import OperatorProcess, operator_kubeconfig
from e2e.stacks import Stack, assert_equal
from e2e.timeline import Timeline
from e2e.waiting import eventually, throughout

ROOT = Path(__file__).parents[1]
NAMESPACE, NAME = "prism-system", "prism-production"
SYNC_S = 1
# In place of the memo's five minutes, and of its periods of 15 and 60 s.
WINDOW_S, PERIOD_S = 8, 3
# A measurement, a sync and the write, on a busy machine.
SLACK_S = 4.0
NO_METRICS = ("FailedGetResourceMetric", "FailedGetPodsMetric")
GIB = 2**30
# Of each, for three proxies that ask for 2 cores and 4 GiB, less than what would make four.
QUIET = {
    "cpu": 2.0,
    "memory": 3.0 * GIB,
    "http_requests_per_second": 2000,
    "grpc_active_connections": 300,
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    directory = tmp_path_factory.mktemp("hpa")
    with LocalCluster.start(directory / "cluster", hpa_sync_s=SYNC_S) as cluster:
        cluster.install_crds(ROOT / "crds")
        log, kubeconfig = directory / "operator.log", operator_kubeconfig(cluster)
        with OperatorProcess(cluster, log, "--no-leader-elect", kubeconfig=kubeconfig) as operator:
            operator.wait_until_ready()
            yield cluster


def the_memos_proxy() -> Json:
    """As in the memo, but sooner down and up."""
    documents = yaml.safe_load_all((ROOT / "samples/autoscaling-proxy-hpa.yaml").read_text())
    (stack,) = (d for d in documents if d["kind"] == "PrismStack")
    behavior = stack["spec"]["proxy"]["autoscaling"]["behavior"]
    behavior["scaleDown"]["stabilizationWindowSeconds"] = WINDOW_S
    for policy in (*behavior["scaleDown"]["policies"], *behavior["scaleUp"]["policies"]):
        policy["periodSeconds"] = PERIOD_S
    spec: Json = stack["spec"]
    return spec


def test_the_memos_proxy_goes_up_at_once_and_down_after_its_window(cluster: LocalCluster) -> None:
    cluster.kubectl("create", "namespace", NAMESPACE)
    stack = Stack(cluster, NAMESPACE, NAME)

    def scaler_is(status: str, *reasons: str) -> None:
        found = stack.condition("ScalerReady")
        assert found["status"] == status, found
        assert found["reason"] in reasons, found

    stack.apply(**the_memos_proxy()).wait_until_ready()
    # Nobody serves metrics yet: it is said, and nothing moves.
    eventually(lambda: scaler_is("False", *NO_METRICS))

    with MetricsApi(cluster) as metrics, Timeline(cluster, f"{NAME}-proxy", NAMESPACE) as seen:
        metrics.load(**QUIET)
        eventually(lambda: scaler_is("True", "ScalerInPlace"))
        throughout(lambda: assert_equal(seen.replicas, 3), for_s=3 * SYNC_S)

        # 1,000 requests a second for each: four more at once, the rest a period later.
        metrics.load(**{**QUIET, "http_requests_per_second": 9700})
        seen.mark("many requests")
        eventually(lambda: assert_equal(seen.replicas, 10))
        first, second = seen.since("many requests")
        assert [first.replicas, second.replicas] == [7, 10]
        assert first.at_s < SLACK_S
        assert PERIOD_S - SYNC_S <= second.at_s - first.at_s < PERIOD_S + SLACK_S

        # Of all metrics the one that wants most counts: 16.5 cores at 1.4 of 2 are 12.
        busy = {**QUIET, "cpu": 16.5}
        metrics.load(**busy)
        eventually(lambda: assert_equal(seen.replicas, 12))
        stack.wait_until_ready()

        # Metrics that are missing are no reason to go down.
        metrics.load()
        eventually(lambda: scaler_is("False", *NO_METRICS))
        throughout(lambda: assert_equal(seen.replicas, 12), for_s=3 * SYNC_S)

        metrics.load(**busy)
        eventually(lambda: scaler_is("True", "ScalerInPlace"))

        # Nor is a lull that is shorter than the window.
        metrics.load(**QUIET)
        throughout(lambda: assert_equal(seen.replicas, 12), for_s=WINDOW_S / 2)
        metrics.load(**busy)
        throughout(lambda: assert_equal(seen.replicas, 12), for_s=3 * SYNC_S)

        metrics.load(**QUIET)
        seen.mark("quiet")
        eventually(lambda: assert_equal(seen.replicas, 3), within_s=60)
        down = seen.since("quiet")
        assert WINDOW_S - SYNC_S <= down[0].at_s < WINDOW_S + SLACK_S
        # Two at a time, fewer than half.
        assert [change.replicas for change in down] == [10, 8, 6, 4, 3]
        for before, after in pairwise(down):
            assert PERIOD_S - SYNC_S <= after.at_s - before.at_s < PERIOD_S + SLACK_S
        eventually(lambda: scaler_is("True", "ScalerInPlace"))
        stack.wait_until_ready()
