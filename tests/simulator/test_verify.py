"""``prism-sim verify`` says how far our decisions agree with recorded ones."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from simulator.cli import app
from simulator.inputs import BadInputError
from simulator.verify import verify
from simulator.verify.files import read_cases

VECTORS = Path(__file__).parents[1] / "vectors"
HPA = VECTORS / "hpa.jsonl.gz"
with gzip.open(HPA) as _lines:
    HPA_LINE = _lines.readline()


def written(path: Path, *cases: Any) -> Path:
    with gzip.open(path, "wt") as file:
        file.writelines(json.dumps(case) + "\n" for case in cases)
    return path


def an_hpa_case() -> dict[str, Any]:
    _, case = next(read_cases(HPA))
    return case


def test_hpa_decides_as_recorded_in_every_sync() -> None:
    (verified,) = verify([HPA])

    assert verified.agreement.share == 1, verified.agreement.differences
    assert verified.agreement.cases == 60
    assert verified.agreement.fields["desiredReplicas"].total == 60 * 80


@pytest.mark.parametrize(
    ("kind", "cases"), [("keda-executor", 100), ("keda-kafka", 150), ("keda-hpa", 100)]
)
def test_keda_decides_as_recorded(kind: str, cases: int) -> None:
    (verified,) = verify([VECTORS / f"{kind}.jsonl.gz"])

    assert kind == verified.kind.NAME
    assert verified.agreement.share == 1, verified.agreement.differences[0]
    assert verified.agreement.cases == cases


def test_scheduler_decides_as_recorded_node_by_node_and_plugin_by_plugin() -> None:
    (verified,) = verify([VECTORS / "scheduler.jsonl.gz"])

    assert verified.agreement.share == 1, verified.agreement.differences[0]
    assert verified.agreement.fields["victims"].total == 80 * 40
    assert "score.PodTopologySpread" in verified.agreement.fields


def test_scheduler_looks_at_as_many_nodes_as_recorded(tmp_path: Path) -> None:
    cases = [case for _, case in read_cases(VECTORS / "sampling.jsonl.gz")]
    small = written(tmp_path / "sampling.jsonl.gz", *cases[:2])  # verify reads all of them in CI

    (verified,) = verify([small])

    assert verified.agreement.share == 1, verified.agreement.differences[0]


def test_kind_is_read_from_the_content_not_from_the_name(tmp_path: Path) -> None:
    _, rollout = next(read_cases(VECTORS / "rollout.jsonl.gz"))
    path = written(tmp_path / "scheduler.jsonl.gz", an_hpa_case(), rollout)

    assert sorted(verified.kind.NAME for verified in verify([path])) == ["hpa", "rollout"]


def test_decision_that_differs_is_shown_with_its_inputs_and_fails(tmp_path: Path) -> None:
    case = an_hpa_case()
    case["steps"][3]["desiredReplicas"] += 1
    path = written(tmp_path / "hpa.jsonl.gz", case)

    result = CliRunner().invoke(app, ["verify", str(path)])

    assert result.exit_code == 1
    assert f"hpa.jsonl.gz: {case['name']} at t=45: desiredReplicas" in result.output
    assert f"recorded: {case['steps'][3]['desiredReplicas']}" in result.output
    assert '"specReplicas"' in result.output
    assert "98.75 %" in result.output


def test_agreement_is_printed_by_field() -> None:
    result = CliRunner().invoke(app, ["verify", str(HPA)])

    assert result.exit_code == 0
    assert "conditions.ScalingLimited" in result.output
    assert "agrees as required" in result.output


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", ":1: expected one case a line; the file is empty"),
        (b"no gzip at all", ":1: is not a gzip file"),
        (HPA.read_bytes()[:5000], ": the file is cut or damaged here"),
        (gzip.compress(b"{]"), ":1: is not JSON"),
        (gzip.compress(b"[" * 100_000), ":1: is not JSON: maximum recursion depth"),
        (gzip.compress(HPA_LINE + b"{]"), ":2: is not JSON"),
        (gzip.compress(HPA_LINE + b'{"spec": '), ":2: is not JSON"),
        (gzip.compress(b"[1]"), ":1: expected a JSON object, found list"),
        (gzip.compress(b'{"name": "x"}'), ":1: expected a recording of scheduler"),
        (
            gzip.compress(b'{"spec": {}, "controller": {}, "steps": [{}]}'),
            ":1: reads like a recording of hpa but cannot be replayed",
        ),
    ],
    ids=[
        "empty",
        "no gzip",
        "cut",
        "no JSON",
        "too deep",
        "second line",
        "line cut",
        "no object",
        "unknown",
        "another version",
    ],
)
def test_bad_file_is_refused_with_its_line(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "bad.gz"
    path.write_bytes(content)

    result = CliRunner().invoke(app, ["verify", str(path)])

    assert result.exit_code == 2
    assert told in result.output
    assert str(path) in result.output


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot be read: No such file"):
        verify([tmp_path / "none.gz"])
