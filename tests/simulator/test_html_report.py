import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from simulator.cli import SCENARIOS, app
from simulator.htmlreport.courses import course, percentiles
from simulator.htmlreport.page import HIDDEN
from simulator.series import Distribution, Series
from tests.simulator.builders import a_stack

NODE_LOSS = SCENARIOS / "node-loss.yaml"
S = 1_000_000


def report_of(*arguments: object) -> tuple[int, str]:
    """The exit code, and what went wrong (a progress bar leaves an empty line)."""
    result = CliRunner().invoke(app, ["run", *map(str, arguments)])
    return result.exit_code, result.stderr.strip()


def pictures_of(page: str) -> Any:
    """What the scripts of a page draw."""
    (text,) = re.findall(
        r'<script type="application/json" id="pictures">(.*?)</script>', page, re.S
    )
    return json.loads(text)


def words_of(page: str) -> str:
    """What a reader without pictures reads, in its order."""
    body = page[page.index("<body>") : page.index("<noscript>")]
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def a_scenario(folder: Path, **more: object) -> Path:
    """A stack on three nodes for two minutes."""
    scenario = {
        "question": "Does it come up?",
        "duration": "2m",
        "cluster": {"pools": {"base": {"count": 3, "price": 0.38}}},
        "manifests": ["stack.yaml"],
        "expect": [{"eventually": {"condition": {"of": "PrismStack/shop"}}}],
        **more,
    }
    (folder / "stack.yaml").write_text(yaml.safe_dump(a_stack()))
    path = folder / "shop.yaml"
    path.write_text(yaml.safe_dump(scenario))
    return path


@pytest.fixture(scope="module")
def node_loss(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("report") / "report.html"
    assert report_of(NODE_LOSS, "--report", file) == (0, "")
    return file.read_text()


def test_a_report_begins_with_the_question_and_the_verdict_and_ends_with_the_scenario(
    node_loss: str,
) -> None:
    words = words_of(node_loss)

    parts = [
        yaml.safe_load(NODE_LOSS.read_text())["question"],
        "As expected: 6 expectations met, no promise broken.",
        "What was expected",
        "Cost against objective",
        "What happened",
        "Where it ran",
        "What it came to",
        "The scenario itself",
        "nodeLoss",
    ]
    places = [words.index(part) for part in parts]
    assert places == sorted(places)


def test_what_is_not_as_expected_stands_first_and_says_what_was_the_case(tmp_path: Path) -> None:
    never = {"atEnd": {"count": {"of": "Node", "equals": 7}}}
    path = a_scenario(tmp_path, expect=[never])
    out = tmp_path / "report.html"

    code, _ = report_of(path, "--report", out)

    assert code == 1
    words = words_of(out.read_text())
    assert "Not as expected: 1 of 1 expectation not met." in words
    assert "✗ not met at end count: equals: 7, of: Node it is 3" in words


def test_a_report_is_the_same_for_the_same_run(tmp_path: Path, node_loss: str) -> None:
    assert report_of(NODE_LOSS, "--report", tmp_path / "again.html") == (0, "")

    assert (tmp_path / "again.html").read_text() == node_loss


def test_a_report_does_not_change_the_run(tmp_path: Path) -> None:
    path = a_scenario(tmp_path)
    logs = [tmp_path / "with.log", tmp_path / "without.log"]

    assert report_of(path, "--event-log", logs[0], "--report", tmp_path / "r.html") == (0, "")
    assert report_of(path, "--event-log", logs[1]) == (0, "")

    assert logs[0].read_bytes() == logs[1].read_bytes()


def test_faults_last_as_long_as_they_did_and_decisions_have_their_reason(node_loss: str) -> None:
    marks = pictures_of(node_loss)["marks"]

    (dark,) = [mark for mark in marks if mark["lane"] == "faults"]
    assert (dark["at"], dark["until"]) == (300, 1200)
    assert any(mark["lane"] == "pods" and mark["title"] == "evicted" for mark in marks)
    assert all(mark["texts"] for mark in marks if mark["lane"] == "operator")


def test_the_map_has_every_pod_on_its_node_and_the_new_one_elsewhere(node_loss: str) -> None:
    shown = pictures_of(node_loss)["map"]

    (fault,) = [m for m in pictures_of(node_loss)["marks"] if m["lane"] == "faults"]
    lost = [i for i, node in enumerate(shown["nodes"]) if node["name"] in fault["texts"][0]]
    assert len(lost) == 1
    began_there = [pod for pod in shown["pods"] if pod[1] in lost]
    assert began_there
    late = [pod for pod in shown["pods"] if pod[4][0] > fault["at"]]
    assert late
    assert not [pod for pod in late if pod[1] in lost]


def test_secrets_in_manifests_are_not_shown(tmp_path: Path) -> None:
    hidden = "correct horse battery"
    path = a_scenario(tmp_path, manifests=["stack.yaml", "secret.yaml"])
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "db", "namespace": "default"},
        "stringData": {"password": hidden},
        "data": {"token": base64.b64encode(hidden.encode()).decode()},
    }
    (tmp_path / "secret.yaml").write_text(yaml.safe_dump(secret))

    assert report_of(path, "--report", tmp_path / "r.html") == (0, "")

    page = (tmp_path / "r.html").read_text()
    assert hidden not in page
    assert secret["data"]["token"] not in page  # type: ignore[index]
    assert page.count(HIDDEN) == 2


def test_several_runs_have_a_report_each_in_a_folder(tmp_path: Path) -> None:
    one = a_scenario(tmp_path)
    other = one.with_name("other.yaml")
    other.write_text(one.read_text())

    assert report_of(one, other, "--report", tmp_path / "reports") == (0, "")

    made = sorted(file.name for file in (tmp_path / "reports").iterdir())
    assert made == ["other.html", "shop.html"]


def test_a_report_that_cannot_be_written_is_said_before_the_run(tmp_path: Path) -> None:
    code, error = report_of(NODE_LOSS, "--report", tmp_path / "missing" / "report.html")

    assert code == 2
    assert f"there is no folder {tmp_path / 'missing'}" in error


def test_no_peak_is_lost_where_a_line_has_more_points_than_a_picture() -> None:
    series = Series("messages")
    for second in range(10_000):
        series.set(second * S, second % 7)
    series.set(10_000 * S, 5_000)
    series.set(10_001 * S, 3)

    drawn = course(series, 20_000 * S, 300)

    assert len(drawn.times_s) <= 303
    assert max(v for v in drawn.values if v is not None) == 5_000
    assert (drawn.times_s[-1], drawn.values[-1]) == (20_000, 3)


def test_percentiles_of_a_stretch_are_those_that_the_distribution_itself_gives() -> None:
    came = Distribution()
    for second in range(100):
        came.add(second * S, 10.0 + second, second / 10, second / 5)

    found = percentiles(came, 0.9, [0, 50 * S, 100 * S, 200 * S])

    expected = [came.quantile(0.9, 0, 50 * S)[0], came.quantile(0.9, 50 * S, 100 * S)[0]]
    assert found[:2] == pytest.approx(expected, rel=1e-3)
    assert found[2] is None
