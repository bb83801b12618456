"""Quantities as text, canonical exactly as ``k8s.io/apimachinery/pkg/api/resource`` prints them."""

from __future__ import annotations

import re
from decimal import ROUND_UP, Context, Decimal
from functools import lru_cache

# The sentence of resource.ErrFormatWrong.
FORMAT_WRONG = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)
SUFFIX_WRONG = "unable to parse quantity's suffix"
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY_TEXT = {v: k for k, v in _BINARY.items()} | {0: ""}
_DECIMAL_TEXT = {v: k for k, v in _DECIMAL.items()}
_SHAPE = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)")
_EXPONENT = re.compile(r"[eE]([-+]?[0-9]+)")
_MAX_INT64 = 2**63 - 1
_EXACT = Context(prec=200)


class QuantityError(ValueError):
    """The text is not a quantity; the message is the API server's."""


def _interpret(suffix: str) -> tuple[str, int]:
    if suffix in _BINARY:
        return "binary", _BINARY[suffix]
    if suffix in _DECIMAL:
        return "decimal", _DECIMAL[suffix]
    if match := _EXPONENT.fullmatch(suffix):
        return "exponent", int(match[1])
    raise QuantityError(SUFFIX_WRONG)


@lru_cache(maxsize=65536)
def parse(text: str) -> tuple[Decimal, str]:
    """The value of a quantity and its canonical text.

    Raises:
        QuantityError: ``text`` is not a quantity.
    """
    if text == "0":
        return Decimal(0), "0"
    match = _SHAPE.fullmatch(text)
    if not text or match is None:
        raise QuantityError(FORMAT_WRONG)
    sign, digits, fraction, suffix = match[1], match[2].lstrip("0"), match[3] or "", match[4]
    form, exponent = _interpret(suffix)
    shifted = (digits or "0") + fraction
    if not match[2] and match[3] is None:
        raise QuantityError(FORMAT_WRONG)
    number = Decimal(f"{sign}{shifted}e-{len(fraction)}")
    scaled = number * (2**exponent if form == "binary" else Decimal(f"1e{exponent}"))
    if _kept_as_written(form, exponent, digits or "0", fraction):
        return scaled, text
    return _canonical(scaled, form)


def _kept_as_written(form: str, exponent: int, digits: str, fraction: str) -> bool:
    """Whether ParseQuantity's fast path keeps the text: it looks canonical already."""
    shifted = digits + fraction
    if form == "binary":
        precision = 15 - len(digits) - int(exponent * 3 / 10) - 1 if not fraction else -1
        value = int(shifted) << exponent
    else:
        precision = 18 - len(shifted)
        value = int(shifted)
    scale = (0 if form == "binary" else exponent) - len(fraction)
    if precision < 0 or scale < -9 or value > _MAX_INT64:
        return False
    if form == "binary":
        return exponent % 10 == 0 and int(shifted) & 7 != 0
    return scale % 3 == 0 and not shifted.endswith("000") and shifted[0] != "0"


def _canonical(value: Decimal, form: str) -> tuple[Decimal, str]:
    value = value.quantize(Decimal("1e-9"), ROUND_UP, _EXACT)
    if form == "binary":
        value = max(min(value, Decimal(_MAX_INT64)), Decimal(-_MAX_INT64))
    if value == 0:
        return value, "0"
    if form == "binary" and abs(value) >= 1024 and value == int(value):
        number, power = int(value), 0
        while number % 1024 == 0 and power < 60:
            number, power = number // 1024, power + 10
        return value, f"{number}{_BINARY_TEXT[power]}"
    number, power = int(value.scaleb(9, _EXACT)), -9
    while number % 1000 == 0 and power < 18:
        number, power = number // 1000, power + 3
    if form == "exponent":
        return value, f"{number}e{power}" if power else str(number)
    return value, f"{number}{_DECIMAL_TEXT[power]}"


def canonical(text: str) -> str:
    """The text the API server answers for a quantity. Raises QuantityError."""
    return parse(text)[1]


def rounded_up_to_milli(text: str) -> str:
    """The text of a resource: what is smaller than a thousandth is rounded up."""
    value, canonical_text = parse(text)
    milli = value.quantize(Decimal("1e-3"), ROUND_UP, _EXACT)
    return canonical_text if milli == value else _canonical(milli, _form(text))[1]


def value_of(text: str) -> Decimal:
    """The value of a quantity. Raises QuantityError."""
    return parse(text)[0]


def _form(text: str) -> str:
    match = _SHAPE.fullmatch(text)
    assert match is not None  # noqa: S101 - parsed before
    return _interpret(match[4])[0]
