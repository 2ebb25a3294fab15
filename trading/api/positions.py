"""`/agent-positions`: what an agent holds now, valued at the latest price, and the order to close it."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.agents import owned
from agents.models import Agent
from nexgent import clock, money
from nexgent.accounts.endpoints import Endpoint
from nexgent.accounts.principals import Principal
from nexgent.api import pagination, query
from nexgent.api.openapi import address, describe, flag, text, window
from nexgent.api.wire import number, number_or_none, sol_number, stamp, stamp_or_none
from nexgent.errors import NotFound
from prices import selectors as prices
from prices.records import EXIT_MAX_AGE, PriceTick
from trading.models import Position
from trading.parts import Parts, parts_of
from trading.rules import pnl
from trading.shapes import LadderSummaryShape, PositionShape

PERCENT_PLACES = 8
USD_PLACES = 12
LISTING = pagination.Listing(
    keys={"createdAt": pagination.by_id("id")}, tie=pagination.by_id("id"), default="-createdAt", limit_default=None
)


def open_positions(agent: Agent, *, address: str | None = None) -> list[Position]:
    """The agent's open positions, newest first."""
    return list(open_rows(agent, address=address).order_by("-id"))


def open_rows(agent: Agent, *, address: str | None = None) -> QuerySet[Position]:
    """The same as a query set without an order."""
    rows = Position.objects.filter(agent=agent, closed_at=None).select_related("wallet", "watermark")
    return rows if address is None else rows.filter(wallet__address=address)


def owned_position(principal: Principal, agent_id: str, position_id: str) -> Position:
    """The caller's position, closed or not; raises `NotFound` for absent and foreign ones."""
    agent = owned(principal, agent_id)
    wanted = query.uuid_of(position_id, "positionId")
    position = Position.objects.select_related("wallet").filter(id=wanted, agent=agent).first()
    if position is None:
        raise NotFound("position")
    return position


def positions_wire(rows: Sequence[Position]) -> list[dict[str, Any]]:
    """The rows in the reference's groups; one read of prices, one of entries."""
    if not rows:
        return []
    now = clock.now()
    ticks, sol_usd = prices.latest(sorted({row.token_id for row in rows})), prices.sol_usd(now)
    parts = parts_of([row.id for row in rows])
    return [_wire(row, parts[row.id], ticks.get(row.token_id), sol_usd, now) for row in rows]


def price_state(tick: PriceTick | None, now: datetime) -> str:
    """fresh, stale (known but older than exits allow), or unpriced (never had one)."""
    if tick is None:
        return "unpriced"
    return "fresh" if prices.is_fresh(tick, now=now, max_age=EXIT_MAX_AGE) else "stale"


@money.exact
def _wire(
    row: Position, parts: Parts, tick: PriceTick | None, sol_usd: Decimal | None, now: datetime
) -> dict[str, Any]:
    """Unpriced positions carry the reference's stand-ins: the purchase price, no profit, USD 0."""
    price = row.average if tick is None else tick.price_sol
    usd = Decimal(0) if sol_usd is None or tick is None else sol_usd
    value = money.value_lamports(row.remaining_units, price, row.decimals)
    profit = 0 if tick is None else pnl.unrealised(row.remaining_units, price, row.decimals, row.cost_lamports)
    mark = getattr(row, "watermark", None)
    return {
        "id": row.id,
        "agentId": row.agent_id,
        "walletAddress": row.wallet.address,
        "tokenAddress": row.token_id,
        "tokenSymbol": row.symbol or "TOKEN",
        "signalId": row.signal_id,
        "purchaseTransactionId": parts.opened,
        "purchase": {
            "priceNative": number(row.average),
            "priceUsd": number(row.average * (sol_usd or 0), places=USD_PLACES),
            "amount": number(money.tokens(row.bought_units, row.decimals)),
            "transaction": {"id": parts.opened, "hash": None, "time": stamp(row.opened_at)},
        },
        "current": {
            "priceNative": number(price),
            "priceUsd": number(price * usd, places=USD_PLACES),
            "valueNative": sol_number(value),
            "valueUsd": number(money.sol(value) * usd, places=USD_PLACES),
        },
        "profitLoss": {
            "native": sol_number(profit),
            "usd": number(money.sol(profit) * usd, places=USD_PLACES),
            "percent": number(_percent(profit, row.cost_lamports), places=PERCENT_PLACES),
            "priceChangePercent": number(_change(price, row.average), places=PERCENT_PLACES),
            "realized": sol_number(row.realised_lamports),
        },
        "stopLoss": {
            "percentage": number_or_none(mark.stop_percent if mark else None),
            "peakPrice": number_or_none(mark.peak if mark else None),
        },
        "takeProfit": _ladder_wire(row, parts),
        "dca": {
            "count": row.dca_count,
            "totalInvestedSol": sol_number(row.invested_lamports),
            "lastDcaTime": stamp_or_none(row.last_dca_at),
            "transactionIds": parts.dca,
        },
        "priceState": price_state(tick, now),
        "priceTime": None if tick is None else stamp(tick.observed_at),
        "untradableSince": stamp_or_none(row.untradable_at),
        "createdAt": stamp(row.opened_at),
        "updatedAt": stamp(row.updated_at),
    }


