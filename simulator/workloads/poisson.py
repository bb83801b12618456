"""Poisson counts: the same on every machine, and for one draw never fewer when the mean is larger.

numpy's exp and log differ between processors, so the probabilities are made of + − × ÷ and √ only:
that of the mode by Stirling's series, its neighbours by the recurrence of the distribution, and
a count by inversion of their running sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_NEGLIGIBLE = 1e-18  # a probability that no draw of 53 bits can tell from none
_SMALL = 32  # below it the mode's probability is computed term by term


def uniforms(key: int, counters: NDArray[np.uint64]) -> Floats:
    """One number in [0, 1) for each counter; the same key and counter give the same number.

    SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): its output function over key + counter × golden
    ratio, the sequence that is tested there.
    """
    with np.errstate(over="ignore"):
        z = np.uint64(key & _MASK) + counters * np.uint64(_GOLDEN)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


def counts(means: Floats, draws: Floats) -> Floats:
    """For each mean the count at which the distribution function passes the draw in [0, 1).

    Both of the same shape; counts come as whole floating-point numbers.
    """
    mode = np.floor(means)
    peak = _probability_of_mode(means, mode)
    flat = (means.ravel(), mode.ravel(), peak.ravel(), draws.ravel())
    return np.asarray(_compiled()(*flat)).reshape(means.shape)


@lru_cache(maxsize=1)
def _compiled() -> Callable[[Floats, Floats, Floats, Floats], Floats]:
    """The loop, compiled; not before it is needed, since numba takes a second to load."""
    compiled: Callable[[Floats, Floats, Floats, Floats], Floats]
    compiled = import_module("numba").njit(cache=True)(_inverted)
    return compiled


def _inverted(means: Floats, modes: Floats, peaks: Floats, draws: Floats) -> Floats:
    out = np.empty_like(means)
    for i in range(means.size):
        mean, mode, peak, draw = means[i], modes[i], peaks[i], draws[i]
        below, term, k = 0.0, peak, mode
        while k > 0.0 and term > _NEGLIGIBLE:  # P(count < mode), from its largest term down
            term *= k / mean
            k -= 1.0
            below += term
        if draw >= below:
            reached, term, k = below + peak, peak, mode
            while draw >= reached and term > _NEGLIGIBLE:
                k += 1.0
                term *= mean / k
                reached += term
        else:
            reached, term, k = below, peak, mode
            while k > 0.0 and draw < reached and term > _NEGLIGIBLE:
                term *= k / mean
                k -= 1.0
                reached -= term
        out[i] = k
    return out


def _probability_of_mode(means: Floats, mode: Floats) -> Floats:
    """The probability of the count ``mode``: the mean, rounded down."""
    exact = mode < _SMALL
    few = np.where(exact, means, 0.0)
    probability = _exp_of_minus(few)
    for i in range(1, _SMALL):
        probability = np.where(i <= np.where(exact, mode, 0), probability * few / i, probability)
    if exact.all():
        return probability
    m, mean = np.where(exact, float(_SMALL), mode), np.where(exact, float(_SMALL), means)
    # Stirling: m! = √(2πm) (m/e)^m e^(1/12m − 1/360m³ + 1/1260m⁵ …)
    series = (1 / 12 - (1 / 360 - (1 / 1260) / (m * m)) / (m * m)) / m
    power, base, left = np.ones_like(m), mean / m, m.astype(np.int64)
    while left.any():
        power = np.where(left & 1, power * base, power)
        base, left = base * base, left >> 1
    many = power * _exp_of_minus(mean - m + series) / np.sqrt(2 * math.pi * m)
    return np.where(exact, probability, many)


def _exp_of_minus(x: Floats) -> Floats:
    """e^−x for 0 ≤ x < 33, by Taylor's series of e^(x/64), six times squared, and its inverse."""
    small, total = x / 64, np.ones_like(x)
    for i in range(14, 0, -1):
        total = 1.0 + small * total / i
    for _ in range(6):
        total = total * total
    return 1.0 / total
