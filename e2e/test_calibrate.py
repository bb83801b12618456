"""Loads and speeds that a real Prometheus recorded are found again, and played."""

import csv
import io
import math
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
import requests
import yaml
from typer.testing import CliRunner, Result

from e2e.cluster import free_ports
from e2e.waiting import eventually
from simulator.cli import app
from simulator.scenario import LoadedScenario, load

SCENARIO = Path(__file__).parents[1] / "scenarios/consumer-lag.yaml"
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
STEP_S, DAYS, PODS = 60, 21, 12
BUSY = 360  # minutes before and after the end of the second week in which pods are busy
LOW, HIGH, PEAK_H, WEEKEND = 200.0, 4000.0, 20.0, 0.4
PERIOD = ("--from", "2026-03-02", "--to", "2026-03-23")


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that has three weeks of a topic and its consumers: Debian's ``prometheus``."""
    missing = [name for name in ("prometheus", "promtool") if shutil.which(name) is None]
    if missing:
        pytest.fail(f"{' and '.join(missing)} missing: scripts/install-test-programs")
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "recorded").write_text(recorded())
    (folder / "config.yaml").write_text("global: {}\n")
    backfill = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet"]
    subprocess.run([*backfill, folder / "recorded", folder / "data"], check=True)
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    command = [
        "prometheus",
        f"--config.file={folder / 'config.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stderr=log, stdout=log)
        try:
            eventually(lambda: is_ready(url), within_s=60)
            yield url
        finally:
            server.terminate()
            server.wait(timeout=30)


def test_a_week_that_it_did_not_see_is_foretold(prometheus: str, tmp_path: Path) -> None:
    out = tmp_path / "orders.yaml"

    made = invoke(
        "calibrate", SCENARIO, "--prometheus", prometheus, *PERIOD, "--out", out,
        "--load", "orders=sum(rate(orders_produced_total[5m]))",
        "--rate", "orders=rate(orders_processed_total[5m])",
    )  # fmt: skip

    assert made.exit_code == 0, made.stderr
    parameters = yaml.safe_load(out.read_text())["parameters"]
    produce = parameters["workloads.orders.produce"]
    course = produce["value"]["weekly"]
    assert course["low"] == pytest.approx(LOW, abs=60)
    assert course["high"] == pytest.approx(HIGH, rel=0.02)
    assert course["weekend"] == pytest.approx(WEEKEND, abs=0.02)
    assert course["peak"][:3] in ("19:", "20:")
    assert produce["samples"] == pytest.approx(14 * 288, abs=3)
    assert produce["backtest"]["unseen"] == pytest.approx(7 * 288, abs=3)
    assert produce["backtest"]["error"] < 0.03
    speeds = parameters["workloads.orders.consumer.rate"]
    assert 180 <= speeds["value"]["min"] < speeds["value"]["max"] <= 220
    assert speeds["samples"] == PODS
    assert calibrated(tmp_path).scenario.workloads["orders"].produce.noise == "poisson"


def test_what_was_recorded_is_played_as_a_trace(prometheus: str, tmp_path: Path) -> None:
    out, day = tmp_path / "orders.csv", ("--from", "2026-03-03", "--to", "2026-03-04")

    made = invoke(
        "trace", "sum(rate(orders_produced_total[5m]))", "--prometheus", prometheus, *day,
        "--out", out,
    )  # fmt: skip

    assert made.exit_code == 0, made.stderr
    rows = rows_of(out)
    assert rows[0]["time"] == "2026-03-03T00:00:00.000Z"
    assert len(rows) == 1441
    assert float(rows[1200]["rate"]) == pytest.approx(HIGH, rel=0.02)
    scenario = yaml.safe_load(SCENARIO.read_text())
    scenario["workloads"]["orders"]["produce"] = {"trace": {"file": "orders.csv", "rate": "rate"}}
    (tmp_path / "played.yaml").write_text(yaml.safe_dump(scenario))
    shutil.copytree(SCENARIO.parent / "manifests", tmp_path / "manifests")
    loaded = load(tmp_path / "played.yaml")
    course = loaded.scenario.workloads["orders"].produce.rate(loaded.surroundings)
    assert course.at(1200 * 60 * 1_000_000) == float(rows[1200]["rate"])


def test_more_points_than_prometheus_answers_at_once_are_all_there(
    prometheus: str, tmp_path: Path
) -> None:
    made = invoke(
        "trace", "sum(rate(orders_produced_total[5m]))", "--prometheus", prometheus, *PERIOD,
        "--out", tmp_path / "orders.csv",
    )  # fmt: skip

    assert made.exit_code == 0, made.stderr
    stamps = [datetime.fromisoformat(row["time"]) for row in rows_of(tmp_path / "orders.csv")]
    assert len(stamps) > 30_000
    assert {b - a for a, b in pairwise(stamps)} == {timedelta(minutes=1)}


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("rate(orders_processed_total[5m])", "got 12; take the sum(…) of them"),
        ("gone_total", "got 0; is it scraped, and kept so long?"),
        ("sum(", "parse error"),
    ],
)
def test_a_query_that_is_no_load_is_refused(
    prometheus: str, tmp_path: Path, query: str, told: str
) -> None:
    refused = invoke(
        "trace", query, "--prometheus", prometheus, *PERIOD, "--step", "1h", "--out",
        tmp_path / "x.csv",
    )  # fmt: skip

    assert refused.exit_code == 2
    assert told in refused.stderr
    assert not (tmp_path / "x.csv").exists()


def calibrated(folder: Path) -> LoadedScenario:
    """The scenario with the calibration beside it."""
    shutil.copytree(SCENARIO.parent / "manifests", folder / "manifests")
    (folder / "s.yaml").write_text(SCENARIO.read_text() + "\ncalibration: orders.yaml\n")
    return load(folder / "s.yaml")


def recorded() -> str:
    """OpenMetrics: a counter that follows weeks, with noise, and one of each busy pod."""
    random, text = Random(11), io.StringIO()
    speeds = [random.uniform(180, 220) for _ in range(PODS)]
    start, steps = round(MONDAY.timestamp()), DAYS * 86_400 // STEP_S
    text.write("# TYPE orders_produced counter\n")
    total = 0.0
    for i in range(steps + 1):
        text.write(f"orders_produced_total {total:.0f} {start + i * STEP_S}\n")
        moment = MONDAY + timedelta(seconds=i * STEP_S)
        hour = moment.hour + moment.minute / 60
        rate = LOW + (HIGH - LOW) * (1 + math.cos((hour - PEAK_H) * math.pi / 12)) / 2
        expected = rate * (WEEKEND if moment.weekday() >= 5 else 1.0) * STEP_S
        total += max(0.0, random.gauss(expected, math.sqrt(expected)))
    text.write("# TYPE orders_processed counter\n")
    for pod, speed in enumerate(speeds):
        for i in range(steps // 3 * 2 - BUSY, steps // 3 * 2 + BUSY, 2):
            at = i * STEP_S
            text.write(f'orders_processed_total{{pod="p{pod}"}} {speed * at:.0f} {start + at}\n')
    text.write("# EOF\n")
    return text.getvalue()


def rows_of(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(file.read_text().splitlines()))


def is_ready(url: str) -> None:
    try:
        assert requests.get(f"{url}/-/ready", timeout=5).status_code == 200
    except requests.ConnectionError as error:
        raise AssertionError(str(error)) from error


def invoke(*words: str | os.PathLike[str]) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])
