"""Editors and parser agree: one schema, made from the models, tells both what is right."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner

from prism_operator.documents import read_documents
from simulator.cli import SCENARIOS, app
from simulator.inputs import BadInputError, load_documents
from simulator.scenario import load
from simulator.scenario.__main__ import generated_files
from simulator.scenario.schema import scenario_schema

SCHEMA = scenario_schema()
EDITOR = jsonschema.Draft7Validator(SCHEMA)
ROOT = SCENARIOS.parent
MODELINE = "# yaml-language-server: $schema=schema.json\n"

# Everything a scenario can say, in as few lines; each case below breaks one thing of it.
GOOD = """\
question: Is this read?
duration: 1h30m
clock: {start: "2026-03-02T19:00:00Z", warmup: 5m}
cluster:
  zones: [a, b]
  nodes: clusterAutoscaler
  pools:
    base: {count: 3, allocatable: {cpu: 2, memory: 8Gi}, boot: {p50: 45s, p99: 150s}}
    spot: {count: 0, max: 9, price: 0.07/h, interruption: {hazard: {range: [0.1/h, 2]}, missed: 5%}}
  pods: {pull: {min: 1s, max: 3s}}
  clients: {scheduler: {qps: 50, burst: 100}}
  autoscaling: {keda: true, prometheus: {queries: {up: {series: orders.lag}}}}
manifests: []
workloads:
  orders:
    target: PrismPattern/orders
    kafka: {topic: orders, group: orders, partitions: 8, skew: {zipf: 0.5}}
    produce: {spike: {base: 5, peak: 600/m, at: 1m, for: 2m}, noise: poisson}
    consumer: {rate: {range: [180, 220/s]}, start: 2s}
  jobs:
    target: Deployment/shop/jobs
    queue: {type: rabbitmq, name: jobs, returnsAfter: 5s}
  clients:
    target: PrismStack/shop
    requests: {rate: {diurnal: {low: 1, high: 9, peak: "20:00"}}, cpuMs: 4}
timeline:
  - {at: 1m, name: mark}
  - {at: "19:05", name: five}
  - {at: 2m, nodeLoss: {zone: a, for: 30s}}
  - {at: 3m, drain: {pool: base, count: 1}}
  - {at: 3m, cordon: base-a-0}
  - {at: 4m, delete: PrismPattern/orders}
  - {at: 5m, load: {of: orders, add: 5}}
  - {at: 6m, apiServer: {fault: slow, for: 10s, latency: 2s}}
  - {at: 7m, patch: {target: PrismPattern/orders, patch: {spec: {replicas: null}}}}
expect:
  - {always: {restarts: {equals: 0}}}
  - {eventually: {count: {of: Pod, ready: true, atLeast: 3}}, after: mark, within: 2m}
  - {atEnd: {field: {of: PrismPattern/orders, path: spec.replicas, equals: null}}}
  - {never: {metric: {of: orders.lag, above: 5m}}}
  - {metric: orders.delay.p99, below: 120s}
