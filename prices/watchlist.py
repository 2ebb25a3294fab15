"""Which mints are polled, and why: what this process wants, what other processes asked for, and what is held.

Wishes of other processes travel through a sorted set in Valkey and expire, so that a mint nobody asks for any more is
no longer polled. Mints with open positions come from a registered callable, which reads the database: they are polled
whether Valkey answers or not.
"""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from prices import cache
from prices.records import Lane

WISH_SECONDS = 900
WISHES_MAX = 2_000
_ORDER = [Lane.LIVE, Lane.POSITIONS, Lane.SIGNALS, Lane.BACKGROUND]
_BY_URGENCY = {lane: rank for rank, lane in enumerate(_ORDER)}

Held = Callable[[], Iterable[str]]


class Watchlist:
    """The mints to poll; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wishes: dict[str, tuple[Lane, float]] = {}
        self._held: list[tuple[Held, Lane]] = []

    def watch(self, mints: Iterable[str], lane: Lane) -> None:
        """Ask for `mints`; renewed by asking again, forgotten after `WISH_SECONDS`."""
        wanted = list(dict.fromkeys(mints))
        if not wanted:
            return
        until = time.time() + WISH_SECONDS
        with self._lock:
            for mint in wanted:
                known = self._wishes.get(mint)
                if known is None or known[1] < time.time() or _BY_URGENCY[lane] <= _BY_URGENCY[known[0]]:
                    self._wishes[mint] = (lane, until)
            self._trim()
        cache.valkey().call(
            lambda client: client.zadd(f"{cache.WATCHED}:{lane}", dict.fromkeys(wanted, until)), otherwise=0
        )

    def register_held(self, held: Held, *, lane: Lane = Lane.POSITIONS) -> None:
        """`held()` names the mints with open positions each time the poller asks."""
        with self._lock:
            self._held = [(known, at) for known, at in self._held if known != held] + [(held, lane)]

    def unregister_held(self, held: Held) -> None:
        """No longer ask `held()`; one that is not registered is no error."""
        with self._lock:
            self._held = [(known, lane) for known, lane in self._held if known != held]

    def lanes(self) -> dict[str, Lane]:
        """All mints to poll, each in its most urgent lane."""
        lanes: dict[str, Lane] = {}
        now = time.time()
        for lane in _ORDER:
            for mint in self._of_other_processes(lane, now):
                lanes.setdefault(mint, lane)
        with self._lock:
            held = list(self._held)
            self._wishes = {mint: wish for mint, wish in self._wishes.items() if wish[1] > now}
            wishes = [(mint, lane) for mint, (lane, _) in self._wishes.items()]
        for mint, lane in [*wishes, *((mint, lane) for source, lane in held for mint in source())]:
            if mint not in lanes or _BY_URGENCY[lane] < _BY_URGENCY[lanes[mint]]:
                lanes[mint] = lane
        return lanes

    def clear(self) -> None:
        """Forget all wishes and sources of this process, and the shared wishes (tests, replays)."""
        with self._lock:
            self._wishes.clear()
            self._held.clear()
        cache.valkey().call(lambda client: client.delete(*(f"{cache.WATCHED}:{lane}" for lane in _ORDER)), otherwise=0)

    def _of_other_processes(self, lane: Lane, now: float) -> list[str]:
        def read(client: Any) -> list[bytes]:
            pipeline = client.pipeline(transaction=False)
            pipeline.zremrangebyscore(f"{cache.WATCHED}:{lane}", "-inf", now)
            pipeline.zrevrange(f"{cache.WATCHED}:{lane}", 0, WISHES_MAX - 1)
            return list(pipeline.execute()[1])

        nothing: list[bytes] = []
        return [mint.decode() for mint in cache.valkey().call(read, otherwise=nothing)]

    def _trim(self) -> None:
        excess = len(self._wishes) - WISHES_MAX
        if excess > 0:
            by_need = sorted(
                self._wishes, key=lambda mint: (-_BY_URGENCY[self._wishes[mint][0]], self._wishes[mint][1])
            )
            for mint in by_need[:excess]:
                del self._wishes[mint]
