"""``prism-sim replay``, from what was typed to what is printed."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from prism_operator.adapters.clock import SystemClock
from prism_operator.adapters.connection import connect
from prism_operator.api.meta import Json
from simulator.importing.exporting import MANIFESTS, NAMESPACES, NODES, SCENARIO, export_scenario
from simulator.inputs import BadInputError
from simulator.replay.comparing import Compared, compare, compare_placements
from simulator.replay.decisions import READ
from simulator.replay.placements import judge_placements
from simulator.replay.planning import ReplayPlan, plan_replay
from simulator.replay.reality import ControlPlane, Reality
from simulator.run import Simulation
from simulator.scenario import load

_PLANES = "e2e.replaying"


class Plane(ControlPlane, Protocol):
    """Such a control plane, and how it is reached."""

    kubeconfig: Path


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was compared after each step, and what of the scenario was left out."""

    compared: tuple[Compared, ...]
    left_out: tuple[str, ...]

    @property
    def unexplained(self) -> int:
        """How many differences nothing explains."""
        return sum(not d.explanation for c in self.compared for d in c.differences)


def replay(path: Path, say: Callable[[str], None], wait: Callable[[float], object]) -> Replayed:
    """Plays a scenario, or a folder that was exported, simulated and on a real control plane.

    Raises:
        BadInputError: It cannot be played, or the control plane refuses something.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder, scenario = _exported(path, Path(scratch) / "export")
        plan = plan_replay(load(scenario))
        say("simulated …")
        simulated = _simulated(plan)
        say("on a real control plane …")
        with (
            _plane(
                Path(scratch) / "plane", keda=plan.loaded.scenario.cluster.autoscaling.keda
            ) as plane,
            closing(connect(str(plane.kubeconfig))) as connection,
        ):
            clock = SystemClock()
            reality = Reality(plane, connection.reader(), clock, wait)
            return Replayed(tuple(_compared(plan, folder, reality, simulated, say)), plan.left_out)


def _exported(path: Path, scratch: Path) -> tuple[Path, Path]:
    """The folder of an export, and the scenario in it."""
    folder = path
    if not path.is_dir():
        export_scenario(path, scratch, force=False)
        folder = scratch
    found = sorted(
        p for p in (folder / SCENARIO).glob("*.yaml") if not p.name.endswith("-apply.yaml")
    )
    if len(found) != 1:
        raise BadInputError([f"{path}: expected a scenario, or a folder of prism-sim export"])
    return folder, found[0]


def _simulated(plan: ReplayPlan) -> list[list[Json]]:
    """The objects before each step, and at the end."""
    simulation = Simulation(plan.loaded)
    snapshots = []
    for step in range(len(plan.steps) + 1):
        simulation.run_until((plan.at_us(step) - 1) / 1e6)
        snapshots.append([o for r in READ for o in simulation.cache.list(r)])
    return snapshots


def _compared(
    plan: ReplayPlan,
    folder: Path,
    reality: Reality,
    simulated: Sequence[list[Json]],
    say: Callable[[str], None],
) -> Iterator[Compared]:
    files = [name for name in (NAMESPACES, MANIFESTS) if (folder / name).exists()]
    reality.begin(folder, files, NODES, plan.first)
    yield compare("after the manifests", simulated[0], reality.objects())
    for number, event in enumerate(plan.steps, 1):
        what = event.name or event.action
        say(f"{what} …")
        reality.happen(event, plan.loaded)
        yield compare(f"after {what}", simulated[number], reality.objects())
    placements = judge_placements(reality.happened())
    yield compare_placements(placements, simulated[-1], reality.objects())


@contextmanager
def _plane(directory: Path, *, keda: bool) -> Iterator[Plane]:
    try:
        module = importlib.import_module(_PLANES)
    except ModuleNotFoundError:
        raise BadInputError(
            [
                "replay: the control plane is built from e2e/, which is in the repository only: "
                "run prism-sim from a checkout of it"
            ]
        ) from None
    make = cast(Callable[..., AbstractContextManager[Plane]], module.control_plane)
    with make(directory, keda=keda) as plane:
        yield plane


def told(replayed: Replayed) -> str:
    """In Markdown: what differs and why, and what was left out."""
    lines = []
    for of in replayed.compared:
        for d in of.differences:
            why = d.explanation or "**unexplained**"
            lines.append(
                f"| {of.step} | {d.subject} | {d.what} | {d.simulated} | {d.real} | {why} |"
            )
    if lines:
        head = [
            "| when | what | decision | simulated | real | explanation |",
            "|---|---|---|---|---|---|",
        ]
        lines = [*head, *lines, ""]
    lines += [f"left out: {what}" for what in replayed.left_out]
    total = sum(of.decisions for of in replayed.compared)
    differ = sum(len(of.differences) for of in replayed.compared)
    lines.append(
        f"{total} decisions compared, {differ} differ, {replayed.unexplained} of them unexplained"
    )
    return "\n".join(lines) + "\n"
