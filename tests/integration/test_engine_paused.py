"""Entries that were planned before their agent was paused: what was not submitted ends, what was is carried on."""

import pytest

from nexgent import clock
from nexgent.money import SOL_MINT
from signals import fanout
from signals import services as signals
from tests.trader import Trader
from tests.venues import Killed, nothing, outside
from trading.models import Order, State
from wallets import selectors as wallets


def accept_buy(trader):
    """A signal whose entry is planned and not claimed yet."""
    signal = signals.accept(
        workspace_id=trader.workspace.id,
        user_id=trader.user.id,
        received_at=clock.now(),
        data={"tokenAddress": trader.mint, "signalType": "Breakout", "signalStrength": 5},
    )
    fanout.drain()
    assert Order.objects.get(signal_id=signal.id).state == State.PLANNED
    return signal


def test_an_entry_that_waits_is_not_submitted_once_entries_are_off(tape):
    venue = outside()
    trader = Trader(tape, profile="outside")
    trader.price("0.001")
    planned = accept_buy(trader)
    trader.switch(entries_simulation=False)
    trader.settle()

    order = Order.objects.get(signal_id=planned.id)
    assert (order.state, order.error_code) == (State.FAILED, "AUTOMATED_TRADING_PAUSED")
    assert venue.submitted == []
    assert wallets.balances(trader.wallet.id)[SOL_MINT].held == 0
    assert trader.buy("1").state == State.FILLED


def test_an_entry_that_was_submitted_is_resolved_though_entries_are_off(tape):
    venue = outside()
    trader = Trader(tape, profile="outside")
    trader.price("0.001")
    planned = accept_buy(trader)

    def dies(request):
        raise Killed

    venue.on_resolve = dies
    with pytest.raises(Killed):
        trader.settle()
    venue.on_resolve = nothing
    trader.switch(entries_simulation=False)
    Order.objects.update(lease_until=None)
    trader.settle()

    assert Order.objects.get(signal_id=planned.id).state == State.FILLED
    assert len(venue.submitted) == 1
