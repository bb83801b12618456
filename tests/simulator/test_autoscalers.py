"""HPA and KEDA at work in scenarios."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from prism_operator.api.meta import DEPLOYMENT, HORIZONTAL_POD_AUTOSCALER, Json, Ref
from simulator.cli import SCENARIOS, app
from simulator.inputs import BadInputError
from simulator.run import Simulation
from simulator.scenario import load
from tests.simulator.builders import a_scenario

WORKER = Ref(DEPLOYMENT, "default", "worker")


def a_worker(replicas: int = 1) -> Json:
    labels = {"app": "worker"}
    resources = {"requests": {"cpu": "500m"}, "limits": {"cpu": "1"}}
    container = {"name": "worker", "image": "worker:1", "resources": resources}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "worker", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def a_scaled_object(type_: str = "kafka", **spec: object) -> Json:
    metadata = {
        "kafka": {"consumerGroup": "g", "topic": "t", "lagThreshold": "10"},
        "redis": {"listName": "list", "listLength": "5"},
    }[type_]
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "worker", "namespace": "default"},
        "spec": {
            "scaleTargetRef": {"name": "worker"},
            "pollingInterval": 5,
            "cooldownPeriod": 30,
            "maxReplicaCount": 8,
            "triggers": [{"type": type_, "metadata": metadata}],
            **spec,
        },
    }


def a_simulation(
    *objects: Json, workload: Json, timeline: tuple[Json, ...] = (), keda: bool = True
) -> Simulation:
    loaded = a_scenario(
        *objects,
        timeline=timeline,
        cluster={"autoscaling": {"keda": keda}},
        operator={"replicas": 0},
        workloads={"jobs": {"target": "Deployment/worker", **workload}},
    )
    return Simulation(loaded)


KAFKA: Json = {"kafka": {"topic": "t", "group": "g", "partitions": 4}}
REDIS: Json = {
    "queue": {"type": "redis", "name": "list"},
    "consumer": {"rate": 1},
}


def replicas(simulation: Simulation) -> int:
    deployment = simulation.cache.get(WORKER)
    assert deployment is not None
    return int(deployment["spec"]["replicas"])


def test_keda_and_its_hpa_act_when_they_did_on_a_real_cluster() -> None:
    """Replicas and the seconds at which a real KEDA and HPA wrote them, with phases of their own.

    The two look every 2 s each, so a time may differ by one look of both.
    """
    measured = [(1.1, 0), (21.2, 1), (21.7, 4), (35.9, 5), (37.9, 6), (56.2, 1), (59.0, 0)]
    simulation = Simulation(load(SCENARIOS / "keda-kafka-timeline.yaml"))
    assert simulation.run().passed

    series = simulation.recorder.series("jobs.replicas")
    ours = [(t / 1e6, int(v)) for t, v in zip(series.times_us, series.values, strict=True)][1:]
    assert [count for _, count in ours] == [count for _, count in measured]
    for (at_s, _), (measured_s, _) in zip(ours, measured, strict=True):
        assert at_s == pytest.approx(measured_s, abs=4)


def test_a_broker_that_is_down_holds_the_replicas_past_the_cooldown() -> None:
    simulation = a_simulation(
        a_worker(),
        a_scaled_object(),
        workload=KAFKA,
        timeline=(
            {"at": "10s", "load": {"of": "jobs", "add": 40}},
            {"at": "60s", "load": {"of": "jobs", "broker": "down"}},
            {"at": "5m", "load": {"of": "jobs", "broker": "up"}},
            {"at": "5m", "load": {"of": "jobs", "commitAll": True}},
        ),
    )
    simulation.run_until(59)
    before = replicas(simulation)
    simulation.run_until(299)
    assert replicas(simulation) == before == 4

    hpa = simulation.cache.list(HORIZONTAL_POD_AUTOSCALER)[0]
    conditions = {c["type"]: c["reason"] for c in hpa["status"]["conditions"]}
    assert conditions["ScalingActive"] == "FailedGetExternalMetric"
    simulation.run_until(600)
    assert replicas(simulation) == 0


def test_while_keda_is_down_nothing_comes_up_from_zero() -> None:
    simulation = a_simulation(
        a_worker(0),
        a_scaled_object(),
        workload=KAFKA,
        timeline=(
            {"at": "10s", "keda": "down"},
            {"at": "20s", "load": {"of": "jobs", "add": 40}},
            {"at": "5m", "keda": "up"},
        ),
    )
    simulation.run_until(299)
    assert replicas(simulation) == 0

    simulation.run_until(400)
    assert replicas(simulation) == 4


def test_a_queue_that_is_worked_off_ends_at_zero_replicas() -> None:
    simulation = a_simulation(
        a_worker(0),
        a_scaled_object("redis"),
        workload=REDIS,
        timeline=({"at": "10s", "load": {"of": "jobs", "add": 100}},),
    )
    simulation.run_until(60)
    assert replicas(simulation) > 1

    simulation.run_until(600)
    assert replicas(simulation) == 0
    lag, processed = (simulation.recorder.series(f"jobs.{n}") for n in ("lag", "processed"))
    assert (lag.last, processed.last) == (0, 100)


def test_the_hpa_goes_with_its_scaled_object() -> None:
    simulation = a_simulation(
        a_worker(),
        a_scaled_object(),
        workload=KAFKA,
        timeline=({"at": "30s", "delete": "ScaledObject/worker"},),
    )
    simulation.run_until(29)
    assert len(simulation.cache.list(HORIZONTAL_POD_AUTOSCALER)) == 1

    simulation.run_until(60)
    assert not simulation.cache.list(HORIZONTAL_POD_AUTOSCALER)


def test_pods_work_at_their_rate_and_one_for_each_partition() -> None:
    work = {**KAFKA, "produce": 100, "consumer": {"rate": 10}}
    simulation = a_simulation(a_worker(6), workload=work, keda=False)
    simulation.run_until(60)
    processed = simulation.recorder.series("jobs.processed")
    begun = processed.last
    simulation.run_until(160)

    assert processed.last - begun == pytest.approx(100 * 4 * 10, abs=40)


def test_a_trigger_without_a_model_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "manifests").mkdir()
    worker = (SCENARIOS / "manifests" / "keda-worker.yaml").read_text()
    (tmp_path / "manifests" / "keda-worker.yaml").write_text(worker.replace("kafka", "mysql"))
    (tmp_path / "s.yaml").write_text((SCENARIOS / "keda-kafka-timeline.yaml").read_text())

    with pytest.raises(BadInputError) as raised:
        load(tmp_path / "s.yaml")
    assert 'keda-worker.yaml:26:7: trigger type "mysql" is not modelled' in str(raised.value)


def test_cpu_is_known_only_after_two_looks_of_metrics_server() -> None:
    hpa = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "worker", "namespace": "default"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "worker"},
            "minReplicas": 1,
            "maxReplicas": 9,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {"type": "Utilization", "averageUtilization": 50},
                    },
                }
            ],
        },
    }
    simulation = a_simulation(a_worker(2), hpa, workload={"cpu": {"cores": 1}}, keda=False)
    simulation.run_until(16)
    assert replicas(simulation) == 2

    simulation.run_until(120)  # one core over requests of half a core each, at 50 %: four
    assert replicas(simulation) == 4


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"load": {"of": "other", "add": 1}}, '"other" is not a workload (there are: jobs)'),
        ({"load": {"of": "jobs", "cores": 1}}, 'load: this is for cpu, "jobs" is messages'),
        ({"load": {"of": "jobs"}}, "expected exactly one of produce, add"),
    ],
)
def test_a_load_that_cannot_be_is_refused(tmp_path: Path, change: Json, complaint: str) -> None:
    text = (SCENARIOS / "keda-kafka-timeline.yaml").read_text()
    head, _, tail = text.partition("timeline:\n")
    tail = tail[tail.index("expect:") :]
    path = tmp_path / "scenario.yaml"
    path.write_text(f"{head}timeline:\n  - { ({'at': '1s', **change}) }\n{tail}")

    result = CliRunner().invoke(app, ["run", str(path)])
    assert result.exit_code == 2
    assert complaint in result.stderr


def test_every_scenario_gives_the_same_bytes_under_any_hash_seed() -> None:
    program = "from simulator.cli import app; app(['run'])"
    seeds = ("1", "4711", *(("42",) if os.environ.get("PRISM_DEEP") else ()))
    runs = [
        subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in seeds
    ]
    one, *others = (
        [line.split()[0::7] for line in run.communicate()[0].splitlines()] for run in runs
    )

    assert not any(run.returncode for run in runs)
    assert len(one) > len(list(SCENARIOS.glob("*.yaml")))
    assert all(other == one for other in others)
