"""How well an agent trades: the summary of the reference, and the usual statistics over closed trades and equity.

Amounts are lamports, ratios and percentages exact decimals. A figure that is not defined for the given facts is None,
never a stand-in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from nexgent.money import exact, floor
from trading.rules.gain import HUNDRED, ZERO

DAYS_PER_YEAR = 365
"""These markets never close."""


@dataclass(frozen=True, slots=True)
class ClosedTrade:
    """One closed position."""

    profit_lamports: int
    cost_lamports: int
    change_percent: Decimal
    opened_at: datetime
    closed_at: datetime


@dataclass(frozen=True, slots=True)
class OpenTrade:
    """One open position; `value_lamports` is None while it has no price.

    The value may carry fractions of a lamport: totals are rounded down once.
    """

    value_lamports: int | Decimal | None
    cost_lamports: int
    realised_lamports: int


@dataclass(frozen=True, slots=True)
class Summary:
    """Unpriced positions are counted and left out of every total except what they have realised."""

    portfolio_lamports: int
    total_lamports: int
    realised_lamports: int
    unrealised_lamports: int
    average_return_percent: Decimal
    win_rate_percent: Decimal
    closed_trades: int
    open_positions: int
    unpriced_positions: int


@exact
def summary(
    balance_lamports: int,
    closed: Sequence[ClosedTrade],
    open_trades: Sequence[OpenTrade],
    *,
    since: datetime | None = None,
    deposits_lamports: int = 0,
) -> Summary:
    """Portfolio, P/L and win rate; `since` limits the closed trades only, that moment included.

    `deposits_lamports` are refundable rent deposits. A trade without profit is not a win.
    """
    counted = [trade for trade in closed if since is None or trade.closed_at >= since]
    priced = [(trade.value_lamports, trade.cost_lamports) for trade in open_trades if trade.value_lamports is not None]
    value = floor(sum((Decimal(value) for value, _ in priced), ZERO))
    unrealised = value - sum(cost for _, cost in priced)
    realised = sum(trade.profit_lamports for trade in counted) + sum(trade.realised_lamports for trade in open_trades)
    wins = sum(1 for trade in counted if trade.profit_lamports > 0)
    return Summary(
        portfolio_lamports=balance_lamports + deposits_lamports + value,
        total_lamports=realised + unrealised,
        realised_lamports=realised,
        unrealised_lamports=unrealised,
        average_return_percent=_mean([trade.change_percent for trade in counted]) or ZERO,
        win_rate_percent=Decimal(wins) * HUNDRED / len(counted) if counted else ZERO,
        closed_trades=len(counted),
        open_positions=len(open_trades),
        unpriced_positions=len(open_trades) - len(priced),
    )


@dataclass(frozen=True, slots=True)
class Statistics:
    """Over closed trades, in order of their close."""

    trades: int
    wins: int
    losses: int
    win_rate_percent: Decimal | None
    gross_profit_lamports: int
    gross_loss_lamports: int
    """Not negative."""
    profit_factor: Decimal | None
    expectancy_lamports: Decimal | None
    average_win_lamports: Decimal | None
    average_loss_lamports: Decimal | None
    """Not negative."""
    best_lamports: int | None
    worst_lamports: int | None
    average_return_percent: Decimal | None
    holding_seconds_average: Decimal | None
    holding_seconds_median: Decimal | None
    win_streak: int
    loss_streak: int


@exact
def statistics(trades: Sequence[ClosedTrade]) -> Statistics:
    """Statistics of closed trades.

    Profit factor = gross profit / gross loss, None without a loss (R. Pardo, The Evaluation and Optimization of
    Trading Strategies, 2008). Expectancy = mean profit per trade = win rate x average win - loss rate x average loss
    (V. Tharp, Trade Your Way to Financial Freedom, 1998).
    """
    ordered = sorted(trades, key=lambda trade: trade.closed_at)
    profits = [trade.profit_lamports for trade in ordered]
    wins = [profit for profit in profits if profit > 0]
    losses = [-profit for profit in profits if profit < 0]
    held = sorted(_seconds(trade.closed_at - trade.opened_at) for trade in ordered)
    return Statistics(
        trades=len(profits),
        wins=len(wins),
        losses=len(losses),
        win_rate_percent=Decimal(len(wins)) * HUNDRED / len(profits) if profits else None,
        gross_profit_lamports=sum(wins),
        gross_loss_lamports=sum(losses),
        profit_factor=Decimal(sum(wins)) / sum(losses) if losses else None,
        expectancy_lamports=_mean(profits),
        average_win_lamports=_mean(wins),
        average_loss_lamports=_mean(losses),
        best_lamports=max(profits, default=None),
        worst_lamports=min(profits, default=None),
        average_return_percent=_mean([trade.change_percent for trade in ordered]),
        holding_seconds_average=_mean(held),
        holding_seconds_median=_median(held),
        win_streak=_streak([profit > 0 for profit in profits]),
        loss_streak=_streak([profit < 0 for profit in profits]),
    )


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The deepest fall of an equity curve from a peak; times are None when it never fell."""

    lamports: int
    percent: Decimal
    peak_at: datetime | None
    trough_at: datetime | None


