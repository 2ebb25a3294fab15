"""Sell signals that wait: for whom, how long, and what they leave alone; a death in between changes nothing."""

from decimal import Decimal

import pytest

from agents.models import Agent
from nexgent import clock
from prices import services as prices
from prices.records import PriceTick
from signals import fanout, verdicts
from tests.seller import (
    CONFIG,
    accept,
    assert_closed_once,
    go_on,
    is_answered,
    later,
    look_again,
    sales,
    sees,
    sell,
    submit,
    verdict,
)
from tests.trader import Trader
from tests.venues import Killed, outside
from trading import services as trading
from trading.models import Order, Position, Purpose, Side, State
from wallets.models import Hold


@pytest.fixture
def venue():
    return outside()


@pytest.fixture
def holder(tape, venue):
    """One that bought for 1 SOL at 0.001 through a venue outside."""
    return Trader.with_position(tape, config=CONFIG, profile="outside", sol="50")


def test_a_persons_part_that_nobody_begins_is_waited_for_half_a_minute(holder):
    asked = trading.position_close(position_id=holder.position.id, principal="t", percent=Decimal("50"))
    signal = sell(holder)
    later(holder, 29)
    assert look_again() == 0
    later(holder, 1)
    assert look_again() == 1

    assert verdict(signal) == ([], True)
    assert Order.objects.get(id=asked).error_code == "SUPERSEDED"
    holder.settle()
    assert_closed_once(holder, "signal")


def test_a_sale_whose_end_nobody_knows_is_waited_for_a_minute_and_a_half(holder, venue):
    sees(holder, "0.0012")
    later(holder, 600)
    submit(holder, venue, Side.SELL)
    signal = sell(holder)
    later(holder, 89)
    assert look_again() == 0
    later(holder, 1)
    assert look_again() == 1

    assert verdict(signal) == (["sale_in_progress"], False)
    assert is_answered(signal)


def test_everything_sold_beside_a_buy_on_the_wire_is_told(holder, venue):
    holder.wait(20)
    sees(holder, "0.00088")
    submit(holder, venue, Side.BUY)
    first = sell(holder)
    assert verdict(first) == ([], True)
    holder.execute(Side.SELL)
    assert (holder.position.remaining_units, holder.position.closed_at) == (0, None)
    second = sell(holder)
    assert verdict(second) == (["sale_in_progress"], False)
    go_on(holder)

    assert_closed_once(holder, "signal")


def test_an_entry_whose_end_nobody_knows_is_waited_for_a_minute_and_a_half(tape, venue):
    trader = Trader(tape, config=CONFIG, profile="outside")
    prices.publish([PriceTick(trader.mint, Decimal("0.001"), clock.now(), "test")])
    accept(trader)
    fanout.drain()
    submit(trader, venue, Side.BUY)
    signal = sell(trader)
    later(trader, 89)
    assert look_again() == 0
    later(trader, 1)
    assert look_again() == 1

    assert verdict(signal) == (["order_in_progress"], False)
    assert is_answered(signal)


def test_an_entry_that_lands_late_is_sold(tape, venue):
    trader = Trader(tape, config=CONFIG, profile="outside")
    prices.publish([PriceTick(trader.mint, Decimal("0.001"), clock.now(), "test")])
    accept(trader)
    fanout.drain()
    submit(trader, venue, Side.BUY)
    signal = sell(trader)
    later(trader, 60)
    assert look_again() == 0
    go_on(trader)
    assert look_again() == 1

    assert verdict(signal) == ([], True)
    trader.settle()
    assert_closed_once(trader, "signal")


def test_an_entry_that_nobody_submits_is_cancelled(tape, venue):
    trader = Trader(tape, config=CONFIG, profile="outside")
    prices.publish([PriceTick(trader.mint, Decimal("0.001"), clock.now(), "test")])
    accept(trader)
    fanout.drain()
    signal = sell(trader)
    later(trader, 29)
    assert look_again() == 0
    assert Hold.objects.count() == 1
    later(trader, 1)
    assert look_again() == 0
    assert look_again() == 1

    assert verdict(signal) == (["position_not_found"], False)
    entry = trader.orders()[0]
    assert (entry.state, entry.error_code) == (State.CANCELLED, "SUPERSEDED")
    assert not Hold.objects.exists()
    assert go_on(trader) == 0
    assert venue.submitted == []


def test_the_other_agents_are_answered_at_once(tape, venue):
    waiting, other = (Trader.with_position(tape, config=CONFIG, profile="outside") for _ in range(2))
    Agent.objects.filter(id=other.agent.id).update(workspace=waiting.workspace)
    other.mint = waiting.mint
    other.price("0.001")
    other.buy("1")
    other.wait(1)
    waiting.engine.check()
    sees(waiting, "0.0012")
    other_part = Order.objects.filter(agent=other.agent, side=Side.SELL, state=State.PLANNED)
    other_part.update(state=State.CANCELLED)
    submit(waiting, venue, Side.SELL)
    signal = sell(waiting)

    assert (verdict(signal, waiting.agent), verdict(signal, other.agent)) == (None, ([], True))
    go_on(waiting)
    assert look_again() == 1
    assert verdict(signal, waiting.agent) == ([], True)
    waiting.settle()
    assert not Position.objects.filter(agent__in=[waiting.agent, other.agent], token_id=waiting.mint, closed_at=None)


def test_what_a_person_bought_after_the_signal_is_left_alone(holder, venue):
    sees(holder, "0.0006")
    submit(holder, venue, Side.SELL)
    signal = sell(holder)
    later(holder, 5)
    go_on(holder)
    holder.price("0.001")
    holder.buy("1")
    assert look_again() == 1

    assert verdict(signal) == (["position_closed"], False)
    assert holder.position.closed_at is None
    assert sales(holder) == [(Purpose.STOP_LOSS, State.FILLED, "")]


def test_a_death_before_the_commit_leaves_the_part_and_the_signal_as_they_were(holder, monkeypatch):
    sees(holder, "0.0012")

    def dies(outcomes):
        raise Killed

    signal = accept(holder, side="sell")
    with monkeypatch.context() as patch:
        patch.setattr(verdicts, "write", dies)
        with pytest.raises(Killed):
            fanout.drain()
    assert sales(holder) == [(Purpose.TAKE_PROFIT, State.PLANNED, "")]
    assert verdict(signal) is None
    assert look_again() == 1

    holder.settle()
    assert_closed_once(holder, "signal")
