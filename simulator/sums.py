"""Numbers that were recorded over time, summed up: means, percentiles, turns.

``orders.lag.max`` is of time; where a number belongs to messages or requests rather than to time,
``orders.delay.p99`` is a percentile of those that came in the time asked about.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from simulator.kernel import HOUR_US, SECOND_US, Us
from simulator.series import Recorder, Series


def sum_up(name: str, recorder: Recorder, from_us: Us, to_us: Us) -> tuple[float, bool] | None:
    """The number ``name`` between two points in time; None where there is no such number.

    True with it: some are not done yet, so that the true one is larger.
    """
    if name == "cost":
        return recorder.series("cost.rate").integral(from_us, to_us) / HOUR_US, False
    series_name, _, how = name.rpartition(".")
    distribution = recorder.get_distribution(series_name)
    if distribution is not None and (how == "mean" or how in _SHARES):
        share = _SHARES.get(how)
        if share is None:
            return distribution.mean(from_us, to_us)
        return distribution.quantile(share, from_us, to_us)
    series, summing = recorder.get(series_name), SUMS.get(how)
    if series is None or summing is None:
        return None
    return summing(series, from_us, to_us), False


def is_sum(name: str, recorder: Recorder) -> bool:
    """Whether ``sum_up`` has a number of that name."""
    series_name, _, how = name.rpartition(".")
    if recorder.get_distribution(series_name) is not None and (how == "mean" or how in _SHARES):
        return True
    return name == "cost" or (recorder.get(series_name) is not None and how in SUMS)


def quantile(series: Series, share: float, from_us: Us, to_us: Us) -> float:
    """The value that the series is at or below for this share of the time."""
    spans = sorted((value, end - begin) for begin, end, value in series.spans(from_us, to_us))
    wanted = share * (to_us - from_us)
    for value, length in spans:
        wanted -= length
        if wanted <= 0:
            return value
    return spans[-1][0]


def flaps(series: Series, from_us: Us, to_us: Us) -> int:
    """How often a number turned: up and soon down again, or the reverse.

    What the HPA's documentation calls thrashing. Soon is within 10 minutes, twice its default
    stabilization window.
    """
    values = [(begin, value) for begin, _, value in series.spans(from_us, to_us)]
    turns, before = 0, (from_us, 0.0)  # when it last changed, and by how much
    for (_, old), (at_us, new) in pairwise(values):
        step = new - old
        if step * before[1] < 0 and at_us - before[0] <= FLAP_WITHIN_US:
            turns += 1
        before = at_us, step
    return turns


def _quantile(share: float) -> Callable[[Series, Us, Us], float]:
    return lambda series, from_us, to_us: quantile(series, share, from_us, to_us)


FLAP_WITHIN_US = 600 * SECOND_US
_SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
SUMS: dict[str, Callable[[Series, Us, Us], float]] = {
    "mean": Series.mean,
    "max": Series.max,
    "min": lambda series, a, b: min(value for _, _, value in series.spans(a, b)),
    "flaps": lambda series, a, b: float(flaps(series, a, b)),
    "increase": lambda series, a, b: series.at(b) - series.at(a),
    "last": lambda series, _, b: series.at(b),
    **{name: _quantile(share) for name, share in _SHARES.items()},
}
