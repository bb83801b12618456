"""How long a day of a fleet takes: S4 to S7 of the simulator's figures, with a ladder of sizes.

    python -m benchmarks.bench_fleet [--largest 5000] [--seeds 1000]

One JSON line a figure. Values of single days are by processor time (nothing waits, so that it is
the wall's on a quiet machine), those of sweeps by the wall's clock. Building and filling the
cluster, its first half minute, stand beside them; loading or compiling the loops is a figure of its
own. The log of a day is written to a file.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import pickle
import random
import resource
import tempfile
import time
from array import array
from typing import Any

from benchmarks.bench_scheduler import a_node, a_template, mixed_kind
from benchmarks.days import day
from simulator.experiments.fleets import play_as_fleet
from simulator.experiments.runs import Job, local, run_all
from simulator.fleet import FleetSimulation, FleetSpec, Group, NodeLoss, Times
from simulator.kernel import HOUR_US, SECOND_US

DAY_US = 24 * HOUR_US
KNOTS = 288  # of a day's load
LADDER = (100, 1000, 5000)
# (nodes, pods, HPAs, KEDA groups)
COMPARED = 200  # seeds
S4, S5, S6 = (5000, 150_000, 1000, 200), (100, 2000, 20, 10), (200, 4000, 40, 20)


def a_fleet(nodes: int, pods: int, hpas: int, keda: int, seed: int, *, churn: float) -> FleetSpec:
    """Load that goes up and down by 30 % in a day, with noise every 5 minutes; 5 % of nodes lost.

    Three pods in five are scaled by HPAs on CPU. Consumers scale on lag, 100 s of one's work a pod;
    the rest belong to Deployments of constant size. Kinds of pods are those of S1.
    """
    draw = random.Random(seed)
    cpu_each, lag_each = max(2, pods * 3 // 5 // hpas), 20
    rest = pods - cpu_each * hpas - lag_each * keda
    fixed = max(1, rest // 500)
    groups: list[Group] = []
    for i in range(hpas + keda + fixed):
        scaler = "cpu" if i < hpas else "lag" if i < hpas + keda else "fixed"
        each = {"cpu": cpu_each, "lag": lag_each, "fixed": rest // fixed}[scaler]
        full = each * (60.0 if scaler == "cpu" else 80.0)  # of 100m, or 100 messages a second
        peak = draw.random()
        load = [
            full
            * (1 + 0.3 * math.cos(2 * math.pi * (knot / KNOTS - peak)))
            * (1 + 0.06 * (draw.random() - 0.5))
            for knot in range(KNOTS + 1)
        ]
        groups.append(
            Group(
                name=f"app-{i}",
                template=a_template(f"app-{i}", mixed_kind(i), owned=True),
                replicas=each,
                scaler=scaler,
                least=max(1, each // 4),
                most=each * 2,
                target=60 if scaler == "cpu" else 10_000,
                load=array("d", load) if scaler != "fixed" else (0.0,),
                partitions=2 * each,
                rate=100.0,
            )
        )
    lost = draw.sample(range(nodes), max(1, nodes // 20))
    losses = [
        NodeLoss(60 * SECOND_US + draw.randrange(DAY_US - HOUR_US), f"node-{n:05d}") for n in lost
    ]
    return FleetSpec(
        nodes=[a_node(n) for n in range(nodes)],
        groups=groups,
        duration_us=DAY_US,
        losses=losses,
        price_per_h={f"node-{n:05d}": 0.1 for n in range(nodes)},
        churn=churn,
        seed=seed,
        times=Times(knot_us=DAY_US // KNOTS),
    )


def a_day(size: tuple[int, int, int, int], seed: int, *, churn: float, log: bool) -> dict[str, Any]:
    """One day; what it took after the cluster was filled."""
    spec = a_fleet(*size, seed, churn=churn)
    built = time.process_time()
    with tempfile.TemporaryFile() as file:
        simulation = FleetSimulation(spec, log=file if log else None)
        simulation.fill()
        filled = time.process_time()
        result = simulation.run()
        took_s = time.process_time() - filled
    return {
        "value": round(took_s, 3),
        "filled_s": round(filled - built, 3),
        "events": result.events,
        "lines": result.lines,
        "bound": result.bound,
        "scalings": sum(n.scalings for n in result.groups.values()),
        "waiting": result.waiting,
        "cost": round(result.cost, 2),
        "log_hash": result.log_hash,
    }


def report(figure: str, what: str, unit: str, target: float | None, **more: Any) -> None:
    print(json.dumps({"figure": figure, "what": what, "unit": unit, "target": target, **more}))


def _one_seed(seed: int) -> str:
    return str(a_day(S6, seed, churn=0.0, log=False)["log_hash"])


def sweep(seeds: int) -> None:
    """S6: many seeds of a day, with one process and with two."""
    took = {}
    for processes in (1, 2):
        part = max(2, seeds // 10) if processes == 1 else seeds
        began = time.perf_counter()
        with multiprocessing.get_context("fork").Pool(processes) as pool:
            pool.map(_one_seed, range(part), chunksize=4)
        took[processes] = (time.perf_counter() - began) / part
    report(
        "S6",
        f"{seeds} seeds of a day of 200 nodes, two processes",
        "s",
        300,
        value=round(took[2] * seeds, 1),
        times_one_process=round(took[1] / took[2], 2),
        target_times=1.85,
    )


def comparison(seeds: int) -> None:
    """Two variants under the same seeds on days of 100 nodes, as prism-sim compare --fleet does."""
    loaded = day(S5[0])
    jobs = [
        Job(variant, seed, ("cost",), pickle.dumps(loaded), None, play_as_fleet)
        for variant in ("one", "other")
        for seed in range(seeds)
    ]
    began = time.perf_counter()
    run_all(jobs, local(2))
    took_s = time.perf_counter() - began
    what = f"2 variants x {seeds} seeds of a day of 100 nodes, two processes"
    report("compare", what, "s", 60 if seeds == COMPARED else None, value=round(took_s, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--largest", type=int, default=LADDER[-1])
    parser.add_argument("--seeds", type=int, default=1000)
    options = parser.parse_args()
    began = time.process_time()
    a_day((20, 100, 4, 2), 0, churn=1.0, log=True)
    report("S4", "loading or compiling", "s", None, value=round(time.process_time() - began, 2))
    for nodes in (n for n in LADDER if n <= options.largest):
        share = nodes / S4[0]
        size = (nodes, int(S4[1] * share), int(S4[2] * share), int(S4[3] * share))
        day = a_day(size, 1, churn=1.0, log=True)
        report(
            "S4", "a day, every pod replaced", "s", 10 if size == S4 else None, nodes=nodes, **day
        )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report("S7", "peak memory of it all", "MiB", 600, value=round(memory))
    best = min((a_day(S5, 1, churn=0.0, log=True) for _ in range(3)), key=lambda d: d["value"])
    report("S5", "a day of 100 nodes, in process", "s", 0.25, **best)
    if options.seeds:
        comparison(min(COMPARED, options.seeds))
        sweep(options.seeds)


if __name__ == "__main__":
    main()
