"""What an agent's wallets are worth and what its trades earned: facts from the tables, formulas from the rules.

Closed positions are those of the current epoch of the wallets, wherever they are shown: a reset begins a new count.
Prices are the newest known ones; a position that never had one is counted and left out of the totals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal
from uuid import UUID

from django.db import connection

from agents.models import Assignment
from nexgent import clock, money
from nexgent.errors import NotFound
from prices import selectors as prices
from trading.models import PortfolioSnapshot, Position
from trading.rules import performance, pnl
from wallets import selectors as wallets

Timeframe = Literal["24h", "all"]
DAY = timedelta(hours=24)
HISTORY_DAY = timedelta(hours=25)
"""A day's chart shows 25 hourly points: both ends."""
HOURS_PER_YEAR = performance.DAYS_PER_YEAR * 24

_CLOSED = """
SELECT p.realised_lamports, p.invested_lamports, p.received_lamports, p.bought_units, p.average, p.decimals,
       p.opened_at, p.closed_at
FROM trading_position p
JOIN wallets_wallet w ON w.id = p.wallet_id
JOIN wallets_entry e ON e.order_id = p.opened_by_id AND e.epoch = w.epoch
WHERE p.agent_id = %(agent)s AND p.wallet_id = ANY(%(wallets)s) AND p.closed_at IS NOT NULL
ORDER BY p.closed_at, p.id
"""
_FLOWS = """
SELECT e.at, sum(p.amount) FROM wallets_entry e JOIN wallets_posting p ON p.entry_id = e.id
WHERE e.wallet_id = ANY(%(wallets)s) AND e.kind IN ('DEPOSIT', 'WITHDRAWAL', 'ADJUSTMENT') AND e.at > %(since)s
  AND p.asset = %(sol)s AND p.kind = 'own'
GROUP BY e.at ORDER BY e.at
"""


@dataclass(frozen=True, slots=True)
class Point:
    """What wallets were worth at one time, in lamports."""

    at: datetime
    equity_lamports: int
    sol_lamports: int
    positions_lamports: int
    unrealised_lamports: int
    unpriced_positions: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """Figures of the closed trades, and of the hourly equity curve up to now (None: not enough points)."""

    trades: performance.Statistics
    drawdown: performance.Drawdown
    sharpe: Decimal | None
    sortino: Decimal | None
    calmar: Decimal | None
    points: int


def wallet_ids(agent_id: UUID, wallet_id: UUID | None = None) -> list[UUID]:
    """The wallets the agent trades from now, or the one asked for. Raises NotFound for one that is not its."""
    found = list(
        Assignment.objects.filter(agent_id=agent_id, ended_at=None).order_by("id").values_list("wallet_id", flat=True)
    )
    if wallet_id is None:
        return found
    if wallet_id not in found:
        raise NotFound("wallet")
    return [wallet_id]


def summary(*, agent_id: UUID, timeframe: Timeframe = "all", wallet_id: UUID | None = None) -> performance.Summary:
    """Portfolio, P/L and win rate of the agent's wallets or one of them; "24h" narrows the closed trades only.

    Raises NotFound for a wallet that is not the agent's.
    """
    mine = wallet_ids(agent_id, wallet_id)
    held = open_positions(agent_id, mine)
    return performance.summary(
        sum(balance.units for balance in wallets.sol_balances(mine).values()),
        closed_trades(agent_id, mine),
        [
            performance.OpenTrade(value, position.cost_lamports, position.realised_lamports)
            for position, value in zip(held, values(held), strict=True)
        ],
        since=clock.now() - DAY if timeframe == "24h" else None,
        deposits_lamports=sum(position.rent_lamports for position in held),
    )


def statistics(*, agent_id: UUID, wallet_id: UUID | None = None) -> Statistics:
    """Statistics of the closed trades; drawdown, Sharpe, Sortino and Calmar ratio of the hourly curve, a year's scale.

    What came from outside (deposits, withdrawals, adjustments) is neither gain nor loss.
    """
    mine = wallet_ids(agent_id, wallet_id)
    curve = _curve(agent_id, mine)
    flows = _flows_between(mine, [at for at, _ in curve])
    equity = [value for _, value in curve]
    returns = performance.returns_of(equity, flows)
    paid_in, earned = 0, []
    for (at, value), flow in zip(curve, flows, strict=True):
        paid_in += flow
        earned.append((at, value - paid_in))
    drawdown = performance.max_drawdown(earned)
    return Statistics(
        trades=performance.statistics(closed_trades(agent_id, mine)),
        drawdown=drawdown,
        sharpe=performance.sharpe(returns, periods_per_year=HOURS_PER_YEAR),
        sortino=performance.sortino(returns, periods_per_year=HOURS_PER_YEAR),
        calmar=performance.calmar(returns, over=curve[-1][0] - curve[0][0], drawdown=drawdown),
        points=len(curve),
    )


