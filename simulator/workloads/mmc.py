"""The stationary M/M/c queue: waiting and response times of Poisson arrivals at c equal servers.

Source: Gross, Shortle, Thompson and Harris, Fundamentals of Queueing Theory, 4th ed., section 2.3.
Times are in mean service times; everything is the same on every machine.
"""

from __future__ import annotations

import math
from functools import cache, lru_cache

from simulator.arithmetic import exp

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


def survival(servers: int, offered: float, time: float) -> float:
    """The probability that a request takes longer than ``time``."""
    return _survival(erlang_c(servers, offered), servers - offered, time)


def response_times(servers: int, busy: float) -> tuple[float, ...]:
    """For each of ``SURVIVALS`` the time that this share takes longer than.

    ``busy``: the share of the servers' time; beyond 1 − 2^-10 the answer is that of there, since
    nearer to 1 no queue is stationary for long. To some 1e-4 (between grid points it is linear).
    """
    if busy <= 0:
        return _at_grid(servers, 0)
    idle = max(1 - busy, _idle(_GRID_SIZE))
    low, high = 0, _GRID_SIZE
    while high - low > 1:
        k = (low + high) // 2
        low, high = (k, high) if _idle(k) >= idle else (low, k)
    share = (_idle(low) - idle) / (_idle(low) - _idle(high))
    below, above = _at_grid(servers, low), _at_grid(servers, high)
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
def _at_grid(servers: int, k: int) -> tuple[float, ...]:
    offered = servers * (1 - _idle(k))
    waits, spare = erlang_c(servers, offered), servers - offered
    times, low = [0.0], 0.0
    for share in SURVIVALS[1:]:
        high = low + 1.0
        while _survival(waits, spare, high) > share:
            low, high = high, 2 * high
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if _survival(waits, spare, middle) > share else (low, middle)
        times.append(high)
    return tuple(times)


def _survival(waits: float, spare: float, time: float) -> float:
    if abs(spare - 1) < 1e-6:
        return exp(-time) * (1 + waits * time)
    ratio = waits / (spare - 1)
    return exp(-time) * (1 + ratio) - ratio * exp(-spare * time)
