from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prism_operator.api.quantities import canonical_quantity, parse_quantity

from .quantity_table import KEPT_AS_WRITTEN, QUANTITIES

_SUFFIXES = ["", "n", "u", "m", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti", "e2", "E-3"]
_TEXTS = st.builds(
    lambda sign, number, suffix: f"{sign}{number}{suffix}",
    st.sampled_from(["", "+", "-"]),
    st.from_regex(r"([0-9]{1,6}(\.[0-9]{0,4})?|\.[0-9]{1,4})", fullmatch=True),
    st.sampled_from(_SUFFIXES),
)


@pytest.mark.parametrize(("given_as", "amount", "canonical"), QUANTITIES, ids=str)
def test_quantity_has_one_amount_and_one_text(
    given_as: str | int, amount: Decimal, canonical: str
) -> None:
    assert parse_quantity(given_as) == amount
    assert canonical_quantity(given_as) == canonical


def test_finer_than_a_billionth_rounds_away_from_zero() -> None:
    assert parse_quantity("0.0000000001") == Decimal("1e-9")
    assert parse_quantity("-0.1n") == Decimal("-1e-9")
    assert canonical_quantity("0.0000000001") == "1n"


@pytest.mark.parametrize(
    "text", ["", "banana", "1 Gi", "1gi", "1Kb", "m", "1.2.3", "1e", "0x10", "١", "--1", True]
)
def test_what_is_no_quantity_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity such as 500m, 2, 512Mi or 1e3"):
        parse_quantity(text)


@given(_TEXTS)
def test_canonical_text_keeps_the_amount_and_is_final(text: str) -> None:
    canonical = canonical_quantity(text)

    assert parse_quantity(canonical) == parse_quantity(text)
    assert canonical_quantity(canonical) == canonical


@given(st.integers(-(10**12), 10**12), st.integers(0, 3))
def test_equal_amounts_of_one_style_have_one_text(milli: int, padding: int) -> None:
    in_micro = f"{milli * 1000}u"
    in_milli = f"{milli}m"

    assert canonical_quantity(in_micro) == canonical_quantity(in_milli)
    assert parse_quantity(f"{'0' * padding}1") == 1


def test_absurd_texts_cost_nothing() -> None:
    assert parse_quantity("1e999999999") > 2**63
    assert parse_quantity("1e-999999999") == Decimal("1e-9")
    assert parse_quantity("9" * 98 + "Ei") == 2**63 - 1
    with pytest.raises(ValueError, match="is not a quantity"):
        parse_quantity("9" * 101)


@pytest.mark.parametrize(
    ("text", "canonical"),
    list(zip(KEPT_AS_WRITTEN, ("1", "1", "1", "1e3", "10m", "1Ki"), strict=True)),
)
def test_canonical_text_is_one_even_where_the_api_server_keeps_another(
    text: str, canonical: str
) -> None:
    assert canonical_quantity(text) == canonical
