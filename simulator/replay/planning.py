"""What of a scenario can be played on a real control plane, in real time and without load."""

from __future__ import annotations

from dataclasses import dataclass, replace

from simulator.kernel import SECOND_US, Us
from simulator.scenario import LoadedScenario
from simulator.scenario.cluster import ClusterSpec, NodesSpec
from simulator.scenario.timeline import Event

# What somebody with kubectl does, and is done when kubectl returns.
REPLAYED = (
    "apply",
    "patch",
    "delete",
    "scale",
    "rollout_restart",
    "cordon",
    "uncordon",
    "evict",
)
# Simulated time is free: all that follows from a step has come to rest after this.
REST_US: Us = 15 * 60 * SECOND_US


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """A scenario without what is left out; ``first`` comes before its manifests, then ``steps``."""

    loaded: LoadedScenario
    first: tuple[Event, ...]
    steps: tuple[Event, ...]
    left_out: tuple[str, ...]

    def at_us(self, step: int) -> Us:
        """When, in simulated time, the step with that number begins; all before it are done."""
        return REST_US * (step + 1)


def plan_replay(loaded: LoadedScenario) -> ReplayPlan:
    """Every step waits until all is at rest: what depends on when it happens is left out."""
    scenario = loaded.scenario
    left_out: list[str] = []
    first: list[Event] = []
    steps: list[Event] = []
    for event in scenario.timeline:
        acts = any(
            getattr(event, name) is not None
            for name in type(event).model_fields
            if name not in ("at", "name")
        )
        if not acts:
            continue  # a mark
        if event.action not in REPLAYED:
            left_out.append(f"timeline, {event.at / SECOND_US:g} s: {event.action}")
        elif event.at == 0 and event.action in ("cordon", "uncordon"):
            first.append(event)
        else:
            steps.append(event)
    left_out += [f"workload {name}: nobody measures load" for name in scenario.workloads]
    cluster = _fixed(scenario.cluster, left_out)
    timeline = [event.model_copy(update={"at": 0, "name": None}) for event in first]
    if scenario.cluster.autoscaling.keda:
        left_out.append("KEDA: its objects are there, its operator does not run")
        timeline.append(Event.model_validate({"at": "0s", "keda": "down"}))
    for number, event in enumerate(steps):
        at = REST_US * (number + 1)
        timeline.append(event.model_copy(update={"at": at, "name": None}))
    if scenario.operator.replicas != 1:
        left_out.append(f"operator: one of it runs, not {scenario.operator.replicas}")
    reduced = scenario.model_copy(
        update={
            "duration": REST_US * (len(steps) + 1),
            "clock": scenario.clock.model_copy(update={"warmup": 0, "drain": 0}),
            "cluster": cluster,
            "workloads": {},
            "timeline": tuple(timeline),
            "expect": (),
            "operator": scenario.operator.model_copy(update={"replicas": 1}),
        }
    )
    return ReplayPlan(
        replace(loaded, scenario=reduced), tuple(first), tuple(steps), tuple(left_out)
    )


def _fixed(cluster: ClusterSpec, left_out: list[str]) -> ClusterSpec:
    """The cluster with its nodes as they are, of which none comes or goes."""
    if cluster.nodes.provisioner != "fixed":
        left_out.append(f"{cluster.nodes.provisioner}: no node comes or goes")
    pools = {}
    for name, pool in cluster.pools.items():
        if pool.interruption is not None:
            left_out.append(f"pool {name}: its interruptions")
        fixed: dict[str, object] = {"max": None, "min": 0, "interruption": None}
        if pool.is_spot:
            fixed["lifecycle"] = "spot"
        pools[name] = pool.model_copy(update=fixed)
    if cluster.images:
        left_out.append("images: all can be pulled, become ready and do not crash")
    without = cluster.autoscaling.model_copy(update={"prometheus": None})
    return cluster.model_copy(
        update={"pools": pools, "nodes": NodesSpec(), "images": (), "autoscaling": without}
    )
