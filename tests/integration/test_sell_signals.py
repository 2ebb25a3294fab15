"""Sell signals beside sales that are on their way: the position is closed, once, whoever sells it."""

from decimal import Decimal
from uuid import uuid4

import pytest

from nexgent import clock
from signals import fanout
from tests.racing import together
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
from tests.venues import BUSY, LOST, outside
from trading import services as trading
from trading.engine import leases
from trading.engine.executor import execute
from trading.models import Order, Purpose, Side, State


@pytest.fixture
def venue():
    return outside()


@pytest.fixture
def holder(tape, venue):
    """One that bought for 1 SOL at 0.001 through a venue outside."""
    return Trader.with_position(tape, config=CONFIG, profile="outside", sol="50")


def test_a_part_that_nobody_began_gives_way(holder):
    sees(holder, "0.0012")
    signal = sell(holder)

    assert verdict(signal) == ([], True)
    holder.settle()
    assert sales(holder) == [
        (Purpose.TAKE_PROFIT, State.CANCELLED, "SUPERSEDED"),
        (Purpose.SIGNAL, State.FILLED, ""),
    ]
    assert_closed_once(holder, "signal")


def test_a_part_that_is_being_quoted_gives_way_and_is_never_sent(holder, venue):
    sees(holder, "0.0012")
    found = []
    venue.on_quote = lambda request: found.append(sell(holder)) if not found else None
    holder.settle()

    assert verdict(found[0]) == ([], True)
    part, whole = holder.orders(side=Side.SELL)
    assert (part.state, part.error_code, whole.state) == (State.CANCELLED, "SUPERSEDED", State.FILLED)
    assert part.id not in venue.submitted
    assert_closed_once(holder, "signal")


def test_a_part_on_the_wire_is_waited_for_and_the_rest_is_sold(holder, venue):
    sees(holder, "0.0012")
    submit(holder, venue, Side.SELL)
    signal = sell(holder)

    assert verdict(signal) is None
    later(holder, 59)
    assert look_again() == 0
    go_on(holder)
    assert holder.position.closed_at is None
    assert look_again() == 1

    assert verdict(signal) == ([], True)
    holder.settle()
    assert sales(holder) == [(Purpose.TAKE_PROFIT, State.FILLED, ""), (Purpose.SIGNAL, State.FILLED, "")]
    assert_closed_once(holder, "signal")


def test_a_part_that_expires_and_is_tried_again_leads_to_the_sale_of_everything(holder, venue):
    sees(holder, "0.0012")
    submit(holder, venue, Side.SELL)
    signal = sell(holder)
    venue.losses.append(LOST)
    later(holder, 60)
    go_on(holder)
    later(holder, 2)
    sees(holder, "0.0012")
    assert [state for _, state, _ in sales(holder)] == [State.FAILED, State.PLANNED]
    assert look_again() == 1

    assert verdict(signal) == ([], True)
    holder.settle()
    assert_closed_once(holder, "signal")


def test_a_stop_that_is_tried_again_later_gives_way(holder, venue):
    venue.refusals.append(BUSY)
    holder.price("0.0006")
    signal = sell(holder)

    assert verdict(signal) == ([], True)
    holder.settle()
    assert_closed_once(holder, "signal")


@pytest.mark.parametrize("is_sent", [False, True])
def test_a_stop_under_way_closes_and_the_verdict_says_so(holder, venue, is_sent):
    sees(holder, "0.0006")
    if is_sent:
        submit(holder, venue, Side.SELL)
    signal = sell(holder)
    assert verdict(signal) is None
    go_on(holder)
    assert look_again() == 1

    assert verdict(signal) == (["position_closed"], False)
    assert_closed_once(holder, "stop_loss")


def test_a_stop_that_expires_is_followed_by_the_signal(holder, venue):
    sees(holder, "0.0006")
    submit(holder, venue, Side.SELL)
    signal = sell(holder)
    venue.losses.append(LOST)
    later(holder, 60)
    go_on(holder)
    assert look_again() == 1

    assert verdict(signal) == ([], True)
    holder.settle()
    assert_closed_once(holder, "signal")


def test_a_second_sell_is_told_at_once_that_the_first_closes(holder, venue):
    first = sell(holder)
    second = sell(holder)
    submit(holder, venue, Side.SELL)
    third = sell(holder)

    assert [verdict(signal) for signal in (first, second, third)] == [([], True), *[(["sale_in_progress"], False)] * 2]
    go_on(holder)
    assert_closed_once(holder, "signal")


def test_a_persons_part_is_done_first(holder):
    asked = trading.position_close(position_id=holder.position.id, principal="t", percent=Decimal("50"))
    signal = sell(holder)
    assert verdict(signal) is None
    holder.settle()
    assert Order.objects.get(id=asked).state == State.FILLED
    assert look_again() == 1

    assert verdict(signal) == ([], True)
    holder.settle()
    assert_closed_once(holder, "signal")


@pytest.mark.parametrize("round_", range(4))
def test_a_sell_among_drains_and_a_ladder_step_always_closes(holder, venue, round_):
    sees(holder, "0.0012")
    signal = accept(holder, side="sell")

    def works():
        owner = uuid4()
        for _ in range(4):
            for order_id in leases.claim(Side.SELL, most=10, at=clock.now(), owner=owner):
                execute(order_id, owner)

    problems = together([fanout.drain, works, fanout.drain, works][round_:] + [works] * round_)
    assert [problem for problem in problems if isinstance(problem, Exception)] == []
    holder.settle()
    if not is_answered(signal):
        assert look_again() == 1
        holder.settle()

    assert verdict(signal) == ([], True)
    assert_closed_once(holder, "signal")
