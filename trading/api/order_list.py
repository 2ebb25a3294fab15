"""`/orders`: the journal of intents, filtered, and what one order in full adds to its row."""

from collections.abc import Sequence
from typing import Any

from django.db.models import Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.agents import owned
from nexgent.accounts.endpoints import Endpoint, mine
from nexgent.api import openapi, pagination, query
from nexgent.api.openapi import describe
from trading.api.orders import order_wire
from trading.models import Fill, Order, Purpose, Side, State
from trading.order_shapes import OrderRowShape
from wallets.models import Entry

LISTING = pagination.Listing(
    keys={"createdAt": pagination.by_id("id")}, tie=pagination.by_id("id"), default="-createdAt"
)
SIDES = {side.label: side for side in Side}
PURPOSES = {purpose.label: purpose for purpose in Purpose}
STATES = {state.label: state for state in State}
OPEN = "open"
"""Beside the states: everything that is not final."""


def orders_wire(rows: Sequence[Order]) -> list[dict[str, Any]]:
    """The orders as their route shows them; one read of fills, one of ledger entries."""
    ids = [row.id for row in rows]
    fills = {fill.order_id: fill for fill in Fill.objects.filter(order_id__in=ids)}
    entries = dict(Entry.objects.filter(order_id__in=ids).values_list("order_id", "id"))
    return [order_wire(row, fills.get(row.id), entries.get(row.id)) for row in rows]


class Orders(Endpoint):
    """Newest first; of archived agents nothing is shown."""

    scopes = {"GET": "transactions"}

    @describe(
        "listOrders",
        "Orders, newest first",
        tag="Trading",
        answer=list[OrderRowShape],
        query=(
            openapi.uuid("agentId"),
            openapi.uuid("positionId"),
            openapi.choice("state", [*STATES, OPEN], "`open`: all that are not final."),
            openapi.choice("side", SIDES),
            openapi.choice("purpose", PURPOSES),
            openapi.integer("signalId"),
            openapi.text("tokenAddress"),
            openapi.moment("startTime", "Created at this time or later."),
            openapi.moment("endTime", "Created at this time or earlier."),
            openapi.text("q", "Part of the token's address or symbol, of the signal's type or of the error."),
            *openapi.window(LISTING),
        ),
    )
    def get(self, request: Request) -> Response:
        window = pagination.read(request, LISTING)
        rows = self._filtered(request)
        found = window.rows(rows.select_related("token", "wallet", "config"))
        return pagination.respond(request, window, found, wire=orders_wire, total=rows.count)

    def _filtered(self, request: Request) -> QuerySet[Order]:
        rows = mine(Order.objects.filter(agent__archived_at=None), request.principal)
        agent_id = query.uuid_param(request, "agentId", required=False)
        if agent_id is not None:
            rows = rows.filter(agent_id=owned(request.principal, str(agent_id)).id)
        state = query.choice(request, "state", [*STATES, OPEN])
        filters = {
            "state__lt": State.FILLED if state == OPEN else None,
            "state": STATES.get(state or ""),
            "side": SIDES.get(query.choice(request, "side", SIDES) or ""),
            "purpose": PURPOSES.get(query.choice(request, "purpose", PURPOSES) or ""),
            "signal_id": query.integer(request, "signalId"),
            "position_id": query.uuid_param(request, "positionId", required=False),
            "token_id": query.text(request, "tokenAddress"),
            "created_at__gte": query.moment(request, "startTime"),
            "created_at__lte": query.moment(request, "endTime"),
        }
        rows = rows.filter(**{name: value for name, value in filters.items() if value is not None})
        search = query.text(request, "q")
        if search is None:
            return rows
        texts = ("token__mint", "token__symbol", "signal_type", "error_code")
        matches = Q()
        for name in texts:
            matches |= Q(**{f"{name}__icontains": search})
        return rows.filter(matches)
