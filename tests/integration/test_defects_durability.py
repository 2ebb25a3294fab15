"""Regression tests of the defects in durability: what dies, is down or is killed loses and doubles nothing."""

import threading
import time
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction

from nexgent import clock, money, rows
from nexgent.events.models import Event
from prices import cache
from prices.models import Token
from signals import fanout
from signals import services as signals
from signals.models import Signal, Verdict
from tests.racing import together
from tests.trader import Trader
from tests.venues import Killed, outside
from trading import services as trading
from trading.engine import InsideTransaction, booking, leases, openings
from trading.engine import outside as leaving
from trading.engine.drains import Drain
from trading.engine.executor import execute
from trading.models import Fill, Order, Position, Side, State
from wallets import selectors as wallets
from wallets import services as wallet_services
from wallets.models import Entry, EntryKind, Hold

SOL = 10**9


def kill(request):
    raise Killed


def post(trader, **data) -> Signal:
    data = {"tokenAddress": trader.mint, "signalType": uuid4().hex[:8], "signalStrength": 5} | data
    return signals.accept(workspace_id=trader.workspace.id, user_id=trader.user.id, received_at=clock.now(), data=data)


def free(trader) -> int:
    return wallets.balances(trader.wallet.id)[money.SOL_MINT].free


@pytest.mark.parametrize("step", ["on_quote", "on_submit", "on_resolve"])
def test_d4_an_entry_killed_at_any_step_is_executed_once(tape, step):
    venue = outside()
    trader = Trader(tape, profile="outside")
    trader.price("0.001")
    setattr(venue, step, kill)
    with pytest.raises(Killed):
        trader.signal()
    order = trader.orders()[0]
    assert order.state in (State.PLANNED, State.SUBMITTED)
    assert (Fill.objects.count(), Hold.objects.count()) == (0, 1)

    setattr(venue, step, lambda request: None)
    Order.objects.update(lease_until=clock.now() - timedelta(days=4000))
    trader.settle()

    assert Order.objects.get().state == State.FILLED
    assert (Fill.objects.count(), Position.objects.count(), Hold.objects.count()) == (1, 1, 0)
    assert free(trader) == 10 * SOL - Fill.objects.get().amount_in


def test_d4_a_symbol_of_fifty_characters_is_stored_whole(tape):
    trader = Trader(tape)
    trader.price("0.001")
    Token.objects.filter(mint=trader.mint).update(symbol="S" * 50)
    trader.signal(tokenSymbol="S" * 50)

    assert trader.position.symbol == "S" * 50
    assert trader.orders()[0].state == State.FILLED


def test_d4_a_trillion_tokens_and_more_are_exact(tape):
    trader = Trader(tape)
    trader.price("0.000000000000003")
    trader.buy("2")
    bought = 2 * 10**24 // 3
    assert trader.position.remaining_units == bought
    trader.wait(1)
    trader.price("0.000000000000001")

    assert trader.position.close_reason == "stop_loss"
    assert trader.orders(side=Side.SELL)[0].fill.amount_in == bought
    assert trader.orders(side=Side.SELL)[0].fill.amount_out == bought // 10**15


def test_d10_nothing_leaves_the_process_inside_a_transaction(tape):
    with transaction.atomic(), pytest.raises(InsideTransaction), leaving():
        pass
    with leaving():
        assert connection.connection is None


def test_d13_without_valkey_a_committed_trade_is_filled_and_nothing_is_lost(tape, settings):
    trader = Trader(tape)
    trader.price("0.001")
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    cache.valkey().call(lambda client: client.ping(), otherwise=None)
    trader.price("0.001")
    trader.signal()
    order = trader.orders()[0]
    assert (order.state, order.error_code) == (State.FILLED, "")
    assert Verdict.objects.get().order_id == order.id
    kinds = [event.payload["eventType"] for event in Event.objects.filter(type="position_update")]
    assert kinds == ["position_created"]
    trader.wait(1)
    trader.price("0.0006")

    assert trader.position.close_reason == "stop_loss"
    assert Event.objects.filter(type="position_update").count() == 2


def test_d14_a_signal_accepted_before_a_crash_is_answered_by_the_next_drain(tape, monkeypatch):
    trader = Trader(tape)
    trader.price("0.001")
    signal = post(trader)

    def dies(*arguments, **options):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(booking, "open_positions", dies)
        with pytest.raises(Killed):
            fanout.drain()
    assert (Order.objects.count(), Verdict.objects.count()) == (0, 0)
    assert fanout.drain() == 0
    Signal.objects.filter(id=signal.id).update(lease_until=clock.now() - timedelta(days=4000))
    trader.price("0.001")

    assert fanout.drain() == 1
    assert Verdict.objects.get(signal=signal).order_id == Order.objects.get().id
    assert fanout.drain() == 0


def test_d14_a_signal_drained_twice_at_once_leads_to_one_order(tape):
    trader = Trader(tape)
    trader.price("0.001")
    signal = post(trader)
    Signal.objects.filter(id=signal.id).update(lease_until=None)

    results = together([lambda: fanout.answer(Signal.objects.get(id=signal.id))] * 4)

    assert [result for result in results if isinstance(result, Exception)] == []
    assert (Order.objects.count(), Position.objects.count(), Verdict.objects.count()) == (1, 1, 1)


