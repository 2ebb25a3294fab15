"""Regression tests of the defects in concurrency: many at once, one hanging, two wallets with the same token."""

import threading
import time
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import connection

from nexgent import clock, money
from nexgent.errors import Refusal
from prices import cache
from prices.records import PriceTick
from signals import fanout
from signals import services as signals
from tests.racing import together
from tests.trader import Trader
from tests.venues import outside
from trading import services as trading
from trading.engine.drains import Drain
from trading.engine.watch import Engine
from trading.models import Order, Position, Purpose, Side, State
from wallets import selectors as wallets

SOL = 10**9


def free(trader) -> int:
    return wallets.balances(trader.wallet.id)[money.SOL_MINT].free


def buy(trader, mint=None, lamports=SOL, key=None):
    return lambda: trading.manual_buy(
        agent_id=trader.agent.id, mint=mint or trader.mint, principal="p", lamports=lamports, idempotency_key=key
    )


def tick_of(trader, price) -> PriceTick:
    return PriceTick(trader.mint, Decimal(price), clock.now(), "test")


def wait_until(condition, seconds=15):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    assert condition()


def with_company(trader, count) -> list[Trader]:
    """More agents of the same workspace, all trading the same token."""
    others = [Trader(trader.tape, profile=trader.agent.profile) for _ in range(count)]
    for other in others:
        other.mint = trader.mint
        type(other.agent).objects.filter(id=other.agent.id).update(workspace=trader.workspace)
    return [trader, *others]


def test_d5_two_purchases_of_one_token_at_once_are_one_position(tape):
    trader = Trader(tape)
    trader.price("0.001")
    results = together([buy(trader) for _ in range(6)])

    refused = [result.code for result in results if isinstance(result, Refusal)]
    assert refused == ["POSITION_EXISTS"] * 5
    assert Position.objects.count() == 1
    assert free(trader) == 9 * SOL


def test_d5_one_key_sent_many_times_at_once_is_one_order(tape):
    trader = Trader(tape)
    trader.price("0.001")
    results = together([buy(trader, key="k") for _ in range(4)])

    assert results == [Order.objects.get().id] * 4
    assert free(trader) == 9 * SOL


def test_d5_purchases_of_many_tokens_at_once_debit_every_one(tape):
    trader = Trader(tape)
    mints = [trader.mint, *(Trader(tape, sol="0").mint for _ in range(4))]
    for mint in mints:
        trader.mint = mint
        trader.price("0.001")
    results = together([buy(trader, mint) for mint in mints])

    assert [result for result in results if isinstance(result, Exception)] == []
    assert free(trader) == 5 * SOL
    assert Position.objects.filter(agent=trader.agent).count() == 5


def test_d5_the_limit_of_positions_holds_for_purchases_at_once(tape):
    trader = Trader(tape, config={"limits": {"maxOpenPositions": 2}})
    mints = [trader.mint, *(Trader(tape, sol="0").mint for _ in range(4))]
    for mint in mints:
        trader.mint = mint
        trader.price("0.001")
    results = together([buy(trader, mint) for mint in mints])

    assert sorted(r.code for r in results if isinstance(r, Refusal)) == ["MAX_POSITIONS_EXCEEDED"] * 3
    assert Position.objects.filter(agent=trader.agent).count() == 2
    assert free(trader) == 8 * SOL


def test_d5_two_signals_for_one_token_at_once_are_one_position(tape):
    trader = Trader(tape)
    trader.price("0.001")
    for _ in range(2):
        signals.accept(
            workspace_id=trader.workspace.id,
            user_id=trader.user.id,
            received_at=clock.now(),
            data={"tokenAddress": trader.mint, "signalType": uuid4().hex[:8], "signalStrength": 5},
        )
    results = together([fanout.drain] * 3)

    assert sum(results) == 2
    assert Position.objects.count() == 1
    assert Order.objects.count() == 1


def test_d5_sales_at_once_sell_once(tape):
    trader = Trader(tape)
    trader.price("0.001")
    trader.buy("1")
    position_id = trader.position.id
    results = together([lambda: trading.position_close(position_id=position_id, principal="t") for _ in range(5)])
    trader.settle()

    assert [r.code for r in results if isinstance(r, Refusal)] == ["SALE_IN_PROGRESS"] * 4
    assert len(trader.orders(side=Side.SELL)) == 1
    assert free(trader) == 10 * SOL


def test_d5_two_engines_for_a_moment_sell_once(tape):
    trader = Trader.with_position(tape)
    engines = [trader.engine, Engine()]
    engines[1].step()
    ticks = [tick_of(trader, "0.0006")]
    for engine in engines:
        engine.offer(ticks)
    results = together([engine.step for engine in engines])
    trader.settle()

    assert [result for result in results if isinstance(result, Exception)] == []
    assert [order.state for order in trader.orders(side=Side.SELL)] == [State.FILLED]
    assert trader.position.close_reason == "stop_loss"


