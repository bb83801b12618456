"""``prism-sim validate`` tells all that is wrong with a scenario, and runs nothing."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from simulator.cli import SCENARIOS, app

STACK = """\
apiVersion: prism.io/v1alpha1
kind: PrismStack
metadata: {name: shop, namespace: default}
spec:
  proxy: {replicas: 2}
  patterns:
    - {name: orders, type: consumer, backend: memstore, replicas: 1}
"""
GOOD = """\
question: Is all of it there?
duration: 10m
cluster: {pools: {base: {count: 1}}}
manifests: [stack.yaml]
workloads:
  clients: {target: PrismStack/shop, requests: {rate: 5, cpuMs: 1}}
timeline:
  - {at: 1m, scale: {target: PrismPattern/orders, replicas: 2}}
  - {at: 2m, patch: {target: Deployment/shop-proxy, patch: {spec: {paused: true}}}}
  - {at: 3m, delete: PrismStack/shop}
expect:
  - {eventually: {condition: {of: PrismStack/shop, type: Ready, reason: AllReady}}, within: 2m}
  - {atEnd: {field: {of: PrismStack/shop, path: "spec.patterns[0].replicas", equals: 1}}}
  - {atEnd: {count: {of: Pod, namespace: default, equals: 0}}}
  - {never: {metric: {of: clients.waiting, above: 9}}}
  - {never: {exists: HorizontalPodAutoscaler/shop-proxy}}
  - {metric: clients.latency.p99, below: 1s}
