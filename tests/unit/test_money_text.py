"""Text of whole units by integers alone says what the decimal way says."""

from hypothesis import given
from hypothesis import strategies as st

from nexgent import money


@given(st.integers(-(10**30), 10**30), st.integers(0, 18))
def test_units_as_text_are_the_decimal_text(units: int, decimals: int) -> None:
    assert money.units_text(units, decimals) == money.text(money.tokens(units, decimals))
