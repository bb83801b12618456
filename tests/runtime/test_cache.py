from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prism_operator.adapters.connection import connect_over
from prism_operator.api.meta import CONFIG_MAP, NODE, Json, Ref, Resource, ref_of
from prism_operator.ports import Listed
from prism_operator.runtime.cache import Cache, Trim, identity_unless_ours, kept
from prism_operator.runtime.operator import WATCHED
from simulator.apiserver.transport import InProcessAdapter

from .builders import a_config_map
from .world import World


class Watched:
    """A cache whose news are remembered."""

    def __init__(self, trims: Mapping[Resource, Trim] | None = None) -> None:
        self.news: list[tuple[str, str]] = []
        self.cache = Cache(trims=trims or {}, listener=self._listen, on_availability=lambda _: None)

    def _listen(self, ref: Ref, old: Json | None, new: Json | None, by: Ref | None) -> None:
        what = "added" if old is None else "deleted" if new is None else "changed"
        self.news.append((what, ref.name))

    def version(self, name: str = "settings") -> str | None:
        obj = self.cache.get(ref_of(a_config_map(name)))
        return obj["metadata"]["resourceVersion"] if obj else None


def test_an_older_event_does_not_undo_what_our_own_write_answered() -> None:
    watched = Watched()
    watched.cache.put(a_config_map(version=9, data={"a": "new"}))
    watched.cache.put(a_config_map(version=8, data={"a": "old"}))

    assert watched.version() == "9"


def test_versions_are_compared_as_numbers() -> None:
    watched = Watched()
    watched.cache.put(a_config_map(version=9))
    watched.cache.put(a_config_map(version=10))

    assert watched.version() == "10"


def test_the_echo_of_our_own_write_is_no_news() -> None:
    watched = Watched()
    watched.cache.put(a_config_map(version=9))
    watched.cache.put(a_config_map(version=9))

    assert watched.news == [("added", "settings")]


def test_a_new_version_that_says_the_same_is_no_news() -> None:
    watched = Watched()
    watched.cache.put(a_config_map(version=9, data={"a": "1"}))
    watched.cache.put(a_config_map(version=10, data={"a": "1"}))

    assert watched.news == [("added", "settings")]
    assert watched.version() == "10"


def test_what_objects_have_in_common_is_kept_once_and_nothing_else_of_them_changes() -> None:
    watched = Watched()
    objects = [a_config_map(name, version=1, data={"batch": "100"}) for name in "ab"]
    for obj in objects:
        watched.cache.put(obj)

    one, other = (watched.cache.get(ref_of(obj)) for obj in objects)
    assert [one, other] == objects
    assert one is not None
    assert other is not None
    assert one["data"] is other["data"]


def test_what_was_listed_as_it_is_kept_is_not_copied() -> None:
    watched = Watched()
    obj = kept(None, a_config_map(version=1, data={"batch": "100"}))
    watched.cache.replace(CONFIG_MAP, "", Listed((obj,), "1"))

    assert watched.cache.get(ref_of(obj)) is obj


def test_an_old_event_does_not_bring_back_what_we_deleted() -> None:
    watched = Watched()
    watched.cache.put(a_config_map(version=9))
    watched.cache.gone(ref_of(a_config_map()), "uid-of-settings")
    watched.cache.put(a_config_map(version=10))

    assert watched.version() is None


def test_a_successor_of_what_we_deleted_is_seen() -> None:
    watched = Watched()
    watched.cache.put(a_config_map(version=9))
    watched.cache.gone(ref_of(a_config_map()), "uid-of-settings")
    watched.cache.put(a_config_map(version=11, uid="another"))

    assert watched.version() == "11"


def test_a_late_deletion_does_not_remove_the_successor() -> None:
    watched = Watched()
    watched.cache.put(a_config_map(version=11, uid="another"))
    watched.cache.delete(a_config_map(version=10))

    assert watched.version() == "11"


def test_a_list_deletes_what_it_lacks_but_not_what_was_written_after_it() -> None:
    watched = Watched()
    watched.cache.put(a_config_map("old", version=5))
    watched.cache.put(a_config_map("written-since", version=21))
    watched.cache.replace(CONFIG_MAP, "", Listed((a_config_map("new", version=15),), "20"))

    assert [o["metadata"]["name"] for o in watched.cache.list(CONFIG_MAP)] == [
        "new",
        "written-since",
    ]


def test_a_list_of_one_namespace_says_nothing_about_another() -> None:
    watched = Watched()
    watched.cache.put(a_config_map("there", namespace="other", version=5))
    watched.cache.replace(CONFIG_MAP, "default", Listed((), "20"))

    assert len(watched.cache.list(CONFIG_MAP, "other")) == 1


def test_objects_are_found_by_their_controller_in_order() -> None:
    watched = Watched()
    for name in ("b", "a"):
        watched.cache.put(a_config_map(name, owner="orders"))
    watched.cache.put(a_config_map("foreign"))
    assert [o["metadata"]["name"] for o in watched.cache.owned_by("uid-of-orders")] == ["a", "b"]

    watched.cache.put(a_config_map("a", version=2))  # it changed hands
    assert [o["metadata"]["name"] for o in watched.cache.owned_by("uid-of-orders")] == ["b"]


def test_an_unreadable_namespace_makes_the_resource_unreadable_until_it_can_be_read() -> None:
    cache = Watched().cache
    assert cache.serves(CONFIG_MAP) is None

    cache.set_availability(CONFIG_MAP, "a", served=True, readable=False)
    cache.set_availability(CONFIG_MAP, "b", served=True, readable=True)
    assert not cache.can_read(CONFIG_MAP)

    cache.set_availability(CONFIG_MAP, "a", served=True, readable=True)
    assert cache.can_read(CONFIG_MAP)
    assert cache.serves(CONFIG_MAP)


