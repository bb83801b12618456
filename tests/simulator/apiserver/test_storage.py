from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prism_operator.api.meta import CONFIG_MAP, POD
from simulator.apiserver.storage import COMPACTION_INTERVAL_S, Compacted, Storage

from .builders import ManualClock, a_config_map


def a_storage() -> Storage:
    return Storage(ManualClock())


def test_every_write_of_any_resource_takes_the_next_revision() -> None:
    storage = a_storage()
    maps, pods = storage.collection(CONFIG_MAP), storage.collection(POD)

    versions = [
        storage.put(maps, "default/a", a_config_map("a"))["metadata"]["resourceVersion"],
        storage.put(pods, "default/a", a_config_map("a"))["metadata"]["resourceVersion"],
        storage.remove(maps, "default/a")["metadata"]["resourceVersion"],
    ]

    assert versions == ["2", "3", "4"]


def test_stored_objects_are_not_changed_in_place() -> None:
    storage = a_storage()
    maps = storage.collection(CONFIG_MAP)
    first = storage.put(maps, "default/a", a_config_map("a", data={"v": "1"}))

    storage.put(maps, "default/a", a_config_map("a", data={"v": "2"}))

    assert first["data"] == {"v": "1"}
    assert first["metadata"]["resourceVersion"] == "2"


def test_keys_are_in_the_order_of_etcd() -> None:
    storage = a_storage()
    maps = storage.collection(CONFIG_MAP)
    for key in ("b/x", "a/y", "a/x", "a-b/x"):
        storage.put(maps, key, a_config_map(key))

    assert maps.keys == ["a-b/x", "a/x", "a/y", "b/x"]
    assert maps.keys_in("a") == ["a/x", "a/y"]


def test_history_is_forgotten_one_interval_late() -> None:
    clock = ManualClock()
    storage = Storage(clock)
    maps = storage.collection(CONFIG_MAP)
    storage.put(maps, "default/a", a_config_map("a"))
    clock.advance(COMPACTION_INTERVAL_S)
    early = storage.put(maps, "default/b", a_config_map("b"))
    storage.require_kept(1)  # The first tick compacts to where the storage began.

    clock.advance(COMPACTION_INTERVAL_S)
    storage.put(maps, "default/c", a_config_map("c"))

    storage.require_kept(int(early["metadata"]["resourceVersion"]))
    with pytest.raises(Compacted):
        storage.require_kept(int(early["metadata"]["resourceVersion"]) - 1)


_WRITES = st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=30)


@given(_WRITES)
def test_any_kept_revision_can_be_read_again(writes: list[tuple[str, bool]]) -> None:
    storage = a_storage()
    maps = storage.collection(CONFIG_MAP)
    states = {storage.revision: dict(maps.objects)}
    for name, removes in writes:
        key = f"default/{name}"
        if not removes:
            storage.put(maps, key, a_config_map(name))
        elif key in maps.objects:
            storage.remove(maps, key)
        states[storage.revision] = dict(maps.objects)

    for revision, state in states.items():
        assert list(maps.at(revision)) == sorted(state.items())
