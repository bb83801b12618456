import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.arithmetic import exp, ln, normal_quantile


@given(st.floats(1e-300, 1e300))
def test_ln_is_that_of_the_c_library_to_a_few_digits_in_the_last_place(x: float) -> None:
    assert ln(x) == pytest.approx(math.log(x), rel=1e-14, abs=1e-14)


@given(st.floats(-700, 700))
def test_exp_is_that_of_the_c_library(x: float) -> None:
    assert exp(x) == pytest.approx(math.exp(x), rel=1e-13)


@pytest.mark.parametrize(
    ("p", "quantile"),
    [(0.5, 0.0), (0.99, 2.3263478740), (0.01, -2.3263478740), (0.999, 3.0902323062)],
)
def test_a_normal_quantile_is_the_tables(p: float, quantile: float) -> None:
    assert normal_quantile(p) == pytest.approx(quantile, abs=1e-7)