params: {share: {split: [base, spot], total: 9, default: 0.3}, n: {sets: duration, default: 1h}}
variants: {more: {share: 0.7}}
compare: {baseline: more, primary: {cost: {margin: 2%}}}
sweep: {vary: {share: [0, 1]}}
"""


def refused_by_editor(text: str) -> list[str]:
    (document,), complaints = read_documents(text.encode(), "s.yaml")
    assert not complaints
    return [error.message for error in EDITOR.iter_errors(document.value)]


def refused_by_parser(folder: Path, text: str) -> list[str]:
    file = folder / "s.yaml"
    file.write_text(text)
    try:
        load(file)
    except BadInputError as error:
        return [problem.removeprefix(f"{folder}/") for problem in error.problems]
    return []


def test_the_schema_is_one_and_the_files_made_from_the_models_are_current() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)

    for path, text in generated_files(ROOT).items():
        assert path.read_text() == text, f"{path} is out of date: run `make manifests`"


@pytest.mark.parametrize("file", sorted(SCENARIOS.glob("*.yaml")), ids=lambda f: f.stem)
def test_editors_find_nothing_wrong_with_a_scenario_that_ships_and_know_its_schema(
    file: Path,
) -> None:
    assert file.read_text().startswith(MODELINE)
    (document,) = load_documents(file)
    assert [error.message for error in EDITOR.iter_errors(document.value)] == []


def test_all_that_the_language_can_say_is_right_to_both(tmp_path: Path) -> None:
    assert refused_by_editor(GOOD) == []
    assert refused_by_parser(tmp_path, GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("question: Is this read?", "title: x", "s.yaml:1:1: question: is required"),
        ("1h30m", "soon", 's.yaml:2:1: duration: expected a duration such as "90s" or "1h30m", '
         'got "soon"'),
        ("1h30m", "90", 's.yaml:2:1: duration: expected a duration such as "90s", got 90'),
        ("1h30m", "-5m", 's.yaml:2:1: duration: expected a duration such as "90s" or "1h30m", '
         'got "-5m"'),
        ('"2026-03-02T19:00:00Z"', "7", 's.yaml:3:9: clock.start: expected a time such as'),
        ("warmup", "warmUp", 's.yaml:3:40: clock.warmUp: unknown key (there are: start, warmup, '
         'drain; did you mean "warmup"?)'),
        ("nodes: clusterAutoscaler", "nodes: helm", "s.yaml:6:3: cluster.nodes.provisioner: "),
        ("count: 3", 'count: "3"', 's.yaml:8:12: cluster.pools.base.count: input should be a '
         'valid integer, got "3"'),
        ("count: 3", "count: -1", "s.yaml:8:12: cluster.pools.base.count: "),
        ("count: 3", "count: true", "s.yaml:8:12: cluster.pools.base.count: "),
        ("count: 3, ", "", "s.yaml:8:5: cluster.pools.base.count: is required"),
        ("memory: 8Gi", "memory: 8GB", 'expected a quantity such as "4" or "16Gi", got "8GB"'),
        ("{p50: 45s, p99: 150s}", "{p50: 45s}", "cluster.pools.base.boot: expected a duration, "),
        ("0.07/h", "7 cents", "cluster.pools.spot.price: expected so much an hour"),
        ("5%", "500", "cluster.pools.spot.interruption.missed: "),
        ("0.1/h, 2]", "0.1/h]", "cluster.pools.spot.interruption.hazard.range"),
        ("max: 9, ", "max: 9, lifecycle: on-demand, ", "on-demand nodes are not interrupted"),
        ("qps: 50, ", "", "cluster.clients.scheduler.qps: is required"),
        ("series: orders.lag", "series: a, rate: b", "expected exactly one of series, rate"),
        ("PrismPattern/orders\n    kafka", "Service/orders\n    kafka",
         "target: expected Deployment, PrismPattern or PrismStack"),
        ("partitions: 8", "partitions: 0", "workloads.orders.kafka.partitions: "),
        ("zipf: 0.5", "zip: 0.5", 'unknown key (there are: zipf; did you mean "zipf"?)'),
        ("600/m", "600/w", "workloads.orders.produce.spike.peak: expected a rate such as"),
        ("spike: {", "constant: 5, spike: {", "expected exactly one of constant, ramp"),
        ("noise: poisson", "noise: pink", "workloads.orders.produce.noise: "),
        ("{range: [180, 220/s]}", "{min: 180}", "expected min and max, or range"),
        ("{range: [180, 220/s]}", "{min: 1, max: 2, range: [1, 2]}", "expected min and max, or"),
        ("type: rabbitmq", "type: redis", "what is popped from a redis list does not come back"),
        ("type: rabbitmq", "type: pulsar", "workloads.jobs.queue.type: "),
        ('"20:00"', '"25:00"', "expected a time of day such as"),
        (", cpuMs: 4", "", "expected cpuMs or waitMs"),
        ("    requests:", "    cpu: {cores: 1}\n    requests:", "expected exactly one of kafka, "),
        ("    requests:", "    produce: 5\n    requests:", "produce and consumer are for messages"),
        ("at: 1m, name", 'at: "25:00", name', "timeline[0].at: expected a duration such as"),
        ("at: 1m, name", "name", "s.yaml:27:5: timeline[0].at: is required"),
        ("{at: 1m, name: mark}", "{at: 1m, scale: {target: PrismPattern/x, replicas: 1}, keda: up}",
         "expected exactly one of apply, "),
        ("zone: a, for", "zone: a, node: base-a-0, for", "expected exactly one of node, zone"),
        ("pool: base, count", "count", "expected node, or pool and zone or one of them"),
        ("delete: PrismPattern/orders", "delete: orders", "expected Kind/name or Kind/namespace"),
        ("add: 5", "add: 5, broker: down", "expected exactly one of produce, add"),
        ("latency: 2s", "share: 1", "expected a latency with the fault slow"),
        ("fault: slow", "fault: lost", "expected a latency with the fault slow"),
        ("fault: slow", "fault: odd", "timeline[7].apiServer.fault: "),
        ("expect:", "expected:", 'unknown key'),
        ("always:", "sometimes:", 'expect[0].sometimes: unknown key'),
        ("{equals: 0}", "{}", "expected one of equals, atLeast, atMost"),
        ("{equals: 0}", "{at_least: 0}", "unknown key"),
        ("of: Pod", "of: Pods", "expected a kind ("),
        ("ready: true", "ready: 1", "count.ready: input should be a valid boolean, got 1"),
        ("above: 5m", "above: much", "expect[3].never.metric.above"),
        (", below: 120s", "", "expected one of above, atLeast, atMost, below"),
        ("below: 120s", "below: 120s, atEnd: {restarts: {equals: 0}}",
         "expected metric or atEnd, got both"),
        ("[base, spot], total: 9", "[base, spot]", "expected split and total together"),
        ("[base, spot]", "[base]", "params.share.split[1]: is required"),
        ("sets: duration, ", "", "expected sets or split, otherwise it changes nothing"),
        ("{share: 0.7}", "{share: [0.7]}", "variants.more.share"),
        ("margin: 2%", "margin: [2]", "compare.primary.cost.margin"),
    ],
)  # fmt: skip
def test_what_is_wrong_to_the_parser_is_wrong_to_editors(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    assert GOOD.count(old) >= 1
    text = GOOD.replace(old, new, 1)

    problems = refused_by_parser(tmp_path, text)

    assert any(told in problem for problem in problems), problems
    assert refused_by_editor(text), "the schema takes it"


def test_prism_sim_prints_the_schema_that_is_checked_in() -> None:
    result = CliRunner().invoke(app, ["schema"])

    assert result.exit_code == 0
    printed: dict[str, Any] = json.loads(result.output)
    assert printed == json.loads((SCENARIOS / "schema.json").read_text())
