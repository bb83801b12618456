from __future__ import annotations

from prism_operator.api.meta import CONFIG_MAP, DEPLOYMENT, POD, Json

from .builders import World, a_config_map, a_deployment, a_namespace, refused, seen


def a_world_with(*names: str) -> World:
    world = World()
    for name in names:
        world.create(a_config_map(name))
    return world


def names_of(listed: Json) -> list[str]:
    return [item["metadata"]["name"] for item in listed["items"]]


def a_list(world: World, **query: str) -> Json:
    return world.done(world.ask("GET", CONFIG_MAP.path("default"), **query))


def test_a_list_names_its_kind_once_and_its_revision() -> None:
    world = a_world_with("b", "a")

    listed = a_list(world)

    assert (listed["apiVersion"], listed["kind"]) == ("v1", "ConfigMapList")
    assert names_of(listed) == ["a", "b"]
    assert "kind" not in listed["items"][0]
    assert listed["metadata"] == {"resourceVersion": str(world.server.storage.revision)}


def test_all_namespaces_are_listed_in_the_order_of_their_keys() -> None:
    world = a_world_with("z")
    world.create(a_namespace("aaa"))
    world.create(a_config_map("y", namespace="aaa"))

    assert names_of(world.done(world.ask("GET", CONFIG_MAP.path()))) == ["y", "z"]


def test_pages_show_the_state_of_the_first_page() -> None:
    world = a_world_with("a", "b", "c", "d")
    first = a_list(world, limit="2")
    world.delete(a_config_map("c"))
    world.create(a_config_map("cc"))

    second = a_list(world, limit="2", **{"continue": first["metadata"]["continue"]})

    assert names_of(first) == ["a", "b"]
    assert first["metadata"]["remainingItemCount"] == 2
    assert names_of(second) == ["c", "d"]
    assert second["metadata"] == {"resourceVersion": first["metadata"]["resourceVersion"]}


def test_a_selected_page_does_not_count_what_remains() -> None:
    world = a_world_with("a", "b", "c")

    page = a_list(world, limit="1", labelSelector="!absent")

    assert "continue" in page["metadata"]
    assert "remainingItemCount" not in page["metadata"]


def test_a_continue_token_expires_with_the_history_and_offers_an_inconsistent_rest() -> None:
    world = a_world_with("a", "b", "c")
    first = a_list(world, limit="1")
    world.create(a_config_map("d"))
    world.server.storage.compact()

    token = {"continue": first["metadata"]["continue"]}
    response = world.ask("GET", CONFIG_MAP.path("default"), limit="2", **token)

    assert refused(response)[:2] == (410, "Expired")
    assert isinstance(response.body, dict)
    rest = {"continue": response.body["metadata"]["continue"]}
    assert names_of(a_list(world, **rest)) == ["b", "c", "d"]


def test_an_exact_version_shows_the_past_and_a_future_one_is_too_large() -> None:
    world = a_world_with("a")
    then = a_list(world)["metadata"]["resourceVersion"]
    world.create(a_config_map("b"))

    past = a_list(world, resourceVersion=then, resourceVersionMatch="Exact")
    fresh = a_list(world, resourceVersion=then, resourceVersionMatch="NotOlderThan")
    future = world.ask("GET", CONFIG_MAP.path(), resourceVersion="1000")

    assert names_of(past) == ["a"]
    assert names_of(fresh) == ["a", "b"]
    assert refused(future)[:2] == (504, "Timeout")
    assert future.headers["Retry-After"] == "1"


def test_a_watch_shows_what_happens_after_its_version() -> None:
    world = a_world_with("a")
    version = a_list(world)["metadata"]["resourceVersion"]
    created = world.create(a_config_map("b"))
    watch = world.watch(CONFIG_MAP, resourceVersion=version)
    world.merge(created, {"data": {"key": "new"}})
    world.delete(created)

    assert seen(watch.poll()) == [("ADDED", "b"), ("MODIFIED", "b"), ("DELETED", "b")]
    assert watch.poll() == []


def test_a_deleted_object_carries_the_revision_of_its_deletion() -> None:
    world = a_world_with("a")
    watch = world.watch(CONFIG_MAP, resourceVersion=str(world.server.storage.revision))
    world.delete(a_config_map("a"))

    (event,) = watch.poll()

    assert event.object["data"] == {"key": "value"}
    assert event.object["metadata"]["resourceVersion"] == str(world.server.storage.revision)


