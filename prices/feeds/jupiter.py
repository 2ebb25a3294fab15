"""Jupiter: prices (price v3) and facts (tokens v2).

The price in SOL is the token's USD over SOL's USD of the same answer, so that a wrong or slow oracle cancels out; SOL's
mint is therefore part of every call. The answer names no time: it is as old as its receipt, and stale as a whole once
SOL's block has stood still for ten seconds.
"""

import threading
import time
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from nexgent import clock, money
from prices.feeds.protocol import Answer, FeedFailure, TokenFacts, optional_amount, positive_field
from prices.feeds.provider import Provider
from prices.records import Lane, PriceTick, storable

BLOCK_STILL_SECONDS = 10.0


class JupiterFeed:
    name = "jupiter"
    batch_max = 49  # 50 ids per call, one of them SOL
    tokens_max = 100
    is_confirmed = True

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self._lock = threading.Lock()
        self._block: int | None = None
        self._block_since = 0.0

    def spend(self, lane: Lane) -> None:
        """Take one call out of the budget. Raises FeedFailure."""
        self.provider.spend(lane)

    def prices(self, mints: Sequence[str], *, lane: Lane) -> Answer:
        """Prices of up to 49 mints and of SOL. Raises FeedFailure."""
        wanted = [mint for mint in mints if mint != money.SOL_MINT]
        ids = ",".join([money.SOL_MINT, *wanted])
        body = self.provider.get("/price/v3", params={"ids": ids}, lane=lane, cost=0)
        answer = parse_prices(body, wanted, at=clock.now())
        self._check_block(body[money.SOL_MINT])
        return answer

    def tokens(self, mints: Sequence[str]) -> list[TokenFacts]:
        """Facts of up to 100 mints. Raises FeedFailure."""
        body = self.provider.get(
            "/tokens/v2/search", params={"query": ",".join(mints)}, lane=Lane.SIGNALS, cost=TOKENS_CREDITS
        )
        return parse_tokens(body, frozenset(mints))

    def mints(self) -> Sequence[str]:
        return ()

    def close(self) -> None:
        self.provider.close()

    def _check_block(self, sol: dict[str, Any]) -> None:
        block = sol.get("blockId")
        if not isinstance(block, int):
            raise FeedFailure("malformed", "jupiter: SOL without blockId")
        with self._lock:
            if self._block is None or block > self._block:
                self._block, self._block_since = block, time.monotonic()
            still = time.monotonic() - self._block_since
        if still >= BLOCK_STILL_SECONDS:
            raise FeedFailure("stale", f"jupiter: SOL's block {block} stands still for {still:.0f} s")


TOKENS_CREDITS = 1
"""Calls that a token search costs in our bucket (the provider counts requests)."""


def parse_price(mint: str, record: object, *, sol_usd: Decimal) -> tuple[Decimal, Decimal]:
    """Price in SOL and in USD of one record of price v3. Raises ValueError for what is no price."""
    usd = positive_field(record, "usdPrice")
    return storable(money.EXACT.divide(usd, sol_usd)), usd


def parse_prices(body: object, mints: Sequence[str], *, at: datetime) -> Answer:
    """The answer of price v3, each mint by itself. Raises FeedFailure when SOL or the shape is missing."""
    if not isinstance(body, dict):
        raise FeedFailure("malformed", "jupiter: the answer is no object")
    try:
        sol_usd = positive_field(body.get(money.SOL_MINT), "usdPrice")
        sol = PriceTick(money.SOL_MINT, Decimal(1), at, JupiterFeed.name, price_usd=sol_usd)
    except ValueError as problem:
        raise FeedFailure("malformed", f"jupiter: SOL {problem}") from problem
    ticks, rejected = [], {}
    for mint in mints:
        if mint not in body or body[mint] is None:
            continue
        try:
            price_sol, price_usd = parse_price(mint, body[mint], sol_usd=sol_usd)
            ticks.append(
                PriceTick(
                    mint,
                    price_sol,
                    at,
                    JupiterFeed.name,
                    price_usd=price_usd,
                    liquidity_usd=optional_amount(body[mint], "liquidity"),
                )
            )
        except ValueError as problem:
            rejected[mint] = str(problem)
    return Answer(tuple(ticks), rejected, sol)


def parse_tokens(body: object, wanted: frozenset[str]) -> list[TokenFacts]:
    """The answer of tokens v2 search, exact mints only. Raises FeedFailure when it is no list."""
    if not isinstance(body, list):
        raise FeedFailure("malformed", "jupiter: the token search answered no list")
    return [
        _token(record)
        for record in body
        if isinstance(record, dict) and _text(record, "id") in wanted and _has_decimals(record)
    ]


def _has_decimals(record: dict[str, Any]) -> bool:
    decimals = record.get("decimals")
    return isinstance(decimals, int) and not isinstance(decimals, bool) and 0 <= decimals <= 24


def _token(record: dict[str, Any]) -> TokenFacts:
    audit, pool = _part(record, "audit"), _part(record, "firstPool")
    market_cap, liquidity = optional_amount(record, "mcap"), optional_amount(record, "liquidity")
    facts = {
        "marketCapUsd": None if market_cap is None else money.text(market_cap),
        "liquidityUsd": None if liquidity is None else money.text(liquidity),
        "holderCount": _typed(record.get("holderCount"), int),
        "mintAuthorityDisabled": _typed(audit.get("mintAuthorityDisabled"), bool),
        "freezeAuthorityDisabled": _typed(audit.get("freezeAuthorityDisabled"), bool),
        "isFlagged": audit.get("isSus") is True,
        "createdAt": _time(record.get("createdAt")) or _time(pool.get("createdAt")),
    }
    return TokenFacts(
        mint=record["id"],
        symbol=_text(record, "symbol"),
        name=_text(record, "name"),
        decimals=record["decimals"],
        program=_text(record, "tokenProgram"),
        facts={name: value for name, value in facts.items() if value is not None},
    )


def _text(record: dict[str, Any], name: str) -> str:
    value = record.get(name)
    return value if isinstance(value, str) else ""


def _part(record: dict[str, Any], name: str) -> dict[str, Any]:
    value = record.get(name)
    return value if isinstance(value, dict) else {}


def _typed(value: object, kind: type) -> object:
    return value if type(value) is kind else None


def _time(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return at.isoformat() if at.tzinfo else None
