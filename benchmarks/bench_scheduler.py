"""How fast the columnar scheduler places and preempts, on clusters of growing size.

    python -m benchmarks.bench_scheduler [--largest 5000] [--numpy] [--real]

One JSON line a figure. Values are by processor time, which other work on the machine changes
little (nothing here waits, so that it is the wall's on a quiet one); ``wall_s`` stands beside it.
Compiled loops, then with ``--numpy`` plain numpy too. Loading or compiling the loops is a figure
of its own. ``--real`` adds the throughput of the real scheduler without an API server, on this
machine, where Go is installed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simulator.scheduling.columnar import ColumnarPreemption, ColumnarScheduler
from simulator.scheduling.pods import HOSTNAME, ZONE
from simulator.scheduling.selectors import compile_selector

LADDER = (100, 1000, 5000)
TEMPLATES, PODS_A_NODE, APPS = 300, 30, 20
ORACLE = Path(__file__).parents[1] / "e2e" / "oracle"
# At 5,000 nodes: compiled, numpy only.
S1_TARGETS_S = {"compiled": 3, "numpy": 10}
S2_TARGETS_PER_S = {
    "bare plain": 100_000,
    "owned plain": 50_000,
    "hard zone spread": 40_000,
    "required anti-affinity": 25_000,
}
S3_TARGET_PER_S = 10_000


def a_node(ordinal: int, *, tainted: bool = False, cpu: str = "16") -> dict[str, Any]:
    name = f"node-{ordinal:05d}"
    spec = {"taints": [{"key": "dedicated", "value": "x", "effect": "NoSchedule"}]}
    return {
        "metadata": {"name": name, "labels": {HOSTNAME: name, ZONE: f"zone-{ordinal % 3}"}},
        "spec": spec if tainted else {},
        "status": {"allocatable": {"cpu": cpu, "memory": "64Gi", "pods": "110"}},
    }


def a_budget(app: int, allowed: int) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "prism", "name": f"app-{app}"},
        "spec": {"selector": {"matchLabels": {"app": f"app-{app}"}}},
        "status": {"disruptionsAllowed": allowed},
    }


def a_template(app: str, kind: str, *, owned: bool = False, cpu: str = "100m") -> dict[str, Any]:
    requests = {"cpu": cpu, "memory": "128Mi"}
    pod: dict[str, Any] = {
        "metadata": {"name": app, "namespace": "prism", "labels": {"app": app}},
        "spec": {"containers": [{"name": "c", "image": "i", "resources": {"requests": requests}}]},
    }
    selector = {"matchLabels": {"app": app}}
    if owned:
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": app, "controller": True}
        pod["metadata"]["ownerReferences"] = [{**owner, "uid": app}]
    match kind:
        case "hard zone spread" | "soft zone spread":
            pod["spec"]["topologySpreadConstraints"] = [
                {
                    "maxSkew": 1,
                    "topologyKey": ZONE,
                    "whenUnsatisfiable": "DoNotSchedule" if "hard" in kind else "ScheduleAnyway",
                    "labelSelector": selector,
                }
            ]
        case "required anti-affinity":
            rule = {"topologyKey": HOSTNAME, "labelSelector": selector}
            pod["spec"]["affinity"] = {
                "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [rule]}
            }
        case "tolerating":
            pod["spec"]["tolerations"] = [{"key": "dedicated", "operator": "Exists"}]
    return pod


def a_scheduler(
    nodes: int, apps: int, *, compiled: bool, tainted: bool, cpu: str = "16"
) -> ColumnarScheduler:
    names = [f"app-{app}" for app in range(apps)]
    scheduler = ColumnarScheduler(
        compiled=compiled,
        owners={
            ("prism", "apps/v1/ReplicaSet", app): compile_selector({"matchLabels": {"app": app}})
            for app in names
        },
    )
    for ordinal in range(nodes):
        scheduler.add_node(a_node(ordinal, tainted=tainted and ordinal % 20 == 0, cpu=cpu))
    return scheduler


def mixed_kind(ordinal: int) -> str:
    """70 % plain, 20 % zone spread, 10 % anti-affinity or taints."""
    return {7: "hard zone spread", 8: "soft zone spread"}.get(
        ordinal % 10,
        "plain"
        if ordinal % 10 != 9
        else ("required anti-affinity" if ordinal % 20 == 9 else "tolerating"),
    )


def fill(nodes: int, mode: str) -> None:
    """S1: 30 pods a node, of 300 ReplicaSets in a drawn order."""
    compiled = mode == "compiled"
    scheduler = a_scheduler(nodes, TEMPLATES, compiled=compiled, tainted=True)
    classes = [
        scheduler.register(a_template(f"app-{app}", mixed_kind(app), owned=True))
        for app in range(TEMPLATES)
    ]
    pods = [classes[index % TEMPLATES] for index in range(nodes * PODS_A_NODE)]
    random.Random(1).shuffle(pods)
    scheduler.cluster.columns()
    taken, wall_s, cpu_s = timed(lambda: scheduler.schedule_many(pods))
    report(
        "S1",
        f"{len(pods)} mixed pods",
        mode,
        nodes,
        round(cpu_s, 3),
        "s",
        S1_TARGETS_S[mode] if nodes == LADDER[-1] else None,
        wall_s=round(wall_s, 3),
        placed=int((taken >= 0).sum()),
    )


def place(nodes: int, kind: str, mode: str) -> None:
    """S2: as many pods as nodes, of 20 templates of one kind."""
    scheduler = a_scheduler(nodes, APPS, compiled=mode == "compiled", tainted=False)
    owned, shape = kind == "owned plain", kind
    classes = [scheduler.register(a_template(f"app-{a}", shape, owned=owned)) for a in range(APPS)]
    pods = [classes[index % APPS] for index in range(nodes)]
    scheduler.cluster.columns()
    taken, wall_s, cpu_s = timed(lambda: scheduler.schedule_many(pods))
    report(
        "S2",
        kind,
        mode,
        nodes,
        round(len(pods) / cpu_s),
        "placements/s",
        S2_TARGETS_PER_S[kind] if nodes == LADDER[-1] and mode == "compiled" else None,
        wall_s=round(wall_s, 3),
        placed=int((taken >= 0).sum()),
    )


def preempt(nodes: int, mode: str) -> None:
    """S3: four pods of 20 apps fill each node; then as many that need the room of three.

    Half of the apps have a budget, half of these one that allows nothing. The victims go at once,
    their budgets are charged, the node is promised to the pod, which is then bound there.
    """
    compiled = mode == "compiled"
    scheduler = a_scheduler(nodes, APPS, compiled=compiled, tainted=False, cpu="4")
    preemption = ColumnarPreemption(scheduler, compiled=compiled)
    low = [scheduler.register(a_template(f"app-{a}", "plain", cpu="900m")) for a in range(APPS)]
    important = a_template("important", "plain", cpu="3")
    important["spec"]["priority"] = 10
    high = scheduler.register(important)
    preemption.set_budgets(
        [a_budget(app, 0 if app % 4 == 0 else nodes) for app in range(0, APPS, 2)]
    )
    for index in range(4 * nodes):
        node = scheduler.schedule(low[index % APPS])
        assert node is not None
        scheduler.unbind(low[index % APPS], node)
        preemption.add_pod(low[index % APPS], node, f"low-{index:06d}", started_ns=index)
    rng = random.Random(1)
    count = nodes if compiled else 20
    evicted = 0

    def run() -> None:
        nonlocal evicted
        for ordinal in range(count):
            assert scheduler.decide(high).node is None
            room = preemption.preempt(high, draw=rng.randrange(2**31))
            assert room is not None
            promise = scheduler.nominate(high, room.node)
            preemption.evict(room)
            evicted += len(room.victims)
            scheduler.withdraw(promise)
            preemption.add_pod(high, room.node, f"high-{ordinal:06d}", started_ns=10**9)

    _, wall_s, cpu_s = timed(run)
    report(
        "S3",
        f"{count} preemptions among {4 * nodes} pods",
        mode,
        nodes,
        round(count / cpu_s),
        "preemptions/s",
        S3_TARGET_PER_S if nodes == LADDER[-1] and compiled else None,
        wall_s=round(wall_s, 3),
        evicted=evicted,
    )


def warm_up() -> None:
    """The first call: loads the compiled loops, or compiles them when the code is new."""
    scheduler = a_scheduler(3, 1, compiled=True, tainted=False)
    pod = scheduler.register(a_template("app-0", "plain"))
    _, wall_s, cpu_s = timed(lambda: scheduler.schedule_many([pod]))
    what, wall_s = "loading or compiling", round(wall_s, 2)
    report("S1-S3", what, "compiled", 3, round(cpu_s, 2), "s", None, wall_s=wall_s)


def real(nodes: int) -> None:
    """The real scheduler, whole but for the API server."""
    environment = {**os.environ, "NODES": str(nodes), "PODS": str(nodes)}
    command = ["go", "test", "-count=1", "-run", "TestSchedulerThroughput", "-v", "."]
    run = subprocess.run(command, cwd=ORACLE, env=environment, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"{' '.join(command)} in {ORACLE} failed:\n{run.stdout}{run.stderr}")
    for line in run.stdout.splitlines():
        if line.startswith("{"):
            figure = json.loads(line)
            rate = round(figure["pods_per_s"])
            report("S2", figure["kind"], "kube-scheduler", nodes, rate, "placements/s", None)


def timed(call: Callable[[], Any]) -> tuple[Any, float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def report(
    figure: str,
    what: str,
    mode: str,
    nodes: int,
    value: float,
    unit: str,
    target: float | None,
    **more: float,
) -> None:
    line = {"figure": figure, "what": what, "mode": mode, "nodes": nodes, "value": value}
    print(json.dumps({**line, "unit": unit, "target": target, **more}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=int, default=LADDER[-1], help="nodes, at most")
    parser.add_argument("--numpy", action="store_true", help="time plain numpy too")
    parser.add_argument("--real", action="store_true", help="time the real scheduler too (Go)")
    arguments = parser.parse_args()
    ladder = [nodes for nodes in LADDER if nodes <= arguments.largest]
    warm_up()
    for mode in ("compiled", "numpy") if arguments.numpy else ("compiled",):
        for nodes in ladder:
            fill(nodes, mode)
            for kind in S2_TARGETS_PER_S:
                place(nodes, kind, mode)
            preempt(nodes, mode)
    if arguments.real and shutil.which("go"):
        for nodes in ladder:
            real(nodes)


if __name__ == "__main__":
    main()
