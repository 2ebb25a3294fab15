"""Which USD per SOL counts: Pyth while it is fresh, else SOL's price in the last answer of the price feed.

The two are also compared: further apart than two per cent, one of them is wrong, and entries wait until they agree.
"""

import threading
from datetime import datetime
from decimal import Decimal

from prices.feeds.confirmation import differ
from prices.records import SOL_USD_MAX_AGE, PriceTick

DISPUTE_SHARE = Decimal("0.02")


class SolOracle:
    """The last word of each source; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_source: dict[str, PriceTick] = {}

    def take(self, tick: PriceTick) -> None:
        """Note what a source says."""
        with self._lock:
            known = self._by_source.get(tick.source)
            if known is None or tick.observed_at >= known.observed_at:
                self._by_source[tick.source] = tick

    def best(self, *, now: datetime, preferred: str = "pyth") -> PriceTick | None:
        """The tick that counts: the preferred source while fresh, else the newest fresh one, else None."""
        fresh = self._fresh(now)
        if preferred in fresh:
            return fresh[preferred]
        return max(fresh.values(), key=lambda tick: tick.observed_at, default=None)

    def dispute(self, *, now: datetime) -> tuple[PriceTick, PriceTick] | None:
        """Two fresh sources more than 2 % apart, or None."""
        ticks = sorted(self._fresh(now).values(), key=lambda tick: tick.source)
        for i, one in enumerate(ticks):
            for other in ticks[i + 1 :]:
                if one.price_usd and other.price_usd and differ(one.price_usd, other.price_usd, DISPUTE_SHARE):
                    return one, other
        return None

    def _fresh(self, now: datetime) -> dict[str, PriceTick]:
        with self._lock:
            return {
                source: tick for source, tick in self._by_source.items() if now - tick.observed_at <= SOL_USD_MAX_AGE
            }
