"""Exits that race: stop, ladder, DCA and a person's close at once; drains beside drains, engines beside engines."""

import time
from decimal import Decimal
from uuid import uuid4

import pytest

from nexgent import clock, money
from nexgent.errors import Refusal
from nexgent.events.models import Alarm
from prices import services as prices
from prices.records import PriceTick
from signals import fanout
from signals import services as signals
from tests.racing import together
from tests.trader import Trader
from tests.venues import outside
from trading import services as trading
from trading.engine import leases
from trading.engine.drains import Drain
from trading.engine.executor import execute
from trading.engine.watch import Engine
from trading.models import Fill, Order, Position, Purpose, Side, State
from wallets import selectors as wallets
from wallets.models import Hold

SOL = 10**9
LEVELS = [{"targetPercent": 10, "sellPercent": 50}, {"targetPercent": 300, "sellPercent": 50}]
EVERYTHING = {
    "stopLoss": {"defaultPercentage": -30},
    "takeProfit": {"enabled": True, "mode": "custom", "levels": LEVELS, "moonBag": {"enabled": False}},
    "dca": {"enabled": True, "mode": "aggressive", "cooldownSeconds": 10},
    "signals": {"followSell": True},
}


def engine_sees(trader, price, engine=None):
    """An engine of its own that loads the book and gets one tick."""

    def run():
        one = engine or Engine()
        one.offer([PriceTick(trader.mint, Decimal(price), clock.now(), "test")])
        one.step()

    return run


def close(trader, position):
    def run():
        try:
            trading.position_close(position_id=position.id, principal="person", idempotency_key=uuid4().hex)
        except Refusal as refusal:
            return refusal.code

    return run


def sell_signal(trader):
    def run():
        signals.accept(
            workspace_id=trader.workspace.id,
            user_id=trader.user.id,
            received_at=clock.now(),
            data={"tokenAddress": trader.mint, "signalType": uuid4().hex[:20], "signalStrength": 5, "side": "sell"},
        )
        fanout.drain()

    return run


def drain(side):
    """A worker of its own that executes what waits, for a while."""

    def run():
        owner = uuid4()
        for _ in range(15):
            for order_id in leases.claim(side, most=10, at=clock.now(), owner=owner):
                execute(order_id, owner)
            time.sleep(0.01)

    return run


def swapped(position):
    """Units bought and sold by the fills of a position."""
    bought = sum(fill.amount_out for fill in Fill.objects.filter(order__position=position, order__side=Side.BUY))
    sold = sum(fill.amount_in for fill in Fill.objects.filter(order__position=position, order__side=Side.SELL))
    return bought, sold


@pytest.mark.parametrize("profile", ["ideal", "outside"])
@pytest.mark.parametrize("round_", range(3))
def test_stop_ladder_dca_and_manual_close_at_once_sell_nothing_twice(tape, profile, round_):
    venue = outside(delay_ms=20)
    venue.on_quote = venue.on_submit = lambda request: time.sleep(0.005)
    trader = Trader.with_position(tape, config=EVERYTHING, sol="50", profile=profile)
    position = trader.position
    prices.publish([PriceTick(trader.mint, Decimal("0.0009"), clock.now(), "test")])

    works = [
        engine_sees(trader, "0.0006"),
        engine_sees(trader, "0.0012"),
        engine_sees(trader, "0.0009"),
        engine_sees(trader, "0.0006"),
        close(trader, position),
        close(trader, position),
        sell_signal(trader),
        drain(Side.SELL),
        drain(Side.SELL),
        drain(Side.BUY),
        drain(Side.BUY),
    ]
    works = works[round_:] + works[:round_]
    answers = together(works)
    trader.settle()
    if trader.position.closed_at is None:  # the ladder or the DCA was first and no close came through
        trader.wait(1)
        trader.price("0.0001")

    assert [a for a in answers if a not in (None, "SALE_IN_PROGRESS", "POSITION_NOT_FOUND")] == []
    position.refresh_from_db()
    assert position.closed_at is not None
    assert position.remaining_units == 0
    bought, sold = swapped(position)
    assert bought == sold
    assert trader.mint not in wallets.balances(trader.wallet.id)
    assert wallets.balances(trader.wallet.id)[money.SOL_MINT].held == 0
    assert not Hold.objects.exists()
    assert not Order.objects.filter(agent=trader.agent, state__lt=State.FILLED).exists()
    filled = [order.id for order in trader.orders(state=State.FILLED)]
    assert Fill.objects.filter(order__agent=trader.agent).count() == len(filled)
    assert max(venue.submitted.count(order_id) for order_id in filled) == (1 if profile == "outside" else 0)
    assert Position.objects.filter(agent=trader.agent).count() == 1


