"""``prism-sim explain``: one question about one object at one instant of a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from simulator.explaining.instants import instant
from simulator.explaining.pods import PodQuestion
from simulator.explaining.printing import pod_text, scaler_text
from simulator.explaining.scalers import ScalerQuestion
from simulator.inputs import BadInputError
from simulator.kernel import Us
from simulator.run import Simulation
from simulator.scenario import load


def explain_file(
    file: Path,
    at: str,
    *,
    pod: str | None = None,
    scaler: str | None = None,
    seed: int | None = None,
    as_json: bool = False,
) -> str:
    """The answer, as text for people or as JSON.

    Raises:
        BadInputError: The scenario, the time or the name cannot be used.
    """
    asked = {"--pod": pod, "--scaler": scaler}
    said = [(option, name) for option, name in asked.items() if name is not None]
    if len(said) != 1:
        got = ", ".join(option for option, _ in said) or "none"
        raise BadInputError([f"explain: expected one of {', '.join(asked)}; got {got}"])
    loaded = load(file)
    at_us = instant(at, loaded.scenario, loaded.path)
    simulation = Simulation(loaded, seed=seed)
    (option, name), *_ = said
    return _ANSWERS[option](simulation, name, at_us, as_json)


def _pod(simulation: Simulation, name: str, at_us: Us, as_json: bool) -> str:
    found = PodQuestion(simulation).answer(name, at_us)
    return _json(asdict(found)) if as_json else pod_text(found)


def _scaler(simulation: Simulation, name: str, at_us: Us, as_json: bool) -> str:
    found = ScalerQuestion(simulation).answer(name, at_us)
    return _json(asdict(found)) if as_json else scaler_text(found)


def _json(answer: object) -> str:
    return json.dumps(answer, indent=1, ensure_ascii=False) + "\n"


_ANSWERS: dict[str, Callable[[Simulation, str, Us, bool], str]] = {
    "--pod": _pod,
    "--scaler": _scaler,
}
