"""How the operator does with ever more PrismPatterns on a real control plane: one JSON line each.

    python -m benchmarks.operator_ladder 100 500 2000

Every pattern has a Deployment and a Service. A fresh cluster for every rung, because etcd
and the API server remember. What the figures mean is said in operator_bench.py.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from e2e.cluster import LocalCluster, a_node, free_ports
from e2e.operator_process import operator_command, operator_kubeconfig

_ROOT = Path(__file__).parent.parent
_NODES = tuple(a_node(f"node-{i:02}", zone=f"zone-{'abc'[i % 3]}") for i in range(60))
_STEADY_S = 30

_PATTERN = """\
apiVersion: prism.io/v1alpha1
kind: PrismPattern
metadata: {{name: "{name}", namespace: "{namespace}"}}
spec:
  pattern: keyvalue
  backend: memstore
  service: {{port: 8080}}
"""


def run(count: int) -> int:
    """Runs one rung; the driver's exit code."""
    with tempfile.TemporaryDirectory(prefix="prism-bench-") as name:
        directory = Path(name)
        manifest = directory / "pattern.yaml"
        manifest.write_text(_PATTERN)
        with LocalCluster.start(directory, nodes=_NODES, audit=True) as cluster:
            cluster.kubectl("apply", "--server-side", f"--filename={_ROOT / 'crds'}")
            cluster.kubectl("wait", "--for=condition=Established", f"--filename={_ROOT / 'crds'}")
            health_port, metrics_port = free_ports(2)
            command = operator_command(
                "run",
                # The driver waits for a time without writes, which a Lease never gives it.
                "--no-leader-elect",
                f"--health-probe-bind-address=127.0.0.1:{health_port}",
                f"--metrics-bind-address=127.0.0.1:{metrics_port}",
            )
            driver = Path(__file__).parent / "operator_bench.py"
            return subprocess.run(
                [
                    *(sys.executable, str(driver)),
                    f"--kubeconfig={cluster.kubeconfig}",
                    f"--operator-kubeconfig={operator_kubeconfig(cluster)}",
                    "--operator-user=prism-operator",
                    f"--operator-cmd={' '.join(command)}",
                    f"--operator-log={directory / 'operator.log'}",
                    f"--operator-ready-url=http://127.0.0.1:{health_port}/readyz",
                    f"--audit-log={cluster.audit_log}",
                    "--resource=prism.io/v1alpha1/prismpatterns",
                    f"--manifest={manifest}",
                    f"--count={count}",
                    "--expect=apps/v1/deployments=1",
                    "--expect=v1/services=1",
                    "--cr-ready=status.conditions[Ready].status=True",
                    f"--steady={_STEADY_S}",
                ]
            ).returncode


def main() -> int:
    """Runs every rung; 1 when one did not converge."""
    counts = [int(argument) for argument in sys.argv[1:]] or [100, 500, 2000]
    return max([run(count) for count in counts])


if __name__ == "__main__":
    sys.exit(main())
