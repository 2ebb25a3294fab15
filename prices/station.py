"""The feeds of one process: the poller, the SOL/USD stream, and the timer that replaces a bell that does not ring.

Beat rings `prices.tasks.poll` every interval. When no ring came for one interval and a bit (broker gone), the timer
thread runs the round itself; it also has jumps looked at again, lets them count in time, and tells other processes how
the feeds do.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import orjson
from django.db import DatabaseError, InterfaceError, connection

from nexgent import clock
from prices import cache
from prices.feeds.protocol import Feed
from prices.feeds.provider import Provider
from prices.feeds.pyth import PythStream
from prices.poller import INTERVAL_SECONDS, Poller
from prices.records import PriceTick

log = logging.getLogger(__name__)

TIMER_SECONDS = 0.5
LATE_SECONDS = INTERVAL_SECONDS + 0.75
PYTH_SILENCE_SECONDS = 10.0
STATE_EVERY_SECONDS = 2.0


class Station:
    """Started once per process by `prices.services.start_feeds`."""

    def __init__(self, poller: Poller, *, pyth: Provider | None, pace_seconds: float = 0.0) -> None:
        self.poller = poller
        self._pace_seconds = pace_seconds
        self.pyth = None if pyth is None else PythStream(pyth, self._sol)
        self.started_at = clock.now()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._sol_at = time.monotonic()
        self._told_at = 0.0

    def start(self) -> None:
        """Begin: stream and timer."""
        if self.pyth is not None:
            self.pyth.start()
        self._thread = threading.Thread(target=self._run, name="prices-timer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; returns when the timer has ended, calls under way end by their deadline."""
        self._stop.set()
        if self.pyth is not None:
            self.pyth.stop()
        if self._thread is not None:
            self._thread.join(timeout=10)
        self.poller.close()

    def ring(self) -> bool:
        """A round now; False when one is running, or when the provider's budget asks for a slower pace."""
        if time.monotonic() - self.poller.last_round_at < self._pace_seconds:
            return False
        return self.poller.round()

    def state(self) -> dict[str, Any]:
        """How the feeds of this process do, as JSON values."""
        return {
            "at": clock.now().isoformat(),
            "since": self.started_at.isoformat(),
            "feeds": [self._feed(feed) for feed in self.poller.feeds],
            "pyth": None if self.pyth is None else self._pyth(self.pyth),
        }

    def _run(self) -> None:
        while not self._stop.wait(TIMER_SECONDS):
            for work in (self._look_again, self._settle, self._fallback, self._watch_pyth, self._tell):
                self._guarded(work)
            connection.close()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (DatabaseError, InterfaceError) as problem:
            log.warning("the feeds wait for PostgreSQL: %s", problem)
        except Exception:
            log.exception("the price timer failed at %s; it goes on", work.__name__)

    def _look_again(self) -> None:
        self.poller.look_again()

    def _settle(self) -> None:
        self.poller.settle()

    def _fallback(self) -> None:
        if time.monotonic() - self.poller.last_round_at > LATE_SECONDS:
            self.ring()

    def _watch_pyth(self) -> None:
        """A stream that is open and silent is asked over REST."""
        if self.pyth is None or not self.pyth.is_streaming:
            return
        if time.monotonic() - self._sol_at > PYTH_SILENCE_SECONDS:
            self._sol_at = time.monotonic()
            self.pyth.poll()

    def _tell(self) -> None:
        if time.monotonic() - self._told_at < STATE_EVERY_SECONDS:
            return
        self._told_at = time.monotonic()
        state = orjson.dumps(self.state())
        cache.valkey().call(lambda client: client.set(cache.FEEDS, state, ex=60), otherwise=None)

    def _sol(self, tick: PriceTick) -> None:
        self._sol_at = time.monotonic()
        self.poller.take_sol(tick)

    def _feed(self, feed: Feed) -> dict[str, Any]:
        state = self.poller.states[feed.name]
        provider = getattr(feed, "provider", None)
        return {
            "name": feed.name,
            "state": state.word,
            "calls": state.rounds,
            "prices": state.answered,
            "rejected": state.rejected,
            "failuresInARow": state.failures_in_a_row,
            "lastSuccessAt": state.last_success_at and state.last_success_at.isoformat(),
            "lastFailureAt": state.last_failure_at and state.last_failure_at.isoformat(),
            "lastFailure": state.last_failure,
            **({} if provider is None else _provider(provider)),
        }

    @staticmethod
    def _pyth(stream: PythStream) -> dict[str, Any]:
        return {
            "name": "pyth",
            "state": "ok" if stream.is_streaming else "down",
            "streaming": stream.is_streaming,
            "lastFailure": stream.problem,
            **_provider(stream.provider),
        }


def _provider(provider: Provider) -> dict[str, Any]:
    health = provider.health
    return {"latencyMs": health.latency_ms, "circuitOpen": health.is_open, "budgetLeft": health.budget_left}
