"""`/agents/:id/statistics`: how well an agent trades, beyond profit: risk, ratios, streaks."""

from decimal import Decimal
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.agents import owned
from nexgent import money
from nexgent.accounts.endpoints import Endpoint
from nexgent.api import openapi, query
from nexgent.api.openapi import describe
from nexgent.api.wire import sol_text, stamp_or_none
from trading.api.performance import wallet_of
from trading.performance import selectors
from trading.rule_shapes import StatisticsShape

RATIO_PLACES = Decimal("0.00000001")
SOL_PLACES = Decimal("0.000000001")


def _ratio(value: Decimal | None) -> str | None:
    return None if value is None else money.text(value.quantize(RATIO_PLACES, context=money.EXACT))


def _mean_sol(lamports: Decimal | None) -> str | None:
    if lamports is None:
        return None
    return money.text(money.EXACT.divide(lamports, money.LAMPORTS_PER_SOL).quantize(SOL_PLACES))


def statistics_wire(found: selectors.Statistics) -> dict[str, Any]:
    """Ratios at eight decimals, means at one lamport; what is not defined is null."""
    trades, fall = found.trades, found.drawdown
    return {
        "trades": trades.trades,
        "wins": trades.wins,
        "losses": trades.losses,
        "winRatePercent": _ratio(trades.win_rate_percent),
        "grossProfitSol": sol_text(trades.gross_profit_lamports),
        "grossLossSol": sol_text(trades.gross_loss_lamports),
        "profitFactor": _ratio(trades.profit_factor),
        "expectancySol": _mean_sol(trades.expectancy_lamports),
        "averageWinSol": _mean_sol(trades.average_win_lamports),
        "averageLossSol": _mean_sol(trades.average_loss_lamports),
        "bestTradeSol": None if trades.best_lamports is None else sol_text(trades.best_lamports),
        "worstTradeSol": None if trades.worst_lamports is None else sol_text(trades.worst_lamports),
        "averageReturnPercent": _ratio(trades.average_return_percent),
        "holdingSecondsAverage": _ratio(trades.holding_seconds_average),
        "holdingSecondsMedian": _ratio(trades.holding_seconds_median),
        "longestWinStreak": trades.win_streak,
        "longestLossStreak": trades.loss_streak,
        "maxDrawdown": {
            "sol": sol_text(fall.lamports),
            "percent": _ratio(fall.percent),
            "peakAt": stamp_or_none(fall.peak_at),
            "troughAt": stamp_or_none(fall.trough_at),
        },
        "sharpe": _ratio(found.sharpe),
        "sortino": _ratio(found.sortino),
        "calmar": _ratio(found.calmar),
        "equityPoints": found.points,
    }


class Statistics(Endpoint):
    scopes = {"GET": "agents"}

    @describe(
        "getStatistics",
        "Statistics of an agent's closed trades and of its hourly equity",
        tag="Agents",
        description="Sharpe, Sortino, Calmar ratio on a year's scale; what came from outside is neither gain nor loss.",
        answer=StatisticsShape,
        query=(openapi.address("walletAddress", "One of the agent's wallets."),),
        refusals=("WALLET_NOT_FOUND",),
    )
    def get(self, request: Request, agent_id: str) -> Response:
        agent = owned(request.principal, agent_id)
        address = query.text(request, "walletAddress", length_max=44)
        wallet_id = None if address is None else wallet_of(agent, address)
        return Response(statistics_wire(selectors.statistics(agent_id=agent.id, wallet_id=wallet_id)))
