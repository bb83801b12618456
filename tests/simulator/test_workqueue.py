from simulator.controllers.workqueue import WorkQueue

SECOND = 1_000_000


class Clock:
    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


def a_queue() -> tuple[Clock, WorkQueue[str]]:
    clock = Clock()
    return clock, WorkQueue(clock, lambda key: key)


def test_a_key_added_twice_is_handled_once() -> None:
    _, queue = a_queue()
    queue.add("a")
    queue.add("a")

    assert [queue.take(), queue.take()] == ["a", None]


def test_ready_keys_go_in_their_order_not_in_that_of_adding() -> None:
    _, queue = a_queue()
    for key in "cab":
        queue.add(key)

    assert [queue.take() for _ in range(3)] == ["a", "b", "c"]


def test_of_several_delays_the_earliest_stands() -> None:
    clock, queue = a_queue()
    queue.add_after("a", 9)
    queue.add_after("a", 5)
    queue.add_after("a", 7)

    assert queue.next_due_us() == 5
    clock.now = 5
    assert queue.take() == "a"
    assert queue.next_due_us() is None


def test_a_delay_that_is_over_does_not_swallow_the_next_one() -> None:
    clock, queue = a_queue()
    queue.add_after("a", 5)
    clock.now = 5
    queue.add_after("a", 3)

    assert queue.take() == "a"
    assert queue.next_due_us() == 8


def test_failures_in_a_row_double_the_delay_and_success_forgets_them() -> None:
    clock, queue = a_queue()
    delays = []
    for _ in range(4):
        queue.retry("a")
        due = queue.next_due_us()
        assert due is not None
        delays.append(due - clock.now)
        clock.now = due
        queue.take()
    queue.forget("a")
    queue.retry("a")

    assert delays == [5_000, 10_000, 20_000, 40_000]
    assert queue.next_due_us() == clock.now + 5_000


def test_beyond_a_burst_of_100_all_keys_together_get_10_retries_a_second() -> None:
    _, queue = a_queue()
    for n in range(100):
        queue.retry(f"{n:03d}")
    queue.retry("over")
    queue.retry("over again")

    assert sorted(queue._delayed.values())[-3:] == [5_000, SECOND // 10, SECOND // 5]
