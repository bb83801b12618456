import random

from prism_operator.api.meta import CONFIG_MAP, Json, Ref, Resource, ref_of
from prism_operator.ports import EventType, Failed, Listed, Reason
from prism_operator.runtime.cache import Cache
from prism_operator.runtime.reflector import PROBE_PERIOD_S, RECONNECT_MAX_S, Reflector

from .builders import FakeClock, ScriptedReader, ScriptedWatch, a_config_map


class Mirror:
    """A reflector of ConfigMaps over a scripted reader."""

    def __init__(self, *items: Json) -> None:
        self.clock = FakeClock()
        self.reader = ScriptedReader(items)
        self.deleted: list[str] = []
        self.availability: list[Resource] = []
        self.cache = Cache(
            trims={}, listener=self._listen, on_availability=self.availability.append
        )
        self.reflector = Reflector(
            CONFIG_MAP,
            "",
            reader=self.reader,
            cache=self.cache,
            clock=self.clock,
            rng=random.Random(1),
        )

    def _listen(self, ref: Ref, old: Json | None, new: Json | None, by: Ref | None) -> None:
        if new is None:
            self.deleted.append(ref.name)

    @property
    def watch(self) -> ScriptedWatch:
        return self.reader.watches[-1]

    def names(self) -> list[str]:
        return [o["metadata"]["name"] for o in self.cache.list(CONFIG_MAP)]

    def run(self, seconds: float = 0) -> None:
        """Steps as often as there is something to do within ``seconds``."""
        until_s = self.clock.elapsed_s + seconds
        while True:
            self.reflector.step()
            due_s = self.reflector.next_due_s()
            if due_s is None or due_s > until_s:
                break
            self.clock.elapsed_s = max(due_s, self.clock.elapsed_s)
        self.clock.elapsed_s = until_s


def test_it_lists_and_then_watches_from_the_version_of_the_list() -> None:
    mirror = Mirror(a_config_map("a"))
    assert not mirror.reflector.synced
    mirror.run()

    assert mirror.reflector.synced
    assert mirror.names() == ["a"]
    assert mirror.watch.version == "10"


def test_events_reach_the_cache() -> None:
    mirror = Mirror(a_config_map("a"), a_config_map("b"))
    mirror.run()
    mirror.watch.tell(EventType.ADDED, a_config_map("c", version=11))
    mirror.watch.tell(EventType.DELETED, a_config_map("a", version=12))
    mirror.run()

    assert mirror.names() == ["b", "c"]


def test_a_watch_that_ends_goes_on_at_once_from_the_last_bookmark() -> None:
    mirror = Mirror()
    mirror.run()
    bookmark = {"metadata": {"resourceVersion": "77"}}
    mirror.watch.tell(EventType.BOOKMARK, bookmark)
    mirror.run()
    mirror.watch.end = Failed(Reason.TRANSIENT, "ended")
    mirror.run()

    assert len(mirror.reader.watches) == 2
    assert mirror.watch.version == "77"
    assert mirror.reader.lists == 1


def test_410_lists_again_and_notices_what_was_deleted_meanwhile() -> None:
    mirror = Mirror(a_config_map("a"), a_config_map("b"))
    mirror.run()
    mirror.reader.listed = Listed((a_config_map("b"), a_config_map("c", version=25)), "30")
    mirror.watch.end = Failed(Reason.GONE, "too old resource version")
    mirror.run()

    assert mirror.reader.lists == 2
    assert mirror.deleted == ["a"]
    assert mirror.names() == ["b", "c"]
    assert mirror.watch.version == "30"


def test_a_server_that_ends_every_watch_at_once_is_not_asked_all_the_time() -> None:
    mirror = Mirror()
    mirror.run()
    for _ in range(200):
        mirror.watch.end = Failed(Reason.TRANSIENT, "ended")
        mirror.run(0.1)

    assert 20 / RECONNECT_MAX_S <= len(mirror.reader.watches) <= 30


def test_a_list_that_fails_is_tried_again_with_backoff_and_then_synced() -> None:
    mirror = Mirror(a_config_map("a"))
    listed, mirror.reader.listed = mirror.reader.listed, Failed(Reason.TRANSIENT, "refused")
    mirror.run(60)
    assert not mirror.reflector.synced
    assert 3 <= mirror.reader.lists <= 20

    mirror.reader.listed = listed
    mirror.run(30)
    assert mirror.reflector.synced


