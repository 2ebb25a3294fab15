"""Agents, signals and orders that fail for an unexpected reason: set apart and told, until they succeed after all."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import InterfaceError

from agents import selectors as agents
from agents.models import Agent
from nexgent import clock
from nexgent.events.models import Alarm
from prices import services as prices
from prices.models import Token
from prices.records import PriceTick
from signals import buys, fanout, stuck, tasks
from signals import services as signals
from signals.models import Signal, Verdict
from tests.trader import Trader, new_mint
from trading import services as trading
from trading import tasks as trading_tasks
from trading.engine import entries, sell_signals
from trading.models import Order, Position, Side, State
from trading.rules.market import Realism
from trading.venues.registry import register
from trading.venues.simulated import Simulated


@pytest.fixture
def team(tape):
    """Three agents of one workspace, in id order, and a token with a price."""
    traders = [Trader(tape, config={"signals": {"followSell": True}}) for _ in range(3)]
    for other in traders[1:]:
        Agent.objects.filter(id=other.agent.id).update(workspace=traders[0].workspace)
    traders[0].price("0.001")
    return sorted(traders, key=lambda trader: trader.agent.id)


def accept(trader, mint, **data):
    return signals.accept(
        workspace_id=Agent.objects.get(id=trader.agent.id).workspace_id,
        user_id=trader.user.id,
        received_at=clock.now(),
        data={"tokenAddress": mint, "signalType": f"T{Signal.objects.count()}", "signalStrength": 5} | data,
    )


def another(price="0.001"):
    mint = new_mint()
    Token.objects.create(mint=mint, decimals=9, symbol="TEST")
    prices.publish([PriceTick(mint, Decimal(price), clock.now(), "test")])
    return mint


def answers(signal):
    return [
        (verdict.order_id is not None, verdict.reasons)
        for verdict in Verdict.objects.filter(signal=signal).order_by("agent_id")
    ]


def fail(monkeypatch, agent_id, problem):
    plan = entries._plan

    def fails_for_one(trigger, candidate, *rest):
        if candidate.agent_id == agent_id:
            raise problem
        return plan(trigger, candidate, *rest)

    monkeypatch.setattr(entries, "_plan", fails_for_one)


def expire():
    Signal.objects.update(lease_until=None)


def expire_only(signal):
    Signal.objects.filter(id=signal.id).update(lease_until=None)


def drained():
    tasks.drain()
    tasks.unstuck()


def is_open(code, subject):
    return Alarm.objects.filter(code=code, subject=str(subject), cleared_at=None).exists()


def test_an_agent_that_fails_is_set_apart_and_the_others_enter(team, tape, monkeypatch):
    bad = team[1].agent.id
    first, second = accept(team[0], another()), accept(team[0], another())
    with monkeypatch.context() as patch:
        fail(patch, bad, ValueError("this one"))
        assert fanout.drain() == 2

    assert answers(first) == answers(second) == [(True, []), (False, ["internal_error"]), (True, [])]
    assert Signal.objects.filter(drained_at=None).count() == 0
    alarm = Alarm.objects.get(cleared_at=None)
    assert (alarm.code, alarm.subject) == ("AGENT_STUCK", str(bad))
    assert alarm.detail == {"problem": "ValueError", "step": "entry"}

    drained()
    assert is_open("AGENT_STUCK", bad)
    tape.set(clock.now() + timedelta(seconds=1))
    third = accept(team[0], another())
    drained()
    assert answers(third) == [(True, [])] * 3
    assert not is_open("AGENT_STUCK", bad)


def test_a_problem_that_passes_keeps_the_signal_waiting_for_that_agent_only(team, monkeypatch):
    signal = accept(team[0], another())
    with monkeypatch.context() as patch:
        fail(patch, team[0].agent.id, InterfaceError("gone"))
        assert fanout.drain() == 0
    assert answers(signal) == [(True, []), (True, [])]
    assert is_open("SIGNAL_STUCK", signal.id)

    expire()
    drained()
    assert answers(signal) == [(True, [])] * 3
    assert not is_open("SIGNAL_STUCK", signal.id)


def test_a_configuration_that_cannot_be_read_keeps_only_its_agent_from_entering(team, monkeypatch):
    bad = Agent.objects.get(id=team[2].agent.id)
    signal = accept(team[0], another())
    compile_policy = agents.compile_policy

    def fails_for_one(data):
        if data == bad.config.data:
            raise KeyError("stopLoss")
        return compile_policy(data)

    team[2].configure({"stopLoss": {"defaultPercentage": -7}})
    bad.refresh_from_db()
    monkeypatch.setattr(agents, "compile_policy", fails_for_one)
    monkeypatch.setattr(agents, "_policies", agents.OrderedDict())
    assert fanout.drain() == 1

    assert answers(signal) == [(True, []), (True, []), (False, ["config_unreadable"])]
    tasks.unstuck()
    assert is_open("AGENT_STUCK", bad.id)
    team[2].configure({"stopLoss": {"defaultPercentage": -8}})
    tasks.unstuck()
    assert not is_open("AGENT_STUCK", bad.id)


def test_an_agent_whose_sale_fails_keeps_no_other_from_selling(team, tape, monkeypatch):
    mint = another()
    accept(team[0], mint)
    fanout.drain()
    sell = accept(team[0], mint, side="sell")
    follow = sell_signals.follow

    def fails_for_one(signal, *, agent_id, **rest):
        if agent_id == team[0].agent.id:
            raise ValueError("this one")
        return follow(signal, agent_id=agent_id, **rest)

    with monkeypatch.context() as patch:
        patch.setattr(sell_signals, "follow", fails_for_one)
        assert fanout.drain() == 0
    assert answers(sell) == [(True, []), (True, [])]
    tape.set(clock.now() + timedelta(seconds=1))
    accept(team[0], another())
    drained()
    assert is_open("AGENT_STUCK", team[0].agent.id)  # that it enters does not say that it sells

    expire()
    drained()
    assert answers(sell) == [(True, [])] * 3
    assert not is_open("AGENT_STUCK", team[0].agent.id)


def test_a_sell_waits_for_a_buy_that_another_drain_has_in_hand(team):
    mint = another()
    buy = accept(team[0], mint)
    Signal.objects.filter(id=buy.id).update(lease_until="2100-01-01T00:00:00Z")
    sell = accept(team[0], mint, side="sell")
    elsewhere = accept(team[0], another(), side="sell")

    assert fanout.drain() == 1
    assert answers(sell) == []
    assert answers(elsewhere) == [(False, ["position_not_found"])] * 3
    expire()
    assert fanout.drain() == 2

    assert answers(sell) == [(True, [])] * 3
    assert Order.objects.filter(signal_id=sell.id, side=Side.SELL).count() == 3


def test_a_sell_does_not_wait_for_a_buy_that_is_stuck(team):
    mint = another()
    buy = accept(team[0], mint)
    Signal.objects.filter(id=buy.id).update(lease_until="2100-01-01T00:00:00Z")
    stuck.tell_signal(buy, ValueError("this one"))
    sell = accept(team[0], mint, side="sell")

    assert fanout.drain() == 1
    assert answers(sell) == [(False, ["position_not_found"])] * 3


def test_a_sell_waits_no_longer_than_half_a_minute_for_an_older_buy(team, tape):
    mint = another()
    buy = accept(team[0], mint)
    Signal.objects.filter(id=buy.id).update(lease_until="2100-01-01T00:00:00Z")
    sell = accept(team[0], mint, side="sell")

    assert fanout.drain() == 0
    tape.set(clock.now() + timedelta(seconds=31))
    expire_only(sell)
    assert fanout.drain() == 1
    assert answers(sell) == [(False, ["position_not_found"])] * 3


def test_a_sell_waits_for_the_entry_of_an_older_buy_to_land_and_for_that_agent_only(team):
    register("outside", Simulated(realism=Realism(failure_rate=Decimal(0), expiry_rate=Decimal(0))))
    Agent.objects.filter(id=team[1].agent.id).update(profile="outside")
    mint = another()
    Token.objects.filter(mint=mint).update(facts={"poolLamports": 10**13})
    accept(team[0], mint)
    fanout.drain()
    sell = accept(team[0], mint, side="sell")

    assert fanout.drain() == 0
    assert answers(sell) == [(True, []), (True, [])]
    for _ in range(3):
        team[0].settle()
    expire_only(sell)
    assert fanout.drain() == 1

    assert answers(sell) == [(True, [])] * 3
    assert Order.objects.filter(signal_id=sell.id, side=Side.SELL).count() == 3


def test_a_sell_that_waited_leaves_a_position_of_a_later_buy_alone(team):
    mint = another()
    first = accept(team[0], mint)
    Signal.objects.filter(id=first.id).update(lease_until="2100-01-01T00:00:00Z")
    sell = accept(team[0], mint, side="sell")
    fanout.drain()
    later = accept(team[0], mint)
    fanout.drain()
    assert answers(later) == [(True, [])] * 3

    expire()
    fanout.drain()

    assert answers(sell) == [(False, ["position_not_found"])] * 3
    assert Order.objects.filter(side=Side.SELL).count() == 0


def test_a_market_that_cannot_be_read_keeps_only_its_own_signals_waiting(team, monkeypatch):
    bad, good = another(), another()
    unread, answered = accept(team[0], bad), accept(team[0], good)
    read = buys.market.read

    def fails_for_one(mints, **rest):
        if bad in mints:
            raise ValueError("poolLamports")
        return read(mints, **rest)

    monkeypatch.setattr(buys.market, "read", fails_for_one)

    assert fanout.drain() == 1
    assert (answers(unread), answers(answered)) == ([], [(True, [])] * 3)
    assert is_open("SIGNAL_STUCK", unread.id)


def test_an_agent_that_failed_spoils_the_sets_of_a_run_once(team, monkeypatch):
    sets = []
    waiting = [accept(team[0], another()) for _ in range(6)]
    enter_chunk = entries.enter_chunk

    def noted(wishes, **rest):
        sets.append([len(wish.agent_ids) for wish in wishes])
        return enter_chunk(wishes, **rest)

    monkeypatch.setattr(entries, "enter_chunk", noted)
    fail(monkeypatch, team[1].agent.id, ValueError("this one"))

    assert fanout.drain() == 6
    assert [answers(signal) for signal in waiting] == [[(True, []), (False, ["internal_error"]), (True, [])]] * 6
    assert sets == [[3] * 6, [3], [1], [1], [1], *[[2], [1]] * 5]


def test_alarms_of_orders_and_positions_end_when_these_do(team):
    accept(team[0], another())
    fanout.drain()
    order = Order.objects.filter(state=State.FILLED).first()
    position = Position.objects.get(opened_by_id=order.id)
    others = {"ORDER_STUCK": order.id, "POSITION_STUCK": position.id}
    for code, subject in others.items():
        Alarm.objects.create(code=code, subject=str(subject), since=clock.now())
    Order.objects.filter(id=order.id).update(state=State.PLANNED)
    Position.objects.filter(id=position.id).update(override={"stopLoss": {"mode": "nonsense"}})

    trading_tasks.untradable()
    assert is_open("ORDER_STUCK", order.id)
    assert is_open("POSITION_STUCK", position.id)
    Order.objects.filter(id=order.id).update(state=State.FILLED)
    trading.position_close(position_id=position.id, principal="test")
    team[0].settle()
    trading_tasks.untradable()

    assert Alarm.objects.filter(cleared_at=None).count() == 0
