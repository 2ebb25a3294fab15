"""The ends of agents and their periods: archive, unassign, reset, and what is left behind."""

import pytest

from agents.models import Agent, Assignment
from nexgent import clock
from nexgent.errors import NotFound, Refusal
from nexgent.events.models import Event
from nexgent.ids import uuid7
from nexgent.money import SOL_MINT
from prices.models import Token
from tests.executing import executing
from tests.trader import Trader, tape_clock
from trading import lifecycle, maintenance
from trading import services as trading
from trading.books import check
from trading.models import Order, PortfolioSnapshot, Position, Purpose, Side, State
from trading.performance import selectors, snapshots
from wallets import services as wallets
from wallets.models import Entry, EntryKind, Wallet
from wallets.selectors import balances

pytestmark = pytest.mark.django_db(transaction=True)
SOL = 10**9


@pytest.fixture
def trader():
    with tape_clock() as tape:
        trader = Trader(tape)
        trader.price("0.001")
        yield trader


def make_live(trader: Trader) -> None:
    Wallet.objects.filter(id=trader.wallet.id).update(kind="live")


def test_an_archived_agent_is_gone_and_its_position_sold(trader):
    trader.buy("1")

    lifecycle.agent_archive(agent_id=trader.agent.id)
    trader.settle()

    assert Agent.objects.get(id=trader.agent.id).archived_at == clock.now()
    assert Assignment.objects.get(agent=trader.agent).ended_at == clock.now()
    assert (trader.position.close_reason, balances(trader.wallet.id).keys()) == (
        "manual",
        {SOL_MINT},
    )
    assert Event.objects.get(stream_id=trader.workspace.id, type="agent_archived").payload["id"] == str(trader.agent.id)
    assert check().problems == ()


def test_an_archived_agent_buys_no_more(trader):
    lifecycle.agent_archive(agent_id=trader.agent.id)

    trader.signal()

    assert Order.objects.count() == 0
    with pytest.raises(NotFound):
        lifecycle.agent_archive(agent_id=trader.agent.id)


@pytest.mark.parametrize("end", ["archive", "unassign", "reset"])
def test_open_live_positions_refuse_every_end(trader, end):
    trader.buy("1")
    make_live(trader)
    act = {
        "archive": lambda: lifecycle.agent_archive(agent_id=trader.agent.id),
        "unassign": lambda: lifecycle.unassign(agent_id=trader.agent.id, wallet_id=trader.wallet.id),
        "reset": lambda: lifecycle.wallet_reset(agent_id=trader.agent.id, wallet_id=trader.wallet.id, author="test"),
    }[end]

    with pytest.raises(Refusal) as refused:
        act()

    assert (refused.value.code, refused.value.status) == ("OPEN_POSITIONS", 409)
    assert Agent.objects.get(id=trader.agent.id).archived_at is None
    assert Assignment.objects.get(agent=trader.agent).ended_at is None
    assert trader.position.closed_at is None


def test_a_live_wallet_is_never_reset(trader):
    make_live(trader)

    with pytest.raises(Refusal) as refused:
        lifecycle.wallet_reset(agent_id=trader.agent.id, wallet_id=trader.wallet.id, author="test")

    assert refused.value.code == "LIVE_WALLET"


def test_an_ended_period_sells_its_positions(trader):
    trader.buy("1")

    lifecycle.unassign(agent_id=trader.agent.id, wallet_id=trader.wallet.id)
    trader.settle()

    assert Assignment.objects.get(agent=trader.agent).ended_at == clock.now()
    assert trader.position.closed_at == clock.now()
    with pytest.raises(NotFound):
        lifecycle.unassign(agent_id=trader.agent.id, wallet_id=trader.wallet.id)


def test_a_foreign_wallet_is_not_found(trader):
    foreign = {"agent_id": trader.agent.id, "wallet_id": uuid7()}

    with pytest.raises(NotFound):
        lifecycle.unassign(**foreign)
    with pytest.raises(NotFound):
        lifecycle.wallet_reset(**foreign, author="test")


