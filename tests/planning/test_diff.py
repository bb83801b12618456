from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prism_operator.planning.diff import difference

SAME = {
    "defaults of the server": ({"spec": {"a": 1}}, {"spec": {"a": 1, "b": 2}, "status": {}}),
    "a quantity written otherwise": (
        {"resources": {"requests": {"cpu": "2000m", "memory": "1024Mi"}}},
        {"resources": {"requests": {"cpu": "2", "memory": "1Gi"}}},
    ),
    "a quantity given as a number": ({"limits": {"cpu": 2}}, {"limits": {"cpu": "2"}}),
    "an injected sidecar": (
        {"containers": [{"name": "main", "image": "a"}]},
        {"containers": [{"name": "sidecar"}, {"name": "main", "image": "a"}]},
    ),
    "an injected variable": (
        {"env": [{"name": "A", "value": "1"}]},
        {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
    ),
    "a variable with an empty value, which the server drops": (
        {"env": [{"name": "A", "value": ""}]},
        {"env": [{"name": "A"}]},
    ),
    "an empty map, which the server drops": ({"nodeSelector": {}}, {}),
    "a port with its default protocol": (
        {"ports": [{"containerPort": 80}]},
        {"ports": [{"containerPort": 80, "protocol": "TCP"}]},
    ),
    "a restart by kubectl": (
        {"annotations": {"a": "1"}},
        {"annotations": {"a": "1", "kubectl.kubernetes.io/restartedAt": "now"}},
    ),
}

DIFFERENT = {
    "a changed image": (
        {"containers": [{"name": "main", "image": "a"}]},
        {"containers": [{"name": "main", "image": "b"}]},
        "containers[main].image",
    ),
    "a removed container": (
        {"containers": [{"name": "main"}]},
        {"containers": [{"name": "other"}]},
        "containers[main]",
    ),
    "a removed field": ({"spec": {"a": {"b": 1}}}, {"spec": {}}, "spec.a"),
    "another amount": (
        {"requests": {"cpu": "1"}},
        {"requests": {"cpu": "1m"}},
        "requests.cpu",
    ),
    "an amount that is none": (
        {"requests": {"cpu": "1"}},
        {"requests": {"cpu": "many"}},
        "requests.cpu",
    ),
    "an argument too many, in a list that is ours as a whole": (
        {"args": ["--a"]},
        {"args": ["--a", "--b"]},
        "args",
    ),
    "another order of such a list": ({"args": ["a", "b"]}, {"args": ["b", "a"]}, "args[0]"),
    "a changed item of such a list": (
        {"tolerations": [{"key": "a"}]},
        {"tolerations": [{"key": "b", "effect": "NoSchedule"}]},
        "tolerations[0].key",
    ),
    "a mounted token, where no false is left": (
        {"automountServiceAccountToken": False},
        {},
        "automountServiceAccountToken",
    ),
    "another port": (
        {"ports": [{"name": "grpc", "port": 80, "protocol": "TCP"}]},
        {"ports": [{"name": "grpc", "port": 81, "protocol": "TCP"}]},
        "ports[80,TCP]",
    ),
    "a key more in a selector, which then selects nothing": (
        {"spec": {"selector": {"a": "1"}}},
        {"spec": {"selector": {"a": "1", "b": "2"}}},
        "spec.selector",
    ),
    "a label more in a selector": (
        {"labelSelector": {"matchLabels": {"a": "1"}}},
        {"labelSelector": {"matchLabels": {"a": "1", "b": "2"}}},
        "labelSelector.matchLabels",
    ),
    "a scalar where a map was": ({"a": {"b": 1}}, {"a": "text"}, "a"),
}


@pytest.mark.parametrize("case", SAME)
def test_what_others_add_is_no_difference(case: str) -> None:
    desired, live = SAME[case]

    assert difference(desired, live) is None


@pytest.mark.parametrize("case", DIFFERENT)
def test_a_difference_is_named_by_its_path(case: str) -> None:
    desired, live, path = DIFFERENT[case]

    assert difference(desired, live) == path


def test_a_difference_never_shows_a_value() -> None:
    path = difference({"env": [{"name": "A", "value": "s3cret"}]}, {"env": [{"name": "A"}]})

    assert path == "env[A].value"


scalars = st.one_of(st.integers(1), st.text(min_size=1), st.just(True))
names = st.sampled_from(["spec", "image", "replicas", "template", "labels", "x"])
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.dictionaries(names, inner, min_size=1), st.lists(inner, min_size=1, max_size=3)
    ),
    max_leaves=6,
)
objects = st.dictionaries(names, values)


@settings(max_examples=40)
@given(objects)
def test_nothing_differs_from_itself(obj: dict[str, Any]) -> None:
    assert difference(obj, copy.deepcopy(obj)) is None


@settings(max_examples=40)
@given(objects, objects)
def test_foreign_fields_beside_ours_never_differ(ours: Any, theirs: Any) -> None:
    assert difference({"ours": ours}, {"ours": {**ours, "foreign": theirs}}) is None


@settings(max_examples=40)
@given(objects, st.data())
def test_every_lost_field_is_found(obj: dict[str, Any], data: st.DataObject) -> None:
    if not obj:
        return
    live = copy.deepcopy(obj)
    del live[data.draw(st.sampled_from(sorted(live)))]

    assert difference(obj, live) is not None
