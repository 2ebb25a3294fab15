"""What tokens and candles look like in answers."""

from typing import Literal

from nexgent.api.shapes import DecimalText, Mint, Object, Shape, Stamp


class TokenShape(Shape):
    """A token with its newest known price; null where nobody ever knew one."""

    token_address: Mint
    symbol: str | None
    name: str | None
    decimals: int
    price_sol: DecimalText | None
    price_usd: DecimalText | None
    liquidity_usd: DecimalText | None
    price_time: Stamp | None
    price_source: str | None
    price_state: Literal["fresh", "stale", "unpriced"]
    facts: Object
    facts_time: Stamp | None
    created_at: Stamp


class CandleShape(Shape):
    """Prices in SOL of one interval; `ticks` is how many were seen in it."""

    time: Stamp
    open: DecimalText
    high: DecimalText
    low: DecimalText
    close: DecimalText
    ticks: int
