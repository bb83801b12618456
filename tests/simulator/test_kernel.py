from collections.abc import Callable

import pytest

from simulator.kernel import Component, Kernel, LivelockError, Phase


def noting(log: list[str], what: str) -> Callable[[], None]:
    return lambda: log.append(what)


def test_one_instant_goes_by_phase_then_key_whatever_was_scheduled_first() -> None:
    kernel, log = Kernel(), list[str]()
    for phase, key in [
        (Phase.OPERATOR, "a"),
        (Phase.NODE, "b"),
        (Phase.SCENARIO, "z"),
        (Phase.NODE, "a"),
    ]:
        kernel.at(5, phase, key, noting(log, f"{phase.name} {key}"))
    kernel.at(4, Phase.CHECK, "", noting(log, "earlier"))

    kernel.run_until(5)

    assert log == ["earlier", "SCENARIO z", "NODE a", "NODE b", "OPERATOR a"]


def test_equal_keys_go_in_the_order_of_their_making() -> None:
    kernel, log = Kernel(), list[str]()
    for n in range(5):
        kernel.at(1, Phase.NODE, "same", noting(log, str(n)))

    kernel.run_until(1)

    assert log == ["0", "1", "2", "3", "4"]


def test_a_cancelled_alarm_does_not_ring() -> None:
    kernel, log = Kernel(), list[str]()
    kernel.at(1, Phase.NODE, "", noting(log, "rang")).cancel()

    kernel.run_until(10)

    assert log == []
    assert kernel.now_us == 10


def test_a_component_sleeps_until_it_is_woken_or_its_timer_is_due() -> None:
    kernel, stepped = Kernel(), list[int]()

    def step() -> int | None:
        stepped.append(kernel.now_us)
        return 100 if kernel.now_us < 100 else None

    component = Component(kernel, Phase.CONTROLLER, "c", step, reaction_us=3)
    kernel.at(10, Phase.SCENARIO, "", component.wake)
    kernel.at(11, Phase.SCENARIO, "", component.wake)  # it is about to look anyway
    kernel.run_until(1000)

    assert stepped == [13, 100]


def test_an_earlier_wake_up_replaces_a_later_timer() -> None:
    kernel, stepped = Kernel(), list[int]()
    component = Component(
        kernel, Phase.CONTROLLER, "c", lambda: stepped.append(kernel.now_us) or None
    )
    component.wake_at(500)
    component.wake_at(200)
    component.wake_at(300)

    kernel.run_until(1000)

    assert stepped == [200]


def test_a_stopped_component_does_nothing_more() -> None:
    kernel, stepped = Kernel(), list[int]()
    component = Component(
        kernel, Phase.CONTROLLER, "c", lambda: stepped.append(kernel.now_us) or None
    )
    component.wake_at(5)
    component.stop()
    component.wake_at(6)

    kernel.run_until(10)

    assert stepped == []


def test_components_that_keep_waking_each_other_are_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Kernel, "WAKEUPS_PER_INSTANT_MAX", 100)
    kernel = Kernel()
    component = Component(kernel, Phase.CONTROLLER, "c", lambda: kernel.now_us)
    component.wake_at(7)

    with pytest.raises(LivelockError, match=r"no rest after \d+ wake-ups at 0.000007 s"):
        kernel.run_until(10)