compare: {primary: {cost: {margin: 2%}}}
sweep: {objectives: {clients.ready.flaps: {}}}
"""


def validate(*paths: Path) -> tuple[int, list[str]]:
    result = CliRunner().invoke(app, ["validate", *map(str, paths)])
    assert not result.exception or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output.splitlines()


def problems(folder: Path, text: str = GOOD, stack: str = STACK) -> list[str]:
    (folder / "s.yaml").write_text(text)
    (folder / "stack.yaml").write_text(stack)
    code, lines = validate(folder / "s.yaml")
    told = [line.replace(f"{folder}/", "") for line in lines[:-1]]
    assert code == (2 if told else 0)
    assert lines[-1].startswith("1 scenario checked: ")
    return told


def test_nothing_is_wrong_with_what_is_right(tmp_path: Path) -> None:
    assert problems(tmp_path) == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("at: 3m", "at: 11m",
         "s.yaml:10:6: timeline[2].at: this never happens: the scenario ends after 600 s"),
        ("target: PrismStack/shop,", "target: PrismStack/shpo,",
         "s.yaml:6:13: workloads.clients.target: no PrismStack of that name will be there (there "
         'are: PrismStack/shop; did you mean "PrismStack/shop"?)'),
        ("target: PrismPattern/orders", "target: PrismPattern/order",
         "s.yaml:8:22: timeline[0].scale.target: no PrismPattern of that name will be there "),
        ("target: Deployment/shop-proxy", "target: Deployment/shop",
         "s.yaml:9:22: timeline[1].patch.target: no Deployment of that name will be there (there "
         "are: Deployment/orders, Deployment/shop-proxy; did you mean"),
        ("delete: PrismStack/shop", "delete: PrismStack/other/shop",
         "s.yaml:10:14: timeline[2].delete.target: no PrismStack of that name"),
        ("delete: PrismStack/shop", "backend: {name: kafka, state: down}",
         "s.yaml:10:24: timeline[2].backend.name: no PrismBackend of that name will be there "
         "(there are: none)"),
        ("of: PrismStack/shop, type", "of: PrismPattern/shop, type",
         "s.yaml:12:31: expect[0].eventually.condition.of: no PrismPattern of that name"),
        ("type: Ready", "type: Redy",
         's.yaml:12:52: expect[0].eventually.condition.type: "Redy" is not a condition (did you '
         'mean "Ready"?)'),
        ("AllReady", "AllRedy",
         's.yaml:12:65: expect[0].eventually.condition.reason: "AllRedy" is not a reason (did you '
         'mean "AllReady"?)'),
        ("spec.patterns[0].replicas", "spec.patterns[0].replcas",
         "s.yaml:13:43: expect[1].atEnd.field.path: spec.patterns[0].replcas: unknown field: did "
         'you mean "replicas"?'),
        ("namespace: default, equals", "namespace: defualt, equals",
         "s.yaml:14:31: expect[2].atEnd.count.namespace: nothing will be in that namespace (there"),
        ("clients.waiting", "clients.lag",
         's.yaml:15:23: expect[3].never.metric.of: "clients.lag" is not recorded (there are: '),
        ("never: {exists: Hor", "eventually: {exists: Hor",
         "s.yaml:16:19: expect[4].eventually.exists: no HorizontalPodAutoscaler of that name"),
        ("clients.latency.p99", "clients.latency.p999",
         's.yaml:17:6: expect[5].metric: "clients.latency.p999" is no number: expected cost, or '),
        ("cost: {margin", "costs: {margin",
         's.yaml:18:21: compare.primary.costs: "costs" is no number: expected cost, or one of '),
        ("clients.ready.flaps", "client.ready.flaps",
         's.yaml:19:22: sweep.objectives.client.ready.flaps: "client.ready.flaps" is no number'),
    ],
)  # fmt: skip
def test_names_of_what_will_not_be_there_are_told(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    assert GOOD.count(old) == 1

    (found,) = problems(tmp_path, GOOD.replace(old, new))

    assert found.startswith(told), found


def test_all_is_told_at_once_in_the_order_of_the_files_lines(tmp_path: Path) -> None:
    text = GOOD.replace("at: 3m", "at: 3h").replace("AllReady", "Fine").replace("p99", "p98")
    text = text.replace("above: 9}}}", "above: 9}}, after: noon}")

    found = problems(tmp_path, text)

    assert [line.split(":")[1] for line in found] == ["10", "12", "15", "17"]


def test_a_manifest_is_held_to_the_operators_own_rules(tmp_path: Path) -> None:
    stack = STACK.replace("replicas: 2}", "replicas: -2}").replace(
        "type: consumer", "typ: consumer"
    )

    found = problems(tmp_path, stack=stack)

    assert found == [
        "stack.yaml:5:11: spec.proxy.replicas: -2 is below 0",
        "stack.yaml:7:7: spec.patterns[0].type: is required",
        'stack.yaml:7:22: spec.patterns[0].typ: unknown field: did you mean "type"?',
    ]


def test_what_only_the_api_server_knows_is_told_too(tmp_path: Path) -> None:
    text = GOOD.replace("timeline:", "timeline:\n  - {at: 30s, apply: later.yaml}")
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {prots: []}\n"
    (tmp_path / "later.yaml").write_text(service)

    (found,) = problems(tmp_path, text)

    assert found.startswith("later.yaml:1:1: the API server answers 500")
    assert "spec.prots" in found


def test_after_an_edit_of_ours_anything_may_come_about(tmp_path: Path) -> None:
    edit = "patch: {target: PrismStack/shop, patch: {spec: {patterns: []}}}"
    text = GOOD.replace("delete: PrismStack/shop", edit).replace("never: {ex", "eventually: {ex")

    assert problems(tmp_path, text) == []


def test_of_a_folder_each_scenario_in_it_is_checked(tmp_path: Path) -> None:
    (tmp_path / "scenarios").mkdir()
    for name in ("a", "b"):
        text = GOOD.replace("manifests: [", "manifests: [../").replace("10m", "soon")
        (tmp_path / "scenarios" / f"{name}.yaml").write_text(text)
    (tmp_path / "stack.yaml").write_text(STACK)

    code, lines = validate(tmp_path / "scenarios")

    assert code == 2
    assert [Path(line.split(":")[0]).name for line in lines[:-1]] == ["a.yaml", "b.yaml"]
    assert lines[-1] == "2 scenarios checked: 2 problems"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"- a\n- b\n", "expected one YAML mapping, a scenario"),
        (b"question: [", "is not YAML"),
        (b"", "expected one YAML mapping, a scenario"),
        (b"question: a\nquestion: b\n", 'key "question" is there twice'),
        (b"manifests: {a: 1}\ntimeline: 7\n", "manifests"),
        (
            b"question: a\nduration: 1m\ncluster: {zones: [A/b], pools: {base: {count: 1}}}\n"
            b"expect: [{always: {restarts: {equals: 0}}}]\n",
            'cluster.pools: Node "base-A/b-0" is invalid',
        ),
    ],
)
def test_what_is_no_scenario_is_told_without_a_traceback(
    tmp_path: Path, content: bytes, told: str
) -> None:
    (tmp_path / "s.yaml").write_bytes(content)

    code, lines = validate(tmp_path / "s.yaml")

    assert code == 2
    assert any(told in line for line in lines), lines


def test_an_empty_folder_is_bad_input(tmp_path: Path) -> None:
    code, lines = validate(tmp_path)

    assert code == 2
    assert lines == [f"{tmp_path}: has no file ending in .yaml or .yml"]


def test_nothing_is_wrong_with_what_ships() -> None:
    code, lines = validate(SCENARIOS)

    assert code == 0, lines
