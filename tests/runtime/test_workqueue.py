from hypothesis import given
from hypothesis import strategies as st

from prism_operator.runtime.metrics import NoMetrics
from prism_operator.runtime.randomness import Streams
from prism_operator.runtime.workqueue import (
    BACKOFF_MAX_S,
    RETRIES_BURST,
    RETRIES_PER_S,
    TURNS,
    Priority,
    WorkQueue,
)

from .builders import FakeClock, a_key


def a_queue(clock: FakeClock | None = None, seed: int = 0) -> WorkQueue:
    return WorkQueue(clock or FakeClock(), Streams(seed), NoMetrics())


def test_a_key_added_often_is_handed_out_once() -> None:
    queue = a_queue()
    for _ in range(3):
        queue.add(a_key())

    assert queue.pop() == a_key()
    assert queue.pop() is None


def test_keys_come_in_the_order_they_were_added() -> None:
    queue = a_queue()
    for name in "cab":
        queue.add(a_key(name))

    assert [queue.pop() for _ in "cab"] == [a_key(name) for name in "cab"]


def test_what_somebody_waits_for_comes_first() -> None:
    queue = a_queue()
    queue.add(a_key("reported"), Priority.REPORTED)
    queue.add(a_key("unseen"), Priority.UNSEEN)
    queue.add(a_key("changed"))

    assert [queue.pop() for _ in range(3)] == [
        a_key(name) for name in ("changed", "unseen", "reported")
    ]


def test_the_highest_priority_a_key_was_added_with_counts() -> None:
    queue = a_queue()
    for name in "ab":
        queue.add(a_key(name), Priority.REPORTED)
    queue.add(a_key("b"), Priority.CHANGED)
    queue.add(a_key("b"), Priority.REPORTED)

    assert [queue.pop() for _ in range(3)] == [a_key("b"), a_key("a"), None]


def test_a_key_added_while_worked_on_keeps_the_highest_priority_it_was_added_with() -> None:
    queue = a_queue()
    queue.add(a_key())
    queue.pop()
    for priority in (Priority.REPORTED, Priority.CHANGED):
        queue.add(a_key(), priority)
    queue.add(a_key("reported"), Priority.REPORTED)
    queue.done(a_key())

    assert [queue.pop() for _ in range(3)] == [a_key(), a_key("reported"), None]


def test_nothing_waits_for_ever_behind_what_comes_first() -> None:
    queue = a_queue()
    queue.add(a_key("reported"), Priority.REPORTED)
    popped = []
    for number in range(TURNS):
        queue.add(a_key(f"changed-{number}"))
        popped.append(queue.pop())

    assert a_key("reported") in popped


def test_a_timer_does_not_push_in_front_of_what_changed() -> None:
    clock = FakeClock()
    queue = a_queue(clock)
    queue.add_after(a_key("timer"), 1)
    clock.advance(1)
    queue.add(a_key("changed"))

    assert [queue.pop() for _ in range(2)] == [a_key("changed"), a_key("timer")]


def test_a_key_added_while_worked_on_comes_again_afterwards_and_not_before() -> None:
    queue = a_queue()
    queue.add(a_key())
    queue.pop()
    queue.add(a_key())

    assert queue.pop() is None
    queue.done(a_key())
    assert queue.pop() == a_key()


def test_a_delayed_key_comes_when_it_is_due_and_the_queue_says_when_that_is() -> None:
    clock = FakeClock()
    queue = a_queue(clock)
    queue.add_after(a_key(), 5)

    assert queue.next_due_s() == 5
    clock.advance(4.9)
    assert queue.pop() is None
    clock.advance(0.1)
    assert queue.pop() == a_key()


def test_the_earlier_of_two_delays_counts() -> None:
    clock = FakeClock()
    queue = a_queue(clock)
    queue.add_after(a_key(), 5)
    queue.add_after(a_key(), 1)
    queue.add_after(a_key(), 9)

    clock.advance(1)
    assert queue.pop() == a_key()
    queue.done(a_key())
    clock.advance(100)
    assert queue.pop() is None


def test_a_pass_that_begins_makes_an_older_timer_void() -> None:
    clock = FakeClock()
    queue = a_queue(clock)
    queue.add_after(a_key(), 5)
    queue.add(a_key())
    queue.pop()
    queue.done(a_key())

    assert queue.next_due_s() is None


def test_backoff_doubles_from_5_ms_up_to_a_minute_and_jitters_down_only() -> None:
    queue = a_queue()
    for n in range(20):
        whole_s = min(BACKOFF_MAX_S, 0.005 * 2**n)
        assert whole_s / 2 <= queue.retry(a_key()) <= whole_s


def test_success_ends_the_backoff() -> None:
    queue = a_queue()
    for _ in range(10):
        queue.retry(a_key())
    queue.forget(a_key())

    assert queue.retry(a_key()) <= 0.005


def test_retries_of_all_keys_together_are_limited() -> None:
    clock = FakeClock()
    queue = a_queue(clock)
    for n in range(RETRIES_BURST + 50):
        queue.retry(a_key(f"p{n}"))

    clock.advance(1)
    due = 0
    while queue.pop() is not None:
        due += 1
    assert due == RETRIES_BURST + RETRIES_PER_S


def test_the_same_seed_gives_the_same_delays() -> None:
    def delays() -> list[float]:
        queue = a_queue(seed=3)
        return [queue.retry(a_key(name)) for name in "abcabc"]

    assert delays() == delays()


_OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["add", "after", "retry", "pop", "done", "tick"]),
        st.sampled_from("abc"),
    ),
    max_size=60,
)


@given(_OPERATIONS)
def test_no_key_is_lost_and_none_is_worked_on_twice_at_a_time(
    operations: list[tuple[str, str]],
) -> None:
    clock = FakeClock()
    queue = a_queue(clock)
    wanted: set[str] = set()  # added, and not handed out since
    working: list[str] = []
    for operation, name in operations:
        key = a_key(name)
        match operation:
            case "add":
                queue.add(key)
                wanted.add(name)
            case "after":
                queue.add_after(key, 1)
                wanted.add(name)
            case "retry":
                queue.retry(key)
                wanted.add(name)
            case "pop" if (popped := queue.pop()) is not None:
                assert popped.name not in working
                assert popped.name in wanted
                working.append(popped.name)
                wanted.discard(popped.name)
            case "done" if working:
                queue.done(a_key(working.pop(0)))
            case "tick":
                clock.advance(0.5)

    for name in working:
        queue.done(a_key(name))
    clock.advance(2 * BACKOFF_MAX_S)
    handed_out = set()
    while (left := queue.pop()) is not None:
        handed_out.add(left.name)
    assert handed_out == wanted
