"""``prism-sim explain``: one question about one object at one instant of a run."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from simulator.explaining.instants import instant
from simulator.explaining.nodes import NodeExplanation, NodeQuestion, Told
from simulator.explaining.pods import PodExplanation, PodQuestion
from simulator.explaining.printing import node_text, pod_text, scaler_text
from simulator.explaining.scalers import ScalerExplanation, ScalerQuestion
from simulator.inputs import BadInputError
from simulator.run import Simulation
from simulator.scenario import load


def explain_file(
    file: Path,
    at: str,
    *,
    pod: str | None = None,
    scaler: str | None = None,
    node: str | None = None,
    seed: int | None = None,
    as_json: bool = False,
) -> str:
    """The answer, as text for people or as JSON.

    Raises:
        BadInputError: The scenario, the time or the name cannot be used.
    """
    asked = {"--pod": pod, "--scaler": scaler, "--node": node}
    said = {option: name for option, name in asked.items() if name is not None}
    if len(said) != 1:
        got = ", ".join(said) or "none"
        raise BadInputError([f"explain: expected one of {', '.join(asked)}; got {got}"])
    loaded = load(file)
    at_us, log = instant(at, loaded.scenario, loaded.path), Told()
    simulation = Simulation(loaded, seed=seed, log=log)
    if pod is not None:
        of_pod = PodQuestion(simulation).answer(pod, at_us)
        return _json(of_pod) if as_json else pod_text(of_pod)
    if scaler is not None:
        of_scaler = ScalerQuestion(simulation).answer(scaler, at_us)
        return _json(of_scaler) if as_json else scaler_text(of_scaler)
    of_node = NodeQuestion(simulation, log).answer(node or "", at_us)
    return _json(of_node) if as_json else node_text(of_node)


def _json(answer: PodExplanation | ScalerExplanation | NodeExplanation) -> str:
    return json.dumps(asdict(answer), indent=1, ensure_ascii=False) + "\n"