def test_of_managed_fields_only_our_unconverted_entry_is_kept_without_its_fields() -> None:
    watched = Watched()
    obj = a_config_map()
    obj["metadata"]["managedFields"] = [
        {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:data": {}}},
        {"manager": "prism-operator", "operation": "Update", "fieldsV1": {"f:data": {}}},
        {"manager": "prism-operator", "operation": "Apply", "fieldsV1": {}},
    ]
    watched.cache.put(obj)

    kept = watched.cache.get(ref_of(obj))
    assert kept is not None
    assert kept["metadata"]["managedFields"] == [
        {"manager": "prism-operator", "operation": "Update"}
    ]


@pytest.mark.parametrize(
    ("obj", "is_whole"),
    [
        (a_config_map(data={"a": "1"}), False),
        (a_config_map(data={"a": "1"}, owner="orders"), True),
        (a_config_map(data={}, labels={"app.kubernetes.io/managed-by": "prism-operator"}), True),
        (a_config_map(data={}, labels={"app.kubernetes.io/managed-by": "Helm"}), False),
    ],
)
def test_of_foreign_objects_only_the_identity_is_kept(obj: Json, is_whole: bool) -> None:
    kept = identity_unless_ours(obj)

    assert ("data" in kept) == is_whole
    assert ref_of(kept) == ref_of(obj)
    assert kept["metadata"]["uid"] == obj["metadata"]["uid"]


def test_a_list_over_http_is_trimmed_before_the_next_page_is_asked_for() -> None:
    world = World()
    foreign = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "foreign", "namespace": "default"},
        "data": {"big": "x" * 1000},
    }
    world.create(foreign)
    reader = connect_over(InProcessAdapter(world.server)).reader(trims=WATCHED)

    listed = reader.list(CONFIG_MAP)
    assert isinstance(listed, Listed)
    assert [sorted(o) for o in listed.items] == [["apiVersion", "kind", "metadata"]]


def test_what_is_offered_for_adoption_is_kept_whole() -> None:
    obj = a_config_map(data={"a": "1"})
    obj["metadata"]["annotations"] = {"prism.io/adopt": "true"}

    assert identity_unless_ours(obj) == obj


def a_node(name: str = "n", version: int = 1, heartbeat: str = "", **spec: Any) -> Json:
    ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": heartbeat}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "resourceVersion": str(version), "labels": {"zone": "a"}},
        "spec": {"podCIDR": "10.0.0.0/24", **spec},
        "status": {"allocatable": {"cpu": "4"}, "conditions": [ready], "images": [{}]},
    }


def a_taint(key: str, effect: str = "NoSchedule") -> Json:
    return {"key": key, "effect": effect, "timeAdded": "2026-01-01T00:00:00Z"}


def test_a_heartbeat_of_a_node_is_no_news_and_leaves_the_list_as_it_is() -> None:
    watched = Watched(WATCHED)
    watched.cache.put(a_node(heartbeat="12:00"))
    listed = watched.cache.list(NODE)

    watched.cache.put(a_node(version=2, heartbeat="12:01"))

    assert watched.news == [("added", "n")]
    assert watched.cache.list(NODE) is listed


PASSING = {
    "a lost node": {"taints": [a_taint("node.kubernetes.io/unreachable", "NoExecute")]},
    "disk pressure": {"taints": [a_taint("node.kubernetes.io/disk-pressure")]},
    "a preference": {"taints": [a_taint("dedicated", "PreferNoSchedule")]},
}


@pytest.mark.parametrize("case", PASSING)
def test_what_passes_by_itself_about_a_node_is_no_news(case: str) -> None:
    watched = Watched(WATCHED)
    watched.cache.put(a_node())

    watched.cache.put(a_node(version=2, **PASSING[case]))

    assert watched.news == [("added", "n")]


LASTING = {"a cordon": {"unschedulable": True}, "a taint": {"taints": [a_taint("dedicated")]}}


@pytest.mark.parametrize("case", LASTING)
def test_what_lasts_about_a_node_is_news_and_makes_a_new_list(case: str) -> None:
    watched = Watched(WATCHED)
    watched.cache.put(a_node())
    listed = watched.cache.list(NODE)

    watched.cache.put(a_node(version=2, **LASTING[case]))

    assert watched.news == [("added", "n"), ("changed", "n")]
    assert watched.cache.list(NODE) != listed


def test_what_a_controller_counts_in_a_budget_is_no_news() -> None:
    def a_budget(version: int, healthy: int) -> Json:
        obj = {**a_config_map("shop-proxy", version=version, owner="shop"), "spec": {"a": 1}}
        kind = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget"}
        return {**obj, **kind, "status": {"currentHealthy": healthy}}

    watched = Watched(WATCHED)
    watched.cache.put(a_budget(1, 0))
    watched.cache.put(a_budget(2, 3))

    assert watched.news == [("added", "shop-proxy")]


@given(st.permutations([1, 2, 3, 4, 5]), st.lists(st.sampled_from([1, 2, 3, 4, 5])))
def test_reordered_and_repeated_events_end_in_the_newest_state(
    order: Sequence[int], repeats: list[int]
) -> None:
    watched = Watched()
    for version in [*order, *repeats]:
        watched.cache.put(a_config_map(version=version, data={"v": str(version)}))

    obj = watched.cache.get(ref_of(a_config_map()))
    assert obj is not None
    assert obj["data"] == {"v": "5"}
