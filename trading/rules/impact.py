"""The price-impact gate: buys are tried smaller or refused, exits are split and never blocked.

An impact is a fraction (0.05 = 5 %) whatever the payload's unit was; its sign does not matter.
"""

from collections.abc import Callable
from decimal import Decimal

from nexgent.errors import Refusal
from trading.rules.sizing import MINIMUM_TRADE_LAMPORTS

ENTRY_PERCENTS = (100, 90, 80, 70)
"""Sizes that a buy is quoted at, in percent of the original one."""
EXIT_FRACTIONS = ((1, 1), (1, 2), (1, 4), (1, 8))
"""Parts of the whole exit that are quoted, largest first; the smallest is sold in any case."""
EXIT_PARTS_MAX = 8


def passes(impact: Decimal, limit: Decimal | None) -> bool:
    """Whether a quoted impact is below the limit (equal is not); no limit lets everything pass."""
    return limit is None or abs(impact) < limit


def next_size(original_lamports: int, attempt: int) -> int | None:
    """Lamports to quote on the given attempt (0 is the first); None when the gate gives up.

    A repeated attempt below 0.01 SOL is not made.
    """
    if attempt >= len(ENTRY_PERCENTS):
        return None
    lamports = original_lamports * ENTRY_PERCENTS[attempt] // 100
    return lamports if attempt == 0 or lamports >= MINIMUM_TRADE_LAMPORTS else None


def gate(original_lamports: int, limit: Decimal | None, quote: Callable[[int], Decimal]) -> int:
    """The size that passes, asking `quote` for the impact of each. Raises Refusal PRICE_IMPACT_TOO_HIGH."""
    tried: list[int] = []
    while (lamports := next_size(original_lamports, len(tried))) is not None:
        tried.append(lamports)
        if passes(quote(lamports), limit):
            return lamports
    raise Refusal("PRICE_IMPACT_TOO_HIGH", "The price impact is above the limit.", details={"quoted": tried})


def exit_fractions(exit_units: int, remaining_units: int, *, part: int = 1) -> tuple[int, ...]:
    """Units to quote for the next part of an exit, largest first.

    `exit_units` is the whole exit, `remaining_units` what is left of it, `part` counts from 1. The last possible part
    takes the rest, ungated.
    """
    if part >= EXIT_PARTS_MAX:
        return (remaining_units,)
    sizes: list[int] = []
    for numerator, denominator in EXIT_FRACTIONS:
        units = min(remaining_units, max(1, exit_units * numerator // denominator))
        if not sizes or units < sizes[-1]:
            sizes.append(units)
    return tuple(sizes)


def exit_part(
    exit_units: int,
    remaining_units: int,
    limit: Decimal | None,
    quote: Callable[[int], Decimal],
    *,
    part: int = 1,
) -> int:
    """Units that the next part of an exit sells: the largest candidate that passes, else the smallest."""
    sizes = exit_fractions(exit_units, remaining_units, part=part)
    if limit is None:
        return sizes[0]
    for units in sizes[:-1]:
        if passes(quote(units), limit):
            return units
    return sizes[-1]
