"""What the engine knows of a token's market, read before any lock is taken: newest price, pool depth, SOL/USD."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from nexgent import clock, money, rows
from nexgent.errors import NotFound
from prices import selectors as prices
from prices import services as feeds
from prices.records import ENTRY_MAX_AGE, PriceTick
from trading.engine import outside
from trading.rules.token_gate import TokenFacts

UNKNOWN = TokenFacts()
_TOKENS = "SELECT mint, decimals, symbol, facts, facts_at FROM prices_token WHERE mint = ANY(%b::varchar[])"


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
    token_facts: TokenFacts = UNKNOWN
    """What the token gate asks about the token."""


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
    latest = prices.latest([*mints, money.SOL_MINT])
    sol_usd, is_disputed = prices.sol_usd_of(latest.get(money.SOL_MINT), now), prices.is_sol_usd_disputed()
    with rows.execute(_TOKENS, [list(mints)]) as cursor:
        tokens = cursor.fetchall()
    found = {}
    for mint, decimals, symbol, stored, facts_at in tokens:
        facts, tick = json.loads(stored), latest.get(mint)
        depth = _depth(facts, tick, sol_usd)
        gate = _token_facts(facts, facts_at)
        found[mint] = MarketFacts(decimals, symbol, tick, depth, sol_usd, is_disputed, gate)
    return found


def _token_facts(facts: dict[str, Any], at: datetime | None) -> TokenFacts:
    return TokenFacts(
        mint_authority_disabled=facts.get("mintAuthorityDisabled"),
        freeze_authority_disabled=facts.get("freezeAuthorityDisabled"),
        is_flagged=facts.get("isFlagged"),
        at=at,
    )


def _depth(facts: dict[str, object], tick: PriceTick | None, sol_usd: Decimal | None) -> int | None:
    if (known := facts.get("poolLamports")) is not None:
        return int(str(known))
    if tick is None or tick.liquidity_usd is None or not sol_usd:
        return None
    return money.lamports(money.EXACT.divide(tick.liquidity_usd, 2 * sol_usd))