@pytest.fixture
def drain():
    """The real drain of sales, with its threads."""
    drain = Drain(Side.SELL)
    yield drain
    wait_until(lambda: not drain.in_hand)
    drain.stop()


def test_d12_one_hanging_call_delays_no_other_sale(tape, drain):
    venue = outside()
    traders = with_company(Trader(tape, profile="outside"), 9)
    traders[0].price("0.001")
    for trader in traders:
        trader.buy("1")
    tape.set(clock.now().replace(second=10))
    hanging = traders[0].position
    end, begun = threading.Event(), threading.Event()

    def hangs(request):
        if Order.objects.filter(id=request.order_id, position=hanging).exists():
            connection.close()
            begun.set()
            end.wait(20)

    venue.on_submit = hangs
    engine = Engine()
    engine.step()
    engine.offer([tick_of(traders[0], "0.0006")])
    engine.step()
    assert Order.objects.filter(purpose=Purpose.STOP_LOSS, state=State.PLANNED).count() == 10
    try:
        assert drain.drain() == 10
        assert begun.wait(10)
        wait_until(lambda: Position.objects.filter(close_reason="stop_loss").count() == 9)
        assert Position.objects.get(id=hanging.id).closed_at is None
        assert drain.drain() == 0
    finally:
        end.set()
    wait_until(lambda: Position.objects.filter(close_reason="stop_loss").count() == 10)


def test_d12_the_engine_decides_while_an_execution_hangs(tape, drain):
    venue = outside()
    first, second = with_company(Trader(tape, profile="outside"), 1)
    first.price("0.001")
    first.buy("1")
    second.buy("1")
    tape.set(clock.now().replace(second=10))
    end, begun = threading.Event(), threading.Event()

    def hangs(request):
        begun.set()
        end.wait(20)

    venue.on_quote = hangs
    trading.position_close(position_id=first.position.id, principal="t")
    try:
        drain.drain()
        assert begun.wait(10)
        engine = Engine()
        engine.step()
        engine.offer([tick_of(first, "0.0006")])
        engine.step()
        assert [order.state for order in second.orders(side=Side.SELL)] == [State.PLANNED]
    finally:
        end.set()
    drain.drain()
    wait_until(lambda: second.position.close_reason == "stop_loss")


def test_d17_two_agents_with_the_same_token_are_independent(tape):
    first, second = with_company(Trader(tape, profile="ideal"), 1)
    first.price("0.001")
    first.buy("1")
    second.buy("2")
    trading.position_close(position_id=first.position.id, principal="t")
    first.settle()
    assert first.engine.book.mints() == [first.mint]
    first.wait(1)
    first.price("0.0006")

    assert first.position.close_reason == "manual"
    assert second.position.close_reason == "stop_loss"
    assert free(first) == 10 * SOL
    assert free(second) == 10 * SOL - 800_000_000


def test_d17_the_book_is_rebuilt_after_it_was_empty(tape):
    trader = Trader.with_position(tape)
    trader.price("0.0006")
    assert len(trader.engine.book) == 0
    trader.wait(1)
    trader.price("0.001")
    trader.buy("1")
    assert len(trader.engine.book) == 1
    trader.wait(1)
    trader.price("0.0006")

    assert [p.close_reason for p in Position.objects.all()] == ["stop_loss", "stop_loss"]


def test_d19_every_position_is_found_again_with_nothing_in_the_cache(tape):
    traders = with_company(Trader(tape, profile="ideal"), 7)
    traders[0].price("0.001")
    for trader in traders:
        trader.buy("1")
    cache.valkey().call(lambda client: client.flushall(), otherwise=None)
    engine = Engine()
    engine.step()

    states = engine.book.states()
    assert set(states) == set(Position.objects.values_list("id", flat=True))
    assert {state.remaining_units for state in states.values()} == {1000 * 10**9}
    tape.set(clock.now().replace(second=10))
    engine.offer([tick_of(traders[0], "0.0006")])
    engine.step()
    assert Order.objects.filter(purpose=Purpose.STOP_LOSS).count() == 8


def test_two_tokens_of_one_symbol_are_two_positions(tape):
    trader = Trader(tape)
    trader.price("0.001")
    first = trader.buy("1")
    trader.mint = Trader(tape, sol="0").mint
    trader.price("0.002")
    second = trader.buy("1")

    held = Position.objects.filter(agent=trader.agent)
    assert {position.symbol for position in held} == {"TEST"}
    assert {position.token_id for position in held} == {first.token_id, second.token_id}
    trader.wait(1)
    trader.price("0.001")
    assert held.get(token_id=second.token_id).close_reason == "stop_loss"
    assert held.get(token_id=first.token_id).closed_at is None
