"""What the price feeds hand on: one observed price of one mint, and how old it may be for which decision."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from nexgent import money

ENTRY_MAX_AGE = timedelta(seconds=10)
"""No entry rests on an older price."""
EXIT_MAX_AGE = timedelta(seconds=30)
"""No exit rule decides on an older price."""
SOL_USD_MAX_AGE = timedelta(seconds=30)
"""An older SOL/USD is no SOL/USD."""

_LOWEST, _BOUND = Decimal("1e-24"), Decimal("1e24")  # what `nexgent.rows.PriceField` can hold
_LIQUIDITY_BOUND = Decimal("1e22")


class Lane(StrEnum):
    """Why a mint is watched, or a provider asked: what must not wait comes first.

    `exits` are calls of an order on its way out; `live` and `positions` are held tokens (live ones are also confirmed
    by the second source), `signals` tokens that may be bought, `background` everything else.
    """

    EXITS = "exits"
    LIVE = "live"
    POSITIONS = "positions"
    SIGNALS = "signals"
    BACKGROUND = "background"


@dataclass(frozen=True, slots=True)
class PriceTick:
    """One observed price: SOL per whole token, at source time (receive time when the source names none).

    Raises ValueError for what can be no price (NaN, infinite, zero, negative, not storable) and for a naive time, so
    that a bad value stops where it comes in.
    """

    mint: str
    price_sol: Decimal
    observed_at: datetime
    source: str
    price_usd: Decimal | None = None
    liquidity_usd: Decimal | None = None

    def __post_init__(self) -> None:
        if not self.price_sol.is_finite() or not _LOWEST <= self.price_sol < _BOUND:
            raise ValueError(f"{self.mint}: {self.price_sol} is no price")
        usd, liquidity = self.price_usd, self.liquidity_usd
        if usd is not None and (not usd.is_finite() or not _LOWEST <= usd < _BOUND):
            raise ValueError(f"{self.mint}: {usd} USD is no price")
        if liquidity is not None and (not liquidity.is_finite() or not 0 <= liquidity < _LIQUIDITY_BOUND):
            raise ValueError(f"{self.mint}: {liquidity} USD is no liquidity")
        if self.observed_at.tzinfo is None:
            raise ValueError(f"{self.mint}: a price needs a time with a zone")


def storable(price: Decimal) -> Decimal:
    """A price as it is stored (24 places). Raises ValueError when it is out of range."""
    if not price.is_finite() or not _LOWEST <= price < _BOUND:
        raise ValueError(f"{price} is no price")
    return money.quantise(price)


def newest(batch: Sequence[PriceTick]) -> dict[str, PriceTick]:
    """The newest tick of each mint by `observed_at`; of equal times the later in the batch."""
    latest: dict[str, PriceTick] = {}
    for tick in batch:
        known = latest.get(tick.mint)
        if known is None or tick.observed_at >= known.observed_at:
            latest[tick.mint] = tick
    return latest
