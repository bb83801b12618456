"""The CRDs: rendered from the models, structural, bounded, up to date in the repository."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from prism_operator.api import crd, kubernetes_rules, upstream
from prism_operator.api.fields import Model
from prism_operator.api.meta import PRISM_RESOURCES, Json
from prism_operator.api.rules import Rule
from prism_operator.api.validation import MODELS, parse

from .builders import a_backend, a_namespace, a_pattern, a_stack
from .rejections import REJECTED_CHANGES, REJECTIONS

ROOT = Path(__file__).parents[2]
CRDS = {definition["spec"]["names"]["kind"]: definition for definition in crd.build_crds()}
# etcd and kubectl's annotation: the API server takes no more annotations than this per object.
ANNOTATIONS_LIMIT_BYTES = 256 * 1024
FREE_FORM = {"config", "backendConfig"}


def root_schema(kind: str) -> Json:
    schema: Json = CRDS[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def nodes(schema: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    """Every schema in a schema, with its path."""
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}")
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if key in schema:
            yield from nodes(schema[key], path + mark)


ALL_NODES = [pytest.param(list(nodes(root_schema(kind))), id=kind) for kind in sorted(MODELS)]


def models_below(model: type[Model]) -> Iterator[type[Model]]:
    """A model and all it is made of."""
    yield model
    for field in model.model_fields.values():
        for below in re.findall(r"prism_operator\.api\.\w+\.(\w+)", str(field.annotation)):
            found = _MODEL_BY_NAME[below]
            if found is not model:
                yield from models_below(found)


def _subclasses(model: type[Model]) -> Iterator[type[Model]]:
    for sub in model.__subclasses__():
        yield sub
        yield from _subclasses(sub)


_MODEL_BY_NAME = {model.__name__: model for model in _subclasses(Model)}


def test_generated_files_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert crd.main(["--check", "--root", str(ROOT)]) == 0, capsys.readouterr().err


def test_check_names_files_that_differ_and_files_that_should_not_be_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crd.main(["--write", "--root", str(tmp_path)])
    changed = tmp_path / "crds" / "prism.io_prismstacks.yaml"
    changed.write_text("# edited by hand\n")
    stray = tmp_path / "config" / "crd" / "bases" / "old.yaml"
    stray.write_text("# Generated once\n")
    capsys.readouterr()

    assert crd.main(["--check", "--root", str(tmp_path)]) == 1
    complaint = capsys.readouterr().err
    assert f"{changed} is out of date: run `make manifests`" in complaint
    assert str(stray) in complaint
    assert "prismpatterns" not in complaint

    assert crd.main(["--write", "--root", str(tmp_path)]) == 0
    assert not stray.exists()
    assert crd.main(["--check", "--root", str(tmp_path)]) == 0


def test_rendered_yaml_is_the_crd() -> None:
    for text, definition in zip(crd.render_crds().values(), crd.build_crds(), strict=True):
        assert yaml.load(text, Loader=yaml.CSafeLoader) == definition


@pytest.mark.parametrize("kind", sorted(MODELS))
def test_client_side_apply_fits_its_annotation(kind: str) -> None:
    compact = json.dumps(CRDS[kind], separators=(",", ":"), ensure_ascii=False)

    assert len(compact.encode()) < ANNOTATIONS_LIMIT_BYTES * 0.95


@pytest.mark.parametrize("resource", PRISM_RESOURCES, ids=lambda r: r.kind)
def test_names_are_those_the_operator_asks_for(resource: object) -> None:
    spec = CRDS[resource.kind]["spec"]  # type: ignore[attr-defined]

    assert spec["names"]["plural"] == resource.plural  # type: ignore[attr-defined]
    assert spec["names"]["categories"] == ["prism"]
    assert spec["versions"][0]["subresources"]["status"] == {}


@pytest.mark.parametrize("found", ALL_NODES)
def test_schema_is_structural(found: list[tuple[str, Json]]) -> None:
    for path, schema in found:
        assert "$ref" not in schema, path
        assert "x-upstream" not in schema, path
        if schema.get("x-kubernetes-int-or-string"):
            assert "type" not in schema, path
            assert schema["anyOf"] == [{"type": "integer"}, {"type": "string"}], path
        else:
            assert schema["type"] in {
                "object",
                "array",
                "string",
                "integer",
                "number",
                "boolean",
            }, path
            assert "anyOf" not in schema, path
        assert not ("properties" in schema and "additionalProperties" in schema), path
        if schema.get("type") == "array":
            assert "items" in schema, path
        for required in schema.get("required", ()):
            assert required in schema["properties"], path


@pytest.mark.parametrize("found", ALL_NODES)
def test_list_maps_have_keys_that_are_always_there(found: list[tuple[str, Json]]) -> None:
    for path, schema in found:
        if schema.get("x-kubernetes-list-type") == "map":
            item = schema["items"]
            for key in schema["x-kubernetes-list-map-keys"]:
                assert key in item.get("required", ()) or "default" in item["properties"][key], path


@pytest.mark.parametrize("found", ALL_NODES)
def test_only_settings_for_others_are_free_form(found: list[tuple[str, Json]]) -> None:
    for path, schema in found:
        free = schema.get("x-kubernetes-preserve-unknown-fields", False)
        assert free == (path.rsplit(".", 1)[-1] in FREE_FORM), path


@pytest.mark.parametrize("kind", sorted(MODELS))
def test_every_field_of_our_own_is_described_and_bounded(kind: str) -> None:
    """Own fields are those that stand in a model's JSON schema, not in an upstream type."""
    described = MODELS[kind].model_json_schema(by_alias=True)
    for name, schema in {kind: described, **described["$defs"]}.items():
        if name == "ObjectMeta":
            continue
        for field, own in schema.get("properties", {}).items():
            where = f"{name}.{field}"
            if name == kind:
                continue  # apiVersion, kind, metadata, spec and status
            referred = described["$defs"].get(own.get("$ref", "").rsplit("/", 1)[-1], {})
            assert own.get("description") or referred.get("description"), where
            for branch in own.get("anyOf", [own]):
                match branch.get("type"):
                    case "string":
                        assert branch.keys() & {"maxLength", "enum"}, where
                    case "array":
                        assert "maxItems" in branch, where
                    case "object" if "additionalProperties" in branch:
                        free = "x-kubernetes-preserve-unknown-fields" in branch
                        assert free or "maxProperties" in branch, where
                    case "integer" if "x-kubernetes-int-or-string" not in own:
                        assert {"minimum", "maximum"} <= branch.keys(), where


