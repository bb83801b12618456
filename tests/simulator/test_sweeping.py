import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from distributed import LocalCluster
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from simulator.cli import app
from simulator.experiments.ledger import FILE, Ledger
from simulator.experiments.requests import read_sweep
from simulator.experiments.runs import Run, dask, local
from simulator.experiments.sweeping import Estimate, Swept, front, markdown, sweep
from simulator.inputs import BadInputError
from simulator.kernel import SECOND_US
from simulator.scenario.settings import Objective
from simulator.series import Series
from simulator.sums import flaps
from tests.simulator.test_comparing import a_file

MINUTE_US = 60 * SECOND_US
FEW = ("replicas=1,3",)


def points(*values: tuple[float, float]) -> list[dict[str, Estimate]]:
    return [{"cost": Estimate(c, c, c), "lag": Estimate(v, v, v)} for c, v in values]


def objectives(*, more_is_better: bool = False) -> dict[str, Objective]:
    return {"cost": Objective(), "lag": Objective(more_is_better=more_is_better)}


def a_series(*values: tuple[float, float]) -> Series:
    series = Series()
    for minute, value in values:
        series.set(round(minute * MINUTE_US), value)
    return series


def a_sweep(path: Path, *vary: str, **more: object) -> Swept:
    plan = read_sweep(path, list(vary), ["restarts", "writes"], [], 2)
    return sweep(path, plan, **{"pool": local(1), **more})  # type: ignore[arg-type]


def test_what_is_dearer_and_no_better_is_not_on_the_front() -> None:
    assert front(points((1, 9), (2, 5), (3, 5), (4, 1)), objectives()) == [0, 1, 3]
    assert front(points((1, 9), (2, 5), (3, 5), (4, 1)), objectives(more_is_better=True)) == [0]


def test_equals_are_on_the_front_together() -> None:
    assert front(points((1, 1), (1, 1)), objectives()) == [0, 1]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_every_point_off_the_front_is_dominated_by_one_on_it(pairs: list[tuple[int, int]]) -> None:
    on = set(front(points(*pairs), objectives()))

    assert on
    for i, (cost, lag) in enumerate(pairs):
        better = [j for j in on if pairs[j][0] <= cost and pairs[j][1] <= lag]
        assert better
        assert (i in on) == all(pairs[j] == (cost, lag) for j in better)


def test_replicas_that_turn_back_soon_flap() -> None:
    up_and_down = a_series((0, 2), (20, 8), (25, 2), (29, 8))
    assert flaps(up_and_down, 0, 60 * MINUTE_US) == 2


def test_replicas_that_follow_the_day_do_not_flap() -> None:
    a_day = a_series((0, 2), (20, 4), (22, 8), (50, 4), (52, 2))
    assert flaps(a_day, 0, 60 * MINUTE_US) == 0


def test_a_sweep_tries_all_combinations_and_looks_twice_at_the_best(tmp_path: Path) -> None:
    swept = a_sweep(a_file(tmp_path), "replicas=1,3", "crash=10s,1h")

    assert [point.values for point in swept.points] == [
        ("1", "10s"),
        ("1", "1h"),
        ("3", "10s"),
        ("3", "1h"),
    ]
    assert (swept.seeds, swept.fresh_seeds) == ((5, 6), (7, 8))
    assert [point.on_front for point in swept.points] == [False, True, False, True]
    best = swept.points[1]
    assert best.again is not None
    assert best.again["restarts"].mean == 0
    assert "replicas=1, crash=1h" in markdown(swept)


def test_a_sweep_is_the_same_on_a_dask_cluster_and_for_any_number_of_processes(
    tmp_path: Path, two_dask_workers: str
) -> None:
    path = a_file(tmp_path)

    here = a_sweep(path, *FEW)
    assert a_sweep(path, *FEW, pool=local(2)) == here
    assert a_sweep(path, *FEW, pool=dask(two_dask_workers)) == here


def test_an_interrupted_sweep_goes_on_where_it_was(tmp_path: Path) -> None:
    path, out = a_file(tmp_path), tmp_path / "out"
    made: list[Run] = []

    def stop_at_three(run: Run) -> None:
        made.append(run)
        if len(made) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        a_sweep(path, *FEW, ledger=Ledger(out), on_done=stop_at_three)
    with (out / FILE).open("a") as file:
        file.write('{"key": "cut o')  # killed while it wrote the fourth
    swept = a_sweep(path, *FEW, ledger=Ledger(out), on_done=made.append)

    assert swept == a_sweep(path, *FEW)
    assert len({(run.variant, run.seed) for run in made}) == len(made)
    assert a_sweep(path, *FEW, ledger=Ledger(out), on_done=pytest.fail) == swept


def test_runs_of_another_scenario_are_not_taken_for_done(tmp_path: Path) -> None:
    out, made = tmp_path / "out", list[Run]()

    a_sweep(a_file(tmp_path), *FEW, ledger=Ledger(out))
    a_sweep(a_file(tmp_path, duration="3m"), *FEW, ledger=Ledger(out), on_done=made.append)
    assert len(made) >= 4


def test_a_folder_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("hello\n")

    with pytest.raises(BadInputError, match=f"{FILE}:1: not a line of a sweep"):
        Ledger(tmp_path)


def test_the_command_leaves_its_results_as_files(tmp_path: Path) -> None:
    sweep_of = {"vary": {"replicas": [1, 2]}, "seeds": 2, "objectives": {"writes": {}}}
    path, out = a_file(tmp_path, sweep=sweep_of), tmp_path / "out"

    result = CliRunner().invoke(app, ["sweep", str(path), "--workers", "1", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert (out / "sweep.md").read_text() == result.stdout
    table = pq.read_table(out / "runs.parquet").to_pylist()
    assert [(row["replicas"], row["seed"]) for row in table] == [
        ("1", 5),
        ("1", 6),
        ("2", 5),
        ("2", 6),
    ]
    assert [p["name"] for p in json.loads((out / "sweep.json").read_text())] == [
        "replicas=1",
        "replicas=2",
    ]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "nothing to vary; say what with --vary PARAM=VALUE,VALUE"),
        (["--vary", "replicas=1,2"], "no metric to judge by; name one with --minimize METRIC"),
        (["--vary", "colour=red"], '"colour" is not a param'),
        (["--vary", "replicas", "--minimize", "writes"], "expected PARAM=VALUE,VALUE"),
        (["--vary", "replicas=[1", "--minimize", "writes"], "--vary replicas=[1: "),
        (
            ["--vary", "replicas=1,2", "--minimize", "writes", "--dask", "nonsense://x"],
            "--dask nonsense://x: no scheduler answers there",
        ),
    ],
)
def test_what_cannot_be_swept_is_refused(
    tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    result = CliRunner().invoke(app, ["sweep", str(a_file(tmp_path)), *arguments])

    assert result.exit_code == 2
    assert complaint in result.stderr


@pytest.fixture(scope="session")
def two_dask_workers() -> Iterator[str]:
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        yield cluster.scheduler_address
