"""Orders on their way when something dies, hangs or crosses: each intent ends exactly once."""

from uuid import uuid4

import pytest

from nexgent import clock, money
from tests.trader import Trader
from tests.venues import LOST, Killed, outside
from trading.engine import leases
from trading.engine.executor import execute
from trading.models import Fill, Order, Purpose, Side, State
from wallets import selectors as wallets
from wallets.models import Hold

SOL = 10**9
DCA = {"dca": {"enabled": True, "mode": "aggressive", "cooldownSeconds": 60}}


def expire(**where) -> None:
    """The owner of these orders is dead and its lease is over."""
    Order.objects.filter(**where).update(lease_until="2020-01-01T00:00:00Z")


def kill(request):
    raise Killed


def sol(trader):
    return wallets.balances(trader.wallet.id)[money.SOL_MINT]


def test_an_entry_submitted_by_a_dead_process_fills_once(tape):
    venue = outside()
    trader = Trader(tape, profile="outside")
    trader.price("0.001")
    venue.on_resolve = kill
    with pytest.raises(Killed):
        trader.buy("1")
    order = trader.orders()[0]
    assert (order.state, Fill.objects.count()) == (State.SUBMITTED, 0)
    assert sol(trader).held == SOL

    venue.on_resolve = lambda request: None
    assert trader.settle() == 0
    expire(id=order.id)
    assert trader.settle() == 1

    assert venue.submitted == [order.id]
    assert trader.position.remaining_units == 1000 * 10**9
    assert sol(trader).held == 0
    assert Fill.objects.count() == 1


def test_a_sale_submitted_by_a_dead_process_fills_once(tape):
    venue = outside()
    trader = Trader.with_position(tape, profile="outside")
    venue.on_resolve = kill
    with pytest.raises(Killed):
        trader.price("0.0006")
    venue.on_resolve = lambda request: None
    expire(agent=trader.agent)
    trader.settle()

    sale = trader.orders(side=Side.SELL)
    assert [order.state for order in sale] == [State.FILLED]
    assert venue.submitted.count(sale[0].id) == 1
    assert trader.position.close_reason == "stop_loss"


@pytest.mark.parametrize("step", ["on_quote", "on_submit", "on_resolve"])
def test_a_dca_whose_process_dies_at_any_step_buys_once(tape, step):
    venue = outside()
    trader = Trader.with_position(tape, config=DCA, profile="outside")
    setattr(venue, step, kill)
    with pytest.raises(Killed):
        trader.price("0.0009")
    setattr(venue, step, lambda request: None)
    expire(agent=trader.agent)
    trader.settle()

    dca = trader.orders(purpose=Purpose.DCA)
    assert [order.state for order in dca] == [State.FILLED]
    assert trader.position.dca_count == 1
    assert not Hold.objects.exists()


def test_a_dead_owner_that_comes_back_changes_nothing(tape):
    venue = outside()
    trader = Trader.with_position(tape, profile="outside")
    ghost = uuid4()
    venue.on_quote = kill
    with pytest.raises(Killed):
        trader.price("0.0006")
    venue.on_quote = lambda request: None
    order = trader.orders(side=Side.SELL)[0]
    expire(id=order.id)
    assert leases.claim(Side.SELL, most=1, at=clock.now(), owner=ghost) == [order.id]
    expire(id=order.id)
    trader.settle()
    filled = Order.objects.get(id=order.id)
    assert filled.state == State.FILLED

    execute(order.id, ghost)

    assert Fill.objects.filter(order=order).count() == 1
    assert Order.objects.get(id=order.id).final_at == filled.final_at


def submitted_dca(trader, venue):
    """A DCA that is on the wire when its process dies."""
    venue.on_resolve = kill
    with pytest.raises(Killed):
        trader.price("0.0009")
    venue.on_resolve = lambda request: None
    order = trader.orders(purpose=Purpose.DCA)[0]
    assert order.state == State.SUBMITTED
    return order


def test_a_buy_that_lands_after_a_full_exit_is_sold_by_the_same_exit(tape):
    venue = outside()
    trader = Trader.with_position(tape, config=DCA, profile="outside")
    dca = submitted_dca(trader, venue)
    trader.wait(1)
    trader.price("0.0006")
    assert trader.position.remaining_units == 0
    assert trader.position.closed_at is None

    expire(id=dca.id)
    trader.wait(1)
    trader.settle()

    assert [order.state for order in trader.orders(side=Side.SELL)] == [State.FILLED, State.FILLED]
    assert trader.position.remaining_units == 0
    assert trader.position.close_reason == "stop_loss"
    assert trader.position.dca_count == 1


def test_a_buy_that_never_lands_after_a_full_exit_lets_the_position_close(tape):
    venue = outside()
    trader = Trader.with_position(tape, config=DCA, profile="outside")
    dca = submitted_dca(trader, venue)
    trader.wait(1)
    trader.price("0.0006")
    venue.losses.append(LOST)
    expire(id=dca.id)
    trader.settle()

    assert Order.objects.get(id=dca.id).error_code == "TRANSACTION_EXPIRED"
    assert trader.position.close_reason == "stop_loss"
    assert trader.position.dca_count == 0
    assert sol(trader).held == 0


def test_a_buy_that_is_only_planned_is_cancelled_by_a_full_exit(tape):
    venue = outside()
    trader = Trader.with_position(tape, config=DCA, profile="outside")
    venue.on_quote = kill
    with pytest.raises(Killed):
        trader.price("0.0009")
    venue.on_quote = lambda request: None
    trader.wait(1)
    trader.price("0.0006")

    dca = trader.orders(purpose=Purpose.DCA)[0]
    assert (dca.state, dca.error_code) == (State.CANCELLED, "POSITION_CLOSING")
    assert trader.position.close_reason == "stop_loss"
    assert sol(trader).held == 0
