"""``prism-sim explain --scaler``: which clauses of HPA and KEDA bound, and what would alter it."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from prism_operator.api.meta import Json
from simulator.autoscaling.keda.operator import Poll
from simulator.cli import SCENARIOS, app
from simulator.controllers.podautoscaler import Sync
from simulator.explaining.printing import scaler_text
from simulator.explaining.scalers import Clause, Looked, ScalerExplanation, ScalerQuestion
from simulator.explaining.what_scales import polled_again, scaled_to
from simulator.inputs import BadInputError
from simulator.run import Simulation
from tests.simulator.test_autoscalers import KAFKA, a_scaled_object, a_simulation, a_worker


def an_hpa(percent: int = 50, most: int = 10, **behavior: Json) -> Json:
    resource = {
        "name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": percent},
    }
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "worker", "namespace": "default"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "worker"},
            "minReplicas": 1,
            "maxReplicas": most,
            "metrics": [{"type": "Resource", "resource": resource}],
            **({"behavior": behavior} if behavior else {}),
        },
    }


def ask(simulation: Simulation, at_s: float, name: str = "worker") -> ScalerExplanation:
    return ScalerQuestion(simulation).answer(name, round(at_s * 1e6))


def by_cpu(*objects: Json, cores: float = 1, timeline: tuple[Json, ...] = ()) -> Simulation:
    workload = {"cpu": {"cores": cores}}
    return a_simulation(*objects, workload=workload, timeline=timeline, keda=False)


def by_lag(scaled_object: Json, *timeline: Json) -> Simulation:
    return a_simulation(a_worker(), scaled_object, workload=KAFKA, timeline=timeline)


def changes(found: ScalerExplanation) -> dict[str, str]:
    return {change.change: change.outcome for change in found.what_if}


def look_of(found: ScalerExplanation, kind: str) -> Looked:
    return next(look for look in found.looks if look.by.startswith(kind))


def bound(look: Looked) -> dict[str, str]:
    return {clause.rule: clause.said for clause in look.clauses if clause.bound}


def first_change(percent: int = 50, **spec: Any) -> tuple[int, float]:
    """To what, and when, an HPA scales first, in a run of its own."""
    simulation = by_cpu(a_worker(2), an_hpa(percent, **spec))
    found = ask(simulation, 1)
    words = found.later.split()
    return int(words[words.index("to") + 1]), simulation.kernel.now_us / 1e6


SPIKE = {"at": "1m", "load": {"of": "jobs", "cores": 3}}
CALM = {"at": "3m", "load": {"of": "jobs", "cores": 0.2}}
ADD = {"at": "10s", "load": {"of": "jobs", "add": 400}}


# HPA


def test_a_metric_is_told_with_its_ratio_and_how_it_makes_replicas() -> None:
    found = ask(by_cpu(a_worker(2), an_hpa()), 100)
    (metric,) = look_of(found, "HorizontalPodAutoscaler").metrics

    assert (metric.metric, metric.target, metric.measured) == ("Resource cpu", "50 %", "50 %")
    assert (metric.ratio, metric.wants) == (1.0, 4)
    assert metric.why == "within the tolerance: no change"


def test_another_target_scales_to_what_a_run_of_its_own_scales_to() -> None:
    replicas, at_s = first_change(50)
    found = ask(by_cpu(a_worker(2), an_hpa(50)), at_s)
    for change, outcome in changes(found).items():
        if change.startswith("target "):
            percent = int(change.split()[1])
            assert outcome == f"scales to {first_change(percent)[0]}" != f"scales to {replicas}"
        if change.startswith("maxReplicas "):
            most = int(change.split()[1])
            assert outcome == f"scales to {first_change(50, most=most)[0]}"
    assert len(changes(found)) >= 4


def test_the_window_that_holds_replicas_is_told_with_its_end_and_so_it_comes() -> None:
    found = ask(by_cpu(a_worker(2), an_hpa(), timeline=(SPIKE, CALM)), 280)
    hpa = look_of(found, "HorizontalPodAutoscaler")
    window = bound(hpa)["scaleDown window"]
    (wait,) = [change for change in changes(found) if "at the sync of" in change]

    assert hpa.outcome == "leaves Deployment default/worker at 10"
    assert window.startswith("300 s: 12 was recommended at ")
    # When the metrics stay as they are, the run does what was told beforehand.
    sync = wait.split("at the sync of ")[1].split(",")[0]
    assert f"at {sync}, " in found.later
    assert changes(found)[wait] == f"scales to {found.later.split()[4]}"


def test_a_shorter_window_is_told_to_the_second() -> None:
    found = ask(by_cpu(a_worker(2), an_hpa(), timeline=(SPIKE, CALM)), 280)
    (change,) = [c for c in changes(found) if c.startswith("a scaleDown window of")]

    hpa = look_of(found, "HorizontalPodAutoscaler")
    told_s = int(change.split()[4])
    last_s = float(bound(hpa)["scaleDown window"].split(" at ")[1].split("m")[0]) * 60
    assert 0 < told_s <= hpa.at_s - last_s


def test_the_policy_that_limits_a_step_is_told_with_what_it_allows() -> None:
    slow = {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}
    found = ask(by_cpu(a_worker(2), an_hpa(scaleUp=slow)), 70)
    hpa = look_of(found, "HorizontalPodAutoscaler")

    assert bound(hpa)["policies"] == "scaleUp, Max of 1 pod in 60 s: up to 3"
    assert (
        changes(found)["a scaleUp policy of 2 pods in 60 s instead of 1 pod in 60 s"]
        == "scales to 4"
    )


def test_the_maximum_is_told_where_it_binds() -> None:
    found = ask(by_cpu(a_worker(2), an_hpa(most=3)), 100)
    hpa = look_of(found, "HorizontalPodAutoscaler")

    assert bound(hpa)["bounds"] == "minReplicas 1, maxReplicas 3"
    assert changes(found)["maxReplicas 4 instead of 3"] == "scales to 4"


def test_a_tolerance_that_holds_is_told_with_the_one_that_would_not() -> None:
    found = ask(by_cpu(a_worker(4), an_hpa(48)), 120)
    (metric,) = look_of(found, "HorizontalPodAutoscaler").metrics

    assert metric.why == "within the tolerance: no change"
    assert changes(found)["tolerance 0.041 instead of 0.1"] == "scales to 5"


def test_metrics_that_are_missing_are_told() -> None:
    down = ({"at": "0s", "metricsServer": "down"},)
    found = ask(by_cpu(a_worker(2), an_hpa(), timeline=down), 100)

    assert bound(look_of(found, "HorizontalPodAutoscaler")) == {"metrics": "no value of cpu"}


def test_asked_again_without_a_change_every_look_decides_what_it_decided() -> None:
    commit = {"at": "2m", "load": {"of": "jobs", "commitAll": True}}
    simulation = by_lag(a_scaled_object(), ADD, commit)
    syncs, polls = list[Sync](), list[Poll]()
    simulation.hpas.on_sync = syncs.append
    simulation.keda.on_poll = polls.append
    simulation.run_until(600)

    assert len(syncs) > 20
    assert len(polls) > 80
    for sync in syncs:
        to = sync.decision.scale_to
        assert scaled_to(sync) == (sync.scale.spec_replicas if to is None else to)
    assert {poll.wanted is None for poll in polls} == {True, False}
    assert all(polled_again(poll)[0] == poll.wanted for poll in polls)


# KEDA


def test_partitions_that_limit_the_replicas_are_told() -> None:
    found = ask(by_lag(a_scaled_object(), ADD), 100)
    hpa = look_of(found, "HorizontalPodAutoscaler")
    said = changes(found)

    assert bound(hpa)["partitions"] == (
        "s0-kafka-t: a lag of 400 counts as 40: 4 partitions × lagThreshold 10"
    )
    assert said["1 more partitions"] == "scales to 5"
    assert said['allowIdleConsumers: "true"'] == "scales to 8"
    assert "target" not in "".join(c for c in said if said[c] == "scales to 8")


def test_the_cooldown_is_told_with_its_end_and_so_it_comes() -> None:
    commit = {"at": "60s", "load": {"of": "jobs", "commitAll": True}}
    found = ask(by_lag(a_scaled_object(), ADD, commit), 75)
    keda = look_of(found, "ScaledObject")
    (wait,) = [change for change in changes(found) if "at the poll of" in change]

    assert bound(keda)["cooldown"].startswith("30 s since it was last active at 5")
    assert changes(found)[wait] == "scales to 0"
    assert f"it is scaled to 0 at {wait.split('at the poll of ')[1].split(',')[0]}" in found.later


def test_what_activates_from_zero_is_told() -> None:
    found = ask(by_lag(a_scaled_object()), 100)
    keda = look_of(found, "ScaledObject")

    assert found.replicas == 0
    assert Clause("activation", True, "s0-kafka-t: 0, active above 0: not active") in keda.clauses
    assert changes(found)["an active trigger"] == "scales to 1"
    assert changes(found)["minReplicaCount 1 instead of 0"] == "scales to 1"


def test_a_pause_is_told_with_the_annotation_that_asks_for_it() -> None:
    paused = a_scaled_object()
    paused["metadata"]["annotations"] = {"autoscaling.keda.sh/paused-scale-in": "true"}
    found = ask(by_lag(paused), 100)
    change = "without the annotation autoscaling.keda.sh/paused-scale-in"

    assert found.replicas == 1
    assert changes(found)[change] == "scales to 0"


# Asking


def test_a_scaler_is_found_under_its_own_name_and_that_of_its_hpa() -> None:
    scaled_object = ask(by_lag(a_scaled_object(), ADD), 100, "ScaledObject/worker")
    hpa = ask(by_lag(a_scaled_object(), ADD), 100, "default/keda-hpa-worker")

    assert scaled_object.looks == hpa.looks
    assert (scaled_object.scaler, hpa.scaler) == (
        "ScaledObject default/worker",
        "HorizontalPodAutoscaler default/keda-hpa-worker",
    )


def test_people_and_tools_are_told_the_same() -> None:
    file = str(SCENARIOS / "keda-kafka-timeline.yaml")
    text, answer = (
        CliRunner().invoke(app, ["explain", file, "--scaler", "worker", "--at", "30", *more])
        for more in ([], ["--json"])
    )
    found = json.loads(answer.stdout)

    assert (text.exit_code, answer.exit_code) == (0, 0)
    assert found["looks"]
    for look in found["looks"]:
        assert look["outcome"] in text.stdout
        assert all(clause["said"] in text.stdout for clause in look["clauses"])
    assert all(change["change"] in text.stdout for change in found["what_if"])


def test_a_scaler_that_is_not_there_says_which_are() -> None:
    with pytest.raises(BadInputError) as refused:
        ask(by_lag(a_scaled_object()), 100, "worke")

    kinds = "HorizontalPodAutoscaler or ScaledObject"
    assert f'there is no {kinds} "worke" in the run; did you mean default/' in str(refused.value)


def test_a_scaler_that_has_not_looked_yet_says_so() -> None:
    assert "Nothing has looked yet" in scaler_text(ask(by_cpu(a_worker(), an_hpa()), 2))
