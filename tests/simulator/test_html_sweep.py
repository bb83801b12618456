from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from simulator.cli import SCENARIOS, app
from simulator.experiments.runs import Variant
from simulator.experiments.sweeping import Axis, Estimate, Point, Swept
from simulator.htmlreport.sweeping import sweep_page
from simulator.scenario.settings import Objective
from tests.simulator.test_comparing import a_file
from tests.simulator.test_html_report import pictures_of, words_of

CONSUMER_LAG = SCENARIOS / "consumer-lag.yaml"
THRESHOLDS, MAXIMA = ("200", "1000", "5000"), ("16", "48")
LAG = {"200": 140e3, "1000": 185e3, "5000": 205e3}
REPLICAS = {"200": 26.0, "1000": 18.0, "5000": 13.0}
FLAPS = {"200": 0.6, "1000": 14.6, "5000": 11.0}


def estimates(threshold: str, most: str, factor: float = 1.0) -> Mapping[str, Estimate]:
    slow = 1.0 if most == "48" else 1.4  # fewer replicas are slower, and no cheaper
    lag, replicas = LAG[threshold] * slow * factor, REPLICAS[threshold] * factor
    return {
        "orders.lag.max": Estimate(lag, lag * 0.9, lag * 1.1),
        "orders.replicas.mean": Estimate(replicas, replicas - 0.5, replicas + 0.5),
    }


def a_point(threshold: str, most: str) -> Point:
    is_best = most == "48"
    return Point(
        values=(threshold, most),
        name=f"lag_threshold={threshold}, max={most}",
        objectives=estimates(threshold, most),
        flaps_per_hour=FLAPS[threshold],
        flaps=FLAPS[threshold] > 4,
        failing_seeds=4 if threshold == "200" else 0,
        on_front=is_best,
        again=estimates(threshold, most, 0.95) if is_best else None,
        confirmed=is_best,
    )


def a_sweep() -> Swept:
    """Three thresholds with two bounds each: the higher bound is better throughout."""
    axes = {"lag_threshold": THRESHOLDS, "max": MAXIMA}
    return Swept(
        scenario="consumer-lag",
        question="How far does the lag grow?",
        axes=tuple(
            Axis(name, tuple(Variant(f"{name}={value}") for value in values))
            for name, values in axes.items()
        ),
        objectives={"orders.lag.max": Objective(), "orders.replicas.mean": Objective()},
        seeds=(1, 2, 3),
        fresh_seeds=(4, 5, 6),
        flaps_per_hour_max=4,
        points=tuple(a_point(t, m) for t in THRESHOLDS for m in MAXIMA),
        runs=(),
        trust="UNCALIBRATED",
    )


@pytest.fixture(scope="module")
def page() -> str:
    return sweep_page(CONSUMER_LAG, a_sweep())


def test_a_sweep_begins_with_what_is_worth_its_price_and_ends_with_the_scenario(page: str) -> None:
    words = words_of(page)

    parts = [
        "How far does the lag grow?",
        "Of 6 combinations 3 are worth their price",
        "UNCALIBRATED",
        "orders.replicas.mean against orders.lag.max",
        "Where replicas flap",
        "Every combination",
        "front, breaks expect in 4 seeds",
        "On the front, measured again",
        "The scenario itself",
    ]
    places = [words.index(part) for part in parts]
    assert places == sorted(places)


def test_the_front_is_drawn_with_its_second_measurement(page: str) -> None:
    drawn = pictures_of(page)["front"]

    by_name = {point["name"]: point for point in drawn["points"]}
    assert len(by_name) == 6
    best = by_name["lag_threshold=1000, max=48"]
    assert best["front"]
    assert best["at"][0][0] == 18
    assert best["again"][0][0] == pytest.approx(17.1)
    assert not by_name["lag_threshold=1000, max=16"]["front"]
    assert by_name["lag_threshold=1000, max=16"]["again"] is None


def test_the_flapping_region_has_a_cell_for_each_combination_of_what_is_varied_first(
    page: str,
) -> None:
    drawn = pictures_of(page)["flapping"]

    assert [axis["name"] for axis in drawn["axes"]] == ["lag_threshold", "max"]
    flapping = {tuple(cell["at"]) for cell in drawn["cells"] if cell["value"] > drawn["max"]}
    assert flapping == {(1, 0), (1, 1), (2, 0), (2, 1)}


def test_of_further_axes_the_cell_says_what_flaps_most() -> None:
    swept = a_sweep()
    worse = [
        replace(p, values=(*p.values, "b"), flaps_per_hour=9.0, name=f"{p.name}, c=b")
        for p in swept.points
    ]
    better = [replace(p, values=(*p.values, "a"), flaps_per_hour=1.0) for p in swept.points]
    third = Axis("c", (Variant("c=a"), Variant("c=b")))
    wider = replace(swept, axes=(*swept.axes, third), points=(*better, *worse))

    drawn = pictures_of(sweep_page(CONSUMER_LAG, wider))["flapping"]

    assert drawn["others"] == ["c"]
    assert len(drawn["cells"]) == 6
    assert all(cell["name"].endswith("c=b") for cell in drawn["cells"])


def test_one_objective_has_no_front_to_draw_and_says_so() -> None:
    swept = a_sweep()
    only = {"orders.lag.max": Objective()}

    page = sweep_page(CONSUMER_LAG, replace(swept, objectives=only))

    assert pictures_of(page)["front"] is None
    assert "There is nothing to draw: one metric decides." in words_of(page)


def test_the_command_writes_a_page_of_what_it_prints(tmp_path: Path) -> None:
    out = tmp_path / "sweep.html"
    vary = ["--vary", "replicas=1,2", "--minimize", "restarts", "--minimize", "writes"]
    arguments = ["sweep", str(a_file(tmp_path)), *vary, "--seeds", "2", "--workers", "1"]

    ran = CliRunner().invoke(app, [*arguments, "--report", str(out)])

    assert ran.exit_code == 0, ran.output
    (answer,) = [line.strip("*") for line in ran.stdout.splitlines() if line.startswith("**")]
    assert answer in words_of(out.read_text())
