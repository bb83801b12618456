"""Rates, and the numbers of arrivals that are drawn from them."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from simulator.inputs import BadInputError
from simulator.kernel import SECOND_US
from simulator.scenario.rates import RateSpec, Surroundings, TraceSpec
from simulator.scenario.traces import read_trace
from simulator.workloads.poisson import counts, uniforms
from simulator.workloads.rates import DAY_US, Arrivals, Rate, zipf

HOUR_US = 3600 * SECOND_US
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def a_rate(start: datetime = MONDAY, days: int = 1, **course: object) -> Rate:
    spec = RateSpec.model_validate(course)
    return spec.rate(Surroundings(start, days * DAY_US, lambda _: ()))


def arrived(arrivals: Arrivals, from_us: int, to_us: int) -> float:
    total, at_us = 0.0, from_us
    while at_us < to_us:
        cell = arrivals.cell(at_us)
        end = min(cell.end_us, to_us)
        total += float(cell.arrivals.sum()) * (end - at_us) / (cell.end_us - cell.begin_us)
        at_us = end
    return total


knots = st.lists(
    st.tuples(st.integers(1, 600), st.floats(0, 1e4), st.floats(0, 1e4)), min_size=1, max_size=8
)


@given(knots, st.integers(0, 5000), st.integers(0, 5000), st.integers(0, 5000))
def test_what_is_expected_adds_up(
    steps: list[tuple[int, float, float]], a: int, b: int, c: int
) -> None:
    points, at_s = [(0, 5.0)], 0
    for length_s, before, after in steps:
        at_s += length_s
        points += [(at_s * SECOND_US, before), (at_s * SECOND_US, after)]
    rate = Rate.through(points)
    a, b, c = sorted((a * SECOND_US, b * SECOND_US, c * SECOND_US))

    assert rate.expected(a, c) == pytest.approx(rate.expected(a, b) + rate.expected(b, c), rel=1e-9)


def test_a_ramp_brings_the_mean_of_its_ends() -> None:
    rate = a_rate(ramp={"from": 100, "to": 300, "start": "1h", "end": "2h"})

    assert rate.expected(HOUR_US, 2 * HOUR_US) == pytest.approx(200 * 3600)
    assert (rate.at(0), rate.at(5 * HOUR_US)) == (100, 300)


def test_steps_jump() -> None:
    rate = a_rate(steps=[{"at": "1h", "value": 7}, {"at": "2h", "value": "120/m"}])

    assert [rate.at(t) for t in (0, HOUR_US - 1, HOUR_US, 2 * HOUR_US)] == [0, 0, 7, 2]


def test_a_spike_rises_stays_and_falls() -> None:
    spike = {"base": 10, "peak": 110, "at": "1h", "for": "30m", "rise": "10m"}
    rate = a_rate(spike=spike)

    assert rate.at(HOUR_US + 5 * 60 * SECOND_US) == 60
    assert rate.expected(0, 3 * HOUR_US) == pytest.approx(10 * 10800 + 100 * (1800 + 600))


@pytest.mark.parametrize("hour", [0, 9, 20])
def test_a_day_peaks_at_its_hour_whenever_the_scenario_begins(hour: int) -> None:
    diurnal = {"low": 200, "high": 4000, "peak": "20:00"}
    rate = a_rate(MONDAY.replace(hour=hour, minute=30), days=2, diurnal=diurnal)

    begin = hour * HOUR_US + HOUR_US // 2
    assert rate.at(44 * HOUR_US - begin) == pytest.approx(4000)
    assert rate.at(32 * HOUR_US - begin) == pytest.approx(200)
    assert rate.expected(0, DAY_US) == pytest.approx(2100 * 86_400)


def test_weekends_are_quieter() -> None:
    rate = a_rate(days=7, weekly={"low": 100, "high": 100, "weekend": 0.25})

    assert rate.at(4 * DAY_US + 12 * HOUR_US) == 100
    assert rate.at(5 * DAY_US + 12 * HOUR_US) == 25


def test_courses_add_up_and_scale() -> None:
    parts = [{"constant": 5}, {"steps": [{"at": "1h", "value": 20}]}]
    rate = a_rate(sum=parts, times=2)

    assert [rate.at(0), rate.at(HOUR_US)] == [10, 50]


def test_counts_are_those_of_the_poisson_distribution() -> None:
    draws = uniforms(7, np.arange(4000, dtype=np.uint64))
    for mean in (0.3, 5.0, 31.9, 32.0, 830.0, 40_000.0):
        ours = counts(np.full(draws.shape, mean), draws)
        assert np.array_equal(ours, stats.poisson.ppf(draws, mean)), mean


def test_draws_are_even_and_do_not_depend_on_each_other() -> None:
    draws = uniforms(3, np.arange(0, 200_000_000_000, 10_000_000, dtype=np.uint64))

    assert stats.kstest(draws, "uniform").pvalue > 0.01
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 0.02


@given(st.floats(0, 1e4), st.floats(0, 1e3), st.integers(0, 2**60))
def test_more_is_expected_never_fewer_come(mean: float, more: float, key: int) -> None:
    draw = uniforms(key, np.zeros(1, np.uint64))

    fewer, many = counts(np.array([mean, mean + more]), np.array([draw[0], draw[0]]))
    assert fewer <= many


def test_arrivals_are_the_same_bytes_on_every_machine() -> None:
    arrivals = Arrivals(a_rate(diurnal={"low": 20, "high": 400}), zipf(4, 0.6), key=2026)

    cells = [arrivals.cell(at).arrivals.tolist() for at in range(0, DAY_US, DAY_US // 4)]
    assert cells == [
        [1152.0, 743.0, 583.0, 508.0],
        [188.0, 109.0, 85.0, 78.0],
        [428.0, 268.0, 250.0, 202.0],
        [1414.0, 931.0, 748.0, 618.0],
    ]


def test_arrivals_do_not_depend_on_when_they_are_asked_for() -> None:
    rate = a_rate(diurnal={"low": 20, "high": 400})
    one, other = (Arrivals(rate, [1.0], key=1) for _ in range(2))
    for at in (5 * HOUR_US, 0, 23 * HOUR_US):
        other.cell(at)

    assert arrived(one, 0, DAY_US) == arrived(other, 0, DAY_US)


def test_noise_keeps_the_mean() -> None:
    arrivals = Arrivals(Rate.constant(5), [0.75, 0.25], key=9)

    total = arrived(arrivals, 0, DAY_US)
    assert abs(total - 5 * 86_400) < 4 * (5 * 86_400) ** 0.5
    assert total == int(total)


def test_a_change_comes_at_its_instant_and_leaves_the_past_alone() -> None:
    arrivals = Arrivals(Rate.constant(5), [1.0])
    before = arrived(arrivals, 0, 1000 * SECOND_US)
    arrivals.change(1003 * SECOND_US, Rate.constant(50))

    assert arrived(arrivals, 0, 1000 * SECOND_US) == before
    assert arrived(arrivals, 1000 * SECOND_US, 1010 * SECOND_US) == pytest.approx(3 * 5 + 7 * 50)


def test_skewed_keys_follow_zipf() -> None:
    assert zipf(3, 1.0) == pytest.approx([6 / 11, 3 / 11, 2 / 11])
    assert zipf(4, 0.6) == pytest.approx(
        [k**-0.6 / sum(i**-0.6 for i in range(1, 5)) for k in range(1, 5)], rel=1e-5
    )


# Traces


def a_trace(folder: Path, text: str, **columns: str) -> tuple[Path, TraceSpec]:
    path = folder / "load.csv"
    path.write_text(text)
    return path, TraceSpec.model_validate({"file": "load.csv", **(columns or {"rate": "rps"})})


def test_a_trace_of_rates_holds_each_to_the_next_row(tmp_path: Path) -> None:
    text = "time,rps\n2026-03-02T10:00:00Z,5\n2026-03-02T10:01:00Z,7.5\n"
    assert read_trace(*a_trace(tmp_path, text)) == ((0, 5.0), (60 * SECOND_US, 7.5))


def test_a_trace_of_counts_spreads_each_over_the_time_before_it(tmp_path: Path) -> None:
    text = "at,n\n100,0\n110,50\n130,20\n"
    path, spec = a_trace(tmp_path, text, time="at", count="n")
    assert read_trace(path, spec) == (
        (0, 5.0),
        (10 * SECOND_US, 1.0),
        (30 * SECOND_US, 0.0),
    )


def test_a_trace_may_be_parquet(tmp_path: Path) -> None:
    path = tmp_path / "load.parquet"
    pq.write_table(pa.table({"time": [MONDAY, MONDAY.replace(hour=1)], "rps": [1, 2]}), path)

    spec = TraceSpec.model_validate({"file": "load.parquet", "rate": "rps"})
    assert read_trace(path, spec) == ((0, 1.0), (HOUR_US, 2.0))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("when,rps\n0,1\n", 'load.csv:1: there is no column "time" (there are: when, rps)'),
        ("", 'load.csv:1: there is no column "time" (there are: none)'),
        ("time,rps\n0,1\n1,lots\n", "load.csv:3: expected a number, got 'lots'"),
        ("time,rps\n0,1\n1,-2\n", "load.csv:3: expected a number of at least 0, got '-2'"),
        ("time,rps\n0,1\n1,nan\n", "load.csv:3: expected a number of at least 0"),
        ("time,rps\n5,1\n4,1\n", "load.csv:3: expected a later time than"),
        ("time,rps\nnoon,1\n5,1\n", "load.csv:2: expected a time in seconds, or as 2026"),
        ("time,rps\n0,1\n1", "load.csv:3: the row is cut"),
        ("time,rps\n0,1\n", "expected at least two rows, got 1"),
        ('time,rps\n0,"1\n', "load.csv:2: not CSV"),
    ],
)
def test_a_bad_trace_is_refused_by_line(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(BadInputError) as raised:
        read_trace(*a_trace(tmp_path, text))
    assert complaint in str(raised.value)


def test_a_cut_parquet_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "load.parquet"
    pq.write_table(pa.table({"time": [0.0, 1.0], "rps": [1.0, -2.0]}), path)
    spec = TraceSpec.model_validate({"file": "load.parquet", "rate": "rps"})
    with pytest.raises(BadInputError, match="row 2: expected a number of at least 0"):
        read_trace(path, spec)

    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(BadInputError, match="not a Parquet file, or cut"):
        read_trace(path, spec)
    with pytest.raises(BadInputError, match="No such file"):
        read_trace(tmp_path / "none.parquet", spec)
