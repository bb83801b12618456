"""Reports as somebody sees them who opens, points at, plays and prints them in Chromium."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select
from typer.testing import CliRunner

from e2e.browser import Browser, MissingBrowserError, browser
from simulator.cli import SCENARIOS, app
from simulator.htmlreport.sweeping import sweep_page
from tests.simulator.test_comparing import a_file
from tests.simulator.test_html_sweep import CONSUMER_LAG, a_sweep

PICTURES = ["map", "timeline", "tradeoff"]
# How many colours are in each picture: one means that nothing was drawn.
COLOURS = """
return Object.fromEntries([...document.querySelectorAll(".chart")].map((place) => {
  const canvas = place.querySelector("canvas");
  const pixels = new Uint32Array(
    canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.buffer);
  return [place.id, new Set(pixels).size];
}));
"""
BRIGHTNESS = """
return getComputedStyle(document.body).backgroundColor.match(/\\d+/g)
  .reduce((sum, part) => sum + Number(part), 0) / 3;
"""
PRINTING = """
dispatchEvent(new Event("beforeprint"));
const right = (part) => part.getBoundingClientRect().right;
const seen = {
  inside: [...document.querySelectorAll(".chart canvas")]
    .every((canvas) => right(canvas) <= right(document.body) + 1),
  open: [...document.querySelectorAll("details")].every((part) => part.open),
  theme: document.documentElement.dataset.theme,
};
dispatchEvent(new Event("afterprint"));
return seen;
"""


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    try:
        with browser() as found:
            yield found
    except MissingBrowserError as error:
        pytest.fail(str(error))


def made(folder: Path, scenario: Path) -> Path:
    """The report of one run."""
    file = folder / "report.html"
    ran = CliRunner().invoke(app, ["run", str(scenario), "--report", str(file)])
    assert ran.exit_code == 0, ran.output
    return file


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with all pictures."""
    return made(tmp_path_factory.mktemp("storm"), SCENARIOS / "spot-storm.yaml")


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("comparison")
    file = folder / "report.html"
    primary = {"restarts": {"margin": 2}, "writes": {"margin": 5}}
    scenario = a_file(folder, compare={"baseline": "steady", "seeds": 3, "primary": primary})
    ran = CliRunner().invoke(app, ["compare", str(scenario), "--report", str(file)])
    assert ran.exit_code == 1, ran.output  # worse, as it should be
    return file


@pytest.mark.parametrize(("colours", "is_bright"), [("light", True), ("dark", False)])
def test_a_report_asks_nobody_for_anything_and_is_drawn_in_the_colours_its_reader_prefers(
    window: Browser, storm: Path, colours: Literal["light", "dark"], is_bright: bool
) -> None:
    opened = window.open(storm, colours=colours)

    assert opened.requests == (storm.as_uri(),)
    assert opened.complaints == ()
    drawn = window.run(COLOURS)
    assert sorted(drawn) == PICTURES
    assert min(drawn.values()) > 10, drawn
    assert (window.run(BRIGHTNESS) > 128) is is_bright


def test_what_is_pointed_at_says_what_happened_and_every_number_of_that_moment(
    window: Browser, storm: Path
) -> None:
    window.open(storm)

    told = told_at(window, 26 * 60)

    assert "26m" in told
    assert "drought" in told
    assert "pool: spot, zone: a" in told
    for panel in ("Load", "Replicas", "Lag", "Delay of messages", "Nodes ready", "Cost"):
        assert panel in told
    assert window.complaints() == ()


def test_the_slider_shows_the_cluster_at_any_moment(window: Browser, storm: Path) -> None:
    window.open(storm)

    before, during = (at_moment(window, minutes / 90) for minutes in (24, 40))

    assert "8 nodes" in before
    assert ", 0 wait" in before
    assert "4 nodes" in during
    assert ", 0 wait" not in during
    assert "drought" in during


