"""Draws of the simulated world, from streams named by what they belong to.

A draw is keyed by a pod or a node, so that one more node moves no other draw.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TypeAlias

from prism_operator.runtime.randomness import Streams
from simulator.arithmetic import exp, ln, normal_quantile
from simulator.kernel import Us

_P99 = 2.3263478740408408  # the 0.99 quantile of a standard normal variable


@dataclass(frozen=True, slots=True)
class Even:
    """A duration that is drawn evenly between two bounds, in microseconds, both included."""

    least_us: Us
    most_us: Us

    def draw(self, stream: random.Random) -> Us:
        """One draw. Integers only, so it is the same on every machine; always one per call."""
        return stream.randrange(self.least_us, self.most_us + 1)


@dataclass(frozen=True, slots=True)
class LogNormal:
    """A duration of a log-normal distribution, by its median and its 99th percentile."""

    p50_us: Us
    p99_us: Us

    def draw(self, stream: random.Random) -> Us:
        """One draw; the same on every machine, always one per call."""
        sigma = ln(self.p99_us / self.p50_us) / _P99
        return round(self.p50_us * exp(sigma * normal_quantile(_open(stream))))


Span: TypeAlias = Even | LogNormal


def exponential_us(stream: random.Random, mean_us: float) -> Us:
    """A waiting time of an exponential distribution; the same on every machine."""
    return round(-ln(_open(stream)) * mean_us)


def _open(stream: random.Random) -> float:
    """Even between 0 and 1, neither included."""
    return (stream.getrandbits(52) + 0.5) / (1 << 52)


__all__ = ["Even", "LogNormal", "Span", "Streams", "exponential_us"]
