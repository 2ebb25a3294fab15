"""Statistics against figures worked out by hand, and P/L with its one set of formulas."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from nexgent.errors import Refusal
from tests.unit.rules.samples import NOW, SOL
from trading.rules import fees, performance, pnl
from trading.rules.performance import ClosedTrade, OpenTrade


def trade(profit: int, *, hours_ago: int = 0, change: int = 0) -> ClosedTrade:
    closed = NOW - timedelta(hours=hours_ago)
    return ClosedTrade(profit, 100, Decimal(change), closed - timedelta(hours=2), closed)


def test_statistics_of_four_trades() -> None:
    found = performance.statistics(
        [trade(300, hours_ago=4, change=3), trade(-100, hours_ago=3, change=-1), trade(-100, hours_ago=2), trade(0)]
    )

    assert (found.trades, found.wins, found.losses, found.win_rate_percent) == (4, 1, 2, 25)
    assert (found.profit_factor, found.expectancy_lamports) == (Decimal("1.5"), 25)
    assert (found.average_win_lamports, found.average_loss_lamports) == (300, 100)
    assert (found.best_lamports, found.worst_lamports) == (300, -100)
    assert found.average_return_percent == Decimal("0.5")
    assert (found.holding_seconds_average, found.holding_seconds_median) == (7200, 7200)
    assert (found.win_streak, found.loss_streak) == (1, 2)


def test_statistics_of_nothing_are_undefined_not_zero() -> None:
    found = performance.statistics([])

    assert (found.trades, found.gross_profit_lamports) == (0, 0)
    assert found.profit_factor is found.expectancy_lamports is found.win_rate_percent is None
    assert performance.statistics([trade(5)]).profit_factor is None


def test_drawdown_is_the_deepest_fall_in_percent() -> None:
    curve = [(NOW + timedelta(hours=hour), value) for hour, value in enumerate((100, 200, 150, 190, 120, 400, 300))]

    found = performance.max_drawdown(curve)

    assert (found.lamports, found.percent) == (80, 40)
    assert (found.peak_at, found.trough_at) == (NOW + timedelta(hours=1), NOW + timedelta(hours=4))
    assert performance.max_drawdown([]).percent == 0


def test_sharpe_and_sortino() -> None:
    returns = [Decimal("0.02"), Decimal("-0.01"), Decimal("0.02"), Decimal("0.01")]

    # mean 0.01, deviation sqrt(0.0006 / 3) = 0.0141421, downside sqrt(0.0001 / 4) = 0.005
    assert round(performance.sharpe(returns, periods_per_year=1) or 0, 6) == Decimal("0.707107")
    assert performance.sortino(returns, periods_per_year=1) == 2
    assert performance.sharpe([Decimal(1)]) is performance.sharpe([Decimal(1), Decimal(1)]) is None
    assert performance.sortino([Decimal(1)]) is None


def test_returns_leave_out_what_came_from_outside() -> None:
    assert performance.returns_of([100, 210, 105], [0, 100, 0]) == [Decimal("0.1"), Decimal("-0.5")]
    assert performance.returns_of([0, 100, 110]) == [Decimal("0.1")]


def test_an_unpriced_position_is_counted_and_left_out() -> None:
    found = performance.summary(
        SOL,
        [trade(10, hours_ago=24), trade(-5, hours_ago=25)],
        [OpenTrade(None, 50, 7), OpenTrade(80, 50, 0)],
        since=NOW - timedelta(hours=24),
        deposits_lamports=3,
    )

    assert (found.portfolio_lamports, found.unrealised_lamports, found.realised_lamports) == (SOL + 83, 30, 17)
    assert (found.open_positions, found.unpriced_positions, found.closed_trades) == (2, 1, 1)
    assert (found.total_lamports, found.win_rate_percent) == (47, 100)


def test_d2_without_a_price_of_sol_there_is_no_usd() -> None:
    assert pnl.usd_of(SOL, None) is None
    assert pnl.usd_of(SOL // 2, Decimal(150)) == 75


def test_d28_part_and_full_sale_share_one_cost_rule() -> None:
    part = pnl.partial_sale(
        cost_lamports=100,
        remaining_units=3,
        sold_units=1,
        net_lamports=50,
        average=Decimal("0.1"),
        sale_price=Decimal("0.15"),
        sol_usd=None,
    )

    assert (part.cost_lamports, part.profit_lamports, part.change_percent, part.usd) == (33, 17, 50, None)
    assert pnl.unrealised(2_000_000, Decimal("0.001"), 6, 67) == 1_999_933


def test_an_average_of_nothing_is_refused() -> None:
    with pytest.raises(Refusal) as refusal:
        pnl.average_price(1, 0, 6)

    assert refusal.value.code == "ZERO_TOKENS"


@pytest.mark.parametrize(
    "payload", [None, {}, {"orderResponse": None}, {"executeResponse": {"inputAmountResult": "1"}}]
)
def test_fees_without_an_order_are_unknown(payload: dict[str, object] | None) -> None:
    assert fees.extract(payload) == fees.Fees(None, None, 0)


def test_calmar_is_a_years_return_over_the_deepest_fall() -> None:
    returns = [Decimal("0.2"), Decimal("-0.1")]  # 1.2 x 0.9 = 1.08: 8 % in a fifth of a year, 40 % a year
    fall = performance.Drawdown(10, Decimal(10), None, None)
    over = timedelta(days=73)

    assert performance.calmar(returns, over=over, drawdown=fall) == 4
    losing = performance.calmar(
        [Decimal("-0.25")], over=timedelta(days=365), drawdown=replace(fall, percent=Decimal(25))
    )
    assert losing == -1


def test_calmar_is_not_defined_without_a_return_a_span_or_a_fall() -> None:
    returns, over = [Decimal("0.2")], timedelta(days=73)
    fall, none = performance.Drawdown(10, Decimal(10), None, None), performance.max_drawdown([])

    assert performance.calmar([], over=over, drawdown=fall) is None
    assert performance.calmar(returns, over=timedelta(0), drawdown=fall) is None
    assert performance.calmar(returns, over=over, drawdown=none) is None
