"""`/tokens`: what the product knows of tokens, and their candles. Nothing is fetched from outside.

Tokens and prices belong to nobody: everybody who is signed in reads the same.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Q
from rest_framework.request import Request
from rest_framework.response import Response

from nexgent import clock, money
from nexgent.accounts.endpoints import Endpoint
from nexgent.api import openapi, pagination, query
from nexgent.api.openapi import describe
from nexgent.api.wire import stamp, stamp_or_none, text_or_none
from nexgent.errors import InvalidInput, NotFound
from prices import selectors
from prices.mints import is_mint
from prices.models import Token
from prices.records import EXIT_MAX_AGE, PriceTick
from prices.token_shapes import CandleShape, TokenShape

SCOPE = "signals"
LISTING = pagination.Listing(
    keys={
        "createdAt": pagination.by_time("created_at"),
        "symbol": pagination.by_text("symbol"),
        "tokenAddress": pagination.by_text("mint"),
    },
    tie=pagination.by_text("mint"),
    default="-createdAt",
)
MINUTE, HOUR = 60, 3600
INTERVALS = {"1m": 60, "5m": 300, "15m": 900, "1h": 3600, "4h": 14_400, "1d": 86_400}
CANDLES_DEFAULT, CANDLES_MAX = 500, 1_500

# Minutes are rolled into hours when they are 90 days old, so that an interval of an hour or more reads both.
_CANDLES = """
SELECT date_bin(%(step)s, start, TIMESTAMPTZ 'epoch') AS bin,
       (array_agg(open ORDER BY start))[1], max(high), min(low), (array_agg(close ORDER BY start DESC))[1], sum(ticks)
FROM prices_candle
WHERE mint = %(mint)s AND seconds = ANY(%(seconds)s) AND start >= %(since)s AND start < %(until)s
GROUP BY bin ORDER BY bin DESC LIMIT %(limit)s
"""


def tokens_wire(rows: list[Token]) -> list[dict[str, Any]]:
    """The tokens with their newest known prices, read at once."""
    latest = selectors.latest([row.mint for row in rows])
    return [_token_wire(row, latest.get(row.mint)) for row in rows]


def _token_wire(token: Token, tick: PriceTick | None) -> dict[str, Any]:
    state = "unpriced"
    if tick is not None:
        state = "fresh" if selectors.is_fresh(tick, now=clock.now(), max_age=EXIT_MAX_AGE) else "stale"
    return {
        "tokenAddress": token.mint,
        "symbol": token.symbol or None,
        "name": token.name or None,
        "decimals": token.decimals,
        "priceSol": None if tick is None else money.text(tick.price_sol),
        "priceUsd": text_or_none(tick.price_usd if tick else None),
        "liquidityUsd": text_or_none(tick.liquidity_usd if tick else None),
        "priceTime": None if tick is None else stamp(tick.observed_at),
        "priceSource": None if tick is None else tick.source,
        "priceState": state,
        "facts": token.facts,
        "factsTime": stamp_or_none(token.facts_at),
        "createdAt": stamp(token.created_at),
    }


class Tokens(Endpoint):
    scopes = {"GET": SCOPE}

    @describe(
        "listTokens",
        "Tokens that are known, with their newest price",
        tag="Prices",
        answer=list[TokenShape],
        query=(openapi.text("q", "Part of symbol, name or address."), *openapi.window(LISTING)),
    )
    def get(self, request: Request) -> Response:
        window, rows, search = pagination.read(request, LISTING), Token.objects.all(), query.text(request, "q")
        if search is not None:
            rows = rows.filter(Q(symbol__icontains=search) | Q(name__icontains=search) | Q(mint__icontains=search))
        found = window.rows(rows)
        return pagination.respond(request, window, found, wire=lambda page: tokens_wire(list(page)), total=rows.count)


class OneToken(Endpoint):
    scopes = {"GET": SCOPE}

    @describe("getToken", "One token", tag="Prices", answer=TokenShape, path=(openapi.mint("tokenAddress"),))
    def get(self, request: Request, token_address: str) -> Response:
        return Response(tokens_wire([token_of(token_address)])[0])


class Candles(Endpoint):
    """Oldest first; an interval without a tick has no candle. The newest one still grows."""

    scopes = {"GET": SCOPE}

    @describe(
        "listCandles",
        "Candles of a token in SOL, oldest first",
        tag="Prices",
        description="The newest `limit` candles of the span. One-minute candles reach back 90 days.",
        answer=list[CandleShape],
        path=(openapi.mint("tokenAddress"),),
        query=(
            openapi.choice("interval", INTERVALS, default="1m"),
            openapi.moment("from", "Begin at this time."),
            openapi.moment("to", "End before this time; now unless given."),
            openapi.integer("limit", least=1, most=CANDLES_MAX, default=CANDLES_DEFAULT),
        ),
        refusals=("TOKEN_NOT_FOUND", "INVALID_TOKEN"),
    )
    def get(self, request: Request, token_address: str) -> Response:
        token = token_of(token_address)
        seconds = INTERVALS[query.choice(request, "interval", INTERVALS, default="1m") or "1m"]
        limit = query.integer(request, "limit", least=1, most=CANDLES_MAX) or CANDLES_DEFAULT
        until = query.moment(request, "to") or clock.now()
        since = query.moment(request, "from") or _before(until, seconds * limit)
        if since >= until:
            raise InvalidInput({"from": "must be before to"})
        return Response(candles_wire(token.mint, seconds=seconds, since=since, until=until, limit=limit))


def candles_wire(mint: str, *, seconds: int, since: datetime, until: datetime, limit: int) -> list[dict[str, Any]]:
    """Candles of `seconds` made of the stored ones, the newest `limit` of the span, oldest first."""
    values = {
        "mint": mint,
        "step": timedelta(seconds=seconds),
        "seconds": [MINUTE, HOUR] if seconds >= HOUR else [MINUTE],
        "since": since,
        "until": until,
        "limit": limit,
    }
    with connection.cursor() as cursor:
        cursor.execute(_CANDLES, values)
        rows = cursor.fetchall()
    names = ("open", "high", "low", "close")
    return [
        {"time": stamp(at), **dict(zip(names, map(money.text, prices), strict=True)), "ticks": int(ticks)}
        for at, *prices, ticks in reversed(rows)
    ]


def token_of(address: str) -> Token:
    """The token of a path; raises `InvalidInput` for what is no address, `NotFound` for an unknown one."""
    if not is_mint(address):
        raise InvalidInput({"tokenAddress": "must be base58 of 32 bytes"})
    token = Token.objects.filter(mint=address).first()
    if token is None:
        raise NotFound("token")
    return token


def _before(at: datetime, seconds: int) -> datetime:
    try:
        return at - timedelta(seconds=seconds)
    except OverflowError as problem:
        raise InvalidInput({"to": "is too early"}) from problem
