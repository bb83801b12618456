"""Custom resources: what a CRD may ask for, and how a refusal is told."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from prism_operator.api.meta import Json
from simulator.apiserver.causes import Cause, SchemaError
from simulator.apiserver.types import Catalog, Kind

CRDS = sorted((Path(__file__).parents[3] / "crds").glob("*.yaml"))


def a_crd(**spec_schema: Any) -> Json:
    """A CRD of Things whose spec has this schema."""
    schema = {"type": "object", "properties": {"spec": {"type": "object", **spec_schema}}}
    return {
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things"},
            "versions": [{"name": "v1", "served": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


def things(**spec_schema: Any) -> Kind:
    (kind,) = Catalog.builtin().add_crd(a_crd(**spec_schema))
    return kind


def refusals(kind: Kind, spec: Json, old: Json | None = None) -> list[Cause]:
    def thing(content: Json) -> Json:
        meta = {"name": "t", "namespace": "n", "uid": "u", "resourceVersion": "1"}
        return kind.decode({"metadata": meta, "spec": content}).obj

    return kind.validate(thing(spec), None if old is None else thing(old))


def rule(text: str, **more: Any) -> list[Json]:
    return [{"rule": text, **more}]


@pytest.mark.parametrize("path", CRDS, ids=[path.stem for path in CRDS])
def test_every_rule_of_our_crds_can_be_evaluated(path: Path) -> None:
    crd = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)

    kinds = Catalog.builtin().add_crd(crd)

    assert [kind.resource.group for kind in kinds] == ["prism.io"]


@pytest.mark.parametrize(
    "text",
    [
        "url(self.a).getHost() == 'x'",
        "self.a.frobnicate()",
        "sets.contains([1], [1])",
        "self.a ==",
        "self.namespace == 'x'",
        "self.a.size()",
    ],
)
def test_a_rule_that_cannot_be_evaluated_is_told_when_its_crd_is_added(text: str) -> None:
    with pytest.raises(SchemaError, match=r"things\.example\.com v1: spec: rule"):
        things(
            properties={"a": {"type": "string"}},
            **{"x-kubernetes-validations": rule(text)},
        )


def test_a_rule_about_a_field_that_is_not_there_is_told_when_its_crd_is_added() -> None:
    with pytest.raises(SchemaError, match=r'fieldPath "\.b" names no field'):
        things(
            properties={"a": {"type": "string"}},
            **{"x-kubernetes-validations": rule("true", fieldPath=".b")},
        )


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"type": "string", "pattern": "[[:alpha:]]"}}},
        {"properties": {"a": {"type": "string", "pattern": "("}}},
        {"properties": {"a": {"type": "string", "format": "hostname"}}},
        {"patternProperties": {"x": {}}},
    ],
)
def test_a_schema_that_would_be_read_otherwise_is_refused(schema: Json) -> None:
    with pytest.raises(SchemaError):
        things(**schema)


@pytest.mark.parametrize(
    ("text", "spec", "holds"),
    [
        ("quantity(self.a).compareTo(quantity('2')) == 0", {"a": "2000m"}, True),
        ("quantity(self.a).isGreaterThan(quantity('1Gi'))", {"a": "1025Mi"}, True),
        ("quantity(self.a).asInteger() == 2", {"a": "2"}, True),
        ("quantity(self.a).add(quantity('1')).sub(1) == quantity('1500m')", {"a": "1.5"}, True),
        ("isQuantity(self.a)", {"a": "banana"}, False),
        ("duration(self.a) < duration('1h')", {"a": "59m59s"}, True),
        ("self.l.isSorted()", {"l": [2, 1]}, False),
        ("self.l.sum() == 3 && self.l.max() == 2", {"l": [1, 2]}, True),
        ("self.l.indexOf(2) == 1", {"l": [1, 2]}, True),
        ("self.a.indexOf('b') == 1", {"a": "ab"}, True),
        ("self.a.find('[0-9]+') == '12'", {"a": "x12"}, True),
        ("self.a.split(',').all(x, x.matches('^[a-z]$'))", {"a": "a,b"}, True),
        ("self.?a.orValue('z') == 'z'", {}, True),
        ("self.__namespace__ == 'n'", {"namespace": "n"}, True),
        ("self.x__dash__y == 1", {"x-y": 1}, True),
        ("self.f > 0.5 && self.f / 2.0 == 0.5", {"f": 1}, True),
    ],
)
def test_rules_may_use_what_kubernetes_adds_to_cel(text: str, spec: Json, holds: bool) -> None:
    kind = things(
        properties={
            "a": {"type": "string"},
            "namespace": {"type": "string"},
            "x-y": {"type": "integer"},
            "f": {"type": "number"},
            "l": {"type": "array", "items": {"type": "integer"}},
        },
        **{"x-kubernetes-validations": rule(text)},
    )

    assert (not refusals(kind, spec)) == holds


def test_what_an_update_leaves_alone_is_not_complained_about_again() -> None:
    loose = things(properties={"a": {"type": "string"}, "b": {"type": "string"}})
    strict = things(properties={"a": {"type": "string", "maxLength": 1}, "b": {"type": "string"}})

    assert not refusals(loose, {"a": "long"})
    assert not refusals(strict, {"a": "long", "b": "new"}, old={"a": "long"})
    assert refusals(strict, {"a": "longer"}, old={"a": "long"})


def test_kinds_of_a_crd_come_and_go() -> None:
    catalog = Catalog.builtin()
    crd = a_crd()

    catalog.add_crd(crd)
    assert catalog.get("example.com", "v1", "things") is not None
    again = copy.deepcopy(crd)
    again["spec"]["versions"][0]["name"] = "v2"
    catalog.add_crd(again)

    assert catalog.get("example.com", "v1", "things") is None
    catalog.remove_crd("things.example.com")
    assert catalog.get("example.com", "v2", "things") is None


def test_a_conversion_webhook_is_refused() -> None:
    crd = a_crd()
    crd["spec"]["conversion"] = {"strategy": "Webhook"}

    with pytest.raises(SchemaError, match="conversion webhooks"):
        Catalog.builtin().add_crd(crd)