def test_retry_after_is_respected() -> None:
    mirror = Mirror()
    mirror.reader.listed = Failed(Reason.THROTTLED, "slow down", retry_after_s=7)
    mirror.run()

    due_s = mirror.reflector.next_due_s()
    assert due_s is not None
    assert due_s >= 7


def test_a_kind_that_is_not_served_is_probed_until_it_is() -> None:
    mirror = Mirror()
    mirror.reader.listed = Failed(Reason.NO_KIND, "404")
    mirror.run()
    assert mirror.reflector.synced
    assert mirror.cache.serves(CONFIG_MAP) is False

    mirror.reader.listed = Listed((a_config_map("a"),), "10")
    mirror.run(2 * PROBE_PERIOD_S)
    assert mirror.cache.serves(CONFIG_MAP) is True
    assert mirror.names() == ["a"]
    assert mirror.availability == [CONFIG_MAP, CONFIG_MAP]


def test_a_kind_that_is_removed_takes_its_objects_along() -> None:
    mirror = Mirror(a_config_map("a"))
    mirror.run()
    mirror.reader.listed = Failed(Reason.NO_KIND, "404")
    mirror.watch.end = Failed(Reason.GONE, "")
    mirror.run()

    assert mirror.deleted == ["a"]


def test_without_permission_the_rest_goes_on_and_it_asks_again_slowly() -> None:
    mirror = Mirror()
    mirror.reader.listed = Failed(Reason.FORBIDDEN, "cannot list configmaps")
    mirror.run(300)

    assert mirror.reflector.synced
    assert not mirror.cache.can_read(CONFIG_MAP)
    assert mirror.reader.lists <= 11


def test_a_right_that_was_there_is_asked_for_again_at_once() -> None:
    """An API server that has just started refuses everybody until it has read its roles."""
    mirror = Mirror(a_config_map("a"))
    mirror.run()
    listed = mirror.reader.listed
    mirror.reader.listed = Failed(Reason.FORBIDDEN, "cannot list configmaps")
    mirror.watch.end = Failed(Reason.FORBIDDEN, "cannot watch configmaps")
    mirror.run(3)
    assert not mirror.cache.can_read(CONFIG_MAP)

    mirror.reader.listed = listed
    mirror.run(5)

    assert mirror.cache.can_read(CONFIG_MAP)
    assert mirror.names() == ["a"]


def test_it_tells_how_long_a_watch_has_been_silent() -> None:
    mirror = Mirror()
    mirror.run()
    mirror.clock.advance(500)
    assert mirror.reflector.silent_s == 500

    mirror.watch.tell(EventType.BOOKMARK, {"metadata": {"resourceVersion": "77"}})
    mirror.run()
    assert mirror.reflector.silent_s == 0


def test_what_is_left_alone_on_purpose_is_not_deaf_until_it_is_asked_again() -> None:
    mirror = Mirror()
    mirror.reader.listed = Failed(Reason.NO_KIND, "404")
    mirror.run()
    mirror.clock.advance(PROBE_PERIOD_S)
    assert mirror.reflector.deaf_s == 0

    mirror.clock.advance(PROBE_PERIOD_S)
    assert mirror.reflector.deaf_s > PROBE_PERIOD_S / 2


def test_closing_ends_the_watch() -> None:
    mirror = Mirror()
    mirror.run()
    mirror.reflector.close()

    assert mirror.watch.closed


def test_an_event_of_a_deleted_uid_does_not_return_after_a_new_list() -> None:
    mirror = Mirror(a_config_map("a"))
    mirror.run()
    mirror.cache.gone(ref_of(a_config_map("a")), "uid-of-a")
    mirror.watch.end = Failed(Reason.GONE, "")
    mirror.run()  # a list from a server's cache that is behind: it still has "a"

    assert mirror.names() == []


def test_watches_that_ended_are_counted_by_reason() -> None:
    mirror = Mirror()
    mirror.run()
    mirror.watch.end = Failed(Reason.TRANSIENT, "the server ended the watch")
    mirror.run()
    mirror.watch.end = Failed(Reason.GONE, "too old")
    mirror.run(seconds=1)

    assert mirror.reflector.restarts == {"Transient": 1, "Gone": 1}
