"""Fleets: groups of pods in columns decide as single pods and objects do."""

from __future__ import annotations

import io
import random
from dataclasses import replace
from typing import Any

import pytest

from simulator.autoscaling.behavior import Behavior, History, Limits, Policy, Rules, normalize
from simulator.autoscaling.replicas import (
    NoProposalError,
    PodFacts,
    Readings,
    Sample,
    Situation,
    Target,
    Tolerances,
    propose,
)
from simulator.fleet import (
    FleetResult,
    FleetSimulation,
    FleetSpec,
    Group,
    NodeLoss,
    Policies,
    fleet_of,
    kernel,
)
from simulator.inputs import BadInputError
from simulator.kernel import HOUR_US, SECOND_US
from simulator.run import Simulation
from tests.simulator.builders import a_scenario, a_stack

NODE: dict[str, Any] = {
    "metadata": {"name": "", "labels": {"topology.kubernetes.io/zone": "a"}},
    "spec": {},
    "status": {"allocatable": {"cpu": "4", "memory": "16Gi", "pods": "20"}},
}
TOLERANCES = Tolerances(0.1, 0.1)


def a_node(name: str) -> dict[str, Any]:
    labels = {**NODE["metadata"]["labels"], "kubernetes.io/hostname": name}
    return {**NODE, "metadata": {"name": name, "labels": labels}}


def a_group(name: str, **more: Any) -> Group:
    requests = {"cpu": "100m", "memory": "64Mi"}
    template = {
        "metadata": {"name": name, "namespace": "default", "labels": {"app": name}},
        "spec": {"containers": [{"name": "c", "image": "i", "resources": {"requests": requests}}]},
    }
    return Group(**{"name": name, "template": template, "replicas": 4, "most": 12, **more})


def a_fleet(*groups: Group, nodes: int = 5, hours: int = 1, **more: Any) -> FleetSpec:
    names = [f"node-{i}" for i in range(nodes)]
    return FleetSpec(
        [a_node(name) for name in names],
        groups,
        hours * HOUR_US,
        price_per_h=dict.fromkeys(names, 0.5),
        **more,
    )


def run(spec: FleetSpec) -> tuple[FleetResult, list[list[str]]]:
    """A run in plain Python, and the lines of its log."""
    log = io.BytesIO()
    result = FleetSimulation(spec, log=log, compiled=False).run()
    lines = log.getvalue().decode().replace('"', "").splitlines()
    return result, [line.split(",") for line in lines[1:]]


BUSY = a_group("web", scaler="cpu", least=2, target=60, load=(200, 700, 300))
LATE = a_group(
    "queue", scaler="lag", least=0, target=1000, load=(100, 900, 0, 0), partitions=10, rate=100.0
)


def test_a_fleet_tells_the_same_story_for_the_same_seed_and_another_for_another() -> None:
    spec = a_fleet(BUSY, LATE, hours=2, churn=0.5)
    (first, _), (again, _), (other, _) = run(spec), run(spec), run(replace(spec, seed=1))
    assert first == again
    assert first.log_hash != other.log_hash


def test_every_line_of_the_log_has_a_time_and_no_pod_is_ready_before_it_is_bound() -> None:
    _, lines = run(a_fleet(BUSY, LATE, churn=1.0))
    bound: dict[str, str] = {}
    for time_us, what, _, pod, node, _ in lines:
        if what == "bound":
            bound[pod] = node
        if what == "ready":
            assert bound[pod] == node, time_us
            assert node.startswith("node-")
    assert {what for _, what, *_ in lines} >= {"bound", "ready", "deleted", "gone", "scaled"}


def test_a_lost_node_is_paid_until_it_goes_and_its_pods_run_elsewhere() -> None:
    loss = NodeLoss(600 * SECOND_US, "node-0", 120 * SECOND_US, 60 * SECOND_US)
    result, lines = run(a_fleet(a_group("fixed", replicas=20), losses=(loss,)))
    # Its successor is paid for from when it is launched, as the old one goes.
    assert result.cost == pytest.approx(5 * 0.5)
    assert result.waiting == 0
    removed = next(int(time) for time, what, *_ in lines if what == "removed")
    assert removed == 720 * SECOND_US
    assert not [line for line in lines if line[1] == "gone" and line[5] == "1"]  # all were drained


