from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from simulator.cli import app
from simulator.experiments.cases import Change
from simulator.experiments.regressions import told, write_regression
from simulator.experiments.runs import Job, Run, local
from simulator.experiments.searching import Found, Search, search_for_breaks
from simulator.run import Simulation
from simulator.scenario import load
from tests.simulator.builders import a_stack

PATTERN = {
    "apiVersion": "prism.io/v1alpha1",
    "kind": "PrismPattern",
    "metadata": {"name": "mail", "namespace": "default"},
    "spec": {"pattern": "consumer", "backend": "redis", "replicas": 2},
}
MAIL = {
    "target": "PrismPattern/mail",
    "queue": {"type": "redis", "name": "mail"},
    "produce": 15,
    "consumer": {"rate": 10},
}
SEARCH = Search(8, 3, 0, seed=1)
LAG_STAYS_LOW = {"never": {"metric": {"of": "mail.lag", "above": 100}}}


def a_file(folder: Path, **keys: Any) -> Path:
    scenario = {
        "question": "Is the mail sent?",
        "seed": 5,
        "duration": "90s",
        "cluster": {"pools": {"base": {"count": 3}}},
        "manifests": ["mail.yaml"],
        "workloads": {"mail": MAIL},
        "expect": [{"atEnd": {"exists": "PrismPattern/mail"}}, LAG_STAYS_LOW],
        **keys,
    }
    (folder / "mail.yaml").write_text(yaml.safe_dump(PATTERN))
    path = folder / "post.yaml"
    path.write_text(yaml.safe_dump(scenario))
    return path


def a_search(
    path: Path, *, runs: int = 8, load: float = 3, shift_s: int = 0, pool: Any = None
) -> Found:
    return search_for_breaks(path, Search(runs, load, shift_s, seed=1), pool or local(1))


def saved(folder: Path, found: Found) -> tuple[Path, dict[str, Any]]:
    """The file of the only find, and what stands in it."""
    (find,) = found.finds
    path = write_regression(folder, SEARCH, find)
    value: dict[str, Any] = yaml.safe_load(path.read_text())
    return path, value


def failures(path: Path) -> tuple[str, ...]:
    return Simulation(load(path)).run().failures


@contextmanager
def backwards(jobs: Sequence[Job]) -> Iterator[Iterable[Run]]:
    yield [job.run() for job in reversed(jobs)]


@pytest.fixture(scope="module")
def by_load(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Found]:
    path = a_file(
        tmp_path_factory.mktemp("post"),
        timeline=[{"at": "40s", "rolloutRestart": "Deployment/mail"}, {"at": "1m", "name": "x"}],
        variants={},
    )
    return path, a_search(path)


def test_a_load_that_breaks_is_found_and_made_small(
    by_load: tuple[Path, Found], tmp_path: Path
) -> None:
    path, found = by_load

    assert failures(path) == ()
    file, small = saved(tmp_path / "found", found)
    (find,) = found.finds
    assert find.what == "expected never metric: of: mail.lag, above: 100"
    assert find.small.seed == 5
    (change,) = find.small.changes
    (before,) = [c for c in find.case.changes if c.path == ("workloads", "mail", "produce")]
    assert change.path == before.path
    assert 1 < change.factor <= before.factor
    assert small["timeline"] == []
    assert small["expect"] == [LAG_STAYS_LOW]
    assert small["cluster"]["pools"]["base"]["count"] == 1
    assert "variants" not in small
    assert failures(file) == (find.small_failure,)


def test_what_is_written_says_what_it_is_and_where_its_files_are(
    by_load: tuple[Path, Found],
) -> None:
    path, found = by_load

    file, small = saved(path.parent / "kept" / "regressions", found)
    text = file.read_text()
    assert file.name == "post-never-metric-of-mail-lag-above-100.yaml"
    assert small["manifests"] == ["../../mail.yaml"]
    assert text.startswith("# Found by prism-sim search in post.yaml (--seed 1, run ")
    assert (
        f"What differs from that scenario, which holds: {found.finds[0].small.changes[0]}" in text
    )
    assert str(file) in told(found.finds[0], file)


def test_a_seed_that_breaks_is_found(tmp_path: Path) -> None:
    (tmp_path / "stack.yaml").write_text(yaml.safe_dump(a_stack()))
    path = a_file(
        tmp_path,
        workloads={},
        manifests=["mail.yaml", "stack.yaml"],
        cluster={
            "pools": {"base": {"count": 3}},
            "pods": {"start": {"min": "1s", "max": "30s"}},
        },
        expect=[{"eventually": {"condition": {"of": "PrismPattern/mail"}}, "within": "30s"}],
    )
    assert failures(path) == ()

    found = a_search(path, load=1)

    file, small = saved(tmp_path, found)
    assert found.finds[0].small.changes == ()
    assert small["seed"] == found.finds[0].case.seed != 5
    assert small["manifests"] == ["mail.yaml"]
    assert load(file).scenario.duration == 30_000_000
    assert failures(file) == (found.finds[0].small_failure,)


