"""How long a day takes object by object, and a sweep of such days; one JSON line a figure.

    python -m benchmarks.bench_day [--nodes 10 30 100] [--minutes 60]

The ordinary engine is timed, with the whole API server, operator and controllers; fleets, which S4
to S7 are about, are timed by ``bench_fleet``. It runs ``--minutes`` after five minutes in which all
pods come, and ``day_s`` says what a day would take at that pace. Values are by processor time.
"""

from __future__ import annotations

import argparse
import json
import logging
import pickle
import resource
import time
from typing import Any

import structlog

from benchmarks.days import day
from simulator.experiments.runs import Job, local, run_all
from simulator.run import Simulation

FILLED_S = 300
S6_NODES, S6_JOBS = 10, 8


def a_day(nodes: int, minutes: int) -> None:
    """Its first minutes and an hour."""
    began = time.process_time()
    simulation = Simulation(day(nodes))
    simulation.run_until(FILLED_S)
    filled_s = time.process_time() - began
    began, before = time.process_time(), simulation.trace.lines
    simulation.run_until(FILLED_S + 60 * minutes)
    cpu_s = time.process_time() - began
    day_s = filled_s + cpu_s * (24 * 60 - FILLED_S / 60) / minutes
    report(
        "day",
        f"{minutes} minutes after all pods came",
        round(cpu_s, 2),
        "s",
        None,
        nodes=nodes,
        pods=nodes * 20,
        filled_s=round(filled_s, 2),
        changes=simulation.trace.lines - before,
        day_s=round(day_s, 1),
        peak_rss_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        log_hash=simulation.trace.hash,
    )


def a_sweep() -> None:
    """How much sooner two processes are done than one (by the wall's clock)."""
    pickled = pickle.dumps(day(S6_NODES, minutes=20))
    jobs = [Job("as it is", seed, (), pickled) for seed in range(S6_JOBS)]
    walls = []
    for workers in (1, 2):
        began = time.perf_counter()
        run_all(jobs, local(workers))
        walls.append(time.perf_counter() - began)
    report(
        "sweep",
        f"{S6_JOBS} runs of 20 minutes of {S6_NODES} nodes: two processes against one",
        round(walls[0] / walls[1], 2),
        "times as fast",
        None,
        one_process_wall_s=round(walls[0], 1),
        two_processes_wall_s=round(walls[1], 1),
    )


def report(
    figure: str, what: str, value: float | None, unit: str, target: float | None, **more: Any
) -> None:
    line = {"figure": figure, "what": what, "value": value, "unit": unit, "target": target}
    print(json.dumps({**line, **more}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="+", default=[10, 30, 100])
    parser.add_argument("--minutes", type=int, default=60, help="simulated, after all pods came")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    Simulation(day(10))  # the CRDs' schemas are compiled once
    for nodes in arguments.nodes:
        a_day(nodes, arguments.minutes)
    a_sweep()


if __name__ == "__main__":
    main()
