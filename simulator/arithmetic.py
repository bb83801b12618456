"""Logarithm, exponential and normal quantile of + − × ÷ and √ alone: the same on every machine.

The C library's differ between processors in the last digit, which is enough to turn a decision.
"""

from __future__ import annotations

import math

_LN2 = 0.6931471805599453


def ln(x: float) -> float:
    """The natural logarithm of a positive number, to some 1e-15."""
    mantissa, exponent = math.frexp(x)  # exact
    if mantissa < math.sqrt(0.5):
        mantissa, exponent = mantissa * 2, exponent - 1
    t = (mantissa - 1) / (mantissa + 1)
    square, power, total = t * t, t, 0.0
    for odd in range(1, 31, 2):
        total += power / odd
        power *= square
    return 2 * total + exponent * _LN2


def exp(x: float) -> float:
    """e^x, to some 1e-14."""
    doublings = round(x / _LN2)
    rest, total = x - doublings * _LN2, 1.0
    for i in range(18, 0, -1):
        total = 1.0 + rest * total / i
    return math.ldexp(total, doublings)  # exact


def normal_quantile(p: float) -> float:
    """The value that a standard normal variable is below with probability ``p``, to 1e-8.

    The rational approximation of Acklam (2003).
    """
    if p < 0.02425 or p > 1 - 0.02425:
        q = math.sqrt(-2 * ln(min(p, 1 - p)))
        tail = _ratio(_C, (*_D, 1.0), q)
        return tail if p < 0.5 else -tail
    q = p - 0.5
    return q * _ratio(_A, (*_B, 1.0), q * q)


def _ratio(above: tuple[float, ...], below: tuple[float, ...], x: float) -> float:
    return _polynomial(above, x) / _polynomial(below, x)


def _polynomial(coefficients: tuple[float, ...], x: float) -> float:
    total = 0.0
    for coefficient in coefficients:
        total = total * x + coefficient
    return total


_A = (
    -3.969683028665376e01,
    2.209460984245205e02,
    -2.759285104469687e02,
    1.383577518672690e02,
    -3.066479806614716e01,
    2.506628277459239e00,
)
_B = (
    -5.447609879822406e01,
    1.615858368580409e02,
    -1.556989798598866e02,
    6.680131188771972e01,
    -1.328068155288572e01,
)
_C = (
    -7.784894002430293e-03,
    -3.223964580411365e-01,
    -2.400758277161838e00,
    -2.549732539343734e00,
    4.374664141464968e00,
    2.938163982698783e00,
)
_D = (
    7.784695709041462e-03,
    3.224671290700398e-01,
    2.445134137142996e00,
    3.754408661907416e00,
)
