"""Summary, statistics and balance history of an agent, against figures worked out by hand."""

from datetime import timedelta
from decimal import Decimal

import pytest

from nexgent import clock
from nexgent.errors import NotFound
from nexgent.ids import uuid7
from tests.trader import START, Trader, tape_clock
from trading import services
from trading.models import PortfolioSnapshot, Position
from trading.performance import selectors, snapshots
from wallets import services as wallets

pytestmark = pytest.mark.django_db(transaction=True)
SOL = 10**9


@pytest.fixture
def trader():
    with tape_clock() as tape:
        yield Trader(tape, sol="10")


def price(trader: Trader, price: str) -> None:
    """A tick of a second later: of equal times the first one known counts."""
    trader.wait(1)
    trader.price(price)


def bought(trader: Trader, price: str = "0.001") -> Position:
    trader.wait(1)
    trader.price(price)
    trader.buy("1")
    return trader.position


def closed(trader: Trader, price: str) -> None:
    """Buy 1 SOL at 0.001, sell everything at `price`."""
    bought(trader)
    trader.wait(60)
    trader.price(price)
    services.position_close(position_id=trader.position.id, principal="test")
    trader.settle()


def test_an_agent_that_never_traded_is_worth_its_deposit(trader):
    found = selectors.summary(agent_id=trader.agent.id)

    assert (found.portfolio_lamports, found.total_lamports, found.closed_trades) == (10 * SOL, 0, 0)
    assert (found.win_rate_percent, found.open_positions, found.unpriced_positions) == (0, 0, 0)


def test_an_open_position_counts_at_its_newest_price(trader):
    bought(trader)
    price(trader, "0.0011")

    found = selectors.summary(agent_id=trader.agent.id)

    assert found.unrealised_lamports == SOL // 10
    assert found.portfolio_lamports == 10 * SOL + SOL // 10
    assert (found.open_positions, found.unpriced_positions) == (1, 0)


def test_closed_trades_make_realised_profit_and_win_rate(trader):
    closed(trader, "0.0012")
    closed(trader, "0.0009")

    found = selectors.summary(agent_id=trader.agent.id)

    assert found.realised_lamports == SOL * 2 // 10 - SOL // 10
    assert (found.win_rate_percent, found.average_return_percent) == (50, 5)
    assert found.portfolio_lamports == 10 * SOL + SOL // 10


def test_a_day_narrows_the_closed_trades_only(trader):
    closed(trader, "0.0012")
    trader.wait(24 * 3600 + 1)
    bought(trader)

    found = selectors.summary(agent_id=trader.agent.id, timeframe="24h")

    assert (found.closed_trades, found.realised_lamports, found.open_positions) == (0, 0, 1)
    assert found.portfolio_lamports == 10 * SOL + SOL * 2 // 10


def test_an_unpriced_position_is_counted_and_left_out(trader):
    position = bought(trader)
    other = Trader(trader.tape)
    Position.objects.filter(id=position.id).update(token_id=other.mint)

    found = selectors.summary(agent_id=trader.agent.id)

    assert (found.portfolio_lamports, found.unrealised_lamports) == (9 * SOL, 0)
    assert (found.open_positions, found.unpriced_positions) == (1, 1)


def test_a_wallet_that_is_not_the_agents_is_not_found(trader):
    assert selectors.summary(agent_id=trader.agent.id, wallet_id=trader.wallet.id).portfolio_lamports == 10 * SOL
    with pytest.raises(NotFound):
        selectors.summary(agent_id=trader.agent.id, wallet_id=uuid7())
    with pytest.raises(NotFound):
        selectors.balance_history(agent_id=trader.agent.id, wallet_id=uuid7())


def test_few_queries_however_many_trades(trader, django_assert_num_queries):
    for price in ("0.0012", "0.0011", "0.0009"):
        closed(trader, price)

    with django_assert_num_queries(4):  # wallets, open positions, balances, closed trades
        found = selectors.summary(agent_id=trader.agent.id)
    assert found.closed_trades == 3


