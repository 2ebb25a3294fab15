"""Money: integers for amounts, `Decimal` for prices and percentages, one exact context for the arithmetic between them.

Amounts are lamports or token base units (`int`). A price is SOL per whole token. Binary floats never enter.
"""

import functools
from collections.abc import Callable
from decimal import ROUND_FLOOR, Context, Decimal, DivisionByZero, InvalidOperation, Overflow, localcontext
from typing import ParamSpec, TypeVar

SOL_MINT = "So11111111111111111111111111111111111111112"
SOL_DECIMALS = 9
LAMPORTS_PER_SOL = 10**SOL_DECIMALS
PRICE_PLACES = 24
"""Decimal places that a stored price keeps (`nexgent.rows.PriceField`)."""

EXACT = Context(prec=80, traps=[InvalidOperation, DivisionByZero, Overflow])
"""Wide enough for units (20 digits) x price (48 digits) without rounding."""

_QUANTUM = Decimal(1).scaleb(-PRICE_PLACES)
_P = ParamSpec("_P")
_R = TypeVar("_R")


def exact(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Run a function under the exact decimal context."""

    @functools.wraps(function)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with localcontext(EXACT):
            return function(*args, **kwargs)

    return run


def floor(value: Decimal) -> int:
    """The largest integer not above `value`."""
    return int(value.to_integral_value(rounding=ROUND_FLOOR, context=EXACT))


def lamports(sol: Decimal) -> int:
    """Whole lamports of an amount of SOL, rounded down."""
    return floor(EXACT.multiply(sol, Decimal(LAMPORTS_PER_SOL)))


def sol(amount_lamports: int) -> Decimal:
    """SOL of an amount in lamports, exact."""
    return Decimal(amount_lamports).scaleb(-SOL_DECIMALS, context=EXACT)


def tokens(units: int, decimals: int) -> Decimal:
    """Whole tokens of an amount in base units, exact."""
    return Decimal(units).scaleb(-decimals, context=EXACT)


def quantise(price: Decimal) -> Decimal:
    """A price at the precision that is stored: 24 places, half even."""
    return price.quantize(_QUANTUM, context=EXACT)


def value_lamports(units: int, price: Decimal, decimals: int) -> int:
    """floor(units x price): lamports that `units` are worth at `price` SOL per whole token."""
    return floor(EXACT.multiply(Decimal(units), price).scaleb(SOL_DECIMALS - decimals, context=EXACT))


def units_for(amount_lamports: int, price: Decimal, decimals: int) -> int:
    """floor(lamports / price): base units that `amount_lamports` buy at `price` SOL per whole token."""
    return floor(EXACT.divide(Decimal(amount_lamports).scaleb(decimals - SOL_DECIMALS, context=EXACT), price))


def price_of(amount_lamports: int, units: int, decimals: int) -> Decimal:
    """SOL per whole token of a swap, at stored precision."""
    return quantise(
        EXACT.divide(Decimal(amount_lamports).scaleb(decimals - SOL_DECIMALS, context=EXACT), Decimal(units))
    )


def text(value: Decimal) -> str:
    """The wire form of a decimal: plain notation, no exponent, no trailing zeros, "0" for zero."""
    if not value:
        return "0"
    plain = format(value, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def units_text(units: int, decimals: int) -> str:
    """`text(tokens(units, decimals))` by integers alone, for rows by the hundred."""
    whole, part = divmod(abs(units), 10**decimals)
    sign = "-" if units < 0 else ""
    return f"{sign}{whole}.{part:0{decimals}d}".rstrip("0") if part else f"{sign}{whole}"
