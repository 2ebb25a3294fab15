"""Gains in percent of the average price: the one number that stop, ladder, stale close and DCA compare."""

from decimal import Decimal

from nexgent.money import exact

HUNDRED = Decimal(100)
ZERO = Decimal(0)


def gain(average: Decimal, price: Decimal) -> Decimal:
    """`gain_percent` for callers that already hold the exact context.

    Its 80 digits keep apart any two gains that prices of 48 digits can make.
    """
    if average <= 0:
        return ZERO
    return (price - average) * HUNDRED / average


@exact
def gain_percent(average: Decimal, price: Decimal) -> Decimal:
    """(price - average) / average x 100, exact at every finite threshold; 0 without an average price."""
    return gain(average, price)