def test_statistics_of_three_trades(trader):
    for price in ("0.0012", "0.0011", "0.0009"):
        closed(trader, price)

    found = selectors.statistics(agent_id=trader.agent.id).trades

    assert (found.trades, found.wins, found.losses) == (3, 2, 1)
    assert (found.gross_profit_lamports, found.gross_loss_lamports) == (SOL * 3 // 10, SOL // 10)
    assert found.profit_factor == 3
    assert round(found.expectancy_lamports) == 66_666_667
    assert (found.best_lamports, found.worst_lamports) == (SOL * 2 // 10, -SOL // 10)
    assert (found.win_streak, found.loss_streak) == (2, 1)
    assert found.holding_seconds_average == 60


def test_the_curve_gives_drawdown_sharpe_and_sortino_and_money_paid_in_is_no_gain(trader):
    snapshots.capture()  # 10
    trader.wait(3600)
    closed(trader, "0.0012")  # 10.2
    snapshots.capture()
    trader.wait(1800)
    trader.fund("5")  # 15.2
    trader.wait(1800)
    closed(trader, "0.0009")  # 15.1

    found = selectors.statistics(agent_id=trader.agent.id)

    # The hour's own snapshot is replaced by what the wallets are worth now: 10, 10.2, 15.1 with 5 paid in.
    assert found.points == 3
    assert (found.drawdown.lamports, round(found.drawdown.percent, 6)) == (SOL // 10, Decimal("0.980392"))
    returns = (Decimal("0.02"), Decimal("-0.1") / Decimal("10.2"))
    mean = sum(returns) / 2
    deviation = abs(returns[0] - returns[1]) / Decimal(2).sqrt()
    assert round(found.sharpe, 6) == round(mean / deviation * Decimal(8760).sqrt(), 6)
    # 10.1 / 10 - 1 = 1 % in 7,322 s; 31,536,000 s a year; a fall of 0.1 from 10.2.
    assert round(found.calmar, 6) == round(Decimal("0.01") * 31_536_000 / 7322 / (Decimal("0.1") / Decimal("10.2")), 6)
    downside = (returns[1] ** 2 / 2).sqrt()
    assert round(found.sortino, 6) == round(mean / downside * Decimal(8760).sqrt(), 6)


def test_figures_without_enough_points_are_none(trader):
    found = selectors.statistics(agent_id=trader.agent.id)

    assert (found.points, found.sharpe, found.sortino, found.calmar) == (1, None, None, None)
    assert found.drawdown.lamports == 0
    assert found.trades.profit_factor is None


def test_a_days_history_is_the_hours_of_the_last_25(trader):
    for _ in range(30):
        snapshots.capture()
        trader.wait(3600)

    found = selectors.balance_history(agent_id=trader.agent.id, wallet_id=trader.wallet.id)

    assert [row.at for row in found] == [START + timedelta(hours=hour) for hour in range(5, 30)]
    assert {row.equity_lamports for row in found} == {10 * SOL}


def test_the_whole_history_is_one_point_a_day(trader):
    for _ in range(60):
        snapshots.capture()
        trader.wait(3600)

    found = selectors.balance_history(agent_id=trader.agent.id, wallet_id=trader.wallet.id, timeframe="all")

    assert [row.at for row in found] == [START + timedelta(hours=12), START + timedelta(hours=36)]


def test_a_snapshot_of_the_same_hour_is_replaced(trader):
    snapshots.capture()
    bought(trader)
    price(trader, "0.0015")
    snapshots.capture()

    row = PortfolioSnapshot.objects.get(agent=trader.agent)

    assert (row.at, row.equity_lamports) == (START, 10 * SOL + SOL // 2)
    assert (row.sol_lamports, row.positions_lamports, row.unrealised_lamports) == (9 * SOL, SOL * 3 // 2, SOL // 2)


def test_what_the_wallets_are_worth_now(trader):
    bought(trader)
    price(trader, "0.0011")

    found = selectors.worth(agent_id=trader.agent.id)

    assert (found.at, found.equity_lamports) == (clock.now(), 10 * SOL + SOL // 10)
    assert (found.sol_lamports, found.positions_lamports, found.unrealised_lamports) == (
        9 * SOL,
        SOL + SOL // 10,
        SOL // 10,
    )


def test_an_ended_epoch_is_not_counted(trader):
    closed(trader, "0.0012")
    trader.wallet.epoch = 2
    trader.wallet.save()
    wallets.withdraw(wallet_id=trader.wallet.id, lamports=SOL, author="test")

    found = selectors.summary(agent_id=trader.agent.id)

    assert (found.closed_trades, found.realised_lamports) == (0, 0)
