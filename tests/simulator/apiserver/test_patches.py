from __future__ import annotations

from typing import Any

import pytest

from prism_operator.api.meta import Json
from simulator.apiserver.patches import JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, patch
from simulator.apiserver.schema import Schema, published
from simulator.apiserver.statuses import ApiError

POD = published("io.k8s.api.core.v1.Pod")


def a_spec(*images: str, **fields: Any) -> Json:
    containers = [{"name": image, "image": image} for image in images]
    return {"spec": {"containers": containers, **fields}}


def strategic(live: Json, change: Json) -> Json:
    return patch(STRATEGIC_MERGE_PATCH, live, change, POD)


def names_of(obj: Json, field: str = "containers") -> list[str]:
    return [item["name"] for item in obj["spec"][field]]


def test_a_merge_patch_merges_maps_replaces_lists_and_removes_nulls() -> None:
    live = {"a": {"b": 1, "c": 2}, "list": [1, 2], "gone": True}

    merged = patch(MERGE_PATCH, live, {"a": {"c": 3}, "list": [9], "gone": None}, Schema())

    assert merged == {"a": {"b": 1, "c": 3}, "list": [9]}
    assert live["list"] == [1, 2]


def test_a_json_patch_does_not_change_the_live_object() -> None:
    live = {"a": {"b": [1]}}

    patched = patch(JSON_PATCH, live, [{"op": "add", "path": "/a/b/-", "value": 2}], Schema())

    assert patched == {"a": {"b": [1, 2]}}
    assert live == {"a": {"b": [1]}}


def test_lists_with_a_merge_key_are_merged_by_it() -> None:
    change = {"spec": {"containers": [{"name": "b", "image": "b:2"}, {"name": "c", "image": "c"}]}}

    merged = strategic(a_spec("a", "b"), change)

    assert merged["spec"]["containers"] == [
        {"name": "a", "image": "a"},
        {"name": "b", "image": "b:2"},
        {"name": "c", "image": "c"},
    ]


def test_an_element_is_deleted_by_a_directive() -> None:
    change = {"spec": {"containers": [{"$patch": "delete", "name": "a"}]}}

    assert names_of(strategic(a_spec("a", "b"), change)) == ["b"]


def test_a_list_is_replaced_by_a_directive() -> None:
    change = {"spec": {"containers": [{"$patch": "replace"}, {"name": "c", "image": "c"}]}}

    assert names_of(strategic(a_spec("a", "b"), change)) == ["c"]


def test_a_map_is_replaced_by_a_directive() -> None:
    live = a_spec("a", nodeSelector={"x": "1"})

    merged = strategic(live, {"spec": {"nodeSelector": {"$patch": "replace", "y": "2"}}})

    assert merged["spec"]["nodeSelector"] == {"y": "2"}


def test_the_order_of_elements_is_set_by_a_directive() -> None:
    change = {
        "spec": {
            "$setElementOrder/containers": [{"name": "c"}, {"name": "a"}],
            "containers": [{"name": "c", "image": "c"}],
        }
    }

    assert names_of(strategic(a_spec("a", "b"), change)) == ["c", "a", "b"]


def test_lists_of_primitives_are_merged_and_deleted_from() -> None:
    live = {"metadata": {"finalizers": ["a/x", "b/x"]}}

    more = strategic(live, {"metadata": {"finalizers": ["c/x"]}})
    fewer = strategic(live, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/x"]}})

    # New elements come before those that the patch does not name.
    assert more["metadata"]["finalizers"] == ["c/x", "a/x", "b/x"]
    assert fewer["metadata"]["finalizers"] == ["b/x"]


def test_retained_keys_drop_all_others() -> None:
    live = {"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}
    volume = {"$retainKeys": ["name", "hostPath"], "name": "v", "hostPath": {"path": "/x"}}

    merged = strategic(live, {"spec": {"volumes": [volume]}})

    assert merged["spec"]["volumes"] == [{"name": "v", "hostPath": {"path": "/x"}}]


@pytest.mark.parametrize(
    ("content_type", "body", "code"),
    [
        (JSON_PATCH, {"op": "add"}, 400),
        (JSON_PATCH, [{"op": "frobnicate", "path": "/a"}], 422),
        (JSON_PATCH, [{"op": "test", "path": "/spec", "value": 1}], 422),
        (MERGE_PATCH, [], 400),
        (STRATEGIC_MERGE_PATCH, "text", 400),
        (STRATEGIC_MERGE_PATCH, {"spec": {"containers": [{"image": "x"}]}}, 500),
        (STRATEGIC_MERGE_PATCH, {"spec": {"$patch": "melt"}}, 500),
    ],
)
def test_unusable_patches_are_refused(content_type: str, body: Any, code: int) -> None:
    with pytest.raises(ApiError) as error:
        patch(content_type, a_spec("a"), body, POD)

    assert error.value.code == code
