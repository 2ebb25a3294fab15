"""What the benchmarks of the engine share: 10,000 open positions on 1,000 tokens, and a market that moves them."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from django.db import connection

from prices.records import PriceTick
from tests.bench import fleet

TOKENS, HOLDERS, AGENTS = 1_000, 10, 100
_STEP_BPS = 60


@dataclass
class Held:
    """The tokens that everybody holds, and the number of positions."""

    who: fleet.Owner
    mints: list[str]
    count: int


def populate(scale: float = 1.0, *, alone: int = 0) -> Held:
    """Positions on tokens as asked, and `alone` tokens more with one position each (the last of `mints`)."""
    who = fleet.owner()
    owned = fleet.agents(who, AGENTS, kinds=fleet.KINDS)
    shared, single = fleet.tokens(max(20, int(TOKENS * scale))), fleet.tokens(alone)
    count = fleet.open_positions(owned, shared, holders=HOLDERS) + fleet.open_positions(owned, single, holders=1)
    fleet.publish([*shared, *single])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return Held(who, [*shared, *single], count)


class Market:
    """Prices that wander around the entry price; every batch moves every token."""

    def __init__(self, mints: list[str], *, seed: int = 1) -> None:
        self._chance = random.Random(seed)
        self._prices = dict.fromkeys(mints, fleet.PRICE)

    def batch(self) -> list[PriceTick]:
        for mint, price in self._prices.items():
            step = self._chance.randint(-_STEP_BPS, _STEP_BPS + 2)
            self._prices[mint] = (price * (10_000 + step) / 10_000).quantize(Decimal("1e-15"))
        return [fleet.tick(mint, price) for mint, price in self._prices.items()]

    def batches(self, count: int) -> Iterator[list[PriceTick]]:
        return (self.batch() for _ in range(count))