@pytest.mark.parametrize("broken", ["fill", "ledger", "event"])
def test_d15_a_sale_that_fails_inside_leaves_nothing_behind(tape, monkeypatch, broken):
    trader = Trader.with_position(tape)
    before = (trader.position.version, trader.position.remaining_units, Event.objects.count())

    def fails(*arguments, **options):
        raise DatabaseError("the server is gone")

    targets = {"fill": (rows, "update"), "ledger": (wallet_services, "post"), "event": (booking.events, "append")}
    with monkeypatch.context() as patch:
        patch.setattr(*targets[broken], fails)
        with pytest.raises(DatabaseError):
            trader.price("0.0006")
    order = trader.orders(side=Side.SELL)[0]
    assert order.state == State.PLANNED
    assert (trader.position.version, trader.position.remaining_units, Event.objects.count()) == before
    assert not Fill.objects.filter(order=order).exists()
    assert Entry.objects.filter(kind=EntryKind.SWAP).count() == 1

    Order.objects.update(lease_until=clock.now() - timedelta(days=4000))
    trader.settle()
    assert trader.position.close_reason == "stop_loss"


@pytest.mark.parametrize("broken", ["fill", "ledger", "event"])
def test_d15_an_entry_that_fails_inside_leaves_nothing_behind(tape, monkeypatch, broken):
    trader = Trader(tape)
    trader.price("0.001")

    def fails(*arguments, **options):
        raise DatabaseError("the server is gone")

    targets = {
        "fill": (openings, "insert_openings"),
        "ledger": (wallet_services, "post"),
        "event": (booking.events, "append"),
    }
    with monkeypatch.context() as patch:
        patch.setattr(*targets[broken], fails)
        with pytest.raises(DatabaseError):
            trader.buy("1")

    assert (Order.objects.count(), Position.objects.count(), Fill.objects.count()) == (0, 0, 0)
    assert free(trader) == 10 * SOL
    assert trader.buy("1").state == State.FILLED


def test_d15_what_is_left_is_what_was_filled_not_what_was_planned(tape):
    trader = Trader(tape)
    trader.price("0.001")
    trader.buy("1")
    order_id = trading.position_close(position_id=trader.position.id, principal="t", percent=Decimal(40))
    Order.objects.filter(id=order_id).update(amount=300 * 10**9)
    trader.settle()

    assert Order.objects.get(id=order_id).fill.amount_in == 300 * 10**9
    assert trader.position.remaining_units == 700 * 10**9


def test_d23_a_lease_outlives_ten_seconds_while_its_process_lives(tape):
    trader = Trader(tape)
    trader.price("0.001")
    trader.buy("1")
    trading.position_close(position_id=trader.position.id, principal="t")
    mine = leases.claim(Side.SELL, most=5, at=clock.now())
    Order.objects.filter(id__in=mine).update(lease_until=database_time(seconds=1))
    leases.renew(mine)

    remaining = Order.objects.get(id=mine[0]).lease_until - database_time()
    assert timedelta(seconds=9) < remaining <= timedelta(seconds=10)
    assert leases.claim(Side.SELL, most=5, at=clock.now(), owner=uuid4()) == []
    execute(mine[0], leases.OWNER)


def database_time(seconds: float = 0):
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        return cursor.fetchone()[0] + timedelta(seconds=seconds)


def test_d23_only_the_owner_renews_and_only_the_owner_executes(tape):
    trader = Trader(tape)
    trader.price("0.001")
    trader.buy("1")
    trading.position_close(position_id=trader.position.id, principal="t")
    mine, other = leases.claim(Side.SELL, most=5, at=clock.now()), uuid4()
    Order.objects.filter(id__in=mine).update(lease_until=database_time(seconds=1))

    leases.renew(mine, owner=other)
    execute(mine[0], other)

    order = Order.objects.get(id=mine[0])
    assert order.lease_until < database_time(seconds=1.1)
    assert order.state == State.PLANNED
    execute(mine[0], leases.OWNER)
    assert Order.objects.get(id=mine[0]).state == State.FILLED


def test_d23_an_order_that_takes_longer_than_its_lease_is_not_taken_over(tape, monkeypatch):
    venue = outside()
    monkeypatch.setattr(leases, "RENEW_SECONDS", 0.1)
    trader = Trader(tape, profile="outside")
    trader.price("0.001")
    trader.buy("1")
    trading.position_close(position_id=trader.position.id, principal="t")
    begun, end, drain = threading.Event(), threading.Event(), Drain(Side.SELL, threads=2)
    drain._heartbeat.start()

    def hangs(request):
        begun.set()
        end.wait(10)

    venue.on_quote = hangs
    try:
        drain.drain()
        assert begun.wait(5)
        Order.objects.filter(state__lt=State.FILLED).update(lease_until=database_time(seconds=1.5))
        time.sleep(2)
        assert leases.claim(Side.SELL, most=5, at=clock.now(), owner=uuid4()) == []
    finally:
        end.set()
        wait_until(lambda: not drain.in_hand)
        drain.stop()

    assert trader.position.close_reason == "manual"


def wait_until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    assert condition()


def test_d33_an_agent_that_does_not_trade_says_why(tape):
    trader = Trader(tape, sol="0.15")
    trader.price("0.001")
    poor = trader.signal()
    trader.fund("10")
    trader.wait(61)
    old = trader.signal()

    assert [verdict.reasons for verdict in Verdict.objects.filter(signal=poor)] == [["below_minimum_threshold"]]
    assert [verdict.reasons for verdict in Verdict.objects.filter(signal=old)] == [["price_stale"]]
    assert Order.objects.count() == 0
