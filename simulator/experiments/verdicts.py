"""Which variant is better, worse or equivalent, and how sure that is.

Variants are compared seed by seed (common random numbers), so everything here is about paired
differences, variant minus baseline, of a number of which less is better unless said otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib import import_module
from statistics import fmean, median, stdev
from typing import Any

ALPHA = 0.05
# With fewer observed events than this a t-interval does not cover what it promises.
RARE_EVENTS_MIN = 10


class Claim(StrEnum):
    """What may be said of a variant against the baseline, with respect to a margin."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Observation:
    """One number of one run; ``censored``: the true one is larger, the run ended too soon."""

    value: float
    censored: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """A variant against the baseline in one metric. ``low`` and ``high`` bound the difference.

    ``p`` is the probability of such a difference if the claim were false; ``remark`` says what
    stood against a claim. ``correlation`` is what pairing by seed achieved; None where one of the
    two does not vary.
    """

    metric: str
    variant: str
    margin: float
    seeds: int
    baseline_mean: float
    variant_mean: float
    censored: int
    difference: float
    low: float
    high: float
    correlation: float | None
    p: float
    claim: Claim
    remark: str = ""


def compare(
    metric: str,
    variant: str,
    pairs: Sequence[tuple[Observation, Observation]],
    margin: float,
    *,
    more_is_better: bool = False,
    alpha: float = ALPHA,
) -> Comparison:
    """Compares by the paired t-interval of the mean difference; ``pairs`` are (baseline, variant).

    Better, worse: the interval lies beyond the margin; equivalent: within it. One claim can be
    false with probability ``alpha`` at most. Needs two pairs.
    """
    sign = -1.0 if more_is_better else 1.0
    differences = [v.value - b.value for b, v in pairs]
    mean, low, high = t_interval(differences, alpha)
    claim, p = _claim([sign * d for d in differences], margin, alpha)
    found = Comparison(
        metric=metric,
        variant=variant,
        margin=margin,
        seeds=len(pairs),
        baseline_mean=fmean(b.value for b, _ in pairs),
        variant_mean=fmean(v.value for _, v in pairs),
        censored=sum(b.censored or v.censored for b, v in pairs),
        difference=mean,
        low=low,
        high=high,
        correlation=_correlation(pairs),
        p=p,
        claim=claim,
    )
    for objection in (
        _against_few_events([sign * d for d in differences], margin, alpha, claim),
        _against_censoring(pairs, claim, more_is_better=more_is_better),
    ):
        if objection:
            return replace(found, claim=Claim.INCONCLUSIVE, remark=objection)
    if claim is Claim.INCONCLUSIVE:
        return replace(found, remark="the interval reaches over the margin; more seeds would tell")
    return found


def holm(comparisons: Sequence[Comparison], alpha: float = ALPHA) -> list[Comparison]:
    """Lets only those claims stand that do so together (Holm 1979): one false in ``alpha``.

    The p-values become the adjusted ones.
    """
    adjusted: dict[int, float] = {}
    running = 0.0
    order = sorted(range(len(comparisons)), key=lambda i: comparisons[i].p)
    for rank, i in enumerate(order):
        running = max(running, min(1.0, comparisons[i].p * (len(comparisons) - rank)))
        adjusted[i] = running
    judged = []
    for i, comparison in enumerate(comparisons):
        if comparison.claim is not Claim.INCONCLUSIVE and adjusted[i] > alpha:
            remark = f"alone it would be {comparison.claim}; not with {len(comparisons)} looked at"
            comparison = replace(comparison, claim=Claim.INCONCLUSIVE, remark=remark)
        judged.append(replace(comparison, p=adjusted[i]))
    return judged


def t_interval(values: Sequence[float], alpha: float = ALPHA) -> tuple[float, float, float]:
    """Mean and the bounds of its 1 − alpha interval by Student's t."""
    mean, se = fmean(values), _standard_error(values)
    half = float(_stats().t.ppf(1 - alpha / 2, len(values) - 1)) * se
    return mean, mean - half, mean + half


