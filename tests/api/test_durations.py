from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prism_operator.api.durations import DURATION_PATTERN, parse_duration_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("15s", 15),
        ("1h30m", 5400),
        ("720h", 2_592_000),
        ("0", 0),
        ("0s", 0),
        ("1.5h", 5400),
        (".5s", 0.5),
        ("5.s", 5),
        ("100ms", 0.1),
        ("3us", 3e-6),
        ("3µs", 3e-6),
        ("3μs", 3e-6),
        ("7ns", 7e-9),
        ("-1m", -60),
        ("+1m", 60),
        ("1m1m", 120),
        ("2562047h", 2562047 * 3600),
    ],
)
def test_duration_reads_as_go_reads_it(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "-", "15", "s", ".s", "1d", "1 s", " 1s", "1s ", "1e3s", "1.2.3s", "١s", "--1s"]
)
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration such as 15s, 1h30m or 720h"):
        parse_duration_s(text)


def test_duration_beyond_what_go_can_hold_is_refused() -> None:
    with pytest.raises(ValueError, match='"2562048h" is longer than the 292 years'):
        parse_duration_s("2562048h")


@settings(max_examples=50)  # texts from a regular expression are slow to make
@given(st.from_regex(DURATION_PATTERN, fullmatch=True).filter(lambda text: len(text) <= 64))
def test_every_duration_a_crd_accepts_is_read_or_too_long(text: str) -> None:
    try:
        assert parse_duration_s(text) >= 0
    except ValueError as error:
        assert "292 years" in str(error)  # noqa: PT017 - both ends are fine, nothing between


@given(st.integers(0, 10**6), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_terms_add_up(hours: int, minutes: int, seconds: int, millis: int) -> None:
    text = f"{hours}h{minutes}m{seconds}s{millis}ms"

    assert re.search(DURATION_PATTERN, text)
    assert parse_duration_s(text) == pytest.approx(
        hours * 3600 + minutes * 60 + seconds + millis / 1000, abs=1e-6
    )
