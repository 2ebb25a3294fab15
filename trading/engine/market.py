"""What the engine knows of a token's market, read before any lock is taken: newest price, pool depth, SOL/USD."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from nexgent import money
from prices import selectors as prices
from prices.models import Token
from prices.records import PriceTick


@dataclass(frozen=True, slots=True)
class MarketFacts:
    """`depth_lamports` is the SOL side of the pool: half the feed's liquidity; None when nobody knows it."""

    decimals: int
    symbol: str
    latest: PriceTick | None
    depth_lamports: int | None
    sol_usd: Decimal | None


def read(mints: Sequence[str], *, now: datetime) -> dict[str, MarketFacts]:
    """The market of each known token; unknown mints are absent."""
    latest = prices.latest(mints)
    sol_usd = prices.sol_usd(now)
    tokens = Token.objects.filter(mint__in=mints).values_list("mint", "decimals", "symbol", "facts")
    return {
        mint: MarketFacts(decimals, symbol, latest.get(mint), _depth(facts, latest.get(mint), sol_usd), sol_usd)
        for mint, decimals, symbol, facts in tokens
    }


def _depth(facts: dict[str, object], tick: PriceTick | None, sol_usd: Decimal | None) -> int | None:
    if (known := facts.get("poolLamports")) is not None:
        return int(str(known))
    if tick is None or tick.liquidity_usd is None or not sol_usd:
        return None
    return money.lamports(money.EXACT.divide(tick.liquidity_usd, 2 * sol_usd))
