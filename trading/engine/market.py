"""What the engine knows of a token's market, read before any lock is taken: newest price, pool depth, SOL/USD."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from nexgent import clock, money
from nexgent.errors import NotFound
from prices import selectors as prices
from prices import services as feeds
from prices.models import Token
from prices.records import ENTRY_MAX_AGE, PriceTick
from trading.engine import outside


@dataclass(frozen=True, slots=True)
class MarketFacts:
    """`depth_lamports` is the SOL side of the pool: half the feed's liquidity; None when nobody knows it."""

    decimals: int
    symbol: str
    latest: PriceTick | None
    depth_lamports: int | None
    sol_usd: Decimal | None
    is_disputed: bool = False
    """SOL/USD sources differ: entries wait."""


def ask(mint: str, *, now: datetime) -> MarketFacts:
    """The market of a token that somebody wants to buy; asks the feeds when the price is missing or about to be too
    old. Outside transactions only. Raises NotFound for a token without a row.
    """
    known = prices.latest([mint]).get(mint)
    if known is None or now - known.observed_at > ENTRY_MAX_AGE / 2:
        with outside():
            feeds.refresh([mint])
            feeds.describe([mint])
    feeds.watch([mint], "signals")
    found = read([mint], now=clock.now())
    if mint not in found:
        raise NotFound("token")
    return found[mint]


def read(mints: Sequence[str], *, now: datetime) -> dict[str, MarketFacts]:
    """The market of each known token; unknown mints are absent."""
    latest = prices.latest(mints)
    sol_usd, is_disputed = prices.sol_usd(now), prices.is_sol_usd_disputed()
    tokens = Token.objects.filter(mint__in=mints).values_list("mint", "decimals", "symbol", "facts")
    return {
        mint: MarketFacts(
            decimals, symbol, latest.get(mint), _depth(facts, latest.get(mint), sol_usd), sol_usd, is_disputed
        )
        for mint, decimals, symbol, facts in tokens
    }


def _depth(facts: dict[str, object], tick: PriceTick | None, sol_usd: Decimal | None) -> int | None:
    if (known := facts.get("poolLamports")) is not None:
        return int(str(known))
    if tick is None or tick.liquidity_usd is None or not sol_usd:
        return None
    return money.lamports(money.EXACT.divide(tick.liquidity_usd, 2 * sol_usd))
