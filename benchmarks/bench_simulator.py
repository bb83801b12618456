"""Simulated seconds per wall second for clusters of growing size; one JSON line for each.

    python benchmarks/bench_simulator.py [--largest 300]

A cluster of N nodes runs N/10 stacks (4 pods each) for ten minutes: they roll out, one node in
twenty is lost and its pods are replaced, every proxy is rolled out anew.
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import resource
from pathlib import Path
from typing import Any

import structlog

from prism_operator.documents import Document
from simulator.run import Simulation
from simulator.scenario import LoadedScenario, Manifest, Scenario

LADDER = (3, 10, 30, 100, 300)


def scenario(nodes: int) -> LoadedScenario:
    stacks = [stack(i, "proxy:1") for i in range(max(1, nodes // 10))]
    lost = [{"at": "3m", "nodeLoss": {"node": f"base-a-{i}"}} for i in range(max(1, nodes // 20))]
    parsed = Scenario.model_validate(
        {
            "question": "How fast is the simulator?",
            "duration": "10m",
            "cluster": {"pools": {"base": {"count": nodes}}},
            "manifests": ["start"],
            "timeline": [*lost, {"at": "8m", "apply": "rollout"}],
            "expect": [{"atEnd": {"count": {"of": "PrismStack", "ready": True, "atLeast": 1}}}],
        }
    )
    rollout = [stack(i, "proxy:2") for i in range(len(stacks))]
    files = {"start": stacks, "rollout": rollout}
    return LoadedScenario(
        Path(f"{nodes}-nodes"),
        parsed,
        {name: tuple(map(manifest, objects)) for name, objects in files.items()},
    )


def stack(ordinal: int, image: str) -> dict[str, Any]:
    pattern = {
        "name": f"orders-{ordinal}",
        "type": "consumer",
        "backend": "memstore",
        "replicas": 2,
    }
    return {
        "apiVersion": "prism.io/v1alpha1",
        "kind": "PrismStack",
        "metadata": {"name": f"stack-{ordinal}", "namespace": "default"},
        "spec": {"proxy": {"replicas": 2, "image": image}, "patterns": [pattern]},
    }


def manifest(obj: dict[str, Any]) -> Manifest:
    return Manifest(obj, Document("generated", obj))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=int, default=100, help="nodes of the largest cluster")
    largest = parser.parse_args().largest
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    Simulation(scenario(1))  # the CRDs' schemas are compiled once
    for nodes in (n for n in LADDER if n <= largest):
        simulation = Simulation(scenario(nodes))
        result = simulation.run()
        print(
            json.dumps(
                {
                    "benchmark": "simulator",
                    "nodes": nodes,
                    "stacks": result.of,
                    "simulated_s": result.simulated_s,
                    "wall_s": round(result.wall_s, 3),
                    "simulated_s_per_wall_s": round(result.simulated_s / result.wall_s, 1),
                    "changes": simulation.trace.lines,
                    "changes_per_wall_s": round(simulation.trace.lines / result.wall_s),
                    "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                    "log_hash": result.log_hash,
                    "passed": result.passed,
                    "python": platform.python_version(),
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
