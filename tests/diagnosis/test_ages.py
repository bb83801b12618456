"""Ages, as kubectl prints them."""

import pytest

from prism_operator.diagnosis.ages import duration_text, parse_time


# At the limits of k8s.io/apimachinery/pkg/util/duration.
@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-3, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (599, "9m59s"),
        (600, "10m"),
        (3 * 3600 - 1, "179m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 61, "3h1m"),
        (8 * 3600, "8h"),
        (48 * 3600 - 1, "47h"),
        (49 * 3600, "2d1h"),
        (8 * 86400, "8d"),
        (729 * 86400, "729d"),
        (731 * 86400, "2y1d"),
        (9 * 365 * 86400, "9y"),
    ],
)
def test_an_age_is_as_long_as_kubectls(seconds: float, expected: str) -> None:
    assert duration_text(seconds) == expected


@pytest.mark.parametrize("text", ["", None, "yesterday"])
def test_what_is_no_time_is_none(text: str | None) -> None:
    assert parse_time(text) is None