def balance_history(*, agent_id: UUID, wallet_id: UUID, timeframe: Timeframe = "24h") -> list[PortfolioSnapshot]:
    """Snapshots, oldest first: "24h" the hours of the last 25, "all" one a day (midnight UTC).

    Raises NotFound for a wallet that never was the agent's.
    """
    if not Assignment.objects.filter(agent_id=agent_id, wallet_id=wallet_id).exists():
        raise NotFound("wallet")
    rows = PortfolioSnapshot.objects.filter(agent_id=agent_id, wallet_id=wallet_id).order_by("at")
    if timeframe == "24h":
        return list(rows.filter(at__gte=clock.now() - HISTORY_DAY))
    return list(rows.filter(at__hour=0))


def worth(*, agent_id: UUID, wallet_id: UUID | None = None) -> Point:
    """What the agent's wallets are worth now."""
    mine = wallet_ids(agent_id, wallet_id)
    return _now(agent_id, mine)


def closed_trades(agent_id: UUID, mine: Sequence[UUID]) -> list[performance.ClosedTrade]:
    """The closed positions of these wallets in their current epoch, in order of their close."""
    with connection.cursor() as cursor:
        cursor.execute(_CLOSED, {"agent": agent_id, "wallets": list(mine)})
        return [
            performance.ClosedTrade(
                profit_lamports=int(realised),
                cost_lamports=int(invested),
                change_percent=pnl.full_sale(
                    invested_lamports=int(invested),
                    received_lamports=int(received),
                    basis_lamports=pnl.basis(int(bought), average, decimals),
                    sol_usd=None,
                ).change_percent,
                opened_at=opened_at,
                closed_at=closed_at,
            )
            for realised, invested, received, bought, average, decimals, opened_at, closed_at in cursor.fetchall()
        ]


def open_positions(agent_id: UUID, mine: Sequence[UUID]) -> list[Position]:
    """The open positions of these wallets."""
    return list(Position.objects.filter(agent_id=agent_id, wallet_id__in=mine, closed_at=None).order_by("id"))


def values(held: Sequence[Position]) -> list[int | None]:
    """What each position is worth at the newest known price, in lamports; None for one that never had any."""
    latest = prices.latest(sorted({position.token_id for position in held}))
    return [
        money.value_lamports(position.remaining_units, tick.price_sol, position.decimals)
        if (tick := latest.get(position.token_id)) is not None
        else None
        for position in held
    ]


def _now(agent_id: UUID, mine: Sequence[UUID]) -> Point:
    held = open_positions(agent_id, mine)
    priced = [(position, value) for position, value in zip(held, values(held), strict=True) if value is not None]
    sol = sum(balance.units for balance in wallets.sol_balances(mine).values())
    positions = sum(value for _, value in priced)
    return Point(
        at=clock.now(),
        equity_lamports=sol + sum(position.rent_lamports for position in held) + positions,
        sol_lamports=sol,
        positions_lamports=positions,
        unrealised_lamports=positions - sum(position.cost_lamports for position, _ in priced),
        unpriced_positions=len(held) - len(priced),
    )


def _curve(agent_id: UUID, mine: Sequence[UUID]) -> list[tuple[datetime, int]]:
    """Equity of the wallets together, hour by hour, and now."""
    hours: dict[datetime, int] = {}
    rows = PortfolioSnapshot.objects.filter(agent_id=agent_id, wallet_id__in=mine).order_by("at")
    for at, equity in rows.values_list("at", "equity_lamports"):
        hours[at] = hours.get(at, 0) + equity
    now = _now(agent_id, mine)
    return [*((at, value) for at, value in hours.items() if at < now.at), (now.at, now.equity_lamports)]


def _flows_between(mine: Sequence[UUID], times: Sequence[datetime]) -> list[int]:
    """Per point: what came from outside after the point before it, in lamports; nothing for the first."""
    with connection.cursor() as cursor:
        cursor.execute(_FLOWS, {"wallets": list(mine), "since": times[0], "sol": money.SOL_MINT})
        flows = [(at, int(amount)) for at, amount in cursor.fetchall()]
    sums, position = [0] * len(times), 1
    for at, amount in flows:
        while position < len(times) - 1 and at > times[position]:
            position += 1
        if position < len(times):
            sums[position] += amount
    return sums