def test_a_time_at_which_something_breaks_is_found(tmp_path: Path) -> None:
    path = a_file(
        tmp_path,
        workloads={"mail": {**MAIL, "produce": 0}},
        timeline=[
            {"at": "10s", "scale": {"target": "PrismPattern/mail", "replicas": 0}},
            {"at": "40s", "scale": {"target": "PrismPattern/mail", "replicas": 2}},
            {"at": "60s", "name": "post", "load": {"of": "mail", "add": 100}},
        ],
        expect=[
            {
                "eventually": {"metric": {"of": "mail.lag", "atMost": 0}},
                "after": "post",
                "within": "10s",
            }
        ],
    )
    assert failures(path) == ()

    found = a_search(path, runs=12, load=1, shift_s=50)

    file, small = saved(tmp_path, found)
    assert all(change.shift_s for change in found.finds[0].small.changes)
    # Without the batch it would break too, for there would be nothing to come after.
    assert [e for e in small["timeline"] if e.get("name") == "post"]
    assert failures(file) == (found.finds[0].small_failure,)
    assert load(file).scenario.duration <= 90_000_000


def test_what_is_found_depends_on_the_seed_alone(by_load: tuple[Path, Found]) -> None:
    path, found = by_load

    assert a_search(path, pool=backwards) == found


def test_a_scenario_that_breaks_as_it_is_keeps_what_could_be_why(tmp_path: Path) -> None:
    path = a_file(tmp_path, workloads={"mail": {**MAIL, "produce": 40}})

    found = a_search(path, runs=2)

    file, small = saved(tmp_path / "found", found)
    assert found.finds[0].run == 0
    assert small["manifests"] == ["../mail.yaml"]
    assert small["expect"] == [LAG_STAYS_LOW]
    assert "The scenario breaks as it is." in file.read_text()


def test_a_search_never_overwrites(by_load: tuple[Path, Found], tmp_path: Path) -> None:
    _, found = by_load
    first, _ = saved(tmp_path, found)
    assert saved(tmp_path, found)[0] == first

    first.write_text("mine: true\n")
    assert saved(tmp_path, found)[0].name == f"{first.stem}-2.yaml"
    assert first.read_text() == "mine: true\n"


def test_runs_that_the_api_server_refuses_are_counted_and_are_no_finds(tmp_path: Path) -> None:
    path = a_file(
        tmp_path,
        workloads={},
        timeline=[
            {"at": "50s", "scale": {"target": "PrismPattern/mail", "replicas": 1}},
            {"at": "1m", "delete": "PrismPattern/mail"},
        ],
        expect=[{"atEnd": {"absent": "PrismPattern/mail"}}],
    )

    found = a_search(path, runs=12, shift_s=50)

    assert found.finds == ()
    assert 0 < found.unusable < 12


@pytest.mark.parametrize(
    ("change", "value", "expected"),
    [
        (Change(("produce",), factor=1.5), 10, 15),
        (Change(("produce",), factor=1.5), "200/m", {"constant": "200/m", "times": 1.5}),
        (
            Change(("produce",), factor=1.5),
            {"constant": 3, "times": 2},
            {"constant": 3, "times": 3.0},
        ),
        (Change(("add",), factor=1.5), 5, 8),
        (Change(("for",), factor=0.5), "45m", "22m30s"),
        (Change(("at",), shift_s=-90), "20m", "18m30s"),
        (Change(("at",), shift_s=-90), "1m", "0s"),
    ],
)
def test_a_change_writes_what_a_scenario_would_say(
    change: Change, value: object, expected: object
) -> None:
    assert change.applied(value) == expected


def test_changes_get_weaker_until_there_is_nothing_left_of_them() -> None:
    weaker, steps = Change(("at",), shift_s=-9).weaker(), 0
    assert weaker == Change(("at",), shift_s=-4)
    change: Change | None = Change(("produce",), factor=3.0)
    while change is not None:
        change, steps = change.weaker(), steps + 1
    assert 3 < steps < 12


def test_the_command_exits_1_with_a_find_and_says_where_it_is(tmp_path: Path) -> None:
    path = a_file(tmp_path)

    result = CliRunner().invoke(
        app, ["search", str(path), "--runs", "8", "--load", "3", "--workers", "1"]
    )

    assert result.exit_code == 1, result.output
    (file,) = (tmp_path / "regressions").glob("*.yaml")
    assert str(file) in result.stdout
    assert "expected never metric: of: mail.lag, above: 100: at " in result.stdout
    assert "%" not in result.stdout


def test_the_command_claims_nothing_where_it_found_nothing(tmp_path: Path) -> None:
    arguments = ["--runs", "3", "--load", "1", "--shift", "0s", "--workers", "1"]
    result = CliRunner().invoke(app, ["search", str(a_file(tmp_path)), *arguments])

    assert result.exit_code == 0
    assert result.stdout == "nothing found in 3 runs; that is no proof that there is nothing\n"
    assert not (tmp_path / "regressions").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--shift", "soon"], '--shift: "soon" is not a duration'),
        (["--load", "0.5"], "greater than or equal to 1"),
        (["--runs", "0"], "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_searched_is_refused(
    tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    result = CliRunner().invoke(app, ["search", str(a_file(tmp_path)), *arguments])

    assert result.exit_code == 2
    assert complaint in result.stderr
