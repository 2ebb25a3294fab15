"""The copy of the latest prices in Valkey, and the channel that tells the web hub of changes.

The copy may vanish at any time: every value carries its own time, readers fall back to PostgreSQL, and after a failed
call Valkey is left alone for a second, so that an outage costs each process one short time-out per second.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import orjson
import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from nexgent import clock, money
from prices.records import PriceTick

log = logging.getLogger(__name__)
_T = TypeVar("_T")

LATEST = "nexgent:price"
FEEDS = "nexgent:feeds"
WATCHED = "nexgent:watched"
CHANNEL = "nexgent:prices"
TIMEOUT_SECONDS = 0.5
PAUSE_SECONDS = 1.0
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# ARGV: mint, value, mint, value, ...; a value begins with its time in microseconds: newest wins.
_KEEP_NEWEST = """
for i = 1, #ARGV, 2 do
  local old = redis.call('HGET', KEYS[1], ARGV[i])
  local old_time = old and tonumber(string.match(old, '^%[(%d+)')) or -1
  if tonumber(string.match(ARGV[i + 1], '^%[(%d+)')) > old_time then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
"""


class Valkey:
    """A connection that fails fast and is then left alone for a moment."""

    def __init__(self, url: str) -> None:
        self.client: Any = redis.Redis.from_url(
            url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._not_before = 0.0
        self.is_away = False

    def call(self, function: Callable[[Any], _T], otherwise: _T) -> _T:
        """`function(client)`, or `otherwise` when Valkey does not answer."""
        if time.monotonic() < self._not_before:
            return otherwise
        try:
            answer = function(self.client)
        except redis.RedisError as problem:
            self._not_before = time.monotonic() + PAUSE_SECONDS
            if not self.is_away:
                log.warning("Valkey is away, prices are read from PostgreSQL: %s", problem)
            self.is_away = True
            return otherwise
        self.is_away = False
        return answer


_lock = threading.Lock()
_connections: dict[str, Valkey] = {}


def valkey() -> Valkey:
    """This process's connection to the configured Valkey."""
    url = settings.REDIS_URL
    with _lock:
        if url not in _connections:
            _connections[url] = Valkey(url)
        return _connections[url]


def _encode(tick: PriceTick) -> bytes:
    return orjson.dumps(
        [
            (tick.observed_at - _EPOCH) // _MICROSECOND,
            money.text(tick.price_sol),
            None if tick.price_usd is None else money.text(tick.price_usd),
            None if tick.liquidity_usd is None else money.text(tick.liquidity_usd),
            tick.source,
        ]
    )


def _decode(mint: str, value: bytes) -> PriceTick:
    microseconds, sol, usd, liquidity, source = orjson.loads(value)
    return PriceTick(
        mint=mint,
        price_sol=Decimal(sol),
        observed_at=_EPOCH + timedelta(microseconds=microseconds),
        source=source,
        price_usd=None if usd is None else Decimal(usd),
        liquidity_usd=None if liquidity is None else Decimal(liquidity),
    )


def store(ticks: Iterable[PriceTick]) -> bool:
    """Keep the newest price of each mint; False when Valkey is away."""
    arguments = [part for tick in ticks for part in (tick.mint, _encode(tick))]
    if not arguments:
        return True

    def write(client: Any) -> bool:
        client.eval(_KEEP_NEWEST, 1, LATEST, *arguments)
        return True

    return valkey().call(write, otherwise=False)


def read(mints: Sequence[str]) -> dict[str, PriceTick]:
    """What Valkey knows of the latest prices of `mints`; nothing when it is away."""
    if not mints:
        return {}
    values: list[bytes | None] = valkey().call(lambda client: client.hmget(LATEST, mints), otherwise=[])
    return {mint: _decode(mint, value) for mint, value in zip(mints, values, strict=False) if value is not None}


def announce(ticks: Sequence[PriceTick]) -> bool:
    """Publish one batch of changed prices for the web hubs; False when Valkey is away."""
    message = orjson.dumps(
        {
            "t": clock.to_ms(max(tick.observed_at for tick in ticks)),
            "prices": [
                [tick.mint, money.text(tick.price_sol), None if tick.price_usd is None else money.text(tick.price_usd)]
                for tick in ticks
            ],
        }
    )
    return valkey().call(lambda client: client.publish(CHANNEL, message) >= 0, otherwise=False)


def forget() -> None:
    """Drop the copy of all latest prices; PostgreSQL still knows them."""
    valkey().call(lambda client: client.delete(LATEST), otherwise=0)
