from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from prism_operator.api.meta import Json
from prism_operator.planning.plan import Emit
from prism_operator.ports import Failed, Reason
from prism_operator.runtime.events import (
    NOTE_MAX_BYTES,
    OBJECT_BURST,
    PENDING_MAX,
    SERIES_IDLE_S,
    SERIES_PERIOD_S,
    Recorder,
)

from .builders import FakeClock, RecordingWriter, a_config_map


class Desk:
    """A recorder and what it writes."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.writer = RecordingWriter()
        self.leading = True
        self.recorder = Recorder(
            writer=self.writer,
            clock=self.clock,
            identity="host_1",
            may_write=lambda: self.leading,
        )

    def record(self, message: str = "Backend is gone", *, name: str = "orders") -> None:
        self.recorder.record(a_config_map(name), Emit("Warning", "BackendMissing", message))

    def flush(self) -> list[tuple[str, Any]]:
        before = len(self.writer.calls)
        self.recorder.flush()
        return self.writer.calls[before:]


def test_an_event_says_what_happened_to_what_and_who_says_so() -> None:
    desk = Desk()
    desk.record()

    [(verb, event)] = desk.flush()
    assert verb == "create"
    assert event["apiVersion"] == "events.k8s.io/v1"
    assert event["metadata"]["namespace"] == "default"
    assert event["regarding"]["name"] == "orders"
    assert event["regarding"]["uid"] == "uid-of-orders"
    assert (event["type"], event["reason"], event["note"], event["action"]) == (
        "Warning",
        "BackendMissing",
        "Backend is gone",
        "Reconcile",
    )
    assert (event["reportingController"], event["reportingInstance"]) == (
        "prism-operator",
        "host_1",
    )
    assert event["eventTime"] == "2026-03-02T00:00:00.000000Z"


def test_repeats_become_a_series_that_is_written_once_a_minute() -> None:
    desk = Desk()
    desk.record()
    desk.flush()
    for _ in range(50):
        desk.clock.advance(1)
        desk.record()
    assert desk.flush() == []
    assert desk.recorder.next_due_s() == SERIES_PERIOD_S

    desk.clock.advance(SERIES_PERIOD_S)
    [(verb, [operation])] = desk.flush()
    assert verb == "patch"
    assert operation["path"] == "/series"
    assert operation["value"]["count"] == 51
    assert operation["value"]["lastObservedTime"] == "2026-03-02T00:00:50.000000Z"
    assert desk.recorder.next_due_s() is None


def test_a_repeat_after_a_long_silence_is_a_new_event() -> None:
    desk = Desk()
    desk.record()
    [(_, first)] = desk.flush()
    desk.clock.advance(SERIES_IDLE_S + 1)
    desk.record()

    [(verb, second)] = desk.flush()
    assert verb == "create"
    assert first["metadata"]["name"] != second["metadata"]["name"]


def test_another_message_is_another_event() -> None:
    desk = Desk()
    desk.record("a")
    desk.record("b")

    assert len(desk.flush()) == 2


def test_a_series_whose_event_expired_begins_again() -> None:
    desk = Desk()
    desk.record()
    desk.flush()
    desk.record()
    desk.clock.advance(SERIES_PERIOD_S)
    desk.writer.answers = [Failed(Reason.NOT_FOUND, "expired")]

    [(first, _), (second, event)] = desk.flush()
    assert (first, second) == ("patch", "create")
    assert event["series"]["count"] == 2


def test_one_object_cannot_flood_the_others() -> None:
    desk = Desk()
    for n in range(10 * OBJECT_BURST):
        desk.record(f"message {n}")
    desk.record(name="payments")

    calls = desk.flush()
    assert len(calls) == OBJECT_BURST + 1
    assert desk.recorder.dropped == 9 * OBJECT_BURST

    desk.clock.advance(300)
    desk.record("five minutes later")
    assert len(desk.flush()) == 1


def test_what_waits_is_bounded() -> None:
    desk = Desk()
    for n in range(PENDING_MAX + 10):
        desk.record(name=f"p{n}")

    assert len(desk.flush()) == PENDING_MAX


def test_nothing_is_written_by_one_who_does_not_lead() -> None:
    desk = Desk()
    desk.leading = False
    desk.record()

    assert desk.flush() == []


def test_an_event_that_cannot_be_written_is_not_tried_again() -> None:
    desk = Desk()
    desk.writer.answers = [Failed(Reason.FORBIDDEN, "cannot create events")]
    desk.record()
    desk.flush()

    assert desk.flush() == []


@given(st.text(min_size=400, max_size=2000))
def test_a_note_fits_the_api_whatever_its_letters(text: str) -> None:
    desk = Desk()
    desk.record(text.encode(errors="ignore").decode())

    event: Json = desk.flush()[0][1]
    assert len(event["note"].encode()) <= NOTE_MAX_BYTES
