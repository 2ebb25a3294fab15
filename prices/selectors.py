"""Reads: the latest price of a mint, SOL in USD, what is known of a token.

Valkey is asked first and PostgreSQL for what it does not know; either way a price carries its own time, and whoever
decides on one looks at its age (`is_fresh`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
from django.conf import settings
from django.db.models import Count, Max, Q

from nexgent import money
from nexgent.events.models import Alarm
from prices import cache
from prices.models import Candle, LatestPrice, Token
from prices.records import EXIT_MAX_AGE, SOL_USD_MAX_AGE, PriceTick


@dataclass(frozen=True, slots=True)
class SolUsd:
    """USD per SOL, who said so, and when."""

    price: Decimal
    source: str
    observed_at: datetime


def latest(mints: Sequence[str]) -> dict[str, PriceTick]:
    """The newest known price of each mint, however old; mints that never had one are absent."""
    known = cache.read(list(mints))
    missing = [mint for mint in mints if mint not in known]
    if missing:
        for row in LatestPrice.objects.filter(token__in=missing):
            known[row.token_id] = PriceTick(
                mint=row.token_id,
                price_sol=row.price_sol,
                observed_at=row.observed_at,
                source=row.source,
                price_usd=row.price_usd,
                liquidity_usd=row.liquidity_usd,
            )
    return known


def is_fresh(tick: PriceTick | None, *, now: datetime, max_age: timedelta) -> bool:
    """Whether `tick` may be decided on at `now`: not older than `max_age`, exactly that age included."""
    return tick is not None and now - tick.observed_at <= max_age


def sol_usd(now: datetime) -> Decimal | None:
    """USD per SOL, or None when no source is fresh; there is no default."""
    quote = sol_usd_quote(now)
    return None if quote is None else quote.price


def sol_usd_quote(now: datetime) -> SolUsd | None:
    """USD per SOL with its source: Pyth while fresh, else the last fresh SOL price of the price feed, else None."""
    tick = latest([money.SOL_MINT]).get(money.SOL_MINT)
    price = sol_usd_of(tick, now)
    return None if tick is None or price is None else SolUsd(price, tick.source, tick.observed_at)


def sol_usd_of(tick: PriceTick | None, now: datetime) -> Decimal | None:
    """USD per SOL by the newest tick of SOL itself, or None when there is none or it is not fresh."""
    return tick.price_usd if tick is not None and is_fresh(tick, now=now, max_age=SOL_USD_MAX_AGE) else None


def facts(mint: str) -> dict[str, Any]:
    """What feeds tell of a token: marketCapUsd, liquidityUsd (Decimal), holderCount (int), mintAuthorityDisabled,
    freezeAuthorityDisabled, isFlagged (bool), createdAt, factsAt (datetime). What is unknown is absent."""
    token = Token.objects.filter(mint=mint).first()
    if token is None:
        return {}
    known = dict(token.facts)
    for name in ("marketCapUsd", "liquidityUsd"):
        if known.get(name) is not None:
            known[name] = Decimal(str(known[name]))
    if known.get("createdAt") is not None:
        known["createdAt"] = datetime.fromisoformat(known["createdAt"])
    if token.facts_at is not None:
        known["factsAt"] = token.facts_at
    return {name: value for name, value in known.items() if value is not None}


def candles(mint: str, *, since: datetime, seconds: int = 60, limit: int = 1_440) -> list[Candle]:
    """The candles of a mint from `since` on, oldest first; 60 s (90 days) or 3600 s."""
    return list(Candle.objects.filter(mint=mint, seconds=seconds, start__gte=since).order_by("start")[:limit])


def is_sol_usd_disputed() -> bool:
    """Whether two fresh sources of SOL/USD are more than 2 % apart; entries wait while they are."""
    return Alarm.objects.filter(code="SOL_USD_DISPUTED", cleared_at=None).exists()


def feeds(*, now: datetime) -> dict[str, Any]:
    """How the feeds do, as JSON values: order, the running process's own word, SOL/USD, number and age of prices.

    The order is the one that runs: a demo's processes have feeds of their own, which nobody else's settings name. While
    none run it is the one that would.
    """
    said: bytes | None = cache.valkey().call(lambda client: client.get(cache.FEEDS), otherwise=None)
    state: dict[str, Any] = orjson.loads(said) if said else {}
    sol = sol_usd_quote(now)
    newest = LatestPrice.objects.exclude(token_id=money.SOL_MINT).aggregate(
        known=Count("token_id"),
        fresh=Count("token_id", filter=Q(observed_at__gte=now - EXIT_MAX_AGE)),
        newest=Max("observed_at"),
    )
    age = None if newest["newest"] is None else round((now - newest["newest"]).total_seconds(), 3)
    pyth = state.get("pyth")
    return {
        "order": [feed["name"] for feed in state.get("feeds", [])] or list(settings.PRICE_FEEDS),
        "running": bool(state),
        "at": state.get("at"),
        "since": state.get("since"),
        "feeds": [*state.get("feeds", []), *([pyth] if pyth else [])],
        "solUsd": None if sol is None else _sol_json(sol, now),
        "solUsdDisputed": is_sol_usd_disputed(),
        "prices": {"known": newest["known"], "fresh": newest["fresh"], "newestAgeSeconds": age},
        "cache": "away" if cache.valkey().is_away else "ok",
    }


def _sol_json(sol: SolUsd, now: datetime) -> dict[str, Any]:
    age = round((now - sol.observed_at).total_seconds(), 3)
    return {"price": money.text(sol.price), "source": sol.source, "ageSeconds": age}
