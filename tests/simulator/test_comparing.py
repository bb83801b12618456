import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from prism_operator.api.meta import Json
from simulator.cli import app
from simulator.experiments.comparing import Outcome, compare_variants, markdown, sentence
from simulator.experiments.requests import AS_IT_IS, read_request
from simulator.experiments.runs import Variant, jobs_of, local, run_all
from simulator.inputs import BadInputError
from simulator.scenario import load
from simulator.scenario.settings import PrimarySpec, Setting
from tests.simulator.builders import a_stack


def a_file(folder: Path, **more: object) -> Path:
    stack = a_stack()
    scenario = {
        "question": "How many replicas?",
        "seed": 5,
        "duration": "2m",
        "cluster": {
            "pools": {"base": {"count": 3}, "spot": {"count": 1}},
            "pods": {"start": {"min": "1s", "max": "20s"}},
            "images": [{"match": "*", "crashAfter": "1h"}],
        },
        "manifests": ["stack.yaml"],
        "expect": [{"eventually": {"condition": {"of": "PrismStack/shop"}}}],
        "params": {
            "replicas": {"default": 2, "sets": "PrismStack/shop:spec.patterns[0].replicas"},
            "crash": {"default": "1h", "sets": "cluster.images[0].crashAfter"},
            "spot_share": {"default": 0.25, "split": ["base", "spot"], "total": 4},
        },
        "variants": {"steady": {"crash": "1h"}, "shaky": {"crash": "10s"}},
        "compare": {"baseline": "steady", "seeds": 3, "primary": {"restarts": {"margin": 2}}},
        **more,
    }
    (folder / "stack.yaml").write_text(yaml.safe_dump(stack))
    path = folder / "shop.yaml"
    path.write_text(yaml.safe_dump(scenario))
    return path


def replicas_of(path: Path, **values: object) -> int:
    stack: Json = load(path, values).manifests["stack.yaml"][0].obj
    return int(stack["spec"]["patterns"][0]["replicas"])


def test_a_param_sets_a_field_of_a_manifest(tmp_path: Path) -> None:
    path = a_file(tmp_path)

    assert replicas_of(path) == 2
    assert replicas_of(path, replicas=7) == 7


def test_a_share_splits_nodes_between_two_pools(tmp_path: Path) -> None:
    pools = load(a_file(tmp_path), {"spot_share": 0.75}).scenario.cluster.pools

    assert (pools["base"].count, pools["spot"].count) == (1, 3)


def test_a_setting_changes_what_no_param_names(tmp_path: Path) -> None:
    path = a_file(tmp_path)
    settings = [Setting.parse("cluster.pools.base.count=8"), Setting.parse("duration=90s")]

    scenario = load(path, settings=settings).scenario
    assert scenario.cluster.pools["base"].count == 8
    assert scenario.duration == 90_000_000


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("PrismStack/shop:spec.proxy.replicas=-4", "spec.proxy.replicas"),
        ("PrismStack/other:spec.proxy.replicas=4", "no manifest has that object"),
        ("cluster.pools.base.count=many", "count: input should be a valid integer"),
        ("cluster.pools.base.colour=red", "cluster.pools.base.colour: unknown key"),
        ("manifests[3]=x", "there is nothing at manifests[3]"),
    ],
)
def test_a_setting_that_cannot_be_made_says_so(
    tmp_path: Path, setting: str, complaint: str
) -> None:
    with pytest.raises(BadInputError) as raised:
        load(a_file(tmp_path), settings=[Setting.parse(setting)])

    assert complaint in str(raised.value)


def test_the_command_line_completes_what_the_file_says(tmp_path: Path) -> None:
    path = a_file(tmp_path)

    from_file = read_request(path, [], [], None)
    assert (from_file.baseline.name, [v.name for v in from_file.variants]) == ("steady", ["shaky"])
    assert from_file.seeds == (5, 6, 7)

    one = read_request(path, ["replicas=3"], ["evictions=1"], 9)
    assert one.baseline == AS_IT_IS
    assert list(one.primary) == ["evictions"]
    assert len(one.seeds) == 9

    two = read_request(path, ["replicas=3", "replicas=4,cluster.pools.base.count=7"], [], None)
    assert two.baseline.values == {"replicas": 3}
    assert [str(s) for s in two.variants[0].settings] == ["cluster.pools.base.count=7"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ["--variant", "colour=red"],
            '"colour" is not a param (there are: crash, replicas, spot_share)',
        ),
        (["--variant", "replicas"], "expected PATH=VALUE"),
        (["--primary", "writes=lots"], 'expected a margin such as 5, "10s" or "2%"'),
        (["--primary", "lag.max=5"], '"lag.max" is no measure'),
        (["--variant", "spot_share=1.5"], "expected a share between 0 and 1, got 1.5"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    path = a_file(tmp_path)

    result = CliRunner().invoke(app, ["compare", str(path), *arguments, "--workers", "1"])
    assert result.exit_code == 2
    assert complaint in result.stderr


def test_more_restarts_than_the_margin_are_worse_and_fail_the_command(tmp_path: Path) -> None:
    path, report = a_file(tmp_path), tmp_path / "verdict.md"

    result = CliRunner().invoke(
        app, ["compare", str(path), "--workers", "1", "--markdown", str(report)]
    )
    assert result.exit_code == Outcome.WORSE, result.output
    assert "shaky against steady: worse in restarts" in result.stdout
    assert report.read_text() == result.stdout


def test_a_variant_that_breaks_an_expectation_is_named(tmp_path: Path) -> None:
    path = a_file(tmp_path)
    tiny = Variant("tiny", settings=(Setting.parse("cluster.pools.base.count=0"),))
    nowhere = Variant("nowhere", {}, (*tiny.settings, Setting.parse("cluster.pools.spot.count=0")))

    compared = compare_variants(
        path,
        AS_IT_IS,
        [nowhere],
        seeds=(1, 2),
        primary={"evictions": PrimarySpec(margin=1)},
        pool=local(1),
    )
    assert "nowhere breaks an expectation in 2 of 2 seeds" in markdown(compared)
    assert sentence(compared).startswith("nowhere against as it is: equivalent in evictions")


def test_results_do_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    path = a_file(tmp_path)
    variants = [Variant("two", {"replicas": 2}), Variant("three", {"replicas": 3})]

    jobs = jobs_of(path, variants, (1, 2), ("writes",))
    one, two = (run_all(jobs, local(workers)) for workers in (1, 2))
    assert one == two
    assert [(run.variant, run.seed) for run in one] == [
        ("two", 1),
        ("two", 2),
        ("three", 1),
        ("three", 2),
    ]
    assert json.dumps([run.log_hash for run in one]) == json.dumps([run.log_hash for run in two])
