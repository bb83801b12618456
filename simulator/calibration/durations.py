"""Log-normal durations of samples, tested on those that came last."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, median, stdev

from simulator.scenario.calibration import Backtest, Parameter

SAMPLES_MIN = 20
UNSEEN_SHARE = 0.25
_CENTRAL = 0.8
_LEAST_S = 0.5  # timestamps are whole seconds: two of the same are this far apart
_Z95, _Z99 = NormalDist().inv_cdf(0.975), NormalDist().inv_cdf(0.99)


@dataclass(frozen=True, slots=True, order=True)
class Sample:
    """How long something took that began at a Unix time."""

    at: float
    seconds: float


def fit_duration(samples: Sequence[Sample], source: str) -> Parameter:
    """Median and 99th percentile of all but the last quarter of them, tested on that.

    Raises:
        ValueError: There are too few.
    """
    if len(samples) < SAMPLES_MIN:
        raise ValueError(f"expected at least {SAMPLES_MIN} to fit and to test, got {len(samples)}")
    ordered = sorted(samples)
    seen = len(ordered) - round(len(ordered) * UNSEEN_SHARE)
    lengths = [max(sample.seconds, _LEAST_S) for sample in ordered]
    logs = [math.log(length) for length in lengths[:seen]]
    mean, sigma = fmean(logs), stdev(logs)
    # Of the estimates of mean and mean + z·sigma, by a normal sample's asymptotic variance.
    spread50 = _Z95 * sigma / math.sqrt(seen)
    spread99 = spread50 * math.sqrt(1 + _Z99 * _Z99 / 2)
    p99 = mean + _Z99 * sigma
    reach = NormalDist().inv_cdf((1 + _CENTRAL) / 2) * sigma
    unseen = lengths[seen:]
    low, high = math.exp(mean - reach) - _LEAST_S, math.exp(mean + reach) + _LEAST_S
    return Parameter(
        value={"p50": _text(mean), "p99": _text(p99)},
        source=source,
        samples=seen,
        range={
            "p50": [_text(mean - spread50), _text(mean + spread50)],
            "p99": [_text(p99 - spread99), _text(p99 + spread99)],
        },
        backtest=Backtest(
            unseen=len(unseen),
            error=round(abs(math.exp(mean) / median(unseen) - 1), 4),
            covered=round(fmean(low <= length <= high for length in unseen), 4),
            expected=_CENTRAL,
        ),
    )


def _text(log_s: float) -> str:
    return f"{math.exp(log_s):.3f}".rstrip("0").rstrip(".") + "s"
