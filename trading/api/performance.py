"""`/agents/:id/performance` and `/agents/:id/balance-history`: what an agent's wallets are worth and what it earned."""

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.agents import owned
from agents.api.wallets import open_assignments
from agents.models import Agent
from nexgent.accounts.endpoints import Endpoint
from nexgent.api import query
from nexgent.api.openapi import address, choice, describe
from nexgent.api.wire import number, sol_number, sol_text, stamp
from nexgent.errors import InvalidInput, NotFound
from trading.api.positions import PERCENT_PLACES
from trading.models import PortfolioSnapshot
from trading.performance import selectors
from trading.shapes import BalanceHistoryShape, PerformanceShape

TIMEFRAMES = {"24h", "all"}


def wallet_of(agent: Agent, address: str) -> UUID:
    """The wallet of this address among those the agent trades from. Raises NotFound."""
    for assignment in open_assignments(agent):
        if assignment.wallet.address == address:
            return assignment.wallet_id
    raise NotFound("wallet")


class Performance(Endpoint):
    scopes = {"GET": "agents"}

    @describe(
        "getPerformance",
        "What an agent is worth and what it earned",
        tag="Performance",
        answer=PerformanceShape,
        refusals=("WALLET_NOT_FOUND",),
        query=(choice("timeframe", TIMEFRAMES, "Of the closed trades.", default="all"), address("walletAddress")),
    )
    def get(self, request: Request, agent_id: str) -> Response:
        agent = owned(request.principal, agent_id)
        timeframe = query.choice(request, "timeframe", TIMEFRAMES, default="all")
        address = query.text(request, "walletAddress", length_max=44)
        wallet_id = None if address is None else wallet_of(agent, address)
        found = selectors.summary(agent_id=agent.id, timeframe=timeframe, wallet_id=wallet_id)
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


class BalanceHistory(Endpoint):
    scopes = {"GET": "agents"}

    @describe(
        "getBalanceHistory",
        "Hourly snapshots of a wallet",
        tag="Performance",
        answer=BalanceHistoryShape,
        refusals=("WALLET_NOT_FOUND",),
        query=(address("walletAddress").required(), choice("timeframe", TIMEFRAMES, default="24h")),
    )
    def get(self, request: Request, agent_id: str) -> Response:
        agent = owned(request.principal, agent_id)
        timeframe = query.choice(request, "timeframe", TIMEFRAMES, default="24h")
        address = query.text(request, "walletAddress", length_max=44)
        if address is None:
            raise InvalidInput({"walletAddress": "is required"})
        wallet_id = wallet_of(agent, address)
        points = selectors.balance_history(agent_id=agent.id, wallet_id=wallet_id, timeframe=timeframe)
        return Response(
            {"agentId": str(agent.id), "timeframe": timeframe, "snapshots": [_snapshot(point) for point in points]}
        )


def _snapshot(point: PortfolioSnapshot) -> dict[str, Any]:
    return {
        "timestamp": stamp(point.at),
        "portfolioBalanceSol": sol_text(point.equity_lamports),
        "solBalance": sol_text(point.sol_lamports),
        "positionsValueSol": sol_text(point.positions_lamports),
        "unrealizedPnLSol": sol_text(point.unrealised_lamports),
    }
