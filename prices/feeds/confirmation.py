"""A jump is believed when somebody else sees it too.

A live feed's tick 30 % or more from the last fresh price of its mint waits for the second source or the next poll,
three seconds at most, and counts then. While it waits, another source that sees no jump is held back too: nobody knows
yet who is right, and a lagging source must not keep a stop from firing for longer than the three seconds. Made-up
markets, tapes and quotes are exempt; a mint without a fresh price has nothing to jump from.
"""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from nexgent import money
from prices.records import EXIT_MAX_AGE, PriceTick

JUMP_SHARE = Decimal("0.3")
DIFFERENCE_SHARE = Decimal("0.03")
"""Two sources further apart than this are worth an alarm."""
WAIT = timedelta(seconds=3)
KNOWN_MAX = 10_000
EXEMPT = frozenset({"replay", "synthetic", "quote"})


def is_apart(price: Decimal, reference: Decimal, share: Decimal) -> bool:
    """Whether `price` is `share` or more away from `reference`; exact, the boundary counts as away."""
    return abs(price - reference) >= money.EXACT.multiply(reference, share)


def differ(one: Decimal, other: Decimal, share: Decimal) -> bool:
    """Whether two prices are more than `share` of the lower one apart."""
    return abs(one - other) > money.EXACT.multiply(min(one, other), share)


@dataclass(frozen=True, slots=True)
class _Waiting:
    tick: PriceTick
    since: datetime


class Confirmation:
    """The last price that counted of each mint, and the jumps that wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: dict[str, PriceTick] = {}
        self._waiting: dict[str, _Waiting] = {}

    def accept(self, ticks: Iterable[PriceTick], *, now: datetime) -> list[PriceTick]:
        """The ticks that count now; jumps stay behind (`suspects`). Out-of-date ticks are dropped."""
        with self._lock:
            if len(self._last) > KNOWN_MAX:
                self._last = {m: t for m, t in self._last.items() if now - t.observed_at <= EXIT_MAX_AGE}
            return [tick for tick in ticks if self._counts(tick, now)]

    def release(self, *, now: datetime) -> list[PriceTick]:
        """Jumps that have waited long enough; each counts once."""
        with self._lock:
            due = [waiting.tick for waiting in self._waiting.values() if now - waiting.since >= WAIT]
            for tick in due:
                self._believe(tick)
            return due

    def suspects(self) -> list[str]:
        """Mints whose jump waits for a second word."""
        with self._lock:
            return list(self._waiting)

    def doubted(self) -> list[PriceTick]:
        """The jumps that wait for a second word."""
        with self._lock:
            return [waiting.tick for waiting in self._waiting.values()]

    def last(self, mints: Sequence[str]) -> dict[str, PriceTick]:
        """The prices that counted last."""
        with self._lock:
            return {mint: self._last[mint] for mint in mints if mint in self._last}

    def _counts(self, tick: PriceTick, now: datetime) -> bool:
        last = self._last.get(tick.mint)
        if last is not None and tick.observed_at < last.observed_at:
            return False
        if tick.source in EXEMPT or last is None or now - last.observed_at > EXIT_MAX_AGE:
            return self._believe(tick)
        waiting = self._waiting.get(tick.mint)
        if not is_apart(tick.price_sol, last.price_sol, JUMP_SHARE):
            is_taken_back = waiting is None or waiting.tick.source == tick.source
            return self._believe(tick) if is_taken_back else False
        if waiting is None:
            self._waiting[tick.mint] = _Waiting(tick, now)
            return False
        is_same_jump = not is_apart(tick.price_sol, waiting.tick.price_sol, JUMP_SHARE)
        if is_same_jump or now - waiting.since >= WAIT:
            return self._believe(tick)
        self._waiting[tick.mint] = _Waiting(tick, waiting.since)
        return False

    def _believe(self, tick: PriceTick) -> bool:
        self._waiting.pop(tick.mint, None)
        self._last[tick.mint] = tick
        return True
