"""How long the report of a run takes to make, how large it is, and how soon a browser shows it.

    python -m benchmarks.bench_report [--nodes 200] [--minutes 1440] [--out FILE]

The day of ``benchmarks.days``, with a price and a zone that is dark for a while, is simulated once
(200 nodes take most of an hour); what is measured is what comes after. One JSON line.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import time
from pathlib import Path

import structlog

from benchmarks.days import day
from e2e.browser import browser
from simulator.htmlreport.recording import Recording
from simulator.htmlreport.running import run_page
from simulator.run import Simulation

MADE_S, SIZE_MB, INTERACTIVE_S = 2, 5, 1  # targets
RUNS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=200)
    parser.add_argument("--minutes", type=int, default=24 * 60)
    parser.add_argument("--out", type=Path, help="keep the report here")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    lost = {"name": "zone a dark", "nodeLoss": {"zone": "a", "for": "20m"}}
    timeline = [{"at": f"{arguments.minutes // 2}m", **lost}]
    loaded = day(arguments.nodes, minutes=arguments.minutes, price=0.38, timeline=timeline)
    began = time.process_time()
    simulation = Simulation(loaded)
    recording = Recording(simulation)
    result = simulation.run()
    simulated_s = time.process_time() - began
    made = []
    for _ in range(RUNS):
        began = time.process_time()
        page = run_page(loaded, simulation, recording, result)
        made.append(time.process_time() - began)
    with tempfile.TemporaryDirectory() as folder:
        file = arguments.out or Path(folder) / "report.html"
        file.write_text(page, encoding="utf-8")
        with browser() as shown:
            interactive = [shown.open(file).interactive_s for _ in range(RUNS)]
    line = {
        "benchmark": "report",
        "nodes": arguments.nodes,
        "simulated_minutes": arguments.minutes,
        "pods": len(recording.pods),
        "workloads": len(loaded.scenario.workloads),
        "simulated_cpu_s": round(simulated_s),
        "made_cpu_s": round(min(made), 2),
        "made_target_s": MADE_S,
        "size_mb": round(len(page.encode()) / 1e6, 2),
        "size_target_mb": SIZE_MB,
        "interactive_s": round(min(interactive), 2),
        "interactive_target_s": INTERACTIVE_S,
    }
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
