"""The outside world for orders: a venue over HTTP that keeps its own record of what it executed.

It executes what is sent as often as it is sent, as a chain does: a second submission of one order is a second swap.
An order of which it said that it never landed can no longer land. Its record is what the books are held against.
"""

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from nexgent.errors import Refusal
from tests.fakes.loopback import LoopbackServer, Query
from trading.rules.market import Quote
from trading.venues.protocol import Request
from trading.venues.simulated import Simulated

PROFILE, SLOW = "wire", "slow"
DELAY_MS = 300


class FakeVenue(LoopbackServer):
    """`executed` maps an order to how often it was swapped."""

    def __init__(self) -> None:
        super().__init__()
        self.executed: dict[str, int] = {}
        self._server.socket.listen(512)  # a hundred stops call at one moment
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients die while they talk
        self._dead: set[str] = set()
        self._lock = threading.Lock()

    def answer(self, path: str, query: Query, headers: dict[str, str]) -> Any:
        order = query["order"][0]
        with self._lock:
            self.requests.clear()
            if path == "/submit" and order not in self._dead:
                self.executed[order] = self.executed.get(order, 0) + 1
            if path == "/resolve" and order not in self.executed:
                self._dead.add(order)
            return {"landed": order in self.executed}


class WireVenue:
    """The client: quotes at the price, submits and resolves over HTTP."""

    is_local = False

    def __init__(self, url: str) -> None:
        self._ideal = Simulated()
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=200)
        self._client = httpx.Client(base_url=url, timeout=35, limits=limits)

    def fees(self, request: Request) -> int:
        return self._ideal.fees(request)

    def quote(self, request: Request) -> Quote:
        return replace(self._ideal.quote(request), delay_ms=DELAY_MS)

    def submit(self, request: Request, quote: Quote) -> None:
        self._call("submit", request)

    def resolve(self, request: Request, quote: Quote) -> Quote:
        if not self._call("resolve", request)["landed"]:
            raise Refusal("TRANSACTION_EXPIRED", "The transaction never landed.")
        return quote

    def _call(self, step: str, request: Request) -> Any:
        try:
            return self._client.post(f"/{step}", params={"order": str(request.order_id)}).json()
        except httpx.HTTPError as problem:
            raise Refusal("VENUE_UNAVAILABLE", "The venue does not answer.") from problem


class SlowVenue:
    """Fills at the price after so many seconds, the first order after so many; writes down when each call began."""

    is_local = False

    def __init__(self, journal: Path, *, seconds: float, hanging_seconds: float) -> None:
        self._ideal = Simulated()
        self._journal, self._seconds, self._hanging_seconds = journal, seconds, hanging_seconds
        self._lock = threading.Lock()
        self._is_first = hanging_seconds > 0

    def fees(self, request: Request) -> int:
        return self._ideal.fees(request)

    def quote(self, request: Request) -> Quote:
        return self._ideal.quote(request)

    def submit(self, request: Request, quote: Quote) -> None:
        with self._lock, self._journal.open("a") as journal:
            is_first, self._is_first = self._is_first, False
            journal.write(f"{request.order_id} {time.time()}\n")
        time.sleep(self._hanging_seconds if is_first else self._seconds)

    def resolve(self, request: Request, quote: Quote) -> Quote:
        return quote
