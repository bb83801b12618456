"""How much a pod does a second when there is always more to be done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from simulator.calibration.prometheus import Series
from simulator.scenario.calibration import Backtest, Parameter

PODS_MIN = 4
_LOW, _HIGH = 5, 95  # percentiles


def fit_speeds(pods: Sequence[Series], split: datetime, source: str) -> Parameter:
    """The bounds within which pods' medians were before ``split``, tested on those that follow.

    Raises:
        ValueError: There are too few pods to fit, or to test.
    """
    at = split.timestamp()
    seen = [m for pod in pods if (m := _median(pod, 0, at)) is not None]
    unseen = [m for pod in pods if (m := _median(pod, at, float("inf"))) is not None]
    for what, some in (("before", seen), ("from", unseen)):
        if len(some) < PODS_MIN:
            when = split.strftime("%Y-%m-%dT%H:%M:%SZ")
            raise ValueError(f"expected at least {PODS_MIN} pods {what} {when}, got {len(some)}")
    low, high = (float(f"{np.percentile(seen, p):.4g}") for p in (_LOW, _HIGH))
    typical = float(np.median(unseen))
    if not typical:
        raise ValueError("pods did nothing in the time that was to be tested")
    return Parameter(
        value={"min": low, "max": high},
        source=source,
        samples=len(seen),
        backtest=Backtest(
            unseen=len(unseen),
            error=round(abs((low + high) / 2 / typical - 1), 4),
            covered=round(float(np.mean([low <= m <= high for m in unseen])), 4),
            expected=(_HIGH - _LOW) / 100,
        ),
    )


def _median(pod: Series, from_s: float, to_s: float) -> float | None:
    values = [value for at, value in pod.points if from_s <= at < to_s]
    return float(np.median(values)) if values else None
