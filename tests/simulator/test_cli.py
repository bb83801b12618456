import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from simulator.cli import SCENARIOS, app

QUICKSTART = SCENARIOS / "quickstart.yaml"
TINY = """\
question: Does nothing happen?
duration: 1m
cluster: {pools: {base: {count: 1}}}
expect:
  - {atEnd: {count: {of: Node, equals: 1}}}
"""


def run(*arguments: object) -> tuple[int, list[str], str]:
    result = CliRunner().invoke(app, ["run", *map(str, arguments)])
    return result.exit_code, result.stdout.splitlines(), result.stderr


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY)
    return file


def test_a_run_prints_one_row_for_each_scenario_then_the_sum(tiny: Path) -> None:
    code, lines, _ = run(QUICKSTART, tiny)

    assert code == 0
    assert lines[0].split("  ")[0] == "scenario"
    assert [line.split()[0] for line in lines[1:3]] == ["quickstart", "tiny"]
    assert lines[1].split()[1] == "5m"
    assert lines[1].split()[3] == "1/1"
    assert lines[-1] == "2 passed, 0 failed"


def test_an_expectation_that_is_not_met_is_said_and_exits_1(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(TINY.replace("equals: 1", "equals: 7"))

    code, lines, _ = run(file)

    assert code == 1
    assert lines[-2] == "  expected at end count: equals: 7, of: Node: it is 1"
    assert lines[-1] == "0 passed, 1 failed"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (TINY.replace("1m", "never"), 's.yaml:2:1: duration: expected a duration such as "90s"'),
        (
            TINY.replace("expect:", "timeline: [{at: 1s, nodeLoss: {node: n9}}]\nexpect:"),
            's.yaml:4:32: timeline[0].nodeLoss.node: "n9" is not a node (there are: base-a-0)',
        ),
        (
            TINY.replace("expect:", "timeline: [{at: 1s, delete: Pod/p}]\nexpect:"),
            'deletion of Pod default/p: the API server answers 404: pods "p" not found',
        ),
    ],
)
def test_bad_input_exits_2_without_a_traceback(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(text)

    code, _, errors = run(file)

    assert code == 2
    assert problem in errors
    assert "Traceback" not in errors


def test_a_field_that_nobody_knows_is_refused_by_the_server_with_the_manifests_place(
    tmp_path: Path,
) -> None:
    file, manifest = tmp_path / "s.yaml", tmp_path / "shop.yaml"
    file.write_text(TINY.replace("expect:", "manifests: [shop.yaml]\nexpect:"))
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: shop}\nspec: {prots: []}\n"
    manifest.write_text(service)

    code, _, errors = run(file)

    assert code == 2
    assert f"{manifest}:1:1: the API server answers" in errors
    assert "spec.prots" in errors


def test_a_file_that_does_not_exist_is_bad_input(tmp_path: Path) -> None:
    code, _, errors = run(tmp_path / "gone.yaml")

    assert code == 2
    assert "gone.yaml: cannot be read: No such file or directory" in errors


def test_an_event_log_is_json_lines_of_what_happened_when(tiny: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"

    run(tiny, "--event-log", log)

    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert {"at", "what", "object"} <= set(entries[0])
    assert ("created", "Node base-a-0") in {(e["what"], e["object"]) for e in entries}


def test_junit_names_every_scenario_and_what_failed(tmp_path: Path) -> None:
    good, bad, report = tmp_path / "good.yaml", tmp_path / "bad.yaml", tmp_path / "junit.xml"
    good.write_text(TINY)
    bad.write_text(TINY.replace("equals: 1", "equals: 7"))

    run(good, bad, "--junit", report)

    suite = ElementTree.parse(report).getroot()  # noqa: S314 - we wrote it
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert [case.get("name") for case in suite if case.find("failure") is not None] == [
        "bad[seed=0]"
    ]


def test_it_prints_whole_rows_where_there_is_no_terminal(tiny: Path) -> None:
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "simulator.cli", "run", str(tiny)],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "20", "PATH": ""},
    )

    assert done.stdout.splitlines()[1].split()[-2:][0] == "1/1"
    assert done.stdout.splitlines()[-1] == "1 passed, 0 failed"