@exact
def max_drawdown(equity: Sequence[tuple[datetime, int]]) -> Drawdown:
    """Largest (peak - value) / peak over time, by percent (M. Magdon-Ismail & A. Atiya, Maximum Drawdown, 2004)."""
    worst = Drawdown(0, ZERO, None, None)
    peak, peak_at = 0, None
    for at, value in equity:
        if peak_at is None or value > peak:
            peak, peak_at = value, at
        elif peak > 0 and (percent := Decimal(peak - value) * HUNDRED / peak) > worst.percent:
            worst = Drawdown(peak - value, percent, peak_at, at)
    return worst


def returns_of(equity: Sequence[int], flows: Sequence[int] | None = None) -> list[Decimal]:
    """Returns between consecutive equity values, as fractions; `flows[i]` came from outside before value i.

    A step from nothing is left out.
    """
    outside = flows if flows is not None else [0] * len(equity)
    return _returns(equity, outside)


@exact
def _returns(equity: Sequence[int], flows: Sequence[int]) -> list[Decimal]:
    steps = zip(equity, equity[1:], flows[1:], strict=False)
    return [Decimal(after - flow - before) / before for before, after, flow in steps if before > 0]


@exact
def sharpe(returns: Sequence[Decimal], *, periods_per_year: int = DAYS_PER_YEAR) -> Decimal | None:
    """Mean / standard deviation (n - 1) of the returns x sqrt(periods per year), risk-free rate 0.

    None with fewer than two returns or without variation (W. F. Sharpe, The Sharpe Ratio, 1994).
    """
    mean = _mean(returns)
    if mean is None or len(returns) < 2:
        return None
    deviation = (sum(((value - mean) ** 2 for value in returns), ZERO) / (len(returns) - 1)).sqrt()
    return mean / deviation * Decimal(periods_per_year).sqrt() if deviation else None


@exact
def sortino(returns: Sequence[Decimal], *, periods_per_year: int = DAYS_PER_YEAR) -> Decimal | None:
    """Mean / downside deviation (root mean square of the negative returns over all n) x sqrt(periods per year).

    None without a negative return (F. Sortino & R. van der Meer, Downside Risk, 1991; target 0).
    """
    mean = _mean(returns)
    if mean is None:
        return None
    downside = (sum((value**2 for value in returns if value < 0), ZERO) / len(returns)).sqrt()
    return mean / downside * Decimal(periods_per_year).sqrt() if downside else None


@exact
def calmar(returns: Sequence[Decimal], *, over: timedelta, drawdown: Drawdown) -> Decimal | None:
    """Annualised return / maximum drawdown, both as fractions; `over` is the time from first to last equity value.

    The return is that of all steps chained, on a year's scale without compounding: an hour's gain is not raised to the
    power of 8,760. None without a return, a span or a fall (T. W. Young, Calmar Ratio: A Smoother Tool, 1991).
    """
    if not returns or over <= timedelta(0) or drawdown.percent == ZERO:
        return None
    grown = Decimal(1)
    for value in returns:
        grown *= 1 + value
    years = Decimal(over // timedelta(microseconds=1)) / (timedelta(days=DAYS_PER_YEAR) // timedelta(microseconds=1))
    return (grown - 1) / years / (drawdown.percent / HUNDRED)


def _mean(values: Sequence[Decimal] | Sequence[int]) -> Decimal | None:
    return sum((Decimal(value) for value in values), ZERO) / len(values) if values else None


def _median(ordered: Sequence[Decimal]) -> Decimal | None:
    middle = len(ordered) // 2
    if not ordered:
        return None
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _seconds(duration: timedelta) -> Decimal:
    return Decimal(duration // timedelta(microseconds=1)) / 1_000_000


def _streak(hits: Sequence[bool]) -> int:
    longest = current = 0
    for hit in hits:
        current = current + 1 if hit else 0
        longest = max(longest, current)
    return longest
