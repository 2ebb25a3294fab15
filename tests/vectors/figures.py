"""Numbers of the vectors as ours: floats as the decimals they were written as, amounts in whole units."""

from decimal import ROUND_HALF_EVEN, Decimal

from nexgent.money import EXACT

TOKEN_DECIMALS = 9
"""Where an input names none."""
FINE_DECIMALS = 18
"""For ratios: inputs made by the reference carry fractions of a lamport that a ratio must not lose."""


def exact_number(value: float | str | Decimal) -> Decimal:
    return Decimal(str(value))


def optional(value: float | str | None) -> Decimal | None:
    return None if value is None else exact_number(value)


def whole(value: float | str | Decimal, decimals: int = TOKEN_DECIMALS) -> int:
    """The nearest whole unit (lamport) of an amount; token inputs carry float noise."""
    scaled = exact_number(value).scaleb(decimals, context=EXACT)
    return int(scaled.to_integral_value(rounding=ROUND_HALF_EVEN, context=EXACT))


def amount(units: int, decimals: int = TOKEN_DECIMALS) -> Decimal:
    return Decimal(units).scaleb(-decimals, context=EXACT)