def confidence_sequence(
    values: Sequence[float], alpha: float = ALPHA, tuned_for: int = 100
) -> tuple[float, float, float]:
    """Mean and bounds that hold at every look at once, however often one peeks.

    The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas
    (Annals of Statistics 2024), equation 6, narrowest around ``tuned_for`` values.
    """
    n, mean = len(values), fmean(values)
    # Their approximation of the best rho for a time of one's choice.
    rho2 = (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / tuned_for
    scale = 2 * (n * rho2 + 1) / (n * n * rho2)
    half = stdev(values) * math.sqrt(scale * math.log(math.sqrt(n * rho2 + 1) / alpha))
    return mean, mean - half, mean + half


def _claim(differences: Sequence[float], margin: float, alpha: float) -> tuple[Claim, float]:
    """The claim that the data support best, and its p-value; of differences where less is better.

    Each of the three is tested one-sided at alpha / 2, so that at a margin, where two of them
    are false, one is made in alpha of all cases.
    """
    mean, se, df = fmean(differences), _standard_error(differences), len(differences) - 1

    def above(bound: float) -> float:  # p of "the mean is above bound"
        if se == 0.0:
            return 0.0 if mean > bound else 1.0
        return float(_stats().t.sf((mean - bound) / se, df))

    def below(bound: float) -> float:
        if se == 0.0:
            return 0.0 if mean < bound else 1.0
        return float(_stats().t.cdf((mean - bound) / se, df))

    by_claim = {
        Claim.WORSE: above(margin),
        Claim.BETTER: below(-margin),
        Claim.EQUIVALENT: max(above(-margin), below(margin)),
    }
    claim, one_sided = min(by_claim.items(), key=lambda item: item[1])
    p = min(1.0, 2 * one_sided)
    return (claim if p <= alpha else Claim.INCONCLUSIVE), p


def _against_few_events(
    differences: Sequence[float], margin: float, alpha: float, claim: Claim
) -> str:
    """Whether the claim hangs on a handful of seeds in which something rare happened."""
    typical = median(differences)
    usual = [d for d in differences if abs(d - typical) <= margin]
    events = len(differences) - len(usual)
    if claim is Claim.INCONCLUSIVE or not 0 < events < RARE_EVENTS_MIN or len(usual) < 2:
        return ""
    without, _ = _claim(usual, margin, alpha)
    # Removing the largest cannot make a claim that all of them refute: it has to hold both ways.
    if without is claim and claim is not Claim.EQUIVALENT:
        return ""
    return (
        f"{events} of {len(differences)} seeds differ from the others by more than the margin; "
        f"no verdict below {RARE_EVENTS_MIN}"
    )


def _against_censoring(
    pairs: Sequence[tuple[Observation, Observation]], claim: Claim, *, more_is_better: bool
) -> str:
    """Whether the numbers that are too small could hide the opposite."""
    baseline = sum(b.censored for b, _ in pairs)
    variant = sum(v.censored for _, v in pairs)
    larger = Claim.BETTER if more_is_better else Claim.WORSE
    smaller = Claim.WORSE if more_is_better else Claim.BETTER
    # A variant that is larger still than we saw cannot be less than larger; and the reverse.
    safe = (claim is larger and not baseline) or (claim is smaller and not variant)
    if claim is Claim.INCONCLUSIVE or safe or not baseline + variant:
        return ""
    return (
        f"unfinished when the run ended in {baseline} seeds of the baseline and {variant} of the "
        "variant; a longer drain would tell"
    )


def _standard_error(values: Sequence[float]) -> float:
    spread = stdev(values)
    # Constant differences of floating-point numbers differ in their last digits.
    if spread <= 1e-12 * max(map(abs, values)):
        return 0.0
    return spread / math.sqrt(len(values))


def _correlation(pairs: Sequence[tuple[Observation, Observation]]) -> float | None:
    baseline, variant = [b.value for b, _ in pairs], [v.value for _, v in pairs]
    if _standard_error(baseline) == 0.0 or _standard_error(variant) == 0.0:
        return None
    return float(_stats().pearsonr(baseline, variant).statistic)


def _stats() -> Any:
    """Loaded when there is something to judge: runs alone should not wait a second for it."""
    return import_module("scipy.stats")