def test_two_drains_of_two_owners_execute_every_stop_once(tape):
    venue = outside()
    traders = [Trader(tape, profile="outside") for _ in range(30)]
    for trader in traders:
        trader.price("0.001")
        trader.buy("1")
    bought = len(venue.submitted)
    traders[0].wait(1)
    for trader in traders:
        engine_sees(trader, "0.0006", trader.engine)()
    drains = [Drain(Side.SELL, owner=uuid4()), Drain(Side.SELL, owner=uuid4())]

    started = together([one.drain for one in drains for _ in range(3)])
    end = time.monotonic() + 30
    while Order.objects.filter(state__lt=State.FILLED).exists() and time.monotonic() < end:
        time.sleep(0.05)
    for one in drains:
        one.stop()

    assert sum(started) == 30
    assert all(trader.position.close_reason == "stop_loss" for trader in traders)
    assert len(venue.submitted) - bought == 30
    assert len(set(venue.submitted)) == len(venue.submitted)


def test_two_engines_at_once_plan_what_one_plans(tape):
    traders = [Trader(tape, config=EVERYTHING, sol="50") for _ in range(12)]
    for trader in traders:
        trader.price("0.001")
        trader.buy("1")
    traders[0].wait(1)
    falls = ("0.0006", "0.0009", "0.0012")
    ticks = [
        PriceTick(trader.mint, Decimal(falls[number % 3]), clock.now(), "test") for number, trader in enumerate(traders)
    ]
    prices.publish(ticks)
    engines = [Engine() for _ in range(4)]
    for engine in engines:
        engine.step()
        engine.offer(ticks)

    problems = [done for done in together([engine.step for engine in engines]) if not isinstance(done, int)]

    assert problems == []
    planned = {0: Purpose.STOP_LOSS, 1: Purpose.DCA, 2: Purpose.TAKE_PROFIT}
    for number, trader in enumerate(traders):
        assert [(order.purpose, order.ordinal) for order in trader.orders(state=State.PLANNED)] == [
            (planned[number % 3], 0)
        ]
    traders[0].settle()
    for number, trader in enumerate(traders):
        assert [order.state for order in trader.orders(purpose=planned[number % 3])] == [State.FILLED]


def test_a_position_whose_rules_cannot_be_read_keeps_no_other_from_its_stop(tape):
    broken, other = Trader(tape), Trader(tape)
    for trader in (broken, other):
        trader.price("0.001")
        trader.buy("1")
    broken.wait(1)
    Position.objects.filter(id=broken.position.id).update(override={"stopLoss": {"mode": "nonsense"}}, version=99)
    engine = Engine()
    engine.step()
    engine.offer([PriceTick(one.mint, Decimal("0.0006"), clock.now(), "test") for one in (broken, other)])

    assert engine.step() == 1

    other.settle()
    assert other.position.close_reason == "stop_loss"
    assert broken.position.closed_at is None
    alarm = Alarm.objects.get(code="POSITION_STUCK", cleared_at=None)
    assert alarm.subject == str(broken.position.id)