def _ladder_wire(row: Position, parts: Parts) -> dict[str, Any]:
    sold = row.bought_units - row.remaining_units
    bag = row.moon_bag_units
    return {
        "levelsHit": row.levels_hit,
        "totalLevels": row.total_levels,
        "tpBatchStartLevel": row.batch_start,
        "remainingAmount": number(money.tokens(row.remaining_units, row.decimals)),
        "originalAmount": number(money.tokens(row.bought_units, row.decimals)),
        "soldPercent": number(_percent(sold, row.bought_units), places=PERCENT_PLACES),
        "moonBagActivated": row.moon_bag_active,
        "moonBagAmount": None if bag is None else number(money.tokens(bag, row.decimals)),
        "lastTakeProfitTime": stamp_or_none(row.last_take_profit_at),
        "transactionIds": parts.ladder,
    }


def _percent(part: int, whole: int) -> Decimal:
    return Decimal(part) * 100 / whole if whole else Decimal(0)


def _change(price: Decimal, average: Decimal) -> Decimal:
    return (price - average) * 100 / average if average else Decimal(0)


class AgentPositions(Endpoint):
    scopes = {"GET": "positions"}

    @describe(
        "listPositions",
        "Open positions of an agent, newest first",
        tag="Trading",
        answer=list[PositionShape],
        query=(address("walletAddress"), text("q", "Part of symbol or token."), *window(LISTING)),
    )
    def get(self, request: Request, agent_id: str) -> Response:
        agent = owned(request.principal, agent_id)
        rows, search = open_rows(agent, address=query.text(request, "walletAddress")), query.text(request, "q")
        if search is not None:
            rows = rows.filter(Q(symbol__icontains=search) | Q(token__mint__icontains=search))
        wanted = pagination.read(request, LISTING)
        return pagination.respond(request, wanted, wanted.rows(rows), wire=positions_wire, total=rows.count)


class LadderSummary(Endpoint):
    scopes = {"GET": "positions"}

    @describe(
        "getLadderSummary",
        "Levels hit and moon bags of an agent",
        tag="Trading",
        answer=LadderSummaryShape,
        query=(flag("includePositions"),),
    )
    def get(self, request: Request, agent_id: str) -> Response:
        rows = open_positions(owned(request.principal, agent_id))
        body: dict[str, Any] = {
            "totalPositions": len(rows),
            "positionsWithTakeProfitHit": sum(1 for row in rows if row.levels_hit),
            "activeMoonBags": sum(1 for row in rows if row.moon_bag_active),
            "totalLevelsHit": sum(row.levels_hit for row in rows),
        }
        if query.flag(request, "includePositions"):
            body["positions"] = [_summary_row(row) for row in rows]
        return Response(body)


def _summary_row(row: Position) -> dict[str, Any]:
    return {
        "id": row.id,
        "tokenSymbol": row.symbol or "TOKEN",
        "levelsHit": row.levels_hit,
        "remainingPercent": number(_percent(row.remaining_units, row.bought_units), places=PERCENT_PLACES),
        "moonBagActivated": row.moon_bag_active,
        "lastTakeProfitTime": stamp_or_none(row.last_take_profit_at),
    }
