"""Quantities as Kubernetes has them (apimachinery ``pkg/api/resource/quantity.go``)."""

from __future__ import annotations

import re
from decimal import ROUND_UP, Context, Decimal

_DECIMAL_EXPONENTS = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15}
_DECIMAL_EXPONENTS["E"] = 18
_BINARY_EXPONENTS = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL_SUFFIXES = {exponent: suffix for suffix, exponent in _DECIMAL_EXPONENTS.items()}
_BINARY_SUFFIXES = {exponent: suffix for suffix, exponent in _BINARY_EXPONENTS.items()}

_QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))"
    r"(?:(?P<binary>[KMGTPE]i)|[eE](?P<exponent>[+-]?[0-9]{1,9})|(?P<decimal>[numkMGTPE]?))",
    re.ASCII,
)
_LENGTH_MAX = 100
_EXACT = Context(prec=400)  # exact for every text of that length
_NANO = Decimal("1e-9")
_BINARY_MAX = Decimal(2**63 - 1)


def parse_quantity(value: str | int | float) -> Decimal:
    """The amount a quantity stands for: ``"2000m"`` and ``2`` are both Decimal 2.

    Like the API server, finer amounts than a billionth round away from zero, and larger ones with
    a binary suffix than 2^63-1 are cut. Raises ValueError for what is no quantity.
    """
    return _parse(value)[0]


def canonical_quantity(value: str | int | float) -> str:
    """The canonical text: ``"2"`` for ``"2000m"``, ``"1Gi"`` for ``"1024Mi"``.

    Two quantities of one style (binary, decimal, exponent) are equal exactly when their canonical
    texts are. The API server returns this text, except that it mistakes a few for canonical and
    returns them as they came (``1.``, ``+1``, ``01``, ``1E3``). Raises ValueError for what is no
    quantity.
    """
    amount, style = _parse(value)
    if amount == 0:
        return "0"
    if style == "binary" and abs(amount) >= 1024 and amount == amount.to_integral_value():
        mantissa, exponent = int(amount), 0
        while mantissa % 1024 == 0 and exponent < 6:
            mantissa, exponent = mantissa // 1024, exponent + 1
        return f"{mantissa}{_BINARY_SUFFIXES.get(exponent, '')}"
    mantissa, exponent = int(amount.scaleb(9, _EXACT)), -9
    while mantissa % 1000 == 0 and exponent < 18:
        mantissa, exponent = mantissa // 1000, exponent + 3
    if style == "exponent":
        return f"{mantissa}e{exponent}" if exponent else str(mantissa)
    return f"{mantissa}{_DECIMAL_SUFFIXES[exponent]}"


def _parse(value: str | int | float) -> tuple[Decimal, str]:
    text = str(value)
    match = _QUANTITY.fullmatch(text) if len(text) <= _LENGTH_MAX else None
    if match is None:
        raise ValueError(f'"{text[:_LENGTH_MAX]}" is not a quantity such as 500m, 2, 512Mi or 1e3')
    amount = Decimal(match["number"])
    if match["binary"]:
        style = "binary"
        amount = _EXACT.multiply(amount, 1024 ** _BINARY_EXPONENTS[match["binary"]])
        amount = max(-_BINARY_MAX, min(_BINARY_MAX, amount))
    elif match["exponent"] is not None:
        style, amount = "exponent", _scaled(amount, int(match["exponent"]))
    else:
        style, amount = "decimal", _scaled(amount, _DECIMAL_EXPONENTS[match["decimal"]])
    return amount.quantize(_NANO, rounding=ROUND_UP, context=_EXACT), style


def _scaled(amount: Decimal, exponent: int) -> Decimal:
    # Exponents far outside what a quantity can hold change nothing but the cost of computing it.
    return amount.scaleb(max(-100, min(100, exponent)), _EXACT)
