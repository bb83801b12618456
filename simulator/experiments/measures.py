"""Numbers of one run, by name: what variants are compared in.

``evictions``, ``restarts`` and ``writes`` count; ``cost`` is that of the nodes between warm-up and
drain; ``orders.lag.max`` is a number that was recorded
over time, summed up between warm-up and drain. Where a number belongs to messages rather than to
time, ``orders.delay.p99`` is a percentile of messages that came in between; it is censored where
too many of them were not done when the run ended.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from simulator.experiments.verdicts import Observation
from simulator.inputs import BadInputError
from simulator.kernel import HOUR_US, SECOND_US, Us
from simulator.run import Result
from simulator.series import Recorder, Series


def measure(name: str, result: Result, recorder: Recorder, from_us: Us, to_us: Us) -> Observation:
    """The number ``name`` of a run, of the time between two points.

    Raises:
        BadInputError: The run has no such number.
    """
    if name == "cost":
        rate = recorder.series("cost.rate")
        return Observation(rate.integral(from_us, to_us) / HOUR_US)
    if name in _COUNTS:
        return Observation(float(getattr(result, name)))
    series_name, _, how = name.rpartition(".")
    distribution = recorder.get_distribution(series_name)
    if distribution is not None and (how == "mean" or how in _SHARES):
        share = _SHARES.get(how)
        found = (
            distribution.mean(from_us, to_us)
            if share is None
            else distribution.quantile(share, from_us, to_us)
        )
        return Observation(*found)
    series, sum_up = recorder.get(series_name), _SUMS.get(how)
    if series is None or sum_up is None:
        raise BadInputError(
            [
                f'"{name}" is no measure: expected one of {", ".join(_COUNTS)}, cost, or a series '
                f"and one of {', '.join(_SUMS)} (series: {', '.join(recorder.names()) or 'none'})"
            ]
        )
    return Observation(sum_up(series, from_us, to_us))


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
_COUNTS = ("evictions", "restarts", "writes")
_SUMS: dict[str, Callable[[Series, Us, Us], float]] = {
    "mean": Series.mean,
    "max": Series.max,
    "min": lambda series, a, b: min(value for _, _, value in series.spans(a, b)),
    "flaps": lambda series, a, b: float(flaps(series, a, b)),
    "last": lambda series, _, b: series.at(b),
    **{name: _quantile(share) for name, share in _SHARES.items()},
}
