"""Bad scenario files and manifests are told with file, line, field, expected and actual value."""

from pathlib import Path

import pytest

from simulator.cli import SCENARIOS
from simulator.inputs import BadInputError, load_documents
from simulator.kernel import SECOND_US
from simulator.randomness import Even
from simulator.scenario import load
from simulator.scenario.files import self_contained

GOOD = """\
question: Is this read?
duration: 1h30m
cluster:
  pools:
    base: {count: 3}
expect:
  - {always: {restarts: {equals: 0}}}
"""


def problems(tmp_path: Path, text: str, **manifests: str) -> tuple[str, ...]:
    file = tmp_path / "s.yaml"
    file.write_text(text)
    for name, content in manifests.items():
        (tmp_path / f"{name}.yaml").write_text(content)
    with pytest.raises(BadInputError) as caught:
        load(file)
    return tuple(p.replace(f"{tmp_path}/", "") for p in caught.value.problems)


def test_a_scenario_is_read_with_defaults_and_units(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    pods = "  pods: {pull: 3s, ready: {min: 500ms, max: 2s}}\n"
    file.write_text(GOOD.replace("expect:", pods + "expect:"))

    scenario = load(file).scenario

    assert scenario.duration == 5400 * SECOND_US
    assert scenario.cluster.pods.pull == Even(3 * SECOND_US, 3 * SECOND_US)
    assert scenario.cluster.pods.ready == Even(SECOND_US // 2, 2 * SECOND_US)
    assert scenario.cluster.zones == ("a", "b", "c")


@pytest.mark.parametrize(
    ("at", "minutes"), [("20m", 20), ("20:05", 25), ("19:40", 0), ("19:39", 24 * 60 - 1)]
)
def test_a_time_of_day_is_the_next_one_of_the_scenarios_clock(
    tmp_path: Path, at: str, minutes: int
) -> None:
    file = tmp_path / "s.yaml"
    clock = 'clock: {start: "2026-03-02T20:40:00+01:00"}\n'
    file.write_text(f'{GOOD}{clock}timeline: [{{at: "{at}", name: then}}]\n')

    (event,) = load(file).scenario.timeline

    assert event.at == minutes * 60 * SECOND_US


def test_searches_move_times_of_day_as_any_other(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(f'{GOOD}timeline: [{{at: "00:20", name: then}}, {{at: 1m, name: now}}]\n')

    document = self_contained(load_documents(file)[0], file)

    assert [event["at"] for event in document.value["timeline"]] == ["1200s", "1m"]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("duration: 1h30m", "duration: soon",
         's.yaml:2:1: duration: expected a duration such as "90s" or "1h30m", got "soon"'),
        ("duration: 1h30m", "duration: 90",
         's.yaml:2:1: duration: expected a duration such as "90s", got 90'),
        ("question:", "qestion:", "s.yaml:1:1: question: is required"),
        ("count: 3", "count: -1",
         "s.yaml:5:12: cluster.pools.base.count: input should be greater than or equal to 0, "
         "got -1"),
        ("count: 3", "cuont: 3", "s.yaml:5:12: cluster.pools.base.cuont: unknown key (there are: "
         "count, min, max, type, price, lifecycle, boot, interruption, zones, names, allocatable, "
         'labels, taints; did you mean "count"?)'),
        ("count: 3", "count: 3, zones: [z]",
         's.yaml:5:30: cluster.pools.base.zones[0]: "z" is not a zone (there are: a, b, c)'),
        ("count: 3", "count: 3, max: 9",
         "s.yaml:5:22: cluster.pools.base.max: nobody adds nodes: say nodes: clusterAutoscaler"),
        ("pools:", "regions: {west: [a]}\n  pools:",
         "s.yaml:4:3: cluster.regions: expected each of a, b, c once, got a"),
        ("count: 3", "count: 3, allocatable: {cpu: lots}",
         's.yaml:5:36: cluster.pools.base.allocatable.cpu: expected a quantity such as "4" or '
         '"16Gi", got "lots"'),
        ("{equals: 0}", "{}",
         "s.yaml:7:15: expect[0].always.restarts: expected one of equals, atLeast, atMost"),
        ("always:", "sometimes:", "s.yaml:7:6: expect[0].sometimes: unknown key"),
        ("{restarts: {equals: 0}}", "{exists: Stack/x}",
         's.yaml:7:15: expect[0].always.exists: expected a kind (ConfigMap, CustomResource'),
        ("{restarts: {equals: 0}}", "{exists: x}",
         's.yaml:7:15: expect[0].always.exists: expected Kind/name or Kind/namespace/name, '
         'got "x"'),
        ("{always: {restarts: {equals: 0}}}", "{always: {restarts: {equals: 0}}, after: noon}",
         's.yaml:7:39: expect[0].after: "noon" is not an event (there are: none)'),
        ("expect:", "timeline: [{at: 1s, name: noon, drain: {pool: bsae}}]\nexpect:",
         's.yaml:6:41: timeline[0].drain.pool: "bsae" is not a pool (there are: base; did you '
         'mean "base"?)'),
        ("expect:", "timeline: [{at: 1s, cordon: base-d-0}]\nexpect:",
         's.yaml:6:21: timeline[0].cordon.node: "base-d-0" is not a node (there are: base-a-0, '
         "base-b-0, base-c-0; did"),
        ("expect:", "timeline: [{at: 1s, nodeLoss: {region: west}}]\nexpect:",
         's.yaml:6:32: timeline[0].nodeLoss.region: "west" is not a region (there are: region-1)'),
        ("expect:", "timeline: [{at: 1s, drought: {pool: base, zone: x, for: 1s}}]\nexpect:",
         's.yaml:6:43: timeline[0].drought.zone: "x" is not a zone'),
        ("expect:", "timeline: [{at: 1s, operatorCrash: {replica: 1}}]\nexpect:",
         "s.yaml:6:37: timeline[0].operatorCrash.replica: there is no 1: operator.replicas is 1"),
        ("expect:", "timeline: [{at: 1s, keda: down}]\nexpect:",
         "s.yaml:6:21: timeline[0].keda: it is not installed: say cluster.autoscaling.keda: true"),
        ("expect:", "timeline: [{at: 1s, load: {of: orders, add: 1}}]\nexpect:",
         's.yaml:6:28: timeline[0].load.of: "orders" is not a workload (there are: none)'),
        ("{restarts: {equals: 0}}", "{count: {of: Pod, zone: d, equals: 0}}",
         's.yaml:7:32: expect[0].always.count.zone: "d" is not a zone (there are: a, b, c)'),
        ("{restarts: {equals: 0}}", "{count: {of: Pod, region: west, equals: 0}}",
         's.yaml:7:32: expect[0].always.count.region: "west" is not a region (there are: '),
        ("expect:", "variants: {big: {nodes: 9}}\nexpect:",
         's.yaml:6:18: variants.big.nodes: "nodes" is not a param (there are: none)'),
        ("expect:", "compare: {baseline: big}\nexpect:",
         's.yaml:6:11: compare.baseline: "big" is not a variant (there are: none)'),
        ("expect:", "timeline: [{at: 1s}]\nexpect:",
         "s.yaml:6:12: timeline[0]: expected exactly one of apply, patch, delete, scale, "
          "rolloutRestart, nodeLoss, cordon, uncordon, drain, evict, spotInterruption, drought, "
          "operatorCrash, operatorRestart, apiServer, load, keda, metricsServer, prometheus, "
          "backend, controlPlane; got none"),
        ("expect:", "manifests: [gone.yaml]\nexpect:",
         's.yaml:6:13: manifest "gone.yaml" does not exist'),
        ("question: Is this read?", "question: [",
         "s.yaml:3:8: is not YAML: did not find expected ',' or ']'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    assert old in GOOD

    found = problems(tmp_path, GOOD.replace(old, new))

    assert any(p.startswith(problem) for p in found), found


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("1h30m", "soon").replace("count: 3", "count: x")
    text += "manifests: [stack.yaml]\n"

    found = problems(tmp_path, text, stack=STACK)

    assert [problem.split(":")[:2] for problem in found] == [
        ["s.yaml", "2"],
        ["s.yaml", "5"],
        ["stack.yaml", "8"],
    ]


def test_a_list_is_not_too_short_because_of_what_is_wrong_in_it(tmp_path: Path) -> None:
    assert len(problems(tmp_path, GOOD.replace("{equals: 0}", "{}"))) == 1


STACK = """\
apiVersion: prism.io/v1alpha1
kind: PrismStack
metadata: {name: shop, namespace: default}
spec:
  proxy: {replicas: 3}
  admin:
    leaderElection:
      renewDeadline: 20s
"""


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("", "",
         "stack.yaml:8:7: spec.admin.leaderElection.renewDeadline: 20s is not below "
         "leaseDuration 15s"),
        ("renewDeadline: 20s", "renewDeadline: 10s\n  proxi: {}",
         'stack.yaml:9:3: spec.proxi: unknown field: did you mean "proxy"?'),
        ("replicas: 3", "replicas: three", "stack.yaml:5:11: spec.proxy.replicas: "),
        ("v1alpha1", "v1", 'stack.yaml:1:1: apiVersion: expected "prism.io/v1alpha1" for a '
         'PrismStack, got "prism.io/v1"'),
        ("kind: PrismStack", "kind: Stack", "stack.yaml:2:1: kind: expected one of "),
        ("name: shop, ", "", "stack.yaml:3:1: metadata.name: is required"),
    ],
)  # fmt: skip
def test_a_bad_manifest_is_told_by_its_own_file_and_line(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    text = GOOD.replace("expect:", "manifests: [stack.yaml]\nexpect:")
    found = problems(tmp_path, text, stack=STACK.replace(old, new))

    assert any(p.startswith(problem) for p in found), found


@pytest.mark.parametrize("file", sorted(SCENARIOS.glob("*.yaml")), ids=lambda f: f.stem)
def test_every_scenario_that_ships_can_be_read(file: Path) -> None:
    assert load(file).scenario.question.endswith("?")


def test_the_example_in_the_documentation_can_be_run_as_it_stands(tmp_path: Path) -> None:
    text = (SCENARIOS / "README.md").read_text()
    example = text.split("```yaml\n")[1].split("```")[0]
    file = tmp_path / "example.yaml"
    file.write_text(example.replace("manifests/", f"{SCENARIOS}/manifests/"))

    assert load(file).scenario.timeline
