"""`/agent-historical-swaps/export`: closed trades as CSV, oldest first, in SOL or in USD of the time of each trade."""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from django.db import connection
from rest_framework.request import Request

from agents.api.agents import owned
from nexgent import clock, money
from nexgent.accounts.endpoints import Endpoint
from nexgent.accounts.models import Role
from nexgent.api import query, sheets
from nexgent.api.openapi import choice, describe, text
from nexgent.api.throttling import EXPORTS
from trading.api.history import COLUMNS, FILTERS, FROM, filters, swap_wire
from trading.rules import pnl

CURRENCIES = ("USD", "SOL")
SIGNAL_TEXTS = dict[int, tuple[str, str]]
"""Type and activation reason by signal id."""

# USD per SOL of all buys and of all sales of a position, each weighted by its lamports.
_RATES = """
SELECT f.position_id, f.side, sum(f.lamports * f.sol_usd) / nullif(sum(f.lamports), 0)
FROM (
    SELECT p.id AS position_id, o.side, fill.sol_usd,
           CASE WHEN o.side = 0 THEN fill.amount_in ELSE fill.amount_out END AS lamports
    FROM trading_position p
    JOIN trading_order o ON o.position_id = p.id OR o.id = p.opened_by_id
    JOIN trading_fill fill ON fill.order_id = o.id
    WHERE p.id = ANY(%(ids)s)
) f
GROUP BY f.position_id, f.side HAVING bool_and(f.sol_usd IS NOT NULL)
"""
_BUY, _SELL = 0, 1


class Export(Endpoint):
    """A row per closed position. `solPrice` of existing clients is accepted and ignored."""

    scopes = {"GET": "history"}
    roles = {"GET": Role.AUDITOR}
    throttles = {"GET": (EXPORTS,)}
    signal_texts: ClassVar[Callable[[UUID, list[int]], SIGNAL_TEXTS] | None] = None
    """What the signals of a workspace said; given by the layer that knows signals."""

    @describe(
        "exportClosedTrades",
        "Closed trades as CSV, oldest first",
        tag="Ledger",
        answer=str,
        produces="text/csv",
        refusals=("AGENT_NOT_FOUND",),
        query=(
            *FILTERS,
            text("timezone", "IANA name; UTC without.", length_max=64),
            choice("currency", CURRENCIES, default="USD"),
            text("solPrice", "Ignored: each trade has the price of its time."),
        ),
    )
    def get(self, request: Request) -> sheets.Sheet:
        agent = owned(request.principal, str(query.uuid_param(request, "agentId")))
        currency = query.choice(request, "currency", CURRENCIES, default="USD") or "USD"
        zone = sheets.zone_of(request)
        where, values = filters(request, agent.id)

        def cells(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
            said = self._said(request.principal.workspace_id, rows)
            rates = _rates([row["id"] for row in rows]) if currency == "USD" else {}
            return [
                [sheets.moment(row["closed_at"], zone), *_cells(row, currency, rates, said.get(row["signal_id"]))]
                for row in rows
            ]

        return sheets.Sheet(
            (cells(rows) for rows in _batches(where, values)),
            header=header(currency),
            file_name=f"agent-trades-{clock.now().astimezone(zone):%Y-%m-%d}.csv",
        )

    def _said(self, workspace_id: UUID, rows: Sequence[dict[str, Any]]) -> SIGNAL_TEXTS:
        ask: Any = self.signal_texts
        ids = sorted({row["signal_id"] for row in rows if row["signal_id"] is not None})
        return {} if ask is None or not ids else ask(workspace_id, ids)


def header(currency: str) -> list[str]:
    return [
        "Time",
        "Token Symbol",
        "Token Address",
        "Amount",
        f"Average Purchase Price ({currency})",
        f"Sale Price ({currency})",
        f"Profit / Loss ({currency})",
        "Change (%)",
        "Signal ID",
        "Signal Type",
        "Activation Reason",
    ]


@money.exact
def _cells(
    row: dict[str, Any], currency: str, rates: dict[tuple[UUID, int], Decimal], said: tuple[str, str] | None
) -> list[str]:
    wire = swap_wire(row)
    bought, sold = Decimal(wire["purchasePrice"]), Decimal(wire["salePrice"])
    if currency == "USD":
        places, profit_places = 8, 2
        at_purchase, at_sale = rates.get((row["id"], _BUY)), rates.get((row["id"], _SELL))
        prices = (None if at_purchase is None else bought * at_purchase, None if at_sale is None else sold * at_sale)
        profit = pnl.usd_of(int(row["realised_lamports"]), row["sol_usd_at_close"])
    else:
        places, profit_places, prices, profit = 10, 4, (bought, sold), Decimal(wire["profitLossSol"])
    kind, reason = said or ("", "")
    return [
        sheets.text(wire["tokenSymbol"]),
        sheets.text(wire["tokenAddress"]),
        sheets.number(Decimal(wire["amount"]), places=2),
        *(sheets.number(price, places=places) for price in prices),
        sheets.number(profit, places=profit_places, is_signed=True),
        sheets.number(Decimal(wire["changePercent"]), places=2),
        wire["signalId"] or "",
        sheets.text(kind),
        sheets.text(reason),
    ]


def _batches(where: list[str], values: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """Rows oldest first, each batch a short query of its own that goes on after the one before."""
    after = ""
    while True:
        sql = COLUMNS + " AND ".join([FROM, *where]) + after + " ORDER BY p.closed_at, p.id LIMIT %(batch)s"
        with connection.cursor() as cursor:
            cursor.execute(sql, {**values, "batch": sheets.BATCH})
            names = [column.name for column in cursor.description]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        if rows:
            yield rows
        if len(rows) < sheets.BATCH:
            return
        after = " AND (p.closed_at, p.id) > (%(last_at)s, %(last_id)s)"
        values = {**values, "last_at": rows[-1]["closed_at"], "last_id": rows[-1]["id"]}


def _rates(position_ids: list[UUID]) -> dict[tuple[UUID, int], Decimal]:
    """USD per SOL by (position, side); absent where a fill knew none."""
    with connection.cursor() as cursor:
        cursor.execute(_RATES, {"ids": position_ids})
        return {(position_id, side): rate for position_id, side, rate in cursor.fetchall() if rate is not None}
