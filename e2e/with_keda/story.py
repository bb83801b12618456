"""One story, played on the real cluster and in the simulator, and what became of it on both."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import yaml

from e2e.cluster import Json, LocalCluster
from e2e.timeline import Change, Timeline
from e2e.with_keda.queues import Queue
from simulator import simulate

POLL_S = HPA_SYNC_S = 2
_PHASES_S = POLL_S + HPA_SYNC_S + 2.0
_BEGIN = "apply"


@dataclass(frozen=True, slots=True)
class Step:
    """What happens to all queues: so many messages are added, or with None all are consumed."""

    at_s: float
    add: int | None = None

    @property
    def name(self) -> str:
        """What it is called."""
        return "consume all" if self.add is None else f"add {self.add}"


@dataclass(frozen=True, slots=True)
class Story:
    """Objects that are applied at 0, and the steps that follow.

    ``workloads`` are the queues as scenarios describe them, by the names of the PrismPatterns that
    are scaled by them.
    """

    namespace: str
    objects: Sequence[Json]
    workloads: Mapping[str, Json]
    steps: Sequence[Step]
    ends_s: float


@dataclass(frozen=True, slots=True)
class Leg:
    """The changes between one step and the next, their times counted from the step."""

    step: str
    changes: Sequence[Change]
    replicas: int  # at its end


Course = Sequence[Leg]


def play(story: Story, cluster: LocalCluster, queues: Mapping[str, Queue]) -> dict[str, Course]:
    """Plays it on the cluster; the course of each pattern."""
    everything = {"apiVersion": "v1", "kind": "List", "items": list(story.objects)}
    with ExitStack() as stack:
        watched = {
            name: stack.enter_context(Timeline(cluster, name, story.namespace))
            for name in story.workloads
        }
        began_s = time.monotonic()
        marks = [(_BEGIN, 0.0)]
        cluster.kubectl("apply", "--filename=-", stdin=json.dumps(everything))
        for step in story.steps:
            time.sleep(max(0.0, began_s + step.at_s - time.monotonic()))
            marks.append((step.name, time.monotonic() - began_s))
            for queue in queues.values():
                queue.empty() if step.add is None else queue.add(step.add)
        time.sleep(max(0.0, began_s + story.ends_s - time.monotonic()))
        return {name: _legs(marks, timeline.changes) for name, timeline in watched.items()}


def foretell(story: Story, directory: Path) -> dict[str, Course]:
    """Plays it in the simulator, which reads the objects from a file in ``directory``."""
    manifest = directory / "story.yaml"
    manifest.write_text(yaml.safe_dump_all(story.objects))
    run = simulate(
        {
            "question": "Does KEDA act when it does on a real cluster?",
            "seed": 1,
            "duration": f"{story.ends_s:g}s",
            "cluster": {
                "pools": {"base": {"count": 3}},
                "pods": {"pull": "0s", "start": "100ms", "ready": "100ms", "stop": "100ms"},
                "autoscaling": {"keda": True, "hpaSync": f"{HPA_SYNC_S}s"},
            },
            "manifests": [str(manifest)],
            "workloads": {
                name: {"target": f"PrismPattern/{story.namespace}/{name}", **workload}
                for name, workload in story.workloads.items()
            },
            "timeline": [
                {
                    "at": f"{step.at_s:g}s",
                    "name": f"{step.name}: {name}",
                    "load": {
                        "of": name,
                        **({"commitAll": True} if step.add is None else {"add": step.add}),
                    },
                }
                for step in story.steps
                for name in story.workloads
            ],
            "expect": [
                {"atEnd": {"condition": {"of": f"PrismPattern/{story.namespace}/{name}"}}}
                for name in story.workloads
            ],
        }
    )
    assert run.passed, run.failures
    marks = [(_BEGIN, 0.0), *((step.name, step.at_s) for step in story.steps)]
    replicas = run.frames["replicas"]
    courses = {}
    for name in story.workloads:
        numbers = replicas[name][1:]  # the first row is from before there was any
        changed = numbers[numbers != numbers.shift()]
        seen = (Change(at.total_seconds(), int(n)) for at, n in changed.items())
        courses[name] = _legs(marks, seen)
    return courses


def side_by_side(real: Mapping[str, Course], simulated: Mapping[str, Course]) -> str:
    """Both courses of each pattern: after how many seconds there were how many replicas."""
    lines = []
    for name in real:
        lines.append(f"{name:20} {'real':38} simulated")
        for ours, theirs in zip(real[name], simulated[name], strict=True):
            lines.append(f"  {ours.step:18} {_told(ours):38} {_told(theirs)}")
    return "\n".join(lines)


def replicas_after(course: Course) -> list[int]:
    """The number at the end of each leg."""
    return [leg.replicas for leg in course]


def assert_alike(real: Mapping[str, Course], simulated: Mapping[str, Course]) -> None:
    """The same numbers in the same order, each when it was foretold but for the phases of clocks.

    KEDA and the HPA controller look around every 2 s; the real ones began at some other time, and
    a busy machine takes a while.
    """
    for name in real:
        for ours, theirs in zip(real[name], simulated[name], strict=True):
            assert _numbers(ours) == _numbers(theirs), f"{name}, {ours.step}"
            for a, b in zip(ours.changes, theirs.changes, strict=True):
                assert abs(a.at_s - b.at_s) <= _PHASES_S, f"{name}, {ours.step}: {a}, {b}"


def _numbers(leg: Leg) -> list[int]:
    return [change.replicas for change in leg.changes]


def _told(leg: Leg) -> str:
    return ", ".join(f"{c.replicas} at {c.at_s:.1f}" for c in leg.changes) or "-"


def _legs(marks: Sequence[tuple[str, float]], changes: Iterable[Change]) -> Course:
    legs, left, replicas = [], list(changes), 0
    ends = [at_s for _, at_s in marks[1:]]
    for (name, from_s), to_s in zip(marks, [*ends, float("inf")], strict=True):
        here = [Change(c.at_s - from_s, c.replicas) for c in left if c.at_s < to_s]
        left = left[len(here) :]
        replicas = here[-1].replicas if here else replicas
        legs.append(Leg(name, tuple(here), replicas))
    return tuple(legs)
