"""A trade from signal to close, through the real services and database, without worker processes."""

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.conf import settings

from agents import services as agents
from nexgent import clock
from nexgent.accounts.models import User, Workspace
from prices import services as prices
from prices.records import PriceTick
from signals import fanout
from signals import services as signals
from signals.models import Verdict
from trading.books import check
from trading.engine import leases
from trading.engine.executor import execute
from trading.engine.watch import Engine
from trading.models import Order, Position, Purpose, Side, State
from wallets import services as wallets
from wallets.models import Wallet

MINT = "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263"


@pytest.fixture(autouse=True)
def inline_prices():
    prices.write_prices("inline")
    yield
    prices.write_prices(settings.PRICES_WRITER)


@pytest.fixture
def agent(db):
    user = User.objects.create_user(f"{uuid4()}@example.com", "x" * 20)
    workspace = Workspace.objects.create(name="w")
    return agents.agent_create(
        workspace_id=workspace.id,
        user_id=user.id,
        name="Alpha",
        profile="ideal",
        config={"takeProfit": {"enabled": True}},
    )


def fund(agent, sol="10"):
    wallet = Wallet.objects.get(assignments__agent=agent)
    wallets.deposit(wallet_id=wallet.id, lamports=int(Decimal(sol) * 10**9), author="test")
    return wallet


def tick(price, engine=None):
    batch = [PriceTick(MINT, Decimal(price), clock.now(), "test", liquidity_usd=Decimal(100000))]
    prices.publish(batch)
    if engine is not None:
        engine.offer(batch)


def post(agent, **data):
    return signals.accept(
        workspace_id=agent.workspace_id,
        user_id=agent.user_id,
        received_at=clock.now(),
        data={"tokenAddress": MINT, "signalType": "X", "signalStrength": 5} | data,
    )


def run_orders(side):
    done = 0
    while claimed := leases.claim(side, most=10, at=clock.now()):
        for order_id in claimed:
            execute(order_id, leases.OWNER)
            done += 1
    return done


@pytest.mark.django_db(transaction=True)
def test_a_signal_buys_a_tick_moves_it_and_the_stop_closes_it(agent):
    fund(agent)
    tick("0.001")
    signal = post(agent)
    fanout.drain()

    verdict = Verdict.objects.get(signal=signal)
    assert verdict.reasons == []
    order = Order.objects.get(id=verdict.order_id)
    assert order.state == State.FILLED
    position = Position.objects.get()
    assert position.remaining_units == order.fill.amount_out
    assert check().problems == ()

    engine = Engine()
    engine.step()
    tick("0.0012", engine)
    engine.step()
    assert engine.book.save_watermarks(at=clock.now()) == 1
    position.watermark.refresh_from_db()
    assert position.watermark.peak == Decimal("0.0012")
    assert position.watermark.stop_percent == 10

    tick("0.0011", engine)
    engine.step()
    stop = Order.objects.get(position=position, side=Side.SELL)
    assert (stop.purpose, stop.state) == (Purpose.STOP_LOSS, State.PLANNED)
    assert run_orders(Side.SELL) == 1
    position.refresh_from_db()
    assert position.close_reason == "stop_loss"
    assert position.remaining_units == 0
    assert position.realised_lamports == position.received_lamports - position.invested_lamports
    assert check().problems == ()


@pytest.mark.django_db(transaction=True)
def test_a_jump_over_several_levels_is_one_sale_and_the_bag_stays(agent):
    fund(agent)
    tick("0.001")
    post(agent)
    fanout.drain()
    engine = Engine()
    engine.step()
    tick("0.0055", engine)
    engine.step()
    assert run_orders(Side.SELL) == 1
    position = Position.objects.get()
    assert position.levels_hit == 4
    assert position.moon_bag_active is True
    assert position.remaining_units == position.moon_bag_units
    assert check().problems == ()


@pytest.mark.django_db(transaction=True)
def test_dca_buys_within_the_reserve_and_rebases(agent):
    fund(agent)
    agents.config_update(
        agent_id=agent.id,
        partial={"dca": {"enabled": True, "mode": "aggressive"}, "takeProfit": {"enabled": False}},
        author="test",
    )
    tick("0.001")
    post(agent)
    fanout.drain()
    engine = Engine()
    engine.step()
    tick("0.0009", engine)
    engine.step()
    assert run_orders(Side.BUY) == 1
    position = Position.objects.get()
    assert position.dca_count == 1
    assert position.generation == 2
    assert position.watermark.stop_percent == -32
    assert check().problems == ()


@pytest.mark.django_db(transaction=True)
def test_a_stale_price_decides_nothing(agent):
    fund(agent)
    tick("0.001")
    post(agent)
    fanout.drain()
    engine = Engine()
    engine.step()
    old = PriceTick(MINT, Decimal("0.0001"), clock.now() - timedelta(seconds=31), "test")
    engine.offer([old])
    engine.step()
    assert not Order.objects.filter(side=Side.SELL).exists()
