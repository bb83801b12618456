"""How long the planner thinks: microseconds per stack and per pattern, at rest and when new.

    python -m benchmarks.bench_planner [--seconds 1]

Prints one JSON line per size of stack. ``cold`` is a pass over a stack that has just been edited
and whose objects all exist; ``rest`` is a pass over the very same object again.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from statistics import median

from prism_operator.api.meta import (
    PRISM_PATTERN,
    PRISM_RESOURCES,
    PRISM_STACK,
    Json,
    Ref,
    controller_uid_of,
    ref_of,
)
from prism_operator.planning import PLANNERS
from prism_operator.planning.observed import FrozenSnapshot, Observed
from prism_operator.planning.settings import Settings
from prism_operator.planning.targets import scale_target_of
from tests.planning.world import World

SIZES = (1, 10, 100)
NAMESPACE = "bench"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = Settings()


class Indexed(FrozenSnapshot):
    """A snapshot with indexes by owner and by what is scaled, as the operator's cache has them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._owned: dict[str, list[Json]] = {}
        self._scalers: dict[Ref | None, list[Json]] = {}
        for obj in self._by_ref.values():
            self._owned.setdefault(controller_uid_of(obj) or "", []).append(obj)
            self._scalers.setdefault(scale_target_of(obj), []).append(obj)

    def owned_by(self, uid: str) -> list[Json]:
        return self._owned.get(uid, [])

    def scalers_of(self, deployment: Ref) -> list[Json]:
        return self._scalers.get(deployment, [])


def a_stack(patterns: int) -> Json:
    return {
        "apiVersion": PRISM_STACK.api_version,
        "kind": PRISM_STACK.kind,
        "metadata": {"name": "bench", "namespace": NAMESPACE, "uid": "bench"},
        "spec": {
            "proxy": {"replicas": 3, "resources": {"requests": {"cpu": "2000m"}}},
            "admin": {"replicas": 3},
            "backends": [
                {"name": "nats", "type": "messaging", "connectionString": "nats://nats:4222"}
            ],
            "patterns": [
                {
                    "name": f"pattern-{number}",
                    "type": "consumer",
                    "backend": "nats",
                    "replicas": 2,
                    "config": {"topic": f"topic-{number}", "batch": 100},
                    "resources": {"requests": {"cpu": "500m"}, "limits": {"cpu": "1"}},
                }
                for number in range(patterns)
            ],
            "observability": {"enabled": True},
        },
    }


def measure(resource_ref: Ref, world: World, seconds: float) -> tuple[float, float]:
    """Median microseconds of a pass over an edited object, and over the same object again."""
    snapshot = Indexed(world.objects.values())
    obj = world.objects[resource_ref]
    planner = PLANNERS[resource_ref.resource]

    def plan(current: Json) -> None:
        assert planner(Observed(current, snapshot), SETTINGS, NOW).is_empty

    cold = _median_us(lambda: copy.deepcopy(obj), plan, seconds)
    rest = _median_us(lambda: obj, plan, seconds)
    return cold, rest


def _median_us(prepare: Callable[[], Json], plan: Callable[[Json], None], seconds: float) -> float:
    took = []
    end = time.perf_counter() + seconds
    while not took or time.perf_counter() < end:
        current = prepare()
        began = time.thread_time_ns()  # a busy machine's other work does not count
        plan(current)
        took.append((time.thread_time_ns() - began) / 1000)
    return median(took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each figure")
    seconds = parser.parse_args().seconds
    for size in SIZES:
        world = World(a_stack(size))
        world.converge(passes_max=10)
        stack_cold, stack_rest = measure(Ref(PRISM_STACK, NAMESPACE, "bench"), world, seconds)
        pattern = Ref(PRISM_PATTERN, NAMESPACE, "pattern-0")
        pattern_cold, pattern_rest = measure(pattern, world, seconds)
        line = {
            "benchmark": "planner",
            "patterns": size,
            "objects": sum(r.resource not in PRISM_RESOURCES for r in map(ref_of, world.created)),
            "stack_cold_us": round(stack_cold, 1),
            "stack_rest_us": round(stack_rest, 1),
            "pattern_cold_us": round(pattern_cold, 1),
            "pattern_rest_us": round(pattern_rest, 1),
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