def test_pods_that_fit_nowhere_wait_until_a_node_comes_back() -> None:
    # 20 pods a node: without its second node, the fleet lacks room for half of them.
    loss = NodeLoss(600 * SECOND_US, "node-1", 120 * SECOND_US, 300 * SECOND_US)
    spec = a_fleet(a_group("full", replicas=40), nodes=2, losses=(loss,))
    short, _ = run(replace(spec, duration_us=900 * SECOND_US))
    whole, _ = run(spec)
    assert short.waiting > 0
    assert whole.waiting == 0


def test_consumers_go_to_zero_after_the_cooldown_when_nothing_comes() -> None:
    _, lines = run(a_fleet(LATE, hours=4))
    scaled = [(int(time), int(value)) for time, what, *_, value in lines if what == "scaled"]
    assert max(value for _, value in scaled) > 4
    assert scaled[-1][1] == 0
    # The last messages come just before the second hour; a poll is at most 30 s late.
    assert scaled[-1][0] > 2 * HOUR_US - 60 * SECOND_US + 300 * SECOND_US


# What HPA and KEDA decide


def test_utilization_asks_for_as_many_replicas_as_single_pods_would() -> None:
    draw = random.Random(1)
    for _ in range(3000):
        settled, missing, pending = draw.randrange(12), draw.randrange(4), draw.randrange(4)
        usage, request, target = draw.randrange(1, 400), 100, draw.choice((50, 60, 80))
        replicas = max(1, settled + missing + pending + draw.randrange(-1, 2))
        pods = [
            *(_pod(f"settled-{i}") for i in range(settled)),
            *(_pod(f"missing-{i}") for i in range(missing)),
            *(_pod(f"pending-{i}", "Pending") for i in range(pending)),
        ]
        samples = {f"settled-{i}": Sample(usage, 0, 0) for i in range(settled)}
        try:
            asked = propose(
                Target("Resource", "cpu", "Utilization", target),
                _situation(replicas, pods, Readings(pods={"cpu": samples})),
                TOLERANCES,
            ).replicas
        except NoProposalError:
            asked = -1
        mine = kernel.by_cpu(usage, settled, missing, pending, request, target, replicas)
        assert mine == asked, (usage, settled, missing, pending, target, replicas)


def test_lag_asks_for_as_many_replicas_as_an_external_metric_would() -> None:
    draw = random.Random(2)
    target = Target("External", "lag", "AverageValue", 1000 * 1000)
    for _ in range(2000):
        replicas, lag = draw.randrange(0, 20), draw.randrange(0, 30_000)
        readings = Readings(external={"lag": (lag * 1000,)})
        asked = propose(target, _situation(replicas, [], readings), TOLERANCES).replicas
        assert kernel.by_lag(lag, 1000, replicas) == asked, (lag, replicas)


@pytest.mark.parametrize("policies", [None, Policies(100, 15 * SECOND_US, 50, 60 * SECOND_US)])
def test_windows_and_policies_hold_a_group_back_as_they_hold_an_hpa(
    policies: Policies | None,
) -> None:
    behavior = (
        None
        if policies is None
        else Behavior(
            up=Rules("Max", (Policy("Percent", 100, 15),), 0),
            down=Rules("Max", (Policy("Percent", 50, 60),), 300),
        )
    )
    draw, load = random.Random(3), tuple(float(i) for i in range(3))
    for _ in range(30):
        group = a_group("g", scaler="cpu", load=load, behavior=policies, least=2, most=30)
        fleet = FleetSimulation(a_fleet(group), compiled=False).arrays
        row, history, current = fleet.groups[0], History(), draw.randrange(2, 30)
        history.begin(current, 0)
        kernel.stabilized(fleet, 0, current, 0)
        for look in range(1, 120):
            now_us = look * 15 * SECOND_US
            wanted = max(0, current + draw.choice((0, 0, 0, -8, -3, 1, 5, 20)))
            asked = normalize(
                history, wanted, Limits(current, 2, 30), behavior=behavior,
                downscale_stabilization_s=300, now_us=now_us,
            ).replicas  # fmt: skip
            assert kernel.held_back(fleet, 0, wanted, current, now_us) == asked
            if asked != current:
                history.remember_rescale(behavior, current, asked, now_us)
                kernel.remember_rescale(fleet, 0, asked - current, now_us)
            current = asked
        assert row[kernel.LEAST] == 2


