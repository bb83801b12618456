"""``kubectl prism`` as a user of one namespace runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from e2e.cluster import Cluster, Json
from e2e.waiting import eventually

PLUGIN = Path(sys.executable).with_name("kubectl-prism")


class Prism:
    """``kubectl prism`` in one namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster, self.namespace = cluster, namespace
        self.place = f"--namespace={namespace}"
        self.kubeconfig: Path | None = None

    def __call__(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(PLUGIN), *args],
            env=self.cluster.environment(self.kubeconfig),
            capture_output=True,
            text=True,
            timeout=60,
        )

    def first_line(self, target: str = "pstack/shop") -> str:
        """What explain says first."""
        ran = self("explain", target, self.place)
        assert ran.returncode in (0, 1), ran.stderr
        return ran.stdout.splitlines()[0].removeprefix(f"PrismStack {self.namespace}/shop ")

    def says(self, first: str, target: str = "pstack/shop", *, within_s: float = 30) -> None:
        """Explain comes to begin with that."""

        def does() -> None:
            said = self.first_line(target)
            assert said.startswith(first), said

        eventually(does, within_s=within_s)

    def apply(self, kind: str = "PrismStack", name: str = "shop", **fields: Any) -> None:
        version = "prism.io/v1alpha1" if kind.startswith("Prism") else fields.pop("apiVersion")
        manifest = {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **fields}
        self.kubectl("apply", "--filename=-", stdin=json.dumps(manifest))

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        return self.cluster.kubectl(*args, self.place, stdin=stdin)

    def pods(self) -> list[str]:
        listed = self.kubectl("get", "pods", "--selector=component=prism-proxy", "--output=name")
        return listed.split()


def a_stack(**proxy: Any) -> Json:
    return {"proxy": {"image": "proxy:1", "replicas": 2, **proxy}}
