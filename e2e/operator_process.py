"""The operator as users run it: a process with a kubeconfig, flags and a log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from e2e.cluster import OPERATORS_GROUP, Cluster, LocalCluster, free_ports
from e2e.waiting import eventually
from prism_operator.rbac import build_rbac

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 30.0
_GUARD = Path(__file__).parent / "guard.py"


class OperatorProcess:
    """A running ``prism-operator run``; ends with the test run at the latest."""

    def __init__(
        self, cluster: Cluster, log: Path, *flags: str, kubeconfig: Path | None = None
    ) -> None:
        self.log_path = log
        self._health_port, metrics_port = free_ports(2)
        command = [
            *(sys.executable, "-IS", str(_GUARD), str(os.getpid())),
            *operator_command("run"),
            f"--health-probe-bind-address=127.0.0.1:{self._health_port}",
            f"--metrics-bind-address=127.0.0.1:{metrics_port}",
            *flags,
        ]
        self.metrics_url = f"http://127.0.0.1:{metrics_port}/metrics"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                env=cluster.environment(kubeconfig),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> OperatorProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return self.log_path.read_text(errors="replace")

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of the log."""
        return "\n".join(self.log.splitlines()[-lines:])

    def wait_until_ready(self) -> OperatorProcess:
        """Returns once ``/readyz`` says 200."""

        def is_ready() -> None:
            # A process that has ended never becomes ready: RuntimeError is not waited out.
            if (code := self._process.poll()) is not None:
                raise RuntimeError(f"prism-operator ended with {code}:\n{self.log_tail()}")
            url = f"http://127.0.0.1:{self._health_port}/readyz"
            try:
                urllib.request.urlopen(url, timeout=2).close()
            except OSError as error:
                raise AssertionError(f"{url}: {error}; log:\n{self.log_tail()}") from error

        eventually(is_ready, within_s=_START_TIMEOUT_S)
        return self

    def metrics(self) -> dict[str, float]:
        """Its samples, by name and labels as they are exposed."""
        with urllib.request.urlopen(self.metrics_url, timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}

    def kill(self) -> None:
        """SIGKILL, as a node that loses power. Idempotent."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """SIGTERM, then SIGKILL if that does not end it. Idempotent."""
        try:
            self.terminate()
        except subprocess.TimeoutExpired:
            self.kill()

    def terminate(self) -> int:
        """SIGTERM, as Kubernetes does; the exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(_STOP_TIMEOUT_S)


def operator_command(*args: str) -> Sequence[str]:
    """The installed ``prism-operator`` of this environment."""
    return (str(Path(sys.executable).with_name("prism-operator")), *args)


def account_kubeconfig(cluster: LocalCluster, account: str, namespace: str, path: Path) -> Path:
    """A kubeconfig in ``path`` with a token of a ServiceAccount, as a pod of it would have one."""
    token = cluster.kubectl("create", "token", account, f"--namespace={namespace}").strip()
    config = json.loads(cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    path.touch(mode=0o600)
    path.write_text(json.dumps(config))
    return path


def operator_kubeconfig(cluster: Cluster, user: str = "prism-operator") -> Path:
    """An identity of the operator's own where the cluster lets us make one, else the given one."""
    if isinstance(cluster, LocalCluster):
        grant_operators(cluster, "default")
        return cluster.user_kubeconfig(user, [OPERATORS_GROUP])
    return cluster.kubeconfig


def grant_operators(cluster: LocalCluster, namespace: str) -> None:
    """Gives all operators of the tests the generated roles, those of their own in ``namespace``."""
    cluster.kubectl("apply", "--server-side", "--filename=-", stdin=_rights(namespace))


def _rights(namespace: str) -> str:
    """The generated roles under names of their own; the Lease and the key are in ``namespace``."""
    objects = []
    for obj in build_rbac().values():
        obj["metadata"]["name"] = f"test-{obj['metadata']['name']}"
        obj["metadata"].pop("labels")  # nobody's Role view or edit gains by them
        if obj["metadata"].get("namespace"):
            obj["metadata"]["namespace"] = namespace
        if "subjects" in obj:
            obj["roleRef"]["name"] = f"test-{obj['roleRef']['name']}"
            obj["subjects"] = [{"kind": "Group", "name": OPERATORS_GROUP}]
        objects.append(obj)
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
