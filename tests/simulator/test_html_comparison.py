from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from simulator.cli import app
from tests.simulator.test_comparing import a_file
from tests.simulator.test_html_report import pictures_of, words_of


@dataclass(frozen=True, slots=True)
class Made:
    """A page about a comparison, and what the command printed."""

    path: Path
    page: str
    printed: str


def made(path: Path, *, workers: int) -> Made:
    out = path.with_name(f"{workers}.html")
    arguments = ["compare", str(path), "--workers", str(workers), "--report", str(out)]
    ran = CliRunner().invoke(app, arguments)
    assert ran.exit_code == 1, ran.output
    return Made(path, out.read_text(), ran.stdout)


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Containers that crash, against such that do not."""
    folder = tmp_path_factory.mktemp("compared")
    primary = {"restarts": {"margin": 2}, "writes": {"margin": 5}}
    path = a_file(folder, compare={"baseline": "steady", "seeds": 3, "primary": primary})
    return made(path, workers=1)


def test_a_comparison_begins_with_the_verdict_it_printed_and_ends_with_the_scenario(
    compared: Made,
) -> None:
    words = words_of(compared.page)
    (verdict,) = [
        line.strip("*") for line in compared.printed.splitlines() if line.startswith("**")
    ]
    parts = [
        "How many replicas?",
        verdict,
        "UNCALIBRATED",
        "The verdict",
        "What happened",
        "Where it ran, in the worst seed",
        "Every seed",
        "The variants",
        "crash: 10s",
        "The scenario itself",
    ]
    places = [words.index(part) for part in parts]
    assert places == sorted(places)


def test_the_forest_plot_has_every_claim_in_margins(compared: Made) -> None:
    forest = {row["metric"]: row for row in pictures_of(compared.page)["forest"]}

    assert set(forest) == {"restarts", "writes"}
    restarts = forest["restarts"]
    assert restarts["claim"] == "worse"
    assert restarts["low"] <= restarts["middle"] <= restarts["high"]
    assert restarts["low"] > 1  # margins: it is wholly beyond the one that does not matter


def test_every_seed_of_a_variant_is_paired_with_the_same_of_the_baseline(compared: Made) -> None:
    pairs = pictures_of(compared.page)["pairs"]

    assert (pairs["x"], pairs["y"]) == ("writes", "restarts")  # there are no prices
    assert {name: len(of) for name, of in pairs["by"].items()} == {"steady": 3, "shaky": 3}
    assert all(restarts == 0 for _, restarts in pairs["by"]["steady"])
    assert all(restarts > 0 for _, restarts in pairs["by"]["shaky"])


def test_bands_hold_the_median_and_the_worst_seed_lies_where_it_was_worst(compared: Made) -> None:
    pictures = pictures_of(compared.page)

    seeds_by_restarts = [restarts for _, restarts in pictures["pairs"]["by"]["shaky"]]
    worst = pictures["pairs"]["seeds"][seeds_by_restarts.index(max(seeds_by_restarts))]
    assert pictures["worst"]["shaky"] == worst
    assert pictures["bands"]
    for band in pictures["bands"]:
        assert list(band["by"]) == ["steady", "shaky"]
        for of in band["by"].values():
            assert len(of["mid"]) == len(pictures["t"]) - 1
            assert all(low <= mid <= high for low, mid, high in known(of))


def known(of: Any) -> list[tuple[float, float, float]]:
    rows = zip(of["low"], of["mid"], of["high"], strict=True)
    return [row for row in rows if None not in row]


def test_a_page_is_the_same_with_any_number_of_workers(compared: Made) -> None:
    assert made(compared.path, workers=2).page == compared.page
