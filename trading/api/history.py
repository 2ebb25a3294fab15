"""`/agent-historical-swaps`: one row per closed position. Rows are what the engine booked; no client writes."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection
from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.agents import owned
from agents.api.balances import OfAgent
from nexgent import money
from nexgent.accounts.endpoints import Endpoint
from nexgent.accounts.models import Role
from nexgent.accounts.principals import Principal
from nexgent.api import pagination, query
from nexgent.api.openapi import address, decimal, describe, integer, moment, text, uuid, window
from nexgent.api.shapes import Error
from nexgent.api.wire import stamp
from nexgent.errors import InvalidInput, NotFound, Refusal
from trading.rules import pnl
from trading.shapes import ClosedTradeShape
from wallets.api import immutable

USE = "POST /api/v1/agent-positions/:agentId/:positionId/close"
PERCENT_PLACES = Decimal("0.0001")
USD_PLACES = Decimal("0.00000001")

COLUMNS = """
SELECT p.id, p.agent_id, w.address, p.mint, coalesce(nullif(p.symbol, ''), 'TOKEN') AS symbol, p.decimals, p.average,
       p.bought_units, p.invested_lamports, p.received_lamports, p.realised_lamports, p.opened_at, p.closed_at,
       p.close_reason, p.signal_id, p.sol_usd_at_close, purchase.id AS purchase_id, sale.id AS sale_id
"""
FROM = """
FROM trading_position p
JOIN agents_agent g ON g.id = p.agent_id AND g.archived_at IS NULL
JOIN wallets_wallet w ON w.id = p.wallet_id
JOIN wallets_entry purchase ON purchase.order_id = p.opened_by_id AND purchase.epoch = w.epoch
LEFT JOIN LATERAL (
    SELECT e.id FROM trading_order o JOIN wallets_entry e ON e.order_id = o.id
    WHERE o.position_id = p.id AND o.side = 1 AND o.state = 3 ORDER BY e.id DESC LIMIT 1
) sale ON true
WHERE p.closed_at IS NOT NULL
"""
_USD = "p.realised_lamports * p.sol_usd_at_close / 1000000000"
LISTING = pagination.Listing(
    keys={
        "saleTime": pagination.by_time("p.closed_at"),
        "purchaseTime": pagination.by_time("p.opened_at"),
        "profitLossSol": pagination.by_number("p.realised_lamports"),
    },
    tie=pagination.by_id("p.id"),
    default="-saleTime",
)


def swap_wire(row: dict[str, Any]) -> dict[str, Any]:
    """One closed trade; decimals as text, P/L over the whole life of the position."""
    average, bought, decimals = row["average"], int(row["bought_units"]), row["decimals"]
    sale = pnl.full_sale(
        invested_lamports=int(row["invested_lamports"]),
        received_lamports=int(row["received_lamports"]),
        basis_lamports=pnl.basis(bought, average, decimals),
        sol_usd=row["sol_usd_at_close"],
    )
    signal_id = row["signal_id"]
    return {
        "id": row["id"],
        "agentId": row["agent_id"],
        "walletAddress": row["address"],
        "tokenAddress": row["mint"],
        "tokenSymbol": row["symbol"],
        "amount": money.text(money.tokens(bought, decimals)),
        "purchasePrice": money.text(average),
        "salePrice": money.text(pnl.average_sale_price(int(row["received_lamports"]), bought, decimals)),
        "changePercent": money.text(sale.change_percent.quantize(PERCENT_PLACES)),
        "profitLossUsd": "0" if sale.usd is None else money.text(sale.usd.quantize(USD_PLACES)),
        "profitLossSol": money.text(money.sol(sale.profit_lamports)),
        "purchaseTime": stamp(row["opened_at"]),
        "saleTime": stamp(row["closed_at"]),
        "purchaseTransactionId": row["purchase_id"],
        "saleTransactionId": row["sale_id"],
        "signalId": None if signal_id is None else str(signal_id),
        "closeReason": row["close_reason"],
        "createdAt": stamp(row["closed_at"]),
    }


def _fetch(where: list[str], values: dict[str, Any], window: pagination.Window | None = None) -> list[dict[str, Any]]:
    tail = ""
    if window is not None:
        where, tail, values = [*where, *window.condition()], window.tail(), {**values, **window.parameters()}
    with connection.cursor() as cursor:
        cursor.execute(COLUMNS + " AND ".join([FROM, *where]) + tail, values)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _count(where: list[str], values: dict[str, Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*)" + " AND ".join([FROM, *where]), values)
        return int(cursor.fetchone()[0])


def _decimal(request: Request, name: str) -> Decimal | None:
    value = query.text(request, name, length_max=40)
    if value is None:
        return None
    if not value.lstrip("-").replace(".", "", 1).isdecimal() or not value.isascii():
        raise InvalidInput({name: "must be a decimal number"})
    return Decimal(value)


def _id(request: Request, name: str) -> UUID | None:
    return query.uuid_param(request, name, required=False)


def filters(request: Request, agent_id: UUID) -> tuple[list[str], dict[str, Any]]:
    """The conditions of a query string on one agent's closed trades, and their values. Raises InvalidInput."""
    where: list[str] = ["p.agent_id = %(agent)s"]
    values: dict[str, Any] = {"agent": agent_id}
    for condition, name, value in _filters(request):
        if value is not None:
            where.append(f"{condition} %({name})s")
            values[name] = value
    return where, values


