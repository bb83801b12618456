"""Decisions of a real run that differ are found, and told apart from what was only drawn.

``e2e/test_replay.py`` does it on a real control plane; here a simulation stands for it.
"""

import copy
from pathlib import Path

from prism_operator.api.meta import POD, Json, ref_of
from simulator.controllers.objects import node_of
from simulator.controllers.world import Change
from simulator.replay.command import Replayed, told
from simulator.replay.comparing import compare, compare_placements
from simulator.replay.decisions import READ
from simulator.replay.placements import WATCHED, Happened, judge_placements
from simulator.replay.planning import plan_replay
from simulator.run import Simulation
from simulator.scenario import LoadedScenario, load
from tests.simulator.builders import a_scenario, a_stack

SCENARIOS = Path(__file__).parents[2] / "scenarios"


def played(loaded: LoadedScenario, seconds: float = 120) -> tuple[list[Happened], list[Json]]:
    """What happened in a simulation, as the watches of a server tell it, and what is there."""
    simulation = Simulation(loaded)
    there = [obj for r in WATCHED for obj in simulation.cache.list(r)]
    log = [Happened(i, ref_of(obj), obj) for i, obj in enumerate(there)]

    def note(change: Change) -> None:
        if change.ref.resource in WATCHED:
            log.append(Happened(len(log), change.ref, change.new))

    simulation.cache.on_change(note)
    simulation.run_until(seconds)
    return log, [obj for r in READ for obj in simulation.cache.list(r)]


def moved(log: list[Happened], pod: str, node: str) -> list[Happened]:
    """The same, but the scheduler had put a pod elsewhere."""

    def elsewhere(obj: Json | None) -> Json | None:
        if obj is None or not obj["metadata"]["name"].startswith(pod) or not node_of(obj):
            return obj
        return {**obj, "spec": {**obj["spec"], "nodeName": node}}

    return [
        Happened(h.version, h.ref, elsewhere(h.new)) if h.ref.resource == POD else h for h in log
    ]


def pods_of(objects: list[Json], prefix: str) -> list[Json]:
    return [o for o in objects if o["kind"] == "Pod" and o["metadata"]["name"].startswith(prefix)]


def test_what_the_simulated_scheduler_does_is_among_what_it_holds_best() -> None:
    log, objects = played(load(SCENARIOS / "zone-spread.yaml"))

    placements = judge_placements(log)

    assert len(placements) == len([o for o in objects if o["kind"] == "Pod"]) > 5
    assert [p for p in placements if p.problem] == []
    assert any(p.is_drawn for p in placements)


def test_bindings_that_come_in_another_order_are_understood() -> None:
    log, _ = played(load(SCENARIOS / "zone-spread.yaml"))
    bound = [i for i, h in enumerate(log) if h.ref.resource == POD and h.new and node_of(h.new)]
    first, last = bound[0], next(i for i in bound if log[i].ref != log[bound[0]].ref)
    swapped = list(log)
    swapped[first] = Happened(first, log[last].ref, log[last].new)
    swapped[last] = Happened(last, log[first].ref, log[first].new)

    assert [p for p in judge_placements(swapped) if p.problem] == []


def test_a_node_that_was_as_good_is_explained() -> None:
    log, objects = played(a_scenario(a_stack(), nodes=9))
    last = judge_placements(log)[-1]
    other = next(node for node in last.best if node != last.node)
    name = last.pod.partition("/")[2]

    placements = judge_placements(moved(log, name, other))
    real = copy.deepcopy(objects)
    pods_of(real, name)[0]["spec"]["nodeName"] = other
    (difference,) = compare_placements(placements, objects, real).differences

    assert placements[-1].node == other
    assert difference.subject == last.workload
    assert difference.explanation.startswith("each node was among the best")


def test_a_node_without_what_the_pod_asks_for_is_not_explained() -> None:
    log, objects = played(load(SCENARIOS / "dedicated-nodes.yaml"))
    proxy = next(p for p in judge_placements(log) if "proxy" in p.pod)
    wrong = next(
        o["metadata"]["name"]
        for o in objects
        if o["kind"] == "Node" and o["metadata"]["name"] not in proxy.best
    )

    placements = judge_placements(moved(log, proxy.pod.partition("/")[2], wrong))
    compared = compare_placements(placements, objects, objects)

    (difference, *_) = compared.differences
    assert difference.what == f"node of {proxy.pod}"
    assert difference.real == wrong
    assert difference.explanation == ""


def test_a_pod_that_waits_although_there_is_room_is_not_explained() -> None:
    log, objects = played(a_scenario(a_stack()))
    name = pods_of(objects, "orders")[0]["metadata"]["name"]
    never = [h for h in log if h.ref.name != name or (h.new is not None and not node_of(h.new))]

    (waits,) = [p for p in judge_placements(never) if p.problem]

    assert waits.pod == f"default/{name}"
    assert "it waits, and could go to" in waits.problem


def test_other_replicas_and_missing_objects_are_found() -> None:
    _, objects = played(a_scenario(a_stack()))
    real = copy.deepcopy(objects)
    (deployment,) = [
        o for o in real if o["kind"] == "Deployment" and o["metadata"]["name"] == "orders"
    ]
    deployment["spec"]["replicas"] = 7
    real = [o for o in real if o["kind"] != "Service"]

    compared = compare("after the manifests", objects, real)

    found = {(d.subject, d.what): (d.simulated, d.real) for d in compared.differences}
    assert found["Deployment default/orders", "replicas"] == ("2", "7")
    assert found["Service default/shop-proxy", "made by the operator"] == ("yes", "–")
    assert compared.decisions > len(found)


def test_the_same_is_no_difference() -> None:
    _, objects = played(a_scenario(a_stack()))

    compared = compare("after the manifests", objects, objects)

    assert compared.differences == ()
    assert told(Replayed((compared,), ())).endswith("0 differ, 0 of them unexplained\n")


def test_what_cannot_be_replayed_is_said() -> None:
    plan = plan_replay(load(SCENARIOS / "spot-storm.yaml"))

    told = "\n".join(plan.left_out)
    assert "workload" in told
    assert "KEDA" in told
    assert plan.loaded.scenario.workloads == {}
    Simulation(plan.loaded)


def test_every_scenario_can_be_planned_and_its_steps_come_one_after_another() -> None:
    for path in sorted(SCENARIOS.glob("*.yaml")):
        plan = plan_replay(load(path))

        times = [event.at for event in plan.loaded.scenario.timeline if event.at > 0]
        assert times == [plan.at_us(i) for i in range(len(plan.steps))]
