from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prism_operator.adapters.connection import connect_over
from prism_operator.api.meta import CONFIG_MAP, Json, Ref, ref_of
from prism_operator.ports import Listed
from prism_operator.runtime.cache import Cache, identity_unless_ours, scheduling_facts
from prism_operator.runtime.operator import WATCHED
from simulator.apiserver.transport import InProcessAdapter

from .builders import a_config_map
from .world import World


class Watched:
    """A cache whose news are remembered."""

    def __init__(self) -> None:
        self.news: list[tuple[str, str]] = []
        self.cache = Cache(trims={}, listener=self._listen, on_availability=lambda _: None)

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


def test_a_heartbeat_of_a_node_changes_no_scheduling_fact() -> None:
    def a_node(heartbeat: str) -> Json:
        ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": heartbeat}
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": "n", "labels": {"zone": "a"}},
            "spec": {"taints": [], "podCIDR": "10.0.0.0/24"},
            "status": {"allocatable": {"cpu": "4"}, "conditions": [ready], "images": [{}]},
        }

    facts = scheduling_facts(a_node("12:00"))
    assert facts == scheduling_facts(a_node("12:01"))
    assert facts["status"]["allocatable"] == {"cpu": "4"}
    assert "images" not in facts["status"]


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
