"""The examples of MEMO-036 as a user would apply them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml

from prism_operator.api import crd
from prism_operator.api.meta import Json
from prism_operator.api.validation import MODELS, parse

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "samples").glob("*.yaml"))
SCHEMAS = {
    definition["spec"]["names"]["kind"]: definition["spec"]["versions"][0]["schema"][
        "openAPIV3Schema"
    ]
    for definition in crd.build_crds()
}


def objects_in(path: Path) -> list[Json]:
    return [obj for obj in yaml.safe_load_all(path.read_text()) if obj]


def unknown_fields(obj: object, schema: Json, path: str = "") -> list[str]:
    """Fields of an object that its schema does not have."""
    if schema.get("x-kubernetes-preserve-unknown-fields") or path == ".metadata":
        return []
    found: list[str] = []
    if isinstance(obj, dict):
        for key, value in obj.items():
            below = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
            if below is None:
                found.append(f"{path}.{key}")
            else:
                found += unknown_fields(value, below, f"{path}.{key}")
    elif isinstance(obj, list):
        for index, item in enumerate(obj):
            found += unknown_fields(item, schema["items"], f"{path}[{index}]")
    return found


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_sample_is_valid_and_has_only_known_fields(path: Path) -> None:
    ours = [obj for obj in objects_in(path) if obj["kind"] in MODELS]

    for obj in ours:
        assert parse(obj).name == obj["metadata"]["name"]
        assert unknown_fields(obj, SCHEMAS[obj["kind"]]) == []


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_sample_brings_the_namespace_it_needs_and_lists_its_corrections(path: Path) -> None:
    first, *rest = path.read_text().splitlines()
    assert first.startswith("# MEMO-036, ")
    assert any(line.startswith("# Corrections:") for line in rest)

    objects = objects_in(path)
    brought = {o["metadata"]["name"] for o in objects if o["kind"] == "Namespace"}
    needed = {o["metadata"]["namespace"] for o in objects if o["kind"] != "Namespace"}
    # Not "default": it is there, and nobody may delete it with the sample.
    assert brought == needed - {"default"}


def test_samples_can_all_be_applied_together() -> None:
    names: Counter[tuple[str, str, str]] = Counter()
    for path in SAMPLES:
        for obj in objects_in(path):
            meta = obj["metadata"]
            if obj["kind"] == "Namespace":
                continue
            names[obj["kind"], meta["namespace"], meta["name"]] += 1
            for section, kind in (
                ("patterns", "PrismPattern"),
                ("backends", "PrismBackend"),
                ("namespaces", "PrismNamespace"),
            ):
                if obj["kind"] == "PrismStack":
                    for child in obj["spec"].get(section, ()):
                        names[kind, meta["namespace"], child["name"]] += 1

    assert [name for name, count in names.items() if count > 1] == []


def test_memo_s_stack_is_there_in_both_its_namespaces() -> None:
    namespaces = {
        obj["metadata"]["namespace"]
        for path in SAMPLES
        for obj in objects_in(path)
        if obj["metadata"]["name"] == "prism-dev"
    }

    assert namespaces == {"default", "prism-system"}


def test_copies_have_the_names_of_the_memo_and_the_same_objects() -> None:
    copy = ROOT / "config" / "samples" / "prism_v1alpha1_prismstack.yaml"

    assert objects_in(copy) == objects_in(ROOT / "samples" / "prism-dev.yaml")
    assert len(list(copy.parent.glob("*.yaml"))) == len(SAMPLES)
    assert not (ROOT / "config" / "crd" / "bases" / "kustomization.yaml").exists()
