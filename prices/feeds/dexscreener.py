"""DexScreener: prices from pools quoted in SOL, for failover and confirmation, and what a pool's reserve tells.

The price is `priceNative` of the pool with the most USD liquidity among those that have the token as base and SOL as
quote; a token on the quote side, or in pools of other currencies only, has no price here. What this feed says of a
reserve is a hint for a person: a feed alone never proves that a token is worth nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from nexgent import clock, money
from prices.feeds.protocol import Answer, FeedFailure, TokenFacts, optional_amount, positive_field
from prices.feeds.provider import Provider
from prices.records import Lane, PriceTick, storable


class DexScreenerFeed:
    name = "dexscreener"
    batch_max = 30
    is_confirmed = True

    def __init__(self, provider: Provider) -> None:
        self.provider = provider

    def spend(self, lane: Lane) -> None:
        """Take one call out of the budget. Raises FeedFailure."""
        self.provider.spend(lane)

    def prices(self, mints: Sequence[str], *, lane: Lane) -> Answer:
        """Prices of up to 30 mints. Raises FeedFailure."""
        wanted = [mint for mint in mints if mint != money.SOL_MINT]
        if not wanted:
            return Answer()
        body = self.provider.get(f"/tokens/v1/solana/{','.join(wanted)}", lane=lane, cost=0)
        return parse_answer(body, wanted, at=clock.now())

    def tokens(self, mints: Sequence[str]) -> list[TokenFacts]:
        """Nothing: pools know neither decimals nor authorities."""
        return []

    def mints(self) -> Sequence[str]:
        return ()

    def close(self) -> None:
        self.provider.close()


@dataclass(frozen=True, slots=True)
class PairPrice:
    """The price of the deepest pool of a token against SOL."""

    price_sol: Decimal
    price_usd: Decimal | None
    liquidity_usd: Decimal
    price_change_24h_percent: Decimal
    pair_address: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the pools of a token say about its liquidity; `is_rug_pull` is never true, see `rug_verdict`."""

    is_rug_pull: bool
    has_liquidity: bool
    liquidity_sol: Decimal | None
    liquidity_usd: Decimal | None
    sol_pair_count: int
    check_failed: bool


def parse_answer(body: object, mints: Sequence[str], *, at: datetime) -> Answer:
    """The answer of tokens v1, each mint by itself. Raises FeedFailure when it is no list."""
    if not isinstance(body, list):
        raise FeedFailure("malformed", "dexscreener: the answer is no list")
    ticks, rejected = [], {}
    for mint in mints:
        try:
            best = best_pair(body, mint)
            if best is None:
                continue
            ticks.append(
                PriceTick(
                    mint,
                    storable(best.price_sol),
                    at,
                    DexScreenerFeed.name,
                    price_usd=best.price_usd,
                    liquidity_usd=best.liquidity_usd,
                )
            )
        except ValueError as problem:
            rejected[mint] = str(problem)
    return Answer(tuple(ticks), rejected)


def best_pair(pairs: Sequence[object], mint: str) -> PairPrice | None:
    """The price of the deepest SOL pool of `mint` (the first of equals), None without one.

    Raises ValueError when that pool's price is no price: a shallower pool is no substitute.
    """
    candidates = sol_pairs(pairs, mint)
    if not candidates:
        return None
    best = max(candidates, key=_liquidity_usd)
    price_usd = optional_amount(best, "priceUsd")
    change = best.get("priceChange")
    return PairPrice(
        price_sol=positive_field(best, "priceNative"),
        price_usd=price_usd or None,
        liquidity_usd=_liquidity_usd(best),
        price_change_24h_percent=_finite(change.get("h24") if isinstance(change, dict) else None),
        pair_address=str(best.get("pairAddress", "")),
    )


def sol_pairs(pairs: Sequence[object], mint: str) -> list[dict[str, Any]]:
    """The pools that have `mint` as base and SOL as quote; addresses compare exactly."""
    return [
        pair
        for pair in pairs
        if isinstance(pair, dict)
        and _address(pair.get("baseToken")) == mint
        and _address(pair.get("quoteToken")) == money.SOL_MINT
    ]


def rug_verdict(pairs: Sequence[object] | None, *, mint: str, minimum_sol: Decimal) -> Verdict:
    """What pools say of a token's reserve; None stands for a failed call.

    Never a rug pull: an empty answer, a token traded in other currencies or a thin pool prove nothing. Two sources must
    agree for long before a person is asked (`trading`).
    """
    if pairs is None:
        return Verdict(False, False, None, None, 0, check_failed=True)
    candidates = sol_pairs(pairs, mint)
    if not candidates:
        return Verdict(False, False, None, None, 0, check_failed=False)
    told = [pair for pair in candidates if optional_amount(pair.get("liquidity"), "quote") is not None]
    if not told:
        return Verdict(False, False, None, None, len(candidates), check_failed=False)
    deepest = max(told, key=_reserve_sol)
    return Verdict(False, True, _reserve_sol(deepest), _liquidity_usd(deepest), len(candidates), check_failed=False)


def _address(side: object) -> object:
    return side.get("address") if isinstance(side, dict) else None


def _liquidity_usd(pair: dict[str, Any]) -> Decimal:
    return optional_amount(pair.get("liquidity"), "usd") or Decimal(0)


def _reserve_sol(pair: dict[str, Any]) -> Decimal:
    return optional_amount(pair.get("liquidity"), "quote") or Decimal(0)


def _finite(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not Decimal(value).is_finite():
        return Decimal(0)
    return Decimal(value)
