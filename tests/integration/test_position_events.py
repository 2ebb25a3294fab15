"""What an event says of a position's price: the tick that its cause rests on, with the rate of that moment."""

from decimal import Decimal
from typing import Any

import pytest

from nexgent import clock, money
from nexgent.events.models import Event
from prices import cache
from prices import services as prices
from prices.models import LatestPrice
from prices.records import PriceTick
from tests.trader import Trader
from trading import services as trading


def sol(usd: str) -> None:
    prices.publish([PriceTick(money.SOL_MINT, Decimal(1), clock.now(), "test", price_usd=Decimal(usd))])


@pytest.fixture
def holder(tape: Any) -> Trader:
    """A trader with 1000 tokens at 0.001 SOL, bought with SOL at 200 USD."""
    sol("200")
    return Trader.with_position(tape)


def told(trader: Trader) -> list[dict[str, Any]]:
    """The positions of the agent's events, the oldest first."""
    rows = Event.objects.filter(stream_id=trader.agent.id, type="position_update").order_by("seq")
    return [row.payload["position"] for row in rows if "position" in row.payload]


def figures(position: dict[str, Any]) -> tuple[Any, ...]:
    names = ("priceState", "currentPrice", "currentPriceUsd", "purchasePriceUsd", "positionValueUsd")
    return tuple(position[name] for name in names)


def gains(position: dict[str, Any]) -> tuple[Any, ...]:
    names = ("profitLossSol", "profitLossUsd", "profitLossPercent", "priceChangePercent")
    return tuple(position[name] for name in names)


def test_a_purchase_is_told_at_its_price(holder: Trader) -> None:
    (created,) = told(holder)

    assert figures(created) == ("fresh", 0.001, 0.2, 0.2, 200)
    assert gains(created) == (0, 0, 0, 0)


def test_a_part_close_is_told_with_price_usd_and_gain(holder: Trader) -> None:
    holder.price("0.0011")
    trading.position_close(position_id=holder.position.id, principal="test", percent=Decimal(50))
    holder.settle()

    after = told(holder)[-1]
    assert figures(after) == ("fresh", 0.0011, 0.22, 0.2, 110)
    assert gains(after) == (0.05, 10, 10, 10)


def test_a_close_at_an_old_price_is_told_as_stale_and_its_usd_is_not_made_up(holder: Trader) -> None:
    holder.price("0.0011")
    holder.wait(3600)
    trading.position_close(position_id=holder.position.id, principal="test", percent=Decimal(50))
    holder.settle()

    after = told(holder)[-1]
    assert figures(after) == ("stale", 0.0011, 0, 0, 0)
    assert gains(after) == (0.05, 0, 10, 10)


def test_a_dca_is_told_at_the_tick_it_was_decided_on(tape: Any) -> None:
    sol("200")
    trader = Trader.with_position(tape, config={"dca": {"enabled": True, "mode": "aggressive"}})
    trader.price("0.0009")

    after = told(trader)[-1]
    assert after["dcaCount"] == 1
    assert figures(after)[:3] == ("fresh", 0.0009, 0.18)


def test_a_consumed_level_is_told_at_its_tick(tape: Any) -> None:
    sol("200")
    levels = [{"targetPercent": 50, "sellPercent": 50}, {"targetPercent": 100, "sellPercent": 25}]
    bag = {"enabled": True, "triggerPercent": 100, "retainPercent": 25}
    ladder = {"takeProfit": {"enabled": True, "mode": "custom", "levels": levels, "moonBag": bag}}
    trader = Trader.with_position(tape, config=ladder | {"stopLoss": {"enabled": False}})
    trading.position_close(position_id=trader.position.id, principal="test", percent=Decimal(75))
    trader.settle()
    trader.wait(1)
    trader.price("0.002")

    after = told(trader)[-1]
    assert after["takeProfitLevelsHit"] == 2
    assert figures(after) == ("fresh", 0.002, 0.4, 0.2, 100)


def test_a_pinned_stop_is_told_with_the_newest_price(holder: Trader) -> None:
    holder.price("0.0011")
    holder.wait(10)
    trading.position_override(position_id=holder.position.id, override=None, stop_percent=Decimal(-20))

    assert figures(told(holder)[-1]) == ("fresh", 0.0011, 0.22, 0.2, 220)


def test_unpriced_is_only_what_never_had_a_price(holder: Trader) -> None:
    LatestPrice.objects.filter(token=holder.mint).delete()
    cache.forget()
    trading.position_override(position_id=holder.position.id, override=None, stop_percent=Decimal(-20))

    assert figures(told(holder)[-1]) == ("unpriced", 0.001, 0, 0, 0)
