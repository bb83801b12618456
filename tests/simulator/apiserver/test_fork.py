"""A fork holds what its server held, and from there on they do not know each other."""

from __future__ import annotations

from prism_operator.api.meta import CONFIG_MAP, Ref, uid_of
from prism_operator.ports import Listed, Ok
from simulator.apiserver.client import InProcessReader, InProcessWriter

from .builders import ManualClock, World


def _a_map(name: str):
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"k": "v"}}


def test_a_fork_and_its_server_go_their_own_ways() -> None:
    world = World()
    created = world.writer.create(_a_map("a"), "m")
    assert isinstance(created, Ok)
    twin = world.server.fork(ManualClock())
    reader, writer = InProcessReader(twin), InProcessWriter(twin)
    assert reader.get(Ref(CONFIG_MAP, "default", "a")) == created

    writer.delete(Ref(CONFIG_MAP, "default", "a"), uid=uid_of(created.obj))
    writer.create(_a_map("c"), "m")

    here, there = world.reader.list(CONFIG_MAP, "default"), reader.list(CONFIG_MAP, "default")
    assert isinstance(here, Listed)
    assert isinstance(there, Listed)
    assert [o["metadata"]["name"] for o in here.items] == ["a"]
    assert [o["metadata"]["name"] for o in there.items] == ["c"]


def test_a_fork_goes_on_as_its_server_does() -> None:
    world = World()
    twin = world.server.fork(ManualClock())

    here = world.writer.create(_a_map("a"), "m")
    there = InProcessWriter(twin).create(_a_map("a"), "m")

    assert here == there


def test_a_fork_can_be_watched_from_before_it_was_made() -> None:
    world = World()
    before = world.reader.list(CONFIG_MAP, "default")
    assert isinstance(before, Listed)
    world.writer.create(_a_map("a"), "m")
    watch = InProcessReader(world.server.fork(ManualClock())).watch(
        CONFIG_MAP, "default", before.resource_version
    )

    assert [event.obj["metadata"]["name"] for event in watch.poll()] == ["a"]
