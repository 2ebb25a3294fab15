"""`/agents/:id/performance`: what an agent's wallets are worth and what its trades earned."""

from datetime import timedelta
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.agents import owned
from agents.api.wallets import open_assignments
from agents.models import Agent
from nexgent import clock, money
from nexgent.accounts.endpoints import Endpoint
from nexgent.api import query
from nexgent.api.wire import number, sol_number
from nexgent.errors import NotFound
from prices import selectors as prices
from trading.api.positions import PERCENT_PLACES
from trading.models import Position
from trading.rules import performance, pnl
from wallets import selectors as wallets

DAY = timedelta(hours=24)


def closed_trades(agent: Agent, wallet_ids: list[Any]) -> list[performance.ClosedTrade]:
    """The closed positions of these wallets, as the statistics want them."""
    rows = Position.objects.filter(agent=agent, wallet_id__in=wallet_ids, closed_at__isnull=False)
    return [
        performance.ClosedTrade(
            profit_lamports=row.realised_lamports,
            cost_lamports=row.invested_lamports,
            change_percent=pnl.full_sale(
                invested_lamports=row.invested_lamports,
                received_lamports=row.received_lamports,
                basis_lamports=pnl.basis(row.bought_units, row.average, row.decimals),
                sol_usd=None,
            ).change_percent,
            opened_at=row.opened_at,
            closed_at=row.closed_at,
        )
        for row in rows.iterator()
        if row.closed_at is not None
    ]


def summary_of(agent: Agent, *, address: str | None, is_last_day: bool) -> performance.Summary:
    """The reference's summary over the agent's wallets (or one). Raises `NotFound` for an address that is not its."""
    wallet_ids = [row.wallet_id for row in open_assignments(agent) if address in (None, row.wallet.address)]
    if not wallet_ids:
        raise NotFound("wallet")
    held = list(Position.objects.filter(agent=agent, wallet_id__in=wallet_ids, closed_at=None))
    ticks = prices.latest(sorted({row.token_id for row in held}))
    open_trades = []
    for row in held:
        tick = ticks.get(row.token_id)
        value = None if tick is None else money.value_lamports(row.remaining_units, tick.price_sol, row.decimals)
        open_trades.append(performance.OpenTrade(value, row.cost_lamports, row.realised_lamports))
    return performance.summary(
        sum(balance.units for balance in wallets.sol_balances(wallet_ids).values()),
        closed_trades(agent, wallet_ids),
        open_trades,
        since=clock.now() - DAY if is_last_day else None,
        deposits_lamports=sum(row.rent_lamports for row in held),
    )


class Performance(Endpoint):
    scopes = {"GET": "agents"}

    def get(self, request: Request, agent_id: str) -> Response:
        agent = owned(request.principal, agent_id)
        timeframe = query.choice(request, "timeframe", {"24h", "all"}, default="all")
        address = query.text(request, "walletAddress", length_max=44)
        found = summary_of(agent, address=address, is_last_day=timeframe == "24h")
        return Response(
            {
                "portfolioBalanceSol": sol_number(found.portfolio_lamports),
                "totalProfitLossSol": sol_number(found.total_lamports),
                "realizedProfitLossSol": sol_number(found.realised_lamports),
                "unrealizedProfitLossSol": sol_number(found.unrealised_lamports),
                "averageReturn": number(found.average_return_percent, places=PERCENT_PLACES),
                "winRate": number(found.win_rate_percent, places=PERCENT_PLACES),
                "totalClosedTrades": found.closed_trades,
                "totalOpenPositions": found.open_positions,
                "unpricedPositions": found.unpriced_positions,
            }
        )
