"""In how many seeds something holds: judged as sure as so many seeds allow."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from simulator.cli import app
from simulator.experiments.odds import Odds, Verdict, over_seeds, seeds_needed
from simulator.experiments.runs import local
from simulator.inputs import BadInputError

SCENARIO = """
question: Is the number of drawn messages high?
seed: 1
duration: 2m
cluster: {pools: {base: {count: 1}}}
manifests: [work.yaml]
workloads:
  jobs:
    target: Deployment/work
    kafka: {topic: jobs, group: jobs, partitions: 1}
    produce: {constant: 10, noise: poisson}
    consumer: {rate: 0}
expect:
EXPECT
"""
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: work}
spec:
  replicas: 1
  selector: {matchLabels: {app: work}}
  template:
    metadata: {labels: {app: work}}
    spec: {containers: [{name: c, image: i}]}
"""


def a_file(folder: Path, *expect: str) -> Path:
    (folder / "work.yaml").write_text(DEPLOYMENT)
    path = folder / "odds.yaml"
    path.write_text(SCENARIO.replace("EXPECT", "\n".join(f"  - {line}" for line in expect)))
    return path


def odds(asked: float | None, held: int, of: int, low: float, high: float) -> Odds:
    return Odds("it holds", asked, of, tuple(range(of - held)), low, high)


def test_a_share_is_reached_only_when_its_whole_interval_reaches_it() -> None:
    assert odds(0.9, 99, 100, 0.945, 0.999).verdict is Verdict.HOLDS
    assert odds(0.9, 92, 100, 0.848, 0.965).verdict is Verdict.OPEN
    assert odds(0.9, 60, 100, 0.497, 0.697).verdict is Verdict.BROKEN


def test_what_names_no_share_has_to_hold_in_every_seed() -> None:
    assert odds(None, 100, 100, 0.96, 1.0).verdict is Verdict.HOLDS
    assert odds(None, 99, 100, 0.94, 0.999).verdict is Verdict.BROKEN


@pytest.mark.parametrize(("asked", "seeds"), [(0.95, 72), (0.5, 6), (1.0, None)])
def test_it_is_said_how_many_seeds_could_show_a_share(asked: float, seeds: int | None) -> None:
    assert seeds_needed(asked) == seeds


def test_what_only_some_seeds_draw_holds_in_a_share_of_them(tmp_path: Path) -> None:
    # 1,100 messages in the mean before the last interval, give or take 33.
    metric = "metric: jobs.lag.max, atLeast: 1120"
    path = a_file(
        tmp_path, f"{{{metric}, inSeeds: 20%}}", f"{{{metric}, inSeeds: 90%}}", f"{{{metric}}}"
    )
    found = over_seeds(path, 40, local(1))
    assert [o.verdict for o in found.odds] == [Verdict.HOLDS, Verdict.BROKEN, Verdict.BROKEN]
    assert found.odds[0].broken == found.odds[2].broken
    assert set(found.odds[0].broken) <= set(found.seeds)
    assert over_seeds(path, 40, local(1)) == found


def test_too_few_seeds_are_told_from_a_failure(tmp_path: Path) -> None:
    path = a_file(tmp_path, "{metric: jobs.lag.max, atLeast: 1, inSeeds: 95%}")
    result = CliRunner().invoke(app, ["run", str(path), "--seeds", "5", "--workers", "1"])
    assert result.exit_code == 3
    assert "at least 72 seeds can" in result.stdout
    assert "5 of 5" in result.stdout


def test_what_is_for_one_run_is_refused_with_many_seeds(tmp_path: Path) -> None:
    path = a_file(tmp_path, "{metric: jobs.lag.max, atLeast: 1}")
    result = CliRunner().invoke(app, ["run", str(path), "--seeds", "5", "--watch"])
    assert result.exit_code == 2


def test_a_share_beyond_all_seeds_is_refused_with_its_place(tmp_path: Path) -> None:
    path = a_file(tmp_path, "{metric: jobs.lag.max, atLeast: 1, inSeeds: 120%}")
    with pytest.raises(BadInputError, match=r"odds.yaml:14:40"):
        over_seeds(path, 2, local(1))
