import pytest

from simulator.series import Distribution, Recorder, Series


def a_series(*points: tuple[int, float]) -> Series:
    series = Series("messages")
    for at_us, value in points:
        series.set(at_us, value)
    return series


def test_a_series_keeps_only_changes_and_the_last_word_of_an_instant() -> None:
    series = a_series((0, 1), (5, 1), (10, 2), (10, 3), (20, 3))

    assert list(series.times_us) == [0, 10]
    assert [series.at(t) for t in (-1, 0, 9, 10, 99)] == [0, 1, 1, 3, 3]
    assert series.last == 3


def test_mean_and_maximum_are_over_time_not_over_points() -> None:
    series = a_series((10, 4), (20, 1))

    assert series.mean(0, 40) == (0 * 10 + 4 * 10 + 1 * 20) / 40
    assert series.mean(12, 18) == 4
    assert series.max(0, 40) == 4
    assert series.max(20, 40) == 1


def test_a_recorder_makes_a_series_once() -> None:
    recorder = Recorder()
    recorder.series("orders.lag", "messages").set(0, 7)

    assert recorder.series("orders.lag").last == 7
    assert recorder.get("other") is None
    assert recorder.names() == ["orders.lag"]


def test_what_is_not_done_bounds_a_percentile_by_its_own_wait_not_by_what_others_waited() -> None:
    delays = Distribution("s")
    delays.add(0, 10, 900, 1000)
    delays.add(5, 970, 0, 1)
    delays.add(9, 20, 0, 2, censored=True)

    value, is_larger = delays.quantile(0.985, 0, 10)
    assert is_larger
    assert value == pytest.approx(1.5, abs=0.01)
