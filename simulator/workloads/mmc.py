"""The stationary M/M/c queue: waiting and response times of Poisson arrivals at c equal servers.

Who would wait longer than ``patience`` leaves (M/M/c+D). Sources: Gross, Shortle, Thompson and
Harris, Fundamentals of Queueing Theory, 4th ed., section 2.3; Boots and Tijms, A multiserver
queueing system with impatient customers, Management Science 45 (1999).
Times are in mean service times; everything is the same on every machine.
"""

from __future__ import annotations

import math
from functools import cache, lru_cache
from typing import NamedTuple

from simulator.arithmetic import exp

FOREVER = 1e9

# Shares of requests that take longer: between two of them times are taken to be spread evenly.
SURVIVALS = (
    1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.12, 0.1, 0.08, 0.06, 0.05,
    0.04, 0.03, 0.02, 0.015, 0.01, 0.007, 0.005, 0.003, 0.002, 0.001, 1e-4, 1e-5,
)  # fmt: skip
_GRID_PER_HALVING = 16
_GRID_SIZE = 10 * _GRID_PER_HALVING  # to an idle share of 2^-10


def erlang_c(servers: int, offered: float) -> float:
    """The probability that a request has to wait, when ``offered`` < ``servers`` are busy.

    By the recurrence of Erlang's loss formula.
    """
    loss = 1.0
    for k in range(1, servers + 1):
        loss = offered * loss / (k + offered * loss)
    busy = offered / servers
    return loss / (1 - busy * (1 - loss))


def mean_response(servers: int, offered: float) -> float:
    """The mean time from arrival to answer."""
    return 1 + erlang_c(servers, offered) / (servers - offered)


def survival(servers: int, offered: float, time: float, patience: float = FOREVER) -> float:
    """The probability that a request that is answered takes longer than ``time``."""
    queue = _queue(servers, offered, patience)
    return queue.longer(time) / (1 - queue.lost)


def lost_share(servers: int, offered: float, patience: float) -> float:
    """The share of requests that leave; of ``offered`` next to ``servers`` that of 2^-10 less."""
    return _queue(servers, min(offered, servers * (1 - _idle(_GRID_SIZE))), patience).lost


def response_times(servers: int, busy: float, patience: float = FOREVER) -> tuple[float, ...]:
    """For each of ``SURVIVALS`` the time that this share of those answered takes longer than.

    ``busy``: the share of the servers' time; beyond 1 − 2^-10 the answer is that of there, since
    nearer to 1 no queue is stationary for long. To some 1e-4 (between grid points it is linear).
    """
    if busy <= 0:
        return _at_grid(servers, 0, patience)
    idle = max(1 - busy, _idle(_GRID_SIZE))
    low, high = 0, _GRID_SIZE
    while high - low > 1:
        k = (low + high) // 2
        low, high = (k, high) if _idle(k) >= idle else (low, k)
    share = (_idle(low) - idle) / (_idle(low) - _idle(high))
    below, above = _at_grid(servers, low, patience), _at_grid(servers, high, patience)
    return tuple(b + (a - b) * share for b, a in zip(below, above, strict=True))


@cache
def _idle(k: int) -> float:
    """2^(-k/16), by square roots."""
    root = 0.5
    for _ in range(4):
        root = math.sqrt(root)
    value = 1.0
    for _ in range(k % _GRID_PER_HALVING):
        value *= root
    return math.ldexp(value, -(k // _GRID_PER_HALVING))


@lru_cache(maxsize=4096)
def _at_grid(servers: int, k: int, patience: float) -> tuple[float, ...]:
    queue = _queue(servers, servers * (1 - _idle(k)), patience)
    answered = 1 - queue.lost
    times, low = [0.0], 0.0
    for share in SURVIVALS[1:]:
        high = low + 1.0
        while queue.longer(high) > share * answered:
            low, high = high, 2 * high
        for _ in range(40):
            middle = (low + high) / 2
            if queue.longer(middle) > share * answered:
                low = middle
            else:
                high = middle
        times.append(high)
    return tuple(times)


class _Queue(NamedTuple):
    """Waits are 0 with ``at_once``, else have the density ``begins``·e^(−``spare``·wait)."""

    at_once: float
    begins: float
    spare: float
    patience: float
    left: float  # e^(−spare·patience)
    lost: float

    def longer(self, time: float) -> float:
        """The probability that a request is answered, and takes longer."""
        spare, off, gone = self.spare, 1 - self.spare, exp(-time)
        waits = min(time, self.patience)
        until = exp(off * waits - time)
        begun = (until - gone) / off if abs(off) > 1e-6 else waits * gone
        if time < self.patience:  # until is e^(−spare·time)
            begun += (until - self.left) / spare
        return self.at_once * gone + self.begins * begun


def _queue(servers: int, offered: float, patience: float) -> _Queue:
    waits, spare = erlang_c(servers, offered), servers - offered
    left = exp(-spare * patience)
    begins = spare * waits / (1 - waits)  # for each that need not wait
    at_once = 1 / (1 + begins * ((1 - left) / spare + left / servers))
    begins *= at_once
    return _Queue(at_once, begins, spare, patience, left, begins * left / servers)
