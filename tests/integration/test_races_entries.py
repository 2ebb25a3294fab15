"""Entries that race: many signals at once for one agent, more than its money allows, drains beside drains."""

from decimal import Decimal
from uuid import uuid4

import pytest

from nexgent import clock, money
from nexgent.events.models import Alarm
from prices import services as prices
from prices.models import Token
from prices.records import PriceTick
from signals import fanout
from signals import services as signals
from signals.models import Signal, Verdict
from tests.racing import together
from tests.trader import Trader, new_mint
from tests.venues import outside
from trading.engine import leases
from trading.engine.executor import execute
from trading.models import Fill, Order, Position, Purpose, Side, State
from wallets import selectors as wallets

SOL = 10**9
SIZES = {name: {"min": 1, "max": 1} for name in ("small", "medium", "large")}
ONE_SOL = {
    "positionCalculator": {"positionSizes": SIZES},
    "purchaseLimits": {"minimumAgentBalance": 0.1},
    "limits": {"maxOpenPositions": 250},
}


def post(trader, mint, number):
    """A client's signal, drained at once by whoever heard the bell."""

    def run():
        signals.accept(
            workspace_id=trader.workspace.id,
            user_id=trader.user.id,
            received_at=clock.now(),
            data={"tokenAddress": mint, "signalType": f"Race {number}", "signalStrength": 5},
        )
        return fanout.drain()

    return run


def execute_all(side, owner):
    for order_id in leases.claim(side, most=500, at=clock.now(), owner=owner):
        execute(order_id, owner)


def free(trader):
    return wallets.balances(trader.wallet.id)[money.SOL_MINT].free


@pytest.mark.parametrize("profile", ["ideal", "outside"])
def test_fifty_signals_at_once_for_one_token_and_agent_are_one_buy(tape, profile):
    venue = outside()
    trader = Trader(tape, config=ONE_SOL, profile=profile)
    trader.price("0.001")

    problems = [
        done for done in together([post(trader, trader.mint, n) for n in range(50)]) if not isinstance(done, int)
    ]
    fanout.drain()
    trader.settle()

    assert problems == []
    assert [(order.purpose, order.state) for order in trader.orders()] == [(Purpose.ENTRY, State.FILLED)]
    verdicts = Verdict.objects.filter(agent=trader.agent)
    assert verdicts.count() == 50
    assert verdicts.filter(order=None).values_list("reasons", flat=True).distinct().get() == ["position_exists"]
    assert free(trader) == 9 * SOL
    assert venue.submitted.count(trader.orders()[0].id) == (1 if profile == "outside" else 0)


@pytest.mark.parametrize("profile", ["ideal", "outside"])
def test_two_hundred_signals_for_an_agent_with_money_for_five_are_five_buys(tape, profile):
    outside()
    trader = Trader(tape, config=ONE_SOL, sol="5.1", profile=profile)
    mints = [new_mint() for _ in range(200)]
    Token.objects.bulk_create(Token(mint=mint, decimals=9, symbol="TEST") for mint in mints)
    prices.publish([PriceTick(mint, Decimal("0.001"), clock.now(), "test") for mint in mints])

    problems = [
        done for done in together([post(trader, m, n) for n, m in enumerate(mints)]) if not isinstance(done, int)
    ]
    fanout.drain()
    spent_by_plan = free(trader)
    trader.settle()

    assert problems == []
    assert spent_by_plan == SOL // 10
    assert free(trader) == SOL // 10
    assert [order.state for order in trader.orders()] == [State.FILLED] * 5
    assert Position.objects.filter(agent=trader.agent, closed_at=None).count() == 5
    refused = Verdict.objects.filter(agent=trader.agent, order=None)
    assert refused.count() == 195
    assert set(refused.values_list("reasons__0", flat=True)) == {"below_minimum_threshold"}


def test_drains_beside_each_other_answer_every_signal_once(tape):
    outside()
    traders = [Trader(tape, config=ONE_SOL, sol="40", profile=("ideal", "outside")[n % 2]) for n in range(6)]
    first = traders[0]
    for other in traders[1:]:
        type(other.agent).objects.filter(id=other.agent.id).update(workspace=first.workspace)
    mints = [new_mint() for _ in range(20)]
    Token.objects.bulk_create(Token(mint=mint, decimals=9, symbol="TEST") for mint in mints)
    prices.publish([PriceTick(mint, Decimal("0.001"), clock.now(), "test") for mint in mints])
    for number, mint in enumerate(mints):
        signals.accept(
            workspace_id=first.workspace.id,
            user_id=first.user.id,
            received_at=clock.now(),
            data={"tokenAddress": mint, "signalType": f"Race {number}", "signalStrength": 5},
        )
    Signal.objects.update(lease_until=None)

    def answer_all():
        for signal in Signal.objects.order_by("id"):  # as if every lease had expired: two answer one signal
            fanout.answer(signal)

    owners = [uuid4(), uuid4()]
    works = [answer_all, answer_all, *(lambda owner=owner: execute_all(Side.BUY, owner) for owner in owners * 3)]
    problems = [done for done in together(works) if done is not None]
    for trader in traders:
        trader.settle()

    assert problems == []
    assert Verdict.objects.count() == 20 * 6
    assert Order.objects.filter(state=State.FILLED, purpose=Purpose.ENTRY).count() == 20 * 6
    assert Fill.objects.count() == 20 * 6
    assert {free(trader) for trader in traders} == {20 * SOL}


def accept(trader, mint, number, **data):
    return signals.accept(
        workspace_id=trader.workspace.id,
        user_id=trader.user.id,
        received_at=clock.now(),
        data={"tokenAddress": mint, "signalType": f"Race {number}", "signalStrength": 5} | data,
    )


def test_a_signal_that_cannot_be_answered_holds_up_no_other(tape):
    trader = Trader(tape, config=ONE_SOL)
    trader.price("0.001")
    gone = new_mint()
    poison = accept(trader, gone, 1)
    Token.objects.filter(mint=gone).delete()
    good = accept(trader, trader.mint, 2)

    assert fanout.drain() == 1

    assert trader.orders()[0].signal_id == good.id
    assert Signal.objects.get(id=poison.id).drained_at is None
    assert Alarm.objects.get(cleared_at=None).code == "SIGNAL_STUCK"


def test_a_sell_signal_answered_by_two_at_once_is_one_sale(tape):
    trader = Trader.with_position(tape, config=ONE_SOL | {"signals": {"followSell": True}})
    signal = accept(trader, trader.mint, 1, side="sell")

    problems = [done for done in together([lambda: fanout.answer(signal)] * 6) if done is not None]
    trader.settle()

    assert problems == []
    assert [order.state for order in trader.orders(side=Side.SELL)] == [State.FILLED]
    assert Verdict.objects.get(signal=signal).order_id == trader.orders(side=Side.SELL)[0].id
    assert trader.position.close_reason == "signal"
