"""Laws that hold for every object, checked with generated ones."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from prism_operator.api.meta import Json
from simulator.apiserver import fieldsets as fs
from simulator.apiserver import managedfields, quantity
from simulator.apiserver.managedfields import Conflicts
from simulator.apiserver.types import Catalog, Kind

CATALOG = Catalog.builtin()
(WIDGET,) = CATALOG.add_crd(
    yaml.safe_load((files("simulator.apiserver") / "schemas" / "widgets.yaml").read_text())
)


def builtin(group: str, version: str, plural: str) -> Kind:
    kind = CATALOG.get(group, version, plural)
    assert kind is not None
    return kind


DEPLOYMENT = builtin("apps", "v1", "deployments")
KINDS = {"Deployment": DEPLOYMENT, "Widget": WIDGET}
EARLIER, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"

words = st.sampled_from(["a", "b", "c"])
labels = st.dictionaries(words, words, max_size=3)


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries({}, optional=fields)


def named(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Json]]:
    item = st.fixed_dictionaries({"name": words}, optional=fields)
    return st.lists(item, max_size=3, unique_by=lambda i: i["name"])


deployment_specs = optional(
    replicas=st.integers(0, 3),
    paused=st.booleans(),
    strategy=optional(type=st.sampled_from(["Recreate", "RollingUpdate"])),
    template=optional(
        metadata=optional(labels=labels, annotations=labels),
        spec=optional(
            containers=named(
                image=words,
                env=named(value=words),
                args=st.lists(words, max_size=2),
                resources=optional(limits=st.dictionaries(words, st.just("1000m"), max_size=2)),
            ),
            nodeSelector=labels,
            tolerations=st.lists(optional(key=words, operator=words), max_size=2),
        ),
    ),
)
widget_specs = optional(
    size=st.sampled_from(["small", "large"]),
    replicas=st.integers(0, 3),
    labels=labels,
    tags=st.lists(words, max_size=3, unique=True),
    words=st.lists(words, max_size=2),
    free=st.dictionaries(words, st.one_of(words, labels, st.none()), max_size=2),
    ports=named(number=st.integers(1, 3), tls=optional(mode=words)),
    atomic=optional(a=words, b=words),
)


def of_kind(kind: Kind, specs: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    return st.builds(
        lambda spec, given_labels: {
            "apiVersion": kind.resource.api_version,
            "kind": kind.resource.kind,
            "metadata": {"name": "x", **given_labels},
            "spec": spec,
        },
        specs,
        optional(labels=labels, annotations=labels),
    )


objects = st.one_of(
    st.tuples(st.just("Deployment"), of_kind(DEPLOYMENT, deployment_specs)),
    st.tuples(st.just("Widget"), of_kind(WIDGET, widget_specs)),
)
pairs = st.one_of(
    st.tuples(
        st.just("Deployment"),
        of_kind(DEPLOYMENT, deployment_specs),
        of_kind(DEPLOYMENT, deployment_specs),
    ),
    st.tuples(st.just("Widget"), of_kind(WIDGET, widget_specs), of_kind(WIDGET, widget_specs)),
)


def applied(kind: Kind, live: Json | None, patch: Json, manager: str, time: str) -> Json:
    result = managedfields.apply(kind, live, patch, manager, force=True, time=time)
    assert not isinstance(result, Conflicts)
    return {**result, "metadata": {**result["metadata"], "uid": "u"}}


def owned_by(obj: Json, manager: str) -> fs.FieldSet:
    for entry in managedfields.entries(obj):
        if entry["manager"] == manager:
            return fs.decode(entry["fieldsV1"])
    return {}


@given(objects)
def test_decoding_what_was_decoded_changes_nothing(case: tuple[str, Json]) -> None:
    kind, body = KINDS[case[0]], case[1]
    once = kind.decode(body).obj

    assert kind.decode(once).obj == once
    assert not kind.decode(once).unknown


@given(objects)
def test_decoding_leaves_its_argument_alone(case: tuple[str, Json]) -> None:
    kind, body = KINDS[case[0]], case[1]
    before = json.dumps(body)

    kind.decode(body)

    assert json.dumps(body) == before


@given(objects)
def test_applying_twice_is_applying_once(case: tuple[str, Json]) -> None:
    kind, body = KINDS[case[0]], case[1]
    once = applied(kind, None, body, "m", EARLIER)
    # Who applies nothing owns nothing, and what is there is then held to be from before.
    assume(managedfields.entries(once))

    again = applied(kind, once, body, "m", LATER)

    assert managedfields.keep_timestamps(once, again) == once


@given(pairs)
def test_what_only_one_applier_had_goes_when_it_stops_saying_it(
    case: tuple[str, Json, Json],
) -> None:
    kind, first, second = KINDS[case[0]], *case[1:]
    nothing = {key: value for key, value in first.items() if key != "spec"}
    nothing["metadata"] = {"name": "x"}
    base = applied(kind, None, second, "base", EARLIER)

    added = applied(kind, base, first, "guest", EARLIER)
    left = applied(kind, added, nothing, "guest", LATER)

    assert not owned_by(left, "guest")
    # What base still owns has not lost its owner or its place.
    assert fs.is_empty(fs.difference(owned_by(left, "base"), owned_by(base, "base")))


@given(pairs)
def test_no_two_appliers_disagree_about_a_value_they_share(case: tuple[str, Json, Json]) -> None:
    kind, first, second = KINDS[case[0]], *case[1:]
    base = applied(kind, None, first, "one", EARLIER)

    result = managedfields.apply(kind, base, second, "two", force=False, time=LATER)

    forced = applied(kind, base, second, "two", LATER)
    taken = fs.difference(owned_by(base, "one"), owned_by(forced, "one"))
    if isinstance(result, Conflicts):
        assert {c["field"] for c in result.causes} <= {fs.text_of(p) for p in fs.paths(taken)}
    else:
        assert {**result, "metadata": {**result["metadata"], "uid": "u"}} == forced


@given(pairs)
def test_an_update_owns_what_it_changed_and_nothing_else(case: tuple[str, Json, Json]) -> None:
    kind, first, second = KINDS[case[0]], *case[1:]
    live = managedfields.update(kind, None, kind.decode(first).obj, "one", EARLIER)
    live["metadata"]["uid"] = "u"

    same = managedfields.update(kind, live, live, "two", LATER)
    changed = managedfields.update(kind, live, kind.decode(second).obj, "two", LATER)

    assert managedfields.entries(same) == managedfields.entries(live)
    both = fs.intersection(owned_by(changed, "one"), owned_by(changed, "two"))
    assert fs.is_empty(both)


elements = st.one_of(
    words.map(lambda w: f"f:{w}"),
    words.map(lambda w: fs.key_element({"name": w})),
    st.integers(0, 20).map(lambda n: fs.key_element({"port": n, "protocol": "TCP"})),
    words.map(fs.value_element),
    st.integers(0, 3).map(lambda i: f"i:{i}"),
)
sets = st.lists(st.lists(elements, min_size=1, max_size=4).map(tuple), max_size=8).map(
    lambda paths: as_set(paths)
)


def as_set(paths: list[fs.Path]) -> fs.FieldSet:
    out: fs.FieldSet = {}
    for path in paths:
        fs.insert(out, path)
    return out


def members(fields: fs.FieldSet) -> set[fs.Path]:
    return set(fs.paths(fields))


@given(sets)
def test_a_set_survives_its_encoding(fields: fs.FieldSet) -> None:
    encoded = json.loads(json.dumps(fs.encode(fields)))

    # An empty FieldsV1 stands for the root itself, so only other sets come back.
    assert members(fs.decode(encoded)) == members(fields)


@given(sets, sets)
def test_the_algebra_is_that_of_sets_of_paths(a: fs.FieldSet, b: fs.FieldSet) -> None:
    assert members(fs.union(a, b)) == members(a) | members(b)
    assert members(fs.intersection(a, b)) == members(a) & members(b)
    assert members(fs.difference(a, b)) == members(a) - members(b)
    below = {p for p in members(a) if any(p[: len(q)] == q for q in members(b))}
    assert members(fs.recursive_difference(a, b)) == members(a) - below


@given(
    st.decimals(allow_nan=False, allow_infinity=False, min_value=0, max_value=10**12, places=3),
    st.sampled_from(["", "m", "k", "M", "Ki", "Mi", "e2"]),
)
def test_a_canonical_quantity_is_canonical_and_the_same_amount(number: Any, suffix: str) -> None:
    text = f"{number}{suffix}"

    canonical = quantity.canonical(text)

    assert quantity.value_of(canonical) == quantity.value_of(text)
    assert quantity.canonical(canonical) == canonical
