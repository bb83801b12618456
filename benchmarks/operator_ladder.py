"""How an operator does with ever more PrismPatterns on a real control plane: one JSON line a rung.

    python -m benchmarks.operator_ladder 500 2000

Half of the patterns are plain, half have a HorizontalPodAutoscaler, all have a Service. The rungs:

create   the operator runs, 8 writers create the patterns (what the figures mean: operator_bench.py)
restart  the operator starts beside the patterns of ``create``: when it is ready and all passes over
         them are made, what it wrote meanwhile and in a steady window (nothing, if all is right)
edits    users edit the patterns of ``create``, one at a time (edit_latency.py)
cold     the patterns are created first, then the operator starts, in a cluster of its own

Every count has a fresh cluster, because etcd and the API server remember. Its controllers have
Kubernetes' own client limits unless ``--client-qps`` says otherwise. Targets stand beside the
figures; a missed one is named in ``missed`` and is no error: the exit status is 2 when a rung could
not be run, else 0.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from benchmarks.edit_latency import measure_edits
from benchmarks.operator_bench import Operator
from e2e.cluster import ClusterError, Json, KubectlError, LocalCluster, a_node, free_ports
from e2e.operator_process import operator_command, operator_kubeconfig

RUNGS = ("create", "restart", "edits", "cold")
NAMESPACE = "bench"
OPERATOR_USER = "prism-operator"
EDITS = 240
_ROOT = Path(__file__).parent.parent
_NODES = tuple(a_node(f"node-{i:02}", zone=f"zone-{'abc'[i % 3]}") for i in range(60))
_RESTART_TIMEOUT_S = 300.0

_PLAIN = """\
apiVersion: prism.io/v1alpha1
kind: PrismPattern
metadata: {{name: "{name}", namespace: "{namespace}"}}
spec:
  pattern: keyvalue
  backend: memstore
  service: {{port: 8080}}
"""
_WITH_HPA = (
    _PLAIN
    + """\
  autoscaling: {{enabled: true, minReplicas: 1, maxReplicas: 3, targetCPUUtilizationPercentage: 80}}
