"""Exits that fail: back-off, alarm, what waits and what does not; entries and DCA that are refused."""

from datetime import timedelta
from decimal import Decimal

import pytest

from nexgent import clock, money
from nexgent.events.models import Alarm
from tests.trader import Trader
from tests.venues import BUSY, outside, with_fees
from trading import services as trading
from trading.models import Position, Purpose, Side, State
from wallets import selectors as wallets

SOL = 10**9
LADDER = {
    "takeProfit": {
        "enabled": True,
        "mode": "custom",
        "levels": [{"targetPercent": 15, "sellPercent": 50}],
        "moonBag": {"enabled": False},
    }
}


def alarms(trader):
    return Alarm.objects.filter(code="EXIT_FAILING", subject=str(trader.position.id), cleared_at=None).count()


def test_a_stop_is_tried_again_with_back_off_until_it_fills(tape):
    venue = outside()
    trader = Trader.with_position(tape, profile="outside")
    venue.refusals.extend([BUSY] * 3)
    began = clock.now()
    trader.price("0.0006")
    raised = []
    for seconds in (1, 1, 3, 1, 7, 1):
        trader.wait(seconds)
        trader.settle()
        raised.append(alarms(trader))

    stops = trader.orders(side=Side.SELL, purpose=Purpose.STOP_LOSS)
    assert [order.ordinal for order in stops] == [0, 1, 2, 3]
    assert [order.state for order in stops] == [State.FAILED, State.FAILED, State.FAILED, State.FILLED]
    assert [order.error_code for order in stops] == ["VENUE_UNAVAILABLE"] * 3 + [""]
    assert [order.final_at - began for order in stops] == [timedelta(seconds=s) for s in (0, 2, 6, 14)]
    assert raised == [0, 0, 0, 1, 1, 0]
    assert trader.position.close_reason == "stop_loss"
    assert trader.position.exit_failures == 0


def test_a_later_price_never_cancels_a_stop_that_is_tried_again(tape):
    venue = outside()
    trader = Trader.with_position(tape, profile="outside")
    venue.refusals.append(BUSY)
    trader.price("0.0006")
    trader.wait(2)
    trader.price("0.0009")

    assert trader.position.close_reason == "stop_loss"
    assert trader.orders(side=Side.SELL)[-1].fill.price == Decimal("0.0009")


def test_the_wait_after_a_failure_ends_at_thirty_seconds(tape):
    venue = outside()
    trader = Trader.with_position(tape, profile="outside")
    venue.refusals.extend([BUSY] * 7)
    trader.price("0.0006")
    for _ in range(7):
        trader.wait(30)
        trader.price("0.0006")

    waits = [order.not_before for order in trader.orders(side=Side.SELL)][1:]
    ends = [order.final_at for order in trader.orders(side=Side.SELL)]
    assert [(until - end).total_seconds() for until, end in zip(waits, ends, strict=False)] == [2, 4, 8, 16, 30, 30, 30]


def test_a_failed_take_profit_waits_while_a_stop_does_not(tape):
    venue = outside()
    trader = Trader.with_position(tape, config=LADDER, profile="outside")
    venue.refusals.extend([BUSY])
    trader.price("0.00115")
    assert trader.position.exit_not_before == clock.now() + timedelta(seconds=2)
    trader.wait(1)
    trader.price("0.00115")
    assert len(trader.orders(side=Side.SELL)) == 1
    trader.price("0.00067")

    assert trader.position.close_reason == "stop_loss"
    assert [order.purpose for order in trader.orders(side=Side.SELL)] == [Purpose.TAKE_PROFIT, Purpose.STOP_LOSS]


def test_a_failed_take_profit_is_tried_again_when_its_wait_is_over(tape):
    venue = outside()
    trader = Trader.with_position(tape, config=LADDER, profile="outside")
    venue.refusals.append(BUSY)
    trader.price("0.00115")
    trader.wait(2)
    trader.price("0.00115")

    assert [(o.ordinal, o.state) for o in trader.orders(side=Side.SELL)] == [(0, State.FAILED), (1, State.FILLED)]
    assert trader.position.levels_hit == 1
    assert trader.position.exit_not_before is None


def test_a_silent_feed_sells_nothing_and_the_stop_fills_when_it_speaks(tape):
    trader = Trader(tape)
    trader.price("0.001")
    trader.buy("1")
    trader.wait(31)
    trader.engine.check()
    trader.engine.step()
    assert trader.settle() == 0
    trader.price("0.0006")

    assert trader.position.close_reason == "stop_loss"


def test_a_dca_that_is_refused_by_the_reserve_waits_a_minute(tape):
    trader = Trader.with_position(tape, config={"dca": {"enabled": True, "mode": "aggressive"}}, sol="1.505")
    trader.price("0.0009")
    refused = trader.orders(purpose=Purpose.DCA)
    assert [(order.state, order.error_code) for order in refused] == [(State.FAILED, "BELOW_MINIMUM_TRADE")]
    assert trader.position.dca_not_before == clock.now() + timedelta(seconds=60)
    trader.fund("1")
    trader.wait(59)
    trader.price("0.0009")
    assert len(trader.orders(purpose=Purpose.DCA)) == 1
    trader.wait(1)
    trader.price("0.0009")

    assert [order.state for order in trader.orders(purpose=Purpose.DCA)] == [State.FAILED, State.FILLED]
    assert trader.position.dca_count == 1


def test_a_signal_that_would_buy_no_token_is_answered_and_holds_up_nobody(tape):
    trader = Trader(tape, decimals=0)
    trader.price("5")
    signal = trader.signal()
    trader.wait(61)
    trader.price("0.5")
    later = trader.signal()

    assert [verdict.reasons for verdict in signal.verdicts.all()] == [["zero_tokens"]]
    assert [verdict.reasons for verdict in later.verdicts.all()] == [[]]


@pytest.mark.parametrize("profile", ["ideal", "outside"])
def test_an_entry_that_would_buy_no_token_is_refused(tape, profile):
    outside()
    trader = Trader(tape, profile=profile, decimals=0)
    trader.price("5")

    if profile == "ideal":
        with pytest.raises(trading.Refusal) as refused:
            trader.buy("1")
        assert refused.value.code == "ZERO_TOKENS"
    else:
        assert trader.buy("1").error_code == "ZERO_TOKENS"

    assert not Position.objects.filter(agent=trader.agent).exists()
    assert wallets.balances(trader.wallet.id)[money.SOL_MINT].free == 10 * SOL


def test_a_stop_at_a_price_of_almost_nothing_closes(tape):
    trader = Trader.with_position(tape)
    trader.price("0.000000000000000001")

    assert trader.position.close_reason == "stop_loss"
    assert trader.position.realised_lamports == -SOL


def test_a_stop_whose_fees_exceed_what_it_brings_still_closes(tape):
    trader = Trader.with_position(tape, profile=with_fees())
    trader.price("0.000000000001")

    assert trader.position.close_reason == "stop_loss"
    assert trader.position.received_lamports == 1 - 25_000
    assert trader.position.realised_lamports == 1 - 25_000 - SOL - 25_000
