"""Sell signals in tests: what is on its way when one comes, how time passes, and what must hold at the end."""

from decimal import Decimal
from uuid import uuid4

import pytest

from agents.models import Agent
from nexgent import clock
from prices import selectors as prices_known
from prices import services as prices
from prices.records import PriceTick
from signals import fanout
from signals import services as signals
from signals.models import Signal, Verdict
from tests.venues import Killed, nothing
from trading.engine import leases
from trading.engine.executor import execute
from trading.models import Fill, Order, Side, State
from wallets import selectors as wallets
from wallets.models import Hold

LEVELS = [{"targetPercent": 10, "sellPercent": 20}, {"targetPercent": 300, "sellPercent": 50}]
CONFIG = {
    "signals": {"followSell": True},
    "stopLoss": {"defaultPercentage": -30},
    "takeProfit": {"enabled": True, "mode": "custom", "levels": LEVELS, "moonBag": {"enabled": False}},
    "dca": {"enabled": True, "mode": "aggressive", "cooldownSeconds": 10},
}


def accept(trader, **data):
    return signals.accept(
        workspace_id=Agent.objects.get(id=trader.agent.id).workspace_id,
        user_id=trader.user.id,
        received_at=clock.now(),
        data={"tokenAddress": trader.mint, "signalType": uuid4().hex[:20], "signalStrength": 5} | data,
    )


def sell(trader):
    signal = accept(trader, side="sell")
    fanout.drain()
    return signal


def look_again():
    Signal.objects.update(lease_until=None)
    return fanout.drain()


def sees(trader, price):
    """A tick that the engine plans orders for, which nobody executes yet."""
    tick = PriceTick(trader.mint, Decimal(price), clock.now(), "test")
    prices.publish([tick])
    trader.engine.offer([tick])
    trader.engine.step()


def later(trader, seconds):
    """Time passes; the price stays and is fresh."""
    known = prices_known.latest([trader.mint])[trader.mint]
    trader.wait(seconds)
    prices.publish([PriceTick(trader.mint, known.price_sol, clock.now(), "test")])


def submit(trader, venue, side):
    """Have the open order submitted; whoever did it dies before the answer."""

    def dies(request):
        raise Killed

    venue.on_resolve = dies
    for order_id in leases.claim(side, most=10, at=clock.now()):
        with pytest.raises(Killed):
            execute(order_id, leases.OWNER)
    venue.on_resolve = nothing
    assert [order.state for order in trader.orders(side=side, state__lt=State.FILLED)] == [State.SUBMITTED]


def go_on(trader):
    """The leases of the dead expire and others go on."""
    Order.objects.update(lease_until=None)
    return trader.settle()


def verdict(signal, agent=None):
    """Reasons and whether an order exists; None while there is no verdict."""
    rows = Verdict.objects.filter(signal=signal)
    found = (rows if agent is None else rows.filter(agent_id=agent.id)).first()
    return None if found is None else (found.reasons, found.order_id is not None)


def is_answered(signal):
    return Signal.objects.get(id=signal.id).drained_at is not None


def sales(trader):
    return [(order.purpose, order.state, order.error_code) for order in trader.orders(side=Side.SELL)]


def assert_closed_once(trader, reason):
    position = trader.position
    assert (position.remaining_units, position.close_reason) == (0, reason)
    fills = Fill.objects.filter(order__position=position)
    bought = sum(fill.amount_out for fill in fills if fill.order.side == Side.BUY)
    assert bought == sum(fill.amount_in for fill in fills if fill.order.side == Side.SELL)
    assert trader.mint not in wallets.balances(trader.wallet.id)
    assert not Order.objects.filter(agent=trader.agent, state__lt=State.FILLED).exists()
    assert not Hold.objects.exists()
