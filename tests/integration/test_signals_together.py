"""Buys that wait together: one transaction for several signals, with the same decisions as one by one."""

import threading
import time
from datetime import timedelta
from decimal import Decimal

from django.db import connection

from nexgent import clock, money
from prices import services as prices
from prices.models import Token
from prices.records import PriceTick
from signals import buys, fanout, verdicts
from signals import services as signals
from signals.models import Signal, Verdict
from tests.trader import Trader, new_mint
from trading.books import check
from trading.engine import way
from trading.models import Order, State
from wallets import selectors as wallets

SOL = 10**9
SIZES = {name: {"min": 1, "max": 1} for name in ("small", "medium", "large")}
ONE_SOL = {
    "positionCalculator": {"positionSizes": SIZES},
    "purchaseLimits": {"minimumAgentBalance": 0.1},
}


def tokens(count):
    mints = [new_mint() for _ in range(count)]
    Token.objects.bulk_create(Token(mint=mint, decimals=9, symbol="TEST") for mint in mints)
    prices.publish([PriceTick(mint, Decimal("0.001"), clock.now(), "test") for mint in mints])
    return mints


def accept(trader, mint, **data):
    return signals.accept(
        workspace_id=trader.workspace.id,
        user_id=trader.user.id,
        received_at=clock.now(),
        data={"tokenAddress": mint, "signalType": f"T{Signal.objects.count()}", "signalStrength": 5} | data,
    )


def transactions():
    """How many transactions wrote the orders that are there."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(DISTINCT xmin::text) FROM trading_fill")
        return cursor.fetchone()[0]


def answers(trader):
    found = Verdict.objects.filter(agent=trader.agent).order_by("signal_id")
    return [(verdict.order_id is not None, verdict.reasons) for verdict in found]


def test_signals_that_wait_together_are_one_transaction_and_each_sees_the_ones_before(tape):
    trader = Trader(tape, config=ONE_SOL | {"limits": {"maxOpenPositions": 3}})
    first, second, third, fourth = tokens(4)
    for mint in (first, second, first, third, fourth):
        accept(trader, mint)

    assert fanout.drain() == 5

    assert answers(trader) == [
        (True, []),
        (True, []),
        (False, ["position_exists"]),
        (True, []),
        (False, ["max_positions_exceeded"]),
    ]
    assert transactions() == 1
    assert wallets.balances(trader.wallet.id)[money.SOL_MINT].free == 7 * SOL
    assert check().balanced


def test_money_is_spent_once_by_signals_of_one_transaction(tape):
    trader = Trader(tape, config=ONE_SOL, sol="2.5")
    for mint in tokens(4):
        accept(trader, mint)

    fanout.drain()

    assert [is_bought for is_bought, _ in answers(trader)] == [True, True, True, False]
    orders = Order.objects.filter(agent=trader.agent).order_by("signal_id")
    assert [int(order.amount) for order in orders] == [SOL, SOL, 4 * SOL // 10]
    assert wallets.balances(trader.wallet.id)[money.SOL_MINT].free == SOL // 10


def test_an_agent_whose_protections_look_back_meets_one_signal_a_transaction(tape):
    trader = Trader(tape, config=ONE_SOL | {"protections": {"dailyLoss": {"sol": 5}}})
    for mint in tokens(3):
        accept(trader, mint)

    assert fanout.drain() == 3

    assert [is_bought for is_bought, _ in answers(trader)] == [True, True, True]
    assert transactions() == 3


def test_an_agent_that_is_paused_after_its_verdict_buys_nothing(tape, monkeypatch):
    trader = Trader(tape, config=ONE_SOL)
    for mint in tokens(2):
        accept(trader, mint)
    monkeypatch.setattr(way, "give", lambda: trader.switch(entries_simulation=False))

    assert fanout.drain() == 2

    assert answers(trader) == [(False, ["automated_trading_paused"])] * 2
    trader.price("0.001")
    assert trader.buy("1").state == State.FILLED


def test_a_sell_waits_for_the_buys_before_it(tape):
    trader = Trader(tape, config=ONE_SOL | {"signals": {"followSell": True}})
    (mint,) = tokens(1)
    accept(trader, mint)
    sell = accept(trader, mint, side="sell")

    assert fanout.drain() == 2
    trader.settle()

    assert Verdict.objects.get(signal=sell).order_id is not None
    assert Order.objects.filter(state=State.FILLED).count() == 2


def test_a_token_that_is_asked_about_keeps_no_other_waiting(tape, monkeypatch):
    trader = Trader(tape, config=ONE_SOL)
    known, unknown = tokens(1)[0], new_mint()
    late, early = accept(trader, unknown), accept(trader, known)
    seen = threading.Event()

    def refresh(mints):
        end = time.monotonic() + 5
        while not Order.objects.filter(signal_id=early.id).exists() and time.monotonic() < end:
            time.sleep(0.01)
        if Order.objects.filter(signal_id=early.id).exists():
            seen.set()

    monkeypatch.setattr(buys.prices, "refresh", refresh)
    assert fanout.drain() == 2

    assert seen.is_set()
    assert Verdict.objects.get(signal=late).reasons == ["price_unknown"]


def test_leases_are_renewed_only_when_it_is_time_and_only_of_signals_that_wait(tape, monkeypatch):
    trader = Trader(tape)
    waits, done = accept(trader, tokens(1)[0]), accept(trader, tokens(1)[0])
    Signal.objects.filter(id=done.id).update(drained_at=clock.now())
    leases = verdicts.Leases([waits.id, done.id])

    leases.keep()
    assert Signal.objects.get(id=waits.id).lease_until is None
    monkeypatch.setattr(leases, "_due", time.monotonic())
    leases.keep()

    with connection.cursor() as cursor:
        cursor.execute("SELECT lease_until - now() FROM signals_signal WHERE id = %s", [waits.id])
        assert timedelta(seconds=9) < cursor.fetchone()[0] <= timedelta(seconds=10)
    assert Signal.objects.get(id=done.id).lease_until is None


def test_a_drain_that_finds_enough_at_work_leaves_word_and_they_look_again():
    doors = fanout._Doors()
    assert [doors.enter() for _ in range(fanout.DRAINS_MAX + 1)] == [True] * fanout.DRAINS_MAX + [False]

    assert doors.leave(is_done=True) is False
    assert [doors.leave(is_done=True) for _ in range(fanout.DRAINS_MAX)] == [True] * fanout.DRAINS_MAX
    assert doors.enter() is True
