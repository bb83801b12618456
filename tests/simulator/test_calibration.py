"""Fitted values are near the truth, are tested on what they were not fitted to, and say so."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
import yaml
from typer.testing import CliRunner, Result

from prism_operator.api.durations import parse_duration_s
from prism_operator.api.meta import Json
from simulator.calibration.durations import Sample, fit_duration
from simulator.calibration.loads import fit_load
from simulator.calibration.objects import durations, read_objects
from simulator.calibration.prometheus import Prometheus, Series
from simulator.calibration.speeds import fit_speeds
from simulator.cli import app
from simulator.experiments.cases import Case, Change
from simulator.experiments.ledger import Ledger
from simulator.experiments.runs import Variant, jobs_of, local, run_all
from simulator.inputs import BadInputError, load_documents
from simulator.scenario import load
from simulator.scenario.files import self_contained
from simulator.scenario.rates import RateSpec, Surroundings
from simulator.workloads.rates import Rate
from tests.simulator.test_comparing import a_file

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = timedelta(days=1)


def test_a_log_normal_duration_is_found_from_stamps_of_whole_seconds() -> None:
    parameter = fit_duration(stamped(400, p50_s=8, p99_s=40), "pods")

    p50, p99 = (parse_duration_s(parameter.value[name]) for name in ("p50", "p99"))
    assert p50 == pytest.approx(8, rel=0.1)
    assert p99 == pytest.approx(40, rel=0.25)
    assert within(8, parameter.range["p50"])
    assert within(40, parameter.range["p99"])
    assert parameter.samples == 300


def test_a_duration_is_tested_on_the_last_quarter_alone() -> None:
    early = [Sample(i, 2.0 + i % 3) for i in range(75)]
    late = [Sample(1000 + i, 20.0) for i in range(25)]

    backtest = fit_duration([*late, *early], "pods").backtest

    assert backtest.unseen == 25
    assert backtest.error > 0.8
    assert backtest.covered == 0


def test_the_test_of_a_good_fit_covers_what_it_says() -> None:
    backtest = fit_duration(stamped(2000, p50_s=8, p99_s=40), "pods").backtest

    assert backtest.error < 0.1
    assert backtest.covered == pytest.approx(backtest.expected, abs=0.08)


def test_too_few_pods_are_not_fitted() -> None:
    with pytest.raises(ValueError, match="expected at least 20 to fit and to test, got 19"):
        fit_duration(stamped(19, p50_s=8, p99_s=40), "pods")


WEEKLY = {"weekly": {"low": 200, "high": 4000, "peak": "19:30", "weekend": 0.4}}
DIURNAL = {"diurnal": {"low": 200, "high": 4000, "peak": "19:30"}}


@pytest.mark.parametrize(
    ("truth", "days", "split"),
    [(WEEKLY, 21, 14), (DIURNAL, 5, 3), ({"constant": 300}, 0.9, 0.5)],
    ids=["weeks", "days", "hours"],
)
def test_a_course_is_found_again(truth: Json, days: float, split: float) -> None:
    fitted = fit_load(played(truth, days), MONDAY + split * DAYS, "q", noise="poisson")

    assert fitted.value.pop("noise") == "poisson"
    ((kind, found),) = fitted.value.items()
    ((_, true),) = truth.items()
    assert kind in truth
    if isinstance(true, dict):
        assert minutes(found.pop("peak")) == pytest.approx(minutes("19:30"), abs=5)
        assert found == pytest.approx({k: v for k, v in true.items() if k != "peak"}, rel=0.1)
    else:
        assert found == pytest.approx(true)
    assert fitted.backtest.error < 0.02


def test_a_load_that_doubles_in_the_last_week_shows_in_the_backtest() -> None:
    points = [(t, v * (2 if t >= unix(14) else 1)) for t, v in played(WEEKLY, 21)]

    fitted = fit_load(points, MONDAY + 14 * DAYS, "q", noise=None)

    assert fitted.value["weekly"]["high"] == pytest.approx(4000, rel=0.05)
    assert fitted.backtest.error == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("days", "split", "told"),
    [(1, 2, "points from 2026-03-04T00:00:00Z, got 0"), (2, 0, "points before .*, got 0")],
)
def test_a_load_needs_something_to_fit_and_something_to_test(
    days: float, split: float, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        fit_load(played(DIURNAL, days), MONDAY + split * DAYS, "q", noise=None)


def test_speeds_of_pods_are_bounds_that_later_pods_are_in() -> None:
    random = Random(5)
    pods = [
        Series({"pod": f"p{i}"}, tuple((i * 100.0 + k, speed) for k in range(10)))
        for i in range(80)
        for speed in [random.uniform(180, 220)]
    ]

    fitted = fit_speeds(pods, datetime.fromtimestamp(4000, UTC), "q")

    assert fitted.value == pytest.approx({"min": 182, "max": 218}, abs=4)
    assert fitted.samples == 40
    assert fitted.backtest.unseen == 40
    assert fitted.backtest.error < 0.05
    assert fitted.backtest.covered == pytest.approx(0.9, abs=0.1)


def test_pods_tell_their_steps_apart_by_their_events() -> None:
    found = durations([a_pod(0), a_pulled("pod-0", "in 1.5s (2s including waiting)")])

    assert seconds(found) == {
        "cluster.pods.pull": [1.5],
        "cluster.pods.start": [3.0],
        "cluster.pods.ready": [4.0],
    }


def test_an_image_that_was_there_took_no_time_and_is_no_pull() -> None:
    present = 'Container image "x" already present on machine'

    found = durations([a_pod(0), a_pulled("pod-0", present)])

    assert seconds(found) == {"cluster.pods.start": [5.0], "cluster.pods.ready": [4.0]}


def test_restarted_pods_and_those_without_events_tell_nothing_of_their_start() -> None:
    assert durations([a_pod(0, restarts=1)]) == {}
    assert seconds(durations([a_pod(0)])) == {"cluster.pods.ready": [4.0]}


def test_an_object_in_two_files_counts_once() -> None:
    assert seconds(durations([a_pod(0), a_pod(0)])) == {"cluster.pods.ready": [4.0]}


def test_node_claims_tell_of_booting_by_pool() -> None:
    assert seconds(durations([a_claim(0, "base")])) == {"cluster.pools.base.boot": [42.0]}


@pytest.mark.parametrize("kind", ["json", "yaml"])
def test_what_kubectl_printed_is_read(tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"pods.{kind}"
    value = {"apiVersion": "v1", "kind": "List", "items": [a_pod(0), a_pod(1)]}
    file.write_text(json.dumps(value) if kind == "json" else yaml.safe_dump(value))

    assert len(read_objects(file)) == 2


def test_a_file_of_other_things_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "services.json"
    file.write_text('{"kind": "List", "items": [{"kind": "Service"}]}')

    with pytest.raises(BadInputError, match=r"expected Event or .* got Service"):
        read_objects(file)


def test_a_calibration_goes_into_runs_and_verdicts(tmp_path: Path) -> None:
    scenario, objects = a_file(tmp_path), tmp_path / "pods.json"
    objects.write_text(json.dumps({"kind": "List", "items": [a_pod(i) for i in range(40)]}))
    before = load(scenario).scenario.cluster.pods.ready

    made = invoke("calibrate", scenario, "--objects", objects, "--out", tmp_path / "fitted.yaml")

    assert made.exit_code == 0, made.stderr
    assert "| cluster.pods.ready | {p50: 4s, p99: 4s} | 30 | 10 | 0.0% |" in made.stdout
    assert "cluster.pods.start: needs pods with their Pulled Events" in made.stdout
    assert load(scenario).scenario.cluster.pods.ready == before
    scenario.write_text(scenario.read_text() + "\ncalibration: fitted.yaml\n")
    after = load(scenario).scenario.cluster.pods.ready
    assert (after.p50_us, after.p99_us) == (4_000_000, 4_000_000)
    compared = invoke("compare", scenario, "--workers", "1", "--seeds", "2")
    assert (
        "CALIBRATED, by what was not fitted to: cluster.pods.ready 0 % off; all else is assumed\n"
        in compared.stdout
    )


def test_a_search_changes_fitted_loads_too(tmp_path: Path) -> None:
    scenario = a_traced_file(tmp_path, rate=1)
    test = {"unseen": 3, "error": 0.1}
    fitted = {"value": {"constant": 7}, "source": "s", "samples": 9, "backtest": test}
    calibration = {"parameters": {"workloads.w.cpu.cores": fitted}}
    (tmp_path / "fitted.yaml").write_text(yaml.safe_dump(calibration))
    scenario.write_text(scenario.read_text() + "\ncalibration: fitted.yaml\n")
    (document,) = load_documents(scenario)
    path = ("workloads", "w", "cpu", "cores")

    start = Case(self_contained(document, scenario), scenario, seed=1)
    tried = replace(start, changes=(Change(path, factor=2.0),)).loaded().scenario

    assert start.value()["workloads"]["w"]["cpu"]["cores"] == {"constant": 7}
    assert "calibration" not in start.value()
    cpu = tried.workloads["w"].cpu
    assert cpu is not None
    assert (cpu.cores.constant, cpu.cores.times) == (7, 2)


def test_a_node_pool_that_the_scenario_lacks_is_told(tmp_path: Path) -> None:
    objects = tmp_path / "claims.json"
    items = [a_claim(i, pool) for pool in ("base", "gpu") for i in range(40)]
    objects.write_text(json.dumps({"kind": "List", "items": items}))

    made = invoke(
        "calibrate", a_file(tmp_path), "--objects", objects, "--out", tmp_path / "out.yaml"
    )

    assert "| cluster.pools.base.boot | {p50: 42s, p99: 42s} |" in made.stdout
    assert "cluster.pools.gpu.boot: not fitted: the scenario has no pool of that name" in (
        made.stdout
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("parameters: {}", "fitted.yaml:1:1: parameters: "),
        ("parameters: {cluster.pods.ready: {value: 3s}}", "fitted.yaml:1:14: "),
        ("parameters: {workloads.gone.produce: PARAMETER}", "has no workloads.gone (there are: "),
        ("parameters: {cluster.pods.ready: BAD}", "cluster.pods.ready"),
    ],
)
def test_a_calibration_that_does_not_fit_the_scenario_is_refused(
    tmp_path: Path, content: str, told: str
) -> None:
    parameter = "{value: 3, source: s, samples: 9, backtest: {unseen: 3, error: 0.1}}"
    bad = parameter.replace("value: 3", "value: soon")
    scenario, fitted = a_file(tmp_path), tmp_path / "fitted.yaml"
    scenario.write_text(scenario.read_text() + "\ncalibration: fitted.yaml\n")
    with pytest.raises(BadInputError, match=r'calibration "fitted.yaml" does not exist'):
        load(scenario)
    fitted.write_text(content.replace("PARAMETER", parameter).replace("BAD", bad))

    with pytest.raises(BadInputError) as refused:
        load(scenario)

    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "nothing to fit to: name --objects, --load or --rate"),
        (["--load", "gone=up"], '--load: "gone" is no workload (there are: none)'),
    ],
)
def test_what_cannot_be_calibrated_is_told(tmp_path: Path, options: list[str], told: str) -> None:
    refused = invoke("calibrate", a_file(tmp_path), "--out", tmp_path / "f.yaml", *options)

    assert refused.exit_code == 2
    assert told in refused.stderr


def test_a_prometheus_that_is_not_there_is_told_without_its_password() -> None:
    with pytest.raises(BadInputError) as refused:
        Prometheus("http://me:hunter2@127.0.0.1:1").one("up", MONDAY, MONDAY + DAYS, 60)

    assert str(refused.value) == "http://127.0.0.1:1: is not reached: ConnectionError"


def test_a_sweep_does_a_run_again_whose_trace_is_another(tmp_path: Path) -> None:
    scenario = a_traced_file(tmp_path, rate=1)
    jobs = jobs_of(scenario, [Variant("x")], [1], ["writes"])
    (run,) = run_all(jobs, local(1))
    Ledger(tmp_path / "out").add(jobs[0], run)
    assert Ledger(tmp_path / "out").split(jobs) == ([run], [])

    a_traced_file(tmp_path, rate=2)

    again = jobs_of(scenario, [Variant("x")], [1], ["writes"])
    assert Ledger(tmp_path / "out").split(again) == ([], again)


def a_traced_file(folder: Path, *, rate: float) -> Path:
    (folder / "load.csv").write_text(f"time,rate\n0,{rate}\n60,{rate}\n")
    work = {
        "target": "Deployment/shop-proxy",
        "cpu": {"cores": {"trace": {"file": "load.csv", "rate": "rate"}}},
    }
    scenario = yaml.safe_load(a_file(folder).read_text())
    (folder / "traced.yaml").write_text(yaml.safe_dump({**scenario, "workloads": {"w": work}}))
    return folder / "traced.yaml"


def invoke(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def stamped(count: int, *, p50_s: float, p99_s: float) -> list[Sample]:
    """Draws, as the difference of two timestamps of whole seconds."""
    random, sigma = Random(7), math.log(p99_s / p50_s) / 2.3263
    samples = []
    for i in range(count):
        begin = i * 100 + random.random()
        end = begin + p50_s * math.exp(sigma * random.gauss(0, 1))
        samples.append(Sample(math.floor(begin), math.floor(end) - math.floor(begin)))
    return samples


def played(course: Json, days: float) -> list[tuple[float, float]]:
    """What a course is every five minutes, from Monday on."""
    us = round(days * 86_400_000_000)
    rate: Rate = RateSpec.model_validate(course).rate(Surroundings(MONDAY, us, lambda _: ()))
    return [
        (MONDAY.timestamp() + s, rate.at(s * 1_000_000)) for s in range(0, us // 1_000_000, 300)
    ]


def unix(days: float) -> float:
    return (MONDAY + days * DAYS).timestamp()


def minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])


def within(value: float, bounds: Sequence[str]) -> bool:
    low, high = map(parse_duration_s, bounds)
    return low <= value <= high


def seconds(found: dict[str, list[Sample]]) -> dict[str, list[float]]:
    return {path: [sample.seconds for sample in samples] for path, samples in found.items()}


def stamp(second: int) -> str:
    return (MONDAY + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%SZ")


def a_pod(number: int, *, restarts: int = 0) -> Json:
    begin = number * 60
    conditions = [("PodScheduled", begin), ("Ready", begin + 9)]
    return {
        "kind": "Pod",
        "metadata": {"name": f"pod-{number}", "uid": f"pod-{number}"},
        "status": {
            "conditions": [
                {"type": kind, "status": "True", "lastTransitionTime": stamp(at)}
                for kind, at in conditions
            ],
            "containerStatuses": [
                {
                    "restartCount": restarts,
                    "state": {"running": {"startedAt": stamp(begin + 5)}},
                }
            ],
        },
    }


def a_pulled(uid: str, message: str) -> Json:
    return {
        "kind": "Event",
        "reason": "Pulled",
        "message": message if message.startswith("Container") else f'Pulled image "x" {message}',
        "metadata": {"name": f"{uid}.1", "uid": f"{uid}-event"},
        "involvedObject": {"uid": uid},
        "firstTimestamp": stamp(2),
    }


def a_claim(number: int, pool: str) -> Json:
    return {
        "kind": "NodeClaim",
        "metadata": {
            "uid": f"{pool}-{number}",
            "creationTimestamp": stamp(number * 60),
            "labels": {"karpenter.sh/nodepool": pool},
        },
        "status": {
            "conditions": [
                {
                    "type": "Initialized",
                    "status": "True",
                    "lastTransitionTime": stamp(number * 60 + 42),
                }
            ]
        },
    }
