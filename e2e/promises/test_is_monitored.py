"""The Prometheus operator is told of every component, as soon as it is there."""

from __future__ import annotations

from e2e.build import downloaded
from e2e.cluster import Cluster
from e2e.promises.operator import Operator
from e2e.stacks import assert_equal
from e2e.waiting import eventually

PROMETHEUS_OPERATOR = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
# The operator asks for a missing CRD every 30 to 37.5 s.
PROBED_S = 60.0

STACK = """\
apiVersion: prism.io/v1alpha1
kind: PrismStack
metadata: {name: watched}
spec:
  admin: {}
  patterns: [{name: kv, type: keyvalue, backend: memstore}]
  observability: {enabled: true, metrics: {port: 9100}}
"""


def test_pod_monitors_are_made_once_the_prometheus_operator_is_there(
    cluster: Cluster, namespace: str, operator: Operator
) -> None:
    place = f"--namespace={namespace}"
    cluster.kubectl("apply", "--filename=-", place, stdin=STACK)
    ready = "--for=condition=Ready"
    cluster.kubectl("wait", ready, "prismstack/watched", place, "--timeout=60s")
    why = "--for=jsonpath={.status.conditions[?(@.type=='MonitorsReady')].reason}"
    cluster.kubectl("wait", f"{why}=PrometheusOperatorNotInstalled", "prismstack/watched", place)
    crds = downloaded(PROMETHEUS_OPERATOR) / "example" / "prometheus-operator-crd"
    crd = crds / "monitoring.coreos.com_podmonitors.yaml"

    try:
        cluster.install_crds(crd)
        everything = {"watched-proxy", "watched-admin", "kv"}
        eventually(lambda: assert_equal(_monitored(cluster, place), everything), within_s=PROBED_S)
        for name in sorted(_monitored(cluster, place)):
            spec = cluster.get("podmonitor", name, place)["spec"]
            selector = ",".join(f"{k}={v}" for k, v in spec["selector"]["matchLabels"].items())
            (pod,) = cluster.get("pods", f"--selector={selector}", place)["items"]
            ports = {port["name"] for port in pod["spec"]["containers"][0]["ports"]}
            assert spec["podMetricsEndpoints"][0]["port"] in ports, name

        patch = '{"spec": {"observability": {"enabled": false}}}'
        cluster.kubectl("patch", "prismstack", "watched", place, "--type=merge", f"--patch={patch}")
        eventually(lambda: assert_equal(_monitored(cluster, place), set()))
    finally:
        cluster.kubectl("delete", f"--filename={crd}", "--ignore-not-found", "--timeout=60s")


def _monitored(cluster: Cluster, place: str) -> set[str]:
    return {item["metadata"]["name"] for item in cluster.get("podmonitors", place)["items"]}
