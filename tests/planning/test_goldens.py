from __future__ import annotations

from pathlib import Path

import kubernetes_validate
import pytest

from prism_operator.api.meta import PRISM_RESOURCES, SCALED_OBJECT, resource_of

from .goldens import GOLDENS, SAMPLES, created_objects, render, world_of

sample = pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)


def test_there_is_one_golden_for_every_sample() -> None:
    assert SAMPLES, "samples/ is empty"
    assert {path.name for path in GOLDENS.glob("*.yaml")} == {path.name for path in SAMPLES}


@sample
def test_the_plan_is_the_golden_one(sample: Path) -> None:
    golden = (GOLDENS / sample.name).read_text()

    assert golden == render(sample), "run: python -m tests.planning.goldens, and read its diff"


@sample
def test_a_sample_is_ready_once_it_is_rolled_out(sample: Path) -> None:
    world = world_of(sample)
    world.converge()

    for ref, obj in world.objects.items():
        if ref.resource.kind in ("PrismStack", "PrismPattern"):
            ready = [c["status"] for c in obj["status"]["conditions"] if c["type"] == "Ready"]
            assert ready == ["True"], ref


@pytest.mark.parametrize("golden", sorted(GOLDENS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_built_in_object_meets_its_upstream_schema(golden: Path) -> None:
    for obj in created_objects(golden.read_text()):
        # Those of KEDA meet its own CRDs in e2e.
        if (
            resource_of(obj) not in PRISM_RESOURCES
            and resource_of(obj).group != SCALED_OBJECT.group
        ):
            kubernetes_validate.validate(obj, "1.34", strict=True)