def _filters(request: Request) -> list[tuple[str, str, Any]]:
    return [
        ("w.address =", "walletAddress", query.text(request, "walletAddress")),
        ("p.mint =", "tokenAddress", query.text(request, "tokenAddress")),
        ("p.symbol =", "tokenSymbol", query.text(request, "tokenSymbol")),
        ("p.opened_at >=", "startPurchaseTime", query.moment(request, "startPurchaseTime")),
        ("p.opened_at <=", "endPurchaseTime", query.moment(request, "endPurchaseTime")),
        ("p.closed_at >=", "startSaleTime", query.moment(request, "startSaleTime")),
        ("p.closed_at <=", "endSaleTime", query.moment(request, "endSaleTime")),
        ("p.signal_id =", "signalId", query.integer(request, "signalId")),
        ("purchase.id =", "purchaseTransactionId", _id(request, "purchaseTransactionId")),
        ("sale.id =", "saleTransactionId", _id(request, "saleTransactionId")),
        (f"{_USD} >=", "minProfitLossUsd", _decimal(request, "minProfitLossUsd")),
        (f"{_USD} <=", "maxProfitLossUsd", _decimal(request, "maxProfitLossUsd")),
    ]


def one(principal: Principal, swap_id: str) -> dict[str, Any]:
    wanted = query.uuid_of(swap_id, "id")
    values = {"workspace": principal.workspace_id, "id": wanted}
    rows = _fetch(["p.workspace_id = %(workspace)s", "p.id = %(id)s"], values)
    if not rows or not principal.sees(rows[0]["agent_id"]):
        raise NotFound("historical_swap")
    return rows[0]


FILTERS = (
    uuid("agentId").required(),
    address("walletAddress"),
    text("tokenAddress"),
    text("tokenSymbol"),
    moment("startPurchaseTime"),
    moment("endPurchaseTime"),
    moment("startSaleTime"),
    moment("endSaleTime"),
    integer("signalId"),
    uuid("purchaseTransactionId"),
    uuid("saleTransactionId"),
    decimal("minProfitLossUsd"),
    decimal("maxProfitLossUsd"),
)
"""What `filters` reads of a request."""


class Swaps(Endpoint):
    scopes = {"GET": "history"}
    roles = {"POST": Role.VIEWER}

    @describe(
        "listClosedTrades",
        "Closed positions of an agent, newest first",
        tag="Ledger",
        answer=list[ClosedTradeShape],
        refusals=("AGENT_NOT_FOUND",),
        query=(
            *FILTERS,
            text("q", "Part of token or close reason."),
            *window(LISTING),
        ),
    )
    def get(self, request: Request) -> Response:
        agent = owned(request.principal, str(query.uuid_param(request, "agentId")))
        where, values = filters(request, agent.id)
        search = query.text(request, "q")
        if search is not None:
            where.append("strpos(lower(concat_ws(' ', p.symbol, p.mint, p.close_reason)), lower(%(q)s)) > 0")
            values["q"] = search
        window = pagination.read(request, LISTING)
        return pagination.respond(
            request,
            window,
            _fetch(where, values, window),
            wire=lambda rows: [swap_wire(row) for row in rows],
            total=lambda: _count(where, values),
        )

    @describe(
        "createClosedTrade",
        "Refused: closed trades are what the engine booked",
        tag="Ledger",
        body=OfAgent,
        example={"agentId": "0190a6a0-0000-7000-8000-000000000001"},
        refusals=("AGENT_NOT_FOUND",),
        status=409,
        answer=Error,
    )
    def post(self, request: Request) -> Response:
        given = request.data.get("agentId") if isinstance(request.data, dict) else None
        if not isinstance(given, str):
            raise InvalidInput({"agentId": "is required"})
        owned(request.principal, given)
        raise immutable(USE)


class OneSwap(Endpoint):
    scopes = {"GET": "history"}
    roles = {"PUT": Role.VIEWER, "DELETE": Role.VIEWER}

    @describe("getClosedTrade", "One closed trade", tag="Ledger", answer=ClosedTradeShape)
    def get(self, request: Request, swap_id: str) -> Response:
        return Response(swap_wire(one(request.principal, swap_id)))

    @describe("updateClosedTrade", "Refused: closed trades are never edited", tag="Ledger", status=409, answer=Error)
    def put(self, request: Request, swap_id: str) -> Response:
        raise self._refusal(request, swap_id)

    @describe("deleteClosedTrade", "Refused: closed trades are never deleted", tag="Ledger", status=409, answer=Error)
    def delete(self, request: Request, swap_id: str) -> Response:
        raise self._refusal(request, swap_id)

    def _refusal(self, request: Request, swap_id: str) -> Refusal:
        one(request.principal, swap_id)
        return immutable(USE)