def test_what_was_left_behind_is_sold_by_the_sweep(trader):
    trader.buy("1")
    Assignment.objects.filter(agent=trader.agent).update(ended_at=clock.now())  # died before the sale was planned

    planned = maintenance.close_left_behind()
    again = maintenance.close_left_behind()
    trader.settle()

    assert (len(planned), again) == (1, [])
    assert Order.objects.get(id=planned[0]).plan["reason"] == "left_behind"
    assert trader.position.closed_at is not None
    assert maintenance.close_left_behind() == []


def test_positions_of_agents_at_work_are_left_alone(trader):
    trader.buy("1")

    assert maintenance.close_left_behind() == []
    assert Order.objects.filter(purpose=Purpose.MANUAL).count() == 0


def test_d34_a_reset_sells_empties_and_begins_the_next_epoch(trader):
    trader.buy("1")
    wallets.adjust(wallet_id=trader.wallet.id, asset=Trader(trader.tape).mint, amount=5, reason="gift", author="test")
    snapshots.capture()

    with executing():
        ended = lifecycle.wallet_reset(agent_id=trader.agent.id, wallet_id=trader.wallet.id, author="me")

    assert (ended.epoch, ended.positions, ended.closed_positions, ended.balances) == (1, 1, 1, 2)
    assert ended.entries == 4  # deposit, purchase, gift, sale
    assert Wallet.objects.get(id=trader.wallet.id).epoch == 2
    assert balances(trader.wallet.id) == {}
    assert {(e.kind, e.reason, e.author, e.epoch) for e in Entry.objects.filter(reason="reset")} == {
        (EntryKind.ADJUSTMENT, "reset", "me", 1)
    }
    assert PortfolioSnapshot.objects.filter(wallet=trader.wallet).count() == 0
    assert Event.objects.filter(stream_id=trader.agent.id, type="wallet_reset").count() == 1
    assert check().problems == ()


def test_after_a_reset_the_count_begins_anew(trader):
    trader.buy("1")
    with executing():
        lifecycle.wallet_reset(agent_id=trader.agent.id, wallet_id=trader.wallet.id, author="me")
    trader.fund("3")
    trader.engine.check()
    trader.engine.step()
    trader.buy("1")

    found = selectors.summary(agent_id=trader.agent.id)

    assert (found.closed_trades, found.open_positions, found.portfolio_lamports) == (0, 1, 3 * SOL)
    assert check().problems == ()


def test_a_reset_that_waits_too_long_says_so_and_loses_nothing(trader):
    trader.buy("1")

    with pytest.raises(Refusal) as refused:
        lifecycle.wallet_reset(agent_id=trader.agent.id, wallet_id=trader.wallet.id, author="me", wait_seconds=0.1)

    assert (refused.value.code, refused.value.status) == ("RESET_IN_PROGRESS", 409)
    assert Wallet.objects.get(id=trader.wallet.id).epoch == 1
    assert Order.objects.filter(position=trader.position, side=Side.SELL, state=State.PLANNED).count() == 1
    assert Position.objects.filter(closed_at=None).count() == 1


def test_an_empty_wallet_is_reset_too(trader):
    wallets.withdraw(wallet_id=trader.wallet.id, lamports=10 * SOL, author="test")

    ended = lifecycle.wallet_reset(agent_id=trader.agent.id, wallet_id=trader.wallet.id, author="me")

    assert (ended.positions, ended.balances, ended.entries) == (0, 0, 2)
    assert Wallet.objects.get(id=trader.wallet.id).epoch == 2


def test_d34_a_buy_that_is_under_way_keeps_a_reset_waiting(trader):
    """Nothing reappears in the new epoch: the reset looks under the locks that every order takes."""
    Agent.objects.filter(id=trader.agent.id).update(profile="realistic")
    Token.objects.filter(mint=trader.mint).update(facts={"poolLamports": 1000 * SOL})
    trading.manual_buy(agent_id=trader.agent.id, mint=trader.mint, principal="test", lamports=SOL)

    with pytest.raises(Refusal) as refused:
        lifecycle.wallet_reset(agent_id=trader.agent.id, wallet_id=trader.wallet.id, author="me", wait_seconds=0)

    assert refused.value.code == "RESET_IN_PROGRESS"
    assert Order.objects.get().state == State.PLANNED
    assert Position.objects.count() == 0
    assert Wallet.objects.get(id=trader.wallet.id).epoch == 1
