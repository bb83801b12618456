"""The installed operator: a pod where pods run, else a process with its ServiceAccount's token."""

from __future__ import annotations

from pathlib import Path

from e2e.cluster import Cluster, LocalCluster
from e2e.operator_process import OperatorProcess, account_kubeconfig

MANAGER = "prism-operator-controller-manager"
SYSTEM = "--namespace=prism-system"


class Operator:
    """Starts and stops the operator as somebody with the right to would."""

    def __init__(self, cluster: Cluster, directory: Path) -> None:
        self._cluster = cluster
        self._directory = directory
        self._process: OperatorProcess | None = None

    def start(self) -> Operator:
        """Starts it, and waits until it is ready."""
        if not isinstance(self._cluster, LocalCluster):
            self._scale(1)
            status = ("rollout", "status", f"deployment/{MANAGER}", "--timeout=120s")
            self._cluster.kubectl(*status, SYSTEM)
            return self
        path = self._directory / "operator-kubeconfig"
        kubeconfig = account_kubeconfig(self._cluster, MANAGER, "prism-system", path)
        lease = "--leader-elect-namespace=prism-system"
        log = self._directory / "operator.log"
        self._process = OperatorProcess(self._cluster, log, lease, kubeconfig=kubeconfig)
        self._process.wait_until_ready()
        return self

    def stop(self) -> None:
        """Ends it gracefully. Idempotent."""
        if not isinstance(self._cluster, LocalCluster):
            self._scale(0)
        elif self._process:
            self._process.stop()

    def kill(self) -> None:
        """Ends it as a node that loses power does."""
        if self._process:
            self._process.kill()
        else:
            pods = ("delete", "pods", "--selector=control-plane=controller-manager")
            self._cluster.kubectl(*pods, "--grace-period=0", "--force", SYSTEM)

    @property
    def log(self) -> str:
        """The end of what it has logged."""
        if self._process:
            return self._process.log_tail(60)
        return self._cluster.kubectl(
            "logs", f"deployment/{MANAGER}", SYSTEM, "--tail=60", check=False
        )

    def _scale(self, replicas: int) -> None:
        scale = ("scale", f"deployment/{MANAGER}", f"--replicas={replicas}")
        self._cluster.kubectl(*scale, SYSTEM)
