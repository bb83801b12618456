"""Scenarios for tests, showing only what matters."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from prism_operator.api.meta import Json, Ref
from prism_operator.documents import Document
from simulator.run import Simulation
from simulator.scenario import LoadedScenario, Manifest, Scenario

SAMPLES = Path(__file__).parents[2] / "samples"


def a_stack(name: str = "shop", **spec: Any) -> Json:
    patterns = [{"name": "orders", "type": "consumer", "backend": "memstore", "replicas": 2}]
    return {
        "apiVersion": "prism.io/v1alpha1",
        "kind": "PrismStack",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"proxy": {"replicas": 3}, "patterns": patterns, **spec},
    }


def a_scenario(
    *objects: Json,
    nodes: int = 3,
    duration: str = "10m",
    timeline: tuple[Json, ...] = (),
    expect: tuple[Json, ...] = ({"always": {"restarts": {"atLeast": 0}}},),
    applies: dict[str, Json] | None = None,
    cluster: Json | None = None,
    **more: Any,
) -> LoadedScenario:
    """A scenario with these objects from the start; ``applies`` are named for the timeline."""
    scenario = Scenario.model_validate(
        {
            "question": "?",
            "seed": 1,
            "duration": duration,
            "cluster": {"pools": {"base": {"count": nodes}}, **(cluster or {})},
            "manifests": ["start"],
            "timeline": list(timeline),
            "expect": list(expect),
            **more,
        }
    )
    files = {"start": objects, **{name: (obj,) for name, obj in (applies or {}).items()}}
    manifests = {name: tuple(map(a_manifest, objs)) for name, objs in files.items()}
    return LoadedScenario(Path("scenario.yaml"), scenario, manifests)


def a_manifest(obj: Json) -> Manifest:
    return Manifest(obj, Document("manifest.yaml", obj))


class Story:
    """A simulation that a test walks through, looking in between."""

    def __init__(self, *objects: Json, **scenario: Any) -> None:
        self.log = io.StringIO()
        self.simulation = Simulation(a_scenario(*objects, **scenario), log=self.log)

    @property
    def now_s(self) -> float:
        return self.simulation.kernel.now_us / 1e6

    def wait(self, seconds: float) -> None:
        self.simulation.run_until(self.now_s + seconds)

    def wait_until_quiet(self) -> None:
        self.wait(60)

    def get(self, ref: Ref) -> Json:
        obj = self.simulation.cache.get(ref)
        assert obj is not None, f"{ref} does not exist"
        return obj

    def has(self, ref: Ref) -> bool:
        return self.simulation.cache.get(ref) is not None

    def lines(self, what: str) -> list[Json]:
        entries = (json.loads(line) for line in self.log.getvalue().splitlines())
        return [entry for entry in entries if entry["what"] == what]

    @property
    def writes(self) -> int:
        return sum(operator.writes for operator in self.simulation.operators)

    def finish(self) -> None:
        """Ends the story; every promise must have been kept."""
        result = self.simulation.run()
        assert result.passed, "\n".join(result.failures)