"""
)

# What is wanted, as (figure, at most); patterns_per_s is wanted at least.
TARGETS: dict[str, dict[str, float]] = {
    "create": {
        "patterns_per_s": 60,
        "writes_per_object": 5,
        "steady_writes_per_min": 0,
        "max_rss_mib": 150,
    },
    "restart": {"writes": 0, "steady_writes": 0, "max_rss_mib": 150},
    "edits": {"p50_ms": 50, "p99_ms": 250, "unanswered": 0},
    "cold": {"patterns_per_s": 60, "writes_per_object": 5, "max_rss_mib": 150},
}
_AT_LEAST = frozenset({"patterns_per_s"})


class CannotRunError(Exception):
    """A rung could not be run; the message says why."""


class Ladder:
    """One operator command, measured rung by rung."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options

    def climb(self, count: int, rungs: Iterable[str]) -> None:
        """Prints a line for every rung with ``count`` patterns."""
        wanted = set(rungs)
        if wanted - {"cold"}:
            with self._cluster() as cluster:
                self._say("create", count, self._drive(cluster, count))
                if wanted & {"restart", "edits"}:
                    self._beside(cluster, count, wanted)
        if "cold" in wanted:
            with self._cluster() as cluster:
                self._say("cold", count, self._drive(cluster, count, "--cold"))

    @contextmanager
    def _cluster(self) -> Iterator[LocalCluster]:
        qps, crds = self._options.client_qps or None, self._options.crds
        with tempfile.TemporaryDirectory(prefix="prism-bench-") as name:
            self._directory = Path(name)
            with LocalCluster.start(name, nodes=_NODES, audit=True, client_qps=qps) as cluster:
                cluster.install_crds(crds)
                yield cluster

    def _command(self) -> tuple[str, int, int]:
        health, metrics = free_ports(2)
        command = self._options.operator_cmd.format(health=health, metrics=metrics)
        return command, health, metrics

    def _drive(self, cluster: LocalCluster, count: int, *flags: str) -> Json:
        command, health, _ = self._command()
        manifests = [self._directory / "plain.yaml", self._directory / "hpa.yaml"]
        for path, text in zip(manifests, (_PLAIN, _WITH_HPA), strict=True):
            path.write_text(text)
        before_s = _cpu_s(cluster)
        driver = subprocess.run(
            [
                *(sys.executable, str(Path(__file__).parent / "operator_bench.py")),
                f"--kubeconfig={cluster.kubeconfig}",
                f"--operator-kubeconfig={operator_kubeconfig(cluster, OPERATOR_USER)}",
                f"--operator-user={OPERATOR_USER}",
                f"--operator-cmd={command}",
                f"--operator-log={self._directory / 'operator.log'}",
                f"--operator-ready-url=http://127.0.0.1:{health}/readyz",
                f"--audit-log={cluster.audit_log}",
                "--resource=prism.io/v1alpha1/prismpatterns",
                f"--namespace={NAMESPACE}",
                *(f"--manifest={path}" for path in manifests),
                f"--count={count}",
                "--expect=apps/v1/deployments=1",
                "--expect=v1/services=1",
                "--expect=autoscaling/v2/horizontalpodautoscalers=0.5",
                f"--cr-ready={self._options.cr_ready}",
                f"--steady={self._options.steady_s}",
                f"--timeout={max(900, count)}",
                *flags,
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        if driver.returncode not in (0, 1):
            raise CannotRunError(f"operator_bench.py ended with {driver.returncode}")
        figures: Json = json.loads(driver.stdout)
        converge_s = figures["converge_s"]
        return {
            "patterns_per_s": converge_s and round(count / converge_s, 1),
            **figures,
            "control_plane_cpu_s": round(_cpu_s(cluster) - before_s, 1),
        }

    def _beside(self, cluster: LocalCluster, count: int, wanted: set[str]) -> None:
        """Starts the operator beside the patterns there are, for the rungs that need that."""
        command, health, metrics = self._command()
        began_s, written = time.monotonic(), len(cluster.audit_events(OPERATOR_USER))
        log = self._directory / "operator-again.log"
        operator = Operator(command, operator_kubeconfig(cluster, OPERATOR_USER), log, {})
        try:
            url = f"http://127.0.0.1:{health}/readyz"
            ready_s = self._when(lambda: _page(url) is not None, began_s, operator)
            passes = f"http://127.0.0.1:{metrics}/metrics"
            settled_s = self._when(lambda: _passes(_page(passes)) >= count, began_s, operator)
            cpu_s = operator.sample()
            at_rest = len(cluster.audit_events(OPERATOR_USER))
            time.sleep(self._options.steady_s)
            if "restart" in wanted:
                figures = {
                    "ready_s": round(ready_s, 2),
                    "all_passes_s": round(settled_s, 2),
                    "writes": at_rest - written,
                    "steady_writes": len(cluster.audit_events(OPERATOR_USER)) - at_rest,
                    "cpu_s": round(cpu_s, 2),
                    "steady_cpu_s": round(operator.sample() - cpu_s, 2),
                    "max_rss_mib": round(operator.max_rss, 1),
                }
                self._say("restart", count, figures)
            if "edits" in wanted:
                names = [f"bench-{i:05}" for i in range(count)]
                figures = measure_edits(cluster, NAMESPACE, names, OPERATOR_USER, EDITS)
                self._say("edits", count, figures)
        finally:
            operator.close()

    @staticmethod
    def _when(condition: Callable[[], bool], began_s: float, operator: Operator) -> float:
        """Seconds from ``began_s`` until the condition holds."""
        while not condition():
            waited_s = time.monotonic() - began_s
            if operator.proc.poll() is not None or waited_s > _RESTART_TIMEOUT_S:
                raise CannotRunError(
                    f"the operator was not ready, or not done with all passes, in {waited_s:.0f} s"
                )
            time.sleep(0.05)
        return time.monotonic() - began_s

    def _say(self, rung: str, count: int, figures: Json) -> None:
        targets = TARGETS[rung]
        missed = [name for name, limit in targets.items() if misses(name, figures[name], limit)]
        line = {"benchmark": "operator", "rung": rung, "patterns": count, **figures}
        line |= {"client_qps": self._options.client_qps or "default", "targets": targets}
        print(json.dumps({**line, "missed": missed}), flush=True)


def _cpu_s(cluster: LocalCluster) -> float:
    """What the control plane has used of the machine, which it shares with the operator."""
    ticks = 0
    for pid in cluster.pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += sum(map(int, fields[11:15]))  # with the children that have ended
    return ticks / os.sysconf("SC_CLK_TCK")


def misses(name: str, figure: float | None, limit: float) -> bool:
    """Whether a figure is not as its target wants it; one that is unknown never is."""
    if figure is None:
        return True
    return figure < limit if name in _AT_LEAST else figure > limit


def _page(url: str) -> str | None:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own operator
            return str(answer.read().decode())
    except OSError:
        return None


def _passes(metrics: str | None) -> float:
    """How many passes controller-runtime's metric counts; every operator built on it has that."""
    counts = re.findall(r"^controller_runtime_reconcile_total{.*} (\S+)$", metrics or "", re.M)
    return sum(map(float, counts))


def main() -> int:
    """Climbs for every count; 2 when a rung could not be run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("counts", nargs="*", type=int, default=[100, 500, 2000], metavar="COUNT")
    parser.add_argument(
        "--rungs",
        default="create,restart,edits",
        help="comma-separated; restart and edits come after create; default: %(default)s",
    )
    parser.add_argument(
        "--operator-cmd",
        default=shlex.join(
            operator_command(
                "run",
                # The driver waits for a time without writes, which a Lease never gives it.
                "--no-leader-elect",
                "--health-probe-bind-address=127.0.0.1:{health}",
                "--metrics-bind-address=127.0.0.1:{metrics}",
            )
        ),
        help="any operator for PrismPattern; {health} and {metrics} stand for ports; the "
        "kubeconfig comes by KUBECONFIG; default: this one",
    )
    parser.add_argument("--crds", type=Path, default=_ROOT / "crds", help="its CRDs")
    parser.add_argument(
        "--cr-ready",
        default="status.conditions[Ready].status=True",
        help="what a pattern says when it is ready; default: %(default)s",
    )
    parser.add_argument(
        "--client-qps",
        type=int,
        default=0,
        help="requests a second of controller-manager and scheduler; "
        "default: Kubernetes' own limits, 20 and 50",
    )
    parser.add_argument(
        "--steady-s", type=int, default=60, help="seconds watched at rest; default: %(default)s"
    )
    options = parser.parse_args()
    rungs = options.rungs.split(",")
    if unknown := set(rungs) - set(RUNGS):
        parser.error(f"--rungs: {', '.join(sorted(unknown))} is not one of {', '.join(RUNGS)}")
    ladder = Ladder(options)
    try:
        for count in options.counts:
            ladder.climb(count, rungs)
    except (CannotRunError, ClusterError, KubectlError, requests.RequestException) as error:
        print(f"operator_ladder: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
