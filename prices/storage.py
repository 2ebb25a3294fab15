"""Prices into PostgreSQL, set-wise: latest by `observed_at`, ticks, one-minute candles; all of a batch or nothing."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.db import connection, transaction

from nexgent import money, rows
from prices.feeds.protocol import TokenFacts
from prices.models import Candle, LatestPrice, Tick, Token
from prices.records import PriceTick, newest

CANDLE_SECONDS = 60
QUOTE = "quote"
"""Source of a price implied by a sell quote: it carries the impact of its size, so no candle is made of it."""

_NEWEST_WINS = """ON CONFLICT (mint) DO UPDATE SET price_sol = excluded.price_sol, price_usd = excluded.price_usd,
    liquidity_usd = coalesce(excluded.liquidity_usd, prices_latestprice.liquidity_usd), source = excluded.source,
    observed_at = excluded.observed_at
    WHERE excluded.observed_at > prices_latestprice.observed_at"""
_GROW = """ON CONFLICT (mint, seconds, start) DO UPDATE SET high = GREATEST(prices_candle.high, excluded.high),
    low = LEAST(prices_candle.low, excluded.low), close = excluded.close,
    ticks = prices_candle.ticks + excluded.ticks"""


@dataclass(slots=True)
class _Bar:
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    ticks: int


def write(*, seen: Sequence[PriceTick], kept: Sequence[PriceTick]) -> None:
    """Store the newest of `seen`, candles of all `seen`, and a tick row for each of `kept`.

    Rows are sorted by mint, so that two processes writing the same mints never deadlock.
    """
    latest = [tick for _, tick in sorted(newest(seen).items())]
    with transaction.atomic():
        ensure_rows([tick.mint for tick in latest])
        rows.insert(
            LatestPrice,
            ("token", "price_sol", "price_usd", "liquidity_usd", "source", "observed_at"),
            [
                (t.mint, money.quantise(t.price_sol), _stored(t.price_usd), t.liquidity_usd, t.source, t.observed_at)
                for t in latest
            ],
            conflict=_NEWEST_WINS,
        )
        rows.insert(
            Tick,
            ("mint", "at", "price_sol", "price_usd", "source"),
            [(t.mint, t.observed_at, money.quantise(t.price_sol), _stored(t.price_usd), t.source) for t in kept],
        )
        rows.insert(
            Candle,
            ("mint", "seconds", "start", "open", "high", "low", "close", "ticks"),
            _candles(seen),
            conflict=_GROW,
        )


def ensure_rows(mints: Sequence[str]) -> None:
    """Make token rows for mints that have none; the rest stays as it is."""
    known = set(Token.objects.filter(mint__in=mints).values_list("mint", flat=True))
    missing = sorted(set(mints) - known)
    now = datetime.now(UTC)
    rows.insert(
        Token,
        ("mint", "program", "decimals", "symbol", "name", "facts", "created_at"),
        [(mint, "", money.SOL_DECIMALS, "", "", {}, now) for mint in missing],
        conflict="ON CONFLICT DO NOTHING",
    )


def _stored(price: Decimal | None) -> Decimal | None:
    return None if price is None else money.quantise(price)


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _candles(seen: Sequence[PriceTick]) -> list[tuple[object, ...]]:
    bars: dict[tuple[str, datetime], _Bar] = {}
    for tick in sorted(seen, key=lambda tick: tick.observed_at):
        if tick.source == QUOTE:
            continue
        price = money.quantise(tick.price_sol)
        bar = bars.get((tick.mint, _minute(tick.observed_at)))
        if bar is None:
            bars[tick.mint, _minute(tick.observed_at)] = _Bar(price, price, price, price, 1)
            continue
        bar.high, bar.low, bar.close, bar.ticks = max(bar.high, price), min(bar.low, price), price, bar.ticks + 1
    return [
        (mint, CANDLE_SECONDS, start, bar.open, bar.high, bar.low, bar.close, bar.ticks)
        for (mint, start), bar in sorted(bars.items())
    ]


_DESCRIBE = """
UPDATE prices_token AS token SET
    decimals = CASE WHEN token.facts_at IS NULL THEN told.decimals ELSE token.decimals END,
    symbol = coalesce(nullif(told.symbol, ''), token.symbol), name = coalesce(nullif(told.name, ''), token.name),
    program = coalesce(nullif(told.program, ''), token.program), facts = token.facts || told.facts, facts_at = %s
FROM unnest(%s::varchar[], %s::smallint[], %s::varchar[], %s::varchar[], %s::varchar[], %s::jsonb[])
    AS told(mint, decimals, symbol, name, program, facts)
WHERE token.mint = told.mint
"""
_SYMBOL_MAX, _NAME_MAX, _ADDRESS_MAX = 50, 200, 44


def describe(tokens: Sequence[TokenFacts], *, at: datetime) -> int:
    """Write facts of tokens down; decimals only the first time. Returns the number of tokens changed."""
    told = sorted(tokens, key=lambda token: token.mint)
    columns: list[Any] = [
        [token.mint for token in told],
        [token.decimals for token in told],
        [token.symbol.replace("\0", "")[:_SYMBOL_MAX] for token in told],
        [token.name.replace("\0", "")[:_NAME_MAX] for token in told],
        [token.program[:_ADDRESS_MAX] for token in told],
        [json.dumps(token.facts) for token in told],
    ]
    if not told:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(_DESCRIBE, [at, *columns])
        return int(cursor.rowcount)