def test_a_watch_of_a_namespace_shows_no_other() -> None:
    world = a_world_with()
    world.create(a_namespace("other"))
    watch = world.watch(CONFIG_MAP, "other", resourceVersion=str(world.server.storage.revision))
    world.create(a_config_map("here", namespace="other"))
    world.create(a_config_map("there"))

    assert seen(watch.poll()) == [("ADDED", "here")]


def test_what_enters_or_leaves_a_selection_is_added_or_deleted() -> None:
    world = a_world_with()
    on, off = {"metadata": {"labels": {"on": "yes"}}}, {"metadata": {"labels": {"on": None}}}
    watch = world.watch(
        CONFIG_MAP, resourceVersion=str(world.server.storage.revision), labelSelector="on=yes"
    )
    created = world.create(a_config_map("a"))
    world.merge(created, on)
    world.merge(created, {"data": {"more": "x"}})
    world.merge(created, off)
    world.delete(created)

    events = watch.poll()

    assert [e.type for e in events] == ["ADDED", "MODIFIED", "DELETED"]
    # The last selected state, under the version at which it was left.
    assert events[-1].object["metadata"]["labels"] == {"on": "yes"}
    assert int(events[-1].object["metadata"]["resourceVersion"]) == (
        int(events[-2].object["metadata"]["resourceVersion"]) + 1
    )


def test_a_watch_from_zero_begins_with_what_is_there() -> None:
    world = a_world_with("b", "a")

    assert seen(world.watch(CONFIG_MAP, resourceVersion="0").poll()) == [
        ("ADDED", "a"),
        ("ADDED", "b"),
    ]


def test_streaming_lists_end_their_initial_events_with_a_marked_bookmark() -> None:
    world = a_world_with("a")
    watch = world.watch(
        CONFIG_MAP,
        sendInitialEvents="true",
        resourceVersionMatch="NotOlderThan",
        allowWatchBookmarks="true",
    )

    added, end = watch.poll()

    assert added.type == "ADDED"
    assert end.type == "BOOKMARK"
    assert end.object["metadata"] == {
        "resourceVersion": str(world.server.storage.revision),
        "annotations": {"k8s.io/initial-events-end": "true"},
    }


def test_a_watch_from_forgotten_history_is_one_error_of_410() -> None:
    world = a_world_with("a", "b")
    world.server.storage.compact()

    watch = world.watch(CONFIG_MAP, resourceVersion="2")

    (event,) = watch.poll()
    assert event.type == "ERROR"
    assert (event.object["code"], event.object["reason"]) == (410, "Expired")
    assert event.object["message"].startswith("too old resource version: 2 (")
    assert watch.ended


def test_a_watch_that_was_left_behind_by_compaction_ends() -> None:
    world = a_world_with("a")
    watch = world.watch(CONFIG_MAP, resourceVersion=str(world.server.storage.revision))
    world.create(a_config_map("b"))
    world.server.storage.compact()

    assert watch.poll() == []
    assert watch.ended


def test_a_quiet_watch_gets_bookmarks_and_ends_after_its_timeout() -> None:
    world = a_world_with("a")
    watch = world.watch(
        CONFIG_MAP,
        resourceVersion=str(world.server.storage.revision),
        allowWatchBookmarks="true",
        timeoutSeconds="100",
    )
    assert watch.poll() == []
    world.create(a_deployment("unrelated"))

    world.clock.advance(61)
    (bookmark,) = watch.poll()
    world.clock.advance(40)
    (last,) = watch.poll()

    assert bookmark.type == last.type == "BOOKMARK"
    assert bookmark.object["metadata"]["resourceVersion"] == str(world.server.storage.revision)
    assert watch.ended
    assert watch.poll() == []


def test_contradicting_options_are_refused() -> None:
    world = World()

    for query, message in (
        ({"resourceVersionMatch": "Exact"}, "is forbidden unless resourceVersion is provided"),
        ({"sendInitialEvents": "true"}, "sendInitialEvents is forbidden for list"),
        (
            {"watch": "true", "sendInitialEvents": "true"},
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
    ):
        code, reason, told = refused(world.ask("GET", POD.path(), **query))
        assert (code, reason) == (422, "Invalid")
        assert message in told

    assert refused(world.ask("GET", DEPLOYMENT.path(), labelSelector="a=b=c"))[0] == 400
    assert refused(world.ask("GET", DEPLOYMENT.path(), **{"continue": "x"}))[0] == 400
