"""Draws of the simulated world, from streams named by what they belong to.

A draw is keyed by a pod or a node, so that one more node moves no other draw.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from prism_operator.runtime.randomness import Streams
from simulator.kernel import Us


@dataclass(frozen=True, slots=True)
class Span:
    """A duration that is drawn evenly between two bounds, in microseconds, both included."""

    least_us: Us
    most_us: Us

    def draw(self, stream: random.Random) -> Us:
        """One draw. Integers only, so it is the same on every machine; always one per call."""
        return stream.randrange(self.least_us, self.most_us + 1)


__all__ = ["Span", "Streams"]
