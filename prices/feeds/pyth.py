"""Pyth: USD per SOL, as a stream (SSE) with polling as the way out.

An update counts when it is the SOL/USD feed by its exact id, at most thirty seconds old and its confidence interval at
most one per cent of the price. There is no default and no last value kept for ever: no update, no price.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
from httpx_sse import SSEError, connect_sse

from nexgent import clock, money
from prices.feeds.protocol import FeedFailure, finite_field
from prices.feeds.provider import Provider, parse_json
from prices.records import SOL_USD_MAX_AGE, Lane, PriceTick

log = logging.getLogger(__name__)

SOL_USD_ID = "ef0d8b6fda2ceba41da15d4095d1da392a0d2f8ed0c6c7bc0f4cfac8c280b56d"
NAME = "pyth"
CONFIDENCE_MAX = Decimal("0.01")
FUTURE_MAX = timedelta(seconds=5)
SILENCE_SECONDS = 10.0
POLL_SECONDS = 5.0
RECONNECT_SECONDS, RECONNECT_SECONDS_MAX = 1.0, 30.0
REFUSED_SECONDS = 300.0
_EXPONENT_MAX = 30
_SECONDS_MAX = 1 << 33


def parse_update(body: object, *, now: datetime) -> PriceTick:
    """The SOL tick of one update (price 1 SOL, USD from Pyth). Raises ValueError saying what is wrong with it."""
    parsed = body.get("parsed") if isinstance(body, dict) else None
    if not isinstance(parsed, list):
        raise ValueError("no parsed prices")
    record = next((item for item in parsed if isinstance(item, dict) and item.get("id") == SOL_USD_ID), None)
    if record is None:
        raise ValueError("SOL/USD is not in the answer")
    quote = record.get("price")
    exponent = finite_field(quote, "expo")
    if abs(exponent) > _EXPONENT_MAX or exponent != int(exponent):
        raise ValueError(f"expo is {exponent}")
    price, confidence = (_scaled(quote, name, int(exponent)) for name in ("price", "conf"))
    if price <= 0 or confidence < 0:
        raise ValueError(f"price is {price} with confidence {confidence}")
    if confidence > money.EXACT.multiply(price, CONFIDENCE_MAX):
        raise ValueError(f"confidence {confidence} is above 1 % of {price}")
    at = _time(quote)
    if now - at > SOL_USD_MAX_AGE:
        raise ValueError(f"published {at.isoformat()}, too old")
    if at - now > FUTURE_MAX:
        raise ValueError(f"published {at.isoformat()}, in the future")
    return PriceTick(money.SOL_MINT, Decimal(1), min(at, now), NAME, price_usd=price)


def _scaled(quote: object, name: str, exponent: int) -> Decimal:
    value = finite_field(quote, name)
    if abs(value.adjusted()) > _EXPONENT_MAX:
        raise ValueError(f"{name} is {value}")
    return value.scaleb(exponent, context=money.EXACT)


def _time(quote: object) -> datetime:
    seconds = finite_field(quote, "publish_time")
    if not 0 <= seconds < _SECONDS_MAX:
        raise ValueError(f"publish_time is {seconds}")
    return clock.from_ms(int(seconds) * 1000)


class PythStream:
    """Keeps SOL/USD coming: the stream while it runs, a poll every few seconds while it does not."""

    def __init__(self, provider: Provider, on_tick: Callable[[PriceTick], None]) -> None:
        self.provider = provider
        self.on_tick = on_tick
        self.problem = ""
        self.is_streaming = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._stop.clear()
            self._thread = threading.Thread(target=self._run, name="prices-pyth", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; it does within the stream's silence limit."""
        self._stop.set()
        self.provider.close()

    def poll(self) -> bool:
        """Ask once over REST; True when a price came of it."""
        path = "/v2/updates/price/latest"
        try:
            body = self.provider.get(path, params={"ids[]": SOL_USD_ID, "parsed": "true"}, lane=Lane.POSITIONS)
            self._take(body)
        except (FeedFailure, ValueError) as problem:
            self._note(str(problem))
            return False
        return True

    def _run(self) -> None:
        pause = RECONNECT_SECONDS
        while not self._stop.is_set():
            try:
                came = self._stream()
                pause = RECONNECT_SECONDS if came else min(pause * 2, RECONNECT_SECONDS_MAX)
                if self.problem.startswith("refused"):
                    pause = REFUSED_SECONDS  # no key, or a wrong one: the SOL price of the price feed serves
                self._poll_for(pause)
            except Exception:
                if not self._stop.is_set():  # else the client was closed in the midst of a poll
                    log.exception("pyth: a round failed; it goes on")
                    self._stop.wait(RECONNECT_SECONDS)

    def _poll_for(self, seconds: float) -> None:
        """While there is no stream: poll, until it is time to try the stream again."""
        end = time.monotonic() + seconds
        while not self._stop.is_set() and time.monotonic() < end:
            if not self.problem.startswith("refused"):
                self.poll()
            self._stop.wait(min(POLL_SECONDS, max(0.0, end - time.monotonic())))

    def _stream(self) -> bool:
        """Follow the stream until it ends; True when at least one price came."""
        came = False
        timeout = httpx.Timeout(SILENCE_SECONDS, connect=3.0)
        url = f"{self.provider.url}/v2/updates/price/stream"
        try:
            with connect_sse(self.provider.client, "GET", url, params={"ids[]": SOL_USD_ID}, timeout=timeout) as source:
                if source.response.status_code != 200:
                    self._note(f"refused: stream answered {source.response.status_code}")
                    return False
                for event in source.iter_sse():
                    if self._stop.is_set():
                        break
                    came = self._event(event.data) or came
                    self.is_streaming = True
        except (httpx.HTTPError, SSEError, RuntimeError) as problem:  # RuntimeError: the client was closed by stop()
            self._note(f"stream: {type(problem).__name__}")
        finally:
            self.is_streaming = False
        return came

    def _event(self, data: str) -> bool:
        try:
            self._take(parse_json(data.encode(), NAME))
        except (FeedFailure, ValueError) as problem:
            self._note(str(problem))
            return False
        return True

    def _take(self, body: Any) -> None:
        self.on_tick(parse_update(body, now=clock.now()))
        self.problem = ""

    def _note(self, problem: str) -> None:
        if problem != self.problem:
            log.warning("pyth: %s", problem)
        self.problem = problem