def test_a_report_can_be_played(window: Browser, storm: Path) -> None:
    window.open(storm)
    began = at_moment(window, 0)

    window.driver.find_element(By.ID, "play").click()
    window.driver.execute_async_script("setTimeout(arguments[0], 500)")

    assert window.driver.find_element(By.ID, "when").text != began
    assert window.complaints() == ()


def test_a_report_on_paper_is_light_and_whole(window: Browser, storm: Path) -> None:
    window.open(storm, colours="dark")

    assert window.run(PRINTING) == {"inside": True, "open": True, "theme": "light"}
    pages = len(re.findall(rb"/Type\s*/Page\b", window.printed()))
    assert 3 <= pages <= 8
    assert window.run("return document.documentElement.dataset.theme") == "dark"


def test_markup_in_a_scenario_is_shown_and_not_run(window: Browser, tmp_path: Path) -> None:
    markup = "<img src=x onerror='window.taken = 1'></script><script>window.taken = 1</script>"
    scenario: dict[str, Any] = {
        "question": markup,
        "duration": "1m",
        "cluster": {"pools": {"base": {"count": 1}}},
        "timeline": [{"at": "30s", "name": markup, "nodeLoss": {"node": "base-a-0", "for": "20s"}}],
        "expect": [{"atEnd": {"count": {"of": "Node", "equals": 1}}}],
    }
    path = tmp_path / "markup.yaml"
    path.write_text(yaml.safe_dump(scenario))

    opened = window.open(made(tmp_path, path))
    told = told_at(window, 40)

    assert markup in window.driver.find_element(By.TAG_NAME, "h1").text
    assert markup in told
    assert window.run("return window.taken") is None
    assert opened.complaints == ()


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_a_comparison_is_drawn_without_a_request_or_a_complaint(
    window: Browser, comparison: Path, colours: Literal["light", "dark"]
) -> None:
    opened = window.open(comparison, colours=colours)

    assert opened.requests == (comparison.as_uri(),)
    assert opened.complaints == ()
    drawn = window.run(COLOURS)
    assert sorted(drawn) == ["bands", "forest", "map", "pairs"]
    assert min(drawn.values()) > 10, drawn


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_a_sweep_is_drawn_without_a_request_or_a_complaint(
    window: Browser, tmp_path: Path, colours: Literal["light", "dark"]
) -> None:
    file = tmp_path / "sweep.html"
    file.write_text(sweep_page(CONSUMER_LAG, a_sweep()))

    opened = window.open(file, colours=colours)

    assert opened.requests == (file.as_uri(),)
    assert opened.complaints == ()
    drawn = window.run(COLOURS)
    assert sorted(drawn) == ["flapping", "front"]
    assert min(drawn.values()) > 10, drawn


def test_the_map_of_a_comparison_shows_the_variant_that_is_chosen(
    window: Browser, comparison: Path
) -> None:
    window.open(comparison)
    steady = at_moment(window, 0.9)

    Select(window.driver.find_element(By.ID, "variant")).select_by_value("shaky")

    assert window.driver.find_element(By.ID, "when").text != steady
    assert window.complaints() == ()


def told_at(window: Browser, at_s: float) -> str:
    """What is said when the pointer is at that time in the first picture below the lanes."""
    window.run("document.getElementById('timeline').scrollIntoView()")
    x, y = window.run(
        "const place = document.getElementById('timeline'), at = place.getBoundingClientRect();"
        "const chart = echarts.getInstanceByDom(place);"
        f"return [at.x + chart.convertToPixel({{xAxisIndex: 1}}, {at_s * 1000}),"
        " at.y + chart.convertToPixel({yAxisIndex: 1}, 0) - 10];"
    )
    window.point_at(x, y)
    told: str = window.driver.find_element(By.ID, "timeline").text
    return told


def at_moment(window: Browser, share: float) -> str:
    """What is said of the cluster when the slider stands at this share of the run."""
    window.run(
        "const slider = document.getElementById('moment');"
        f"slider.value = {share * 1000}; slider.dispatchEvent(new Event('input'));"
    )
    told: str = window.driver.find_element(By.ID, "when").text
    return told