def _pod(name: str, phase: str = "Running") -> PodFacts:
    return PodFacts(name, phase, 0, "True", 0, False, {"c": {"cpu": 100}})


def _situation(replicas: int, pods: list[PodFacts], readings: Readings) -> Situation:
    return Situation(replicas, replicas, tuple(pods), readings, HOUR_US, 0, 0)


# Scenarios as fleets


def a_day(**more: Any) -> Any:
    cpu = {"enabled": True, "scaler": "hpa", "minReplicas": 2, "maxReplicas": 20}
    lag = {"enabled": True, "scaler": "keda", "minReplicas": 1, "maxReplicas": 12}
    metadata = {"bootstrapServers": "kafka:9092", "consumerGroup": "q", "topic": "q"}
    trigger = {"type": "kafka", "metadata": {**metadata, "lagThreshold": "2000"}}
    return a_scenario(
        _pattern("web", {**cpu, "targetCPUUtilizationPercentage": 60}),
        _pattern("q", {**lag, "triggers": [trigger]}),
        nodes=4,
        duration="1h30m",
        cluster={"pools": {"base": {"count": 4, "price": 0.2}}, "autoscaling": {"keda": True}},
        workloads={
            "web": {
                "target": "PrismPattern/web",
                "cpu": {"cores": {"ramp": {"start": "10m", "end": "1h", "from": 0.6, "to": 2.4}}},
            },
            "q": {
                "target": "PrismPattern/q",
                "kafka": {"topic": "q", "group": "q", "partitions": 12},
                "produce": {"constant": 700},
                "consumer": {"rate": 200},
            },
        },
        **more,
    )


def _pattern(name: str, autoscaling: dict[str, Any]) -> dict[str, Any]:
    resources = {"requests": {"cpu": "250m", "memory": "64Mi"}}
    spec = {"pattern": "consumer", "backend": "memstore", "resources": resources}
    return {
        "apiVersion": "prism.io/v1alpha1",
        "kind": "PrismPattern",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {**spec, "autoscaling": autoscaling},
    }


def test_a_scenario_played_as_a_fleet_comes_to_what_it_comes_to_object_by_object() -> None:
    loaded = a_day()
    simulation = Simulation(loaded)
    simulation.run()
    fleet, lines = run(fleet_of(loaded))
    begin_us, end_us = 300 * SECOND_US, 5400 * SECOND_US

    web = simulation.recorder.get("web.replicas")
    assert web is not None
    course = [(int(at), int(value)) for at, what, g, _, _, value in lines
              if what == "scaled" and g == "Deployment default/web"]  # fmt: skip
    differing = 0
    for at_us in range(begin_us, end_us, 15 * SECOND_US):
        mine = [2, *(value for when, value in course if when <= at_us)][-1]
        differing += mine != web.at(at_us)
    # Both look every 15 s, but not at the same moments: a change may come one look apart.
    assert differing <= len(course)

    consumers = simulation.recorder.get("q.replicas")
    assert consumers is not None
    mean = consumers.mean(0, end_us)
    assert fleet.groups["Deployment default/q"].replicas == pytest.approx(mean, rel=0.2)
    assert fleet.cost == pytest.approx(4 * 0.2 * 1.5)


def test_a_scenario_says_all_that_a_fleet_cannot_play() -> None:
    loaded = a_scenario(
        a_stack(),
        timeline=({"at": "1m", "nodeLoss": {"zone": "a"}},),
        cluster={
            "pools": {"base": {"count": 3, "boot": {"min": "10s", "max": "90s"},
                               "interruption": {"hazard": "1/h", "drought": "5m"}}},
            "images": [{"match": "*", "pulls": False}],
        },
    )  # fmt: skip
    with pytest.raises(BadInputError) as refused:
        fleet_of(loaded)
    told = str(refused.value)
    for reason in ("timeline", "images", "droughts", "boot", "prism-sim run plays"):
        assert reason in told
