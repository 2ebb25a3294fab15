"""What one answer said and the next one takes back never counts, however slowly the provider's budget lets us ask."""

import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from prices.budget import Budget
from prices.feeds.jupiter import JupiterFeed
from prices.feeds.provider import Provider
from prices.feeds.registry import ROUNDS_SHARE
from prices.mints import mint_of
from prices.poller import Poller
from prices.records import Lane, PriceTick
from prices.station import Station
from tests.fakes.jupiter import FakeJupiter
from tests.fakes.loopback import until

MINT = mint_of(b"a" * 32)
KEYLESS_RATE = 30


class Slow:
    """Feeds at the pace that a keyless budget bears: longer than a jump may wait."""

    def __init__(self, market: FakeJupiter) -> None:
        self.market = market
        self.published: list[PriceTick] = []
        budget = Budget(f"j-{uuid.uuid4()}", KEYLESS_RATE)
        poller = Poller(
            [JupiterFeed(Provider("jupiter", url=market.url, budget=budget))],
            lanes=lambda: {MINT: Lane.POSITIONS},
            publish=self.published.extend,
            alarm=lambda _code, _subject, _detail: None,
        )
        self.station = Station(poller, pyth=None, pace_seconds=1 / (ROUNDS_SHARE * budget.refill_per_second))
        self.station.start()

    def prices(self) -> list[Decimal]:
        return [tick.price_sol for tick in self.published if tick.mint == MINT]

    def asked(self) -> int:
        return len(self.market.requests)


@pytest.fixture
def slow(db: None) -> Iterator[Slow]:
    with FakeJupiter() as market:
        market.prices = {MINT: 15}
        feeds = Slow(market)
        assert until(lambda: feeds.prices() == [Decimal("0.1")], seconds=10)
        yield feeds
        feeds.station.stop()


def lie(slow: Slow, usd: Any) -> None:
    """The next answer says something else, and only that one."""
    slow.market.prices[MINT] = usd
    assert until(lambda: bool(slow.station.poller.confirmation.suspects()), seconds=10)
    slow.market.prices[MINT] = 15


@pytest.mark.parametrize("usd", [7.5, 22.5])
def test_a_lie_of_one_answer_is_taken_back_before_it_counts_at_a_keyless_pace(slow: Slow, usd: float) -> None:
    lie(slow, usd)
    asked = slow.asked()

    assert until(lambda: slow.station.poller.confirmation.suspects() == [], seconds=6)
    assert until(lambda: len(slow.prices()) >= 2, seconds=10)

    assert set(slow.prices()) == {Decimal("0.1")}
    assert slow.asked() == asked + 1


def test_a_jump_that_stays_counts_when_its_source_says_it_again(slow: Slow) -> None:
    slow.market.prices[MINT] = 6
    assert until(lambda: bool(slow.station.poller.confirmation.suspects()), seconds=10)
    asked = slow.asked()

    assert until(lambda: Decimal("0.04") in slow.prices(), seconds=4)

    assert slow.asked() == asked + 1