@pytest.mark.parametrize("kind", sorted(MODELS))
def test_status_has_no_defaults(kind: str) -> None:
    # A default would come back in every status and look like somebody's change.
    for path, schema in nodes(root_schema(kind)["properties"]["status"]):
        assert "default" not in schema, path


def with_defaults(obj: object, schema: Json) -> object:
    """What the API server makes of an object, as far as defaults go."""
    if isinstance(obj, dict):
        for name, field in schema.get("properties", {}).items():
            if name not in obj and "default" in field:
                obj[name] = json.loads(json.dumps(field["default"]))
            if name in obj:
                with_defaults(obj[name], field)
    elif isinstance(obj, list):
        for item in obj:
            with_defaults(item, schema["items"])
    return obj


@pytest.mark.parametrize(
    "obj",
    [
        a_stack(),
        a_stack(
            admin={},
            observability={},
            patterns=[{"name": "a", "type": "t", "backend": "b", "service": {}}],
            backends=[{"name": "nats", "type": "messaging", "secretRef": {"name": "s"}}],
            namespaces=[{"name": "n", "namespaceId": "n"}],
            proxy={"autoscaling": {"maxReplicas": 2, "triggers": [{"type": "kafka"}]}},
        ),
        a_pattern(service={}, autoscaling={"enabled": False}),
        a_backend(connection={"secretRef": {"name": "s"}}),
        a_namespace(),
    ],
    ids=lambda obj: obj["kind"],
)
def test_defaults_of_the_crd_are_those_of_the_model(obj: Json) -> None:
    stored = with_defaults(json.loads(json.dumps(obj)), root_schema(obj["kind"]))
    assert isinstance(stored, dict)

    assert parse(stored) == parse(obj)


def test_every_rule_has_an_example_that_it_rejects() -> None:
    rules: set[Rule] = {
        rule for model in MODELS.values() for below in models_below(model) for rule in below.rules()
    }
    rules |= {rule for of_type in kubernetes_rules.RULES.values() for rule in of_type}
    told = [r.message for r in REJECTIONS] + [r.message for _, r in REJECTED_CHANGES]

    assert len(rules) >= 60
    for rule in rules:
        pattern = ".+".join(map(re.escape, re.split(r"\{[\w.]+\}", rule.message)))
        assert any(re.fullmatch(pattern, message) for message in told), rule.message


def test_rules_reach_the_crd_at_every_place_of_their_model() -> None:
    stack = dict(nodes(root_schema("PrismStack")))

    for path in (".spec.proxy.autoscaling", ".spec.patterns[].autoscaling"):
        rules = [rule["rule"] for rule in stack[path]["x-kubernetes-validations"]]
        assert "!has(self.maxReplicas) || self.minReplicas <= self.maxReplicas" in rules


def test_upstream_types_are_taken_over_in_full() -> None:
    affinity = upstream.schema_of("io.k8s.api.core.v1.Affinity")
    placement = dict(nodes(root_schema("PrismStack")))[".spec.proxy.placement.affinity"]

    assert placement["properties"] == affinity["properties"]
    term = affinity["properties"]["podAntiAffinity"]["properties"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]["items"]
    assert {"labelSelector", "topologyKey", "namespaceSelector", "matchLabelKeys"} <= (
        term["properties"].keys()
    )
    assert term["required"] == ["topologyKey"]


def test_upstream_descriptions_stay_short() -> None:
    for name in upstream.ROOTS:
        for path, schema in nodes(upstream.schema_of(name)):
            assert len(schema.get("description", "")) <= 60, f"{name}{path}"


def test_recording_upstream_keeps_references_requirements_and_list_keys() -> None:
    def field(**schema: object) -> Json:
        return {"description": "First sentence, e.g. this. Second.", **schema}

    string = field(type="string", default="")
    published = {name: {"type": "object", "properties": {}} for name in (*upstream.ROOTS, "Inner")}
    published["io.k8s.api.core.v1.EnvVar"] = {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": string,
            "optional": string,
            "inner": field(allOf=[{"$ref": "#/components/schemas/Inner"}], default={}),
        },
    }

    recorded = upstream.record([{"components": {"schemas": published}}])

    env = recorded["io.k8s.api.core.v1.EnvVar"]["properties"]
    assert env["name"] == {"type": "string", "description": "First sentence, e.g. this"}
    assert env["optional"]["default"] == ""
    assert env["inner"]["$ref"] == "Inner"
    assert "default" not in env["inner"]
    assert "Inner" in recorded
