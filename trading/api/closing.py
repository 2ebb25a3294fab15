"""Closing several positions at once: all of an agent's, or those somebody selects; the answer tells of each.

Every position gets an order of its own, made by the same service as a single close. With an `Idempotency-Key` the
orders carry it: a repeat finds them, goes on where a dead process left, and touches nothing that was opened later.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.agents import owned
from nexgent import clock, money
from nexgent.accounts.endpoints import Endpoint
from nexgent.api import idempotency
from nexgent.api.bodies import Body, DecimalValue, read
from nexgent.api.openapi import describe
from nexgent.errors import NotFound, Refusal
from nexgent.ids import key_uuid
from trading import services
from trading.api.orders import WAIT_SECONDS
from trading.models import OPEN_STATES, Fill, Order, Position, Purpose, State
from trading.order_shapes import ClosesShape
from wallets.models import Kind

ROUNDS_MAX = 3
"""So often a position is tried whose sale is under way: by then a ladder step has become final."""


class CloseAllBody(Body):
    percent: DecimalValue | None = Field(default=None, gt=0, le=100)


@dataclass(slots=True)
class Closing:
    """One position on its way: the order that sells it, or why there is none."""

    position: Position
    order_id: UUID | None = None
    refusal: Refusal | None = None
    order: Order | None = None

    @property
    def blocker(self) -> UUID | None:
        """The order of somebody else that is selling this position now."""
        details = self.refusal.details if self.refusal is not None else None
        if self.refusal is None or self.refusal.code != "SALE_IN_PROGRESS" or not isinstance(details, dict):
            return None
        return UUID(details["orderId"]) if "orderId" in details else None


class CloseAll(Endpoint):
    """Every open position of an agent, in any of its wallets. Never limited by a throttle."""

    scopes = {"POST": "trade"}
    is_unlimited: ClassVar[bool] = True

    @describe(
        "closeAllPositions",
        "Close all open positions of an agent",
        tag="Trading",
        description="Of each: the order, what became of it, or why it was refused. 202 while some are on their way.",
        body=CloseAllBody,
        body_required=False,
        answer=ClosesShape,
        also={202: ClosesShape},
        idempotent=True,
        example={},
    )
    def post(self, request: Request, agent_id: str) -> Response:
        body = read(CloseAllBody, request.data)
        agent = owned(request.principal, agent_id)
        return closed_each(request, Position.objects.filter(agent=agent), percent=body.percent)


def closed_each(
    request: Request, selected: QuerySet[Position], *, percent: Decimal | None = None, is_empty_missing: bool = False
) -> Response:
    """Close the open ones of `selected` and answer with what became of each: 200, or 202 while some go on.

    `is_empty_missing`: nothing to close is NotFound instead of an empty answer.
    """
    given = idempotency.key_of(request)
    claimed = idempotency.claim(request, given) if given else None
    if isinstance(claimed, Response):
        return claimed
    batch = None if given is None else str(key_uuid(f"{request.method} {request.path_info}|{given}"))
    forget = True
    try:
        positions = _positions(selected, request.principal.name_in_workspace, batch)
        if is_empty_missing and not positions:
            raise NotFound("position")
        forget = False
        response = _answer(_closed(positions, request.principal.name_in_workspace, batch, percent))
    except Exception:
        if claimed is not None:
            idempotency.release(claimed, forget=forget)
        raise
    if claimed is not None and response.status_code == 202:
        idempotency.release(claimed, forget=False)
    elif claimed is not None:
        idempotency.settle(claimed, response)
    return response


def _positions(selected: QuerySet[Position], principal: str, batch: str | None) -> list[Position]:
    """The open positions; in a repeat those that an earlier try began with, and no newer ones."""
    rows = selected.select_related("wallet", "token")
    is_open = rows.filter(closed_at=None)
    begun = [] if batch is None else _begun(selected, services.manual_key(principal, f"{batch}:"))
    if not begun:
        return list(is_open.order_by("id"))
    first = min(order.created_at for order in begun)
    ids = {order.position_id for order in begun} | set(
        is_open.filter(opened_at__lte=first).values_list("id", flat=True)
    )
    return list(rows.filter(id__in=ids).order_by("id"))


def _begun(selected: QuerySet[Position], prefix: str) -> list[Order]:
    agents = selected.order_by().values("agent_id").distinct()
    since = clock.now() - idempotency.KEPT - timedelta(minutes=1)
    sales = Order.objects.filter(agent_id__in=agents, purpose=Purpose.MANUAL, created_at__gte=since)
    return list(sales.filter(key_text__startswith=prefix, position_id__isnull=False))


def _closed(positions: Sequence[Position], principal: str, batch: str | None, percent: Decimal | None) -> list[Closing]:
    """Plan all sales, then wait for all of them together."""
    is_live = any(position.wallet.kind == Kind.LIVE for position in positions)
    end = time.monotonic() + WAIT_SECONDS[Kind.LIVE if is_live else Kind.SIMULATION]
    closings = [Closing(position) for position in positions]
    waiting = closings
    for _ in range(ROUNDS_MAX):
        for closing in waiting:
            _plan(closing, principal, batch, percent)
        waiting = [closing for closing in waiting if closing.blocker is not None]
        blockers = [closing.blocker for closing in waiting if closing.blocker is not None]
        if not blockers or not all(order.state not in OPEN_STATES for order in _final(blockers, end)):
            break
    planned = {closing.order_id: closing for closing in closings if closing.order_id is not None}
    for order in _final(planned, end):
        planned[order.id].order = order
    return closings


def _plan(closing: Closing, principal: str, batch: str | None, percent: Decimal | None) -> None:
    key = None if batch is None else f"{batch}:{closing.position.id}"
    closing.refusal = None
    try:
        closing.order_id = services.position_close(
            position_id=closing.position.id, principal=principal, percent=percent, idempotency_key=key
        )
    except Refusal as refusal:
        closing.refusal = refusal


def _final(order_ids: Iterable[UUID], end: float) -> list[Order]:
    """The orders, each final or as it stands when the time is up."""
    return [services.wait_final(order_id, max(0.0, end - time.monotonic())) for order_id in order_ids]


def _answer(closings: Sequence[Closing]) -> Response:
    ids = [closing.position.id for closing in closings]
    now = {position.id: position for position in Position.objects.filter(id__in=ids)}
    fills = {
        fill.order_id: fill for fill in Fill.objects.filter(order_id__in=[c.order_id for c in closings if c.order_id])
    }
    rows = [_wire(closing, now[closing.position.id], fills) for closing in closings]
    counts = {status: sum(1 for row in rows if row["status"] == status) for status in ("pending", "refused")}
    done = sum(1 for row in rows if row["status"] in ("closed", "partly_closed"))
    return Response({"positions": rows, "closed": done, **counts}, status=202 if counts["pending"] else 200)


def _wire(closing: Closing, position: Position, fills: dict[UUID, Fill]) -> dict[str, Any]:
    order, fill = closing.order, fills.get(closing.order_id) if closing.order_id else None
    profit = position.realised_lamports if position.closed_at is not None else fill and fill.realised_lamports
    return {
        "positionId": position.id,
        "agentId": position.agent_id,
        "tokenAddress": position.token_id,
        "status": _status(closing, position),
        "orderId": closing.order_id or closing.blocker,
        "state": None if order is None else State(order.state).label,
        "profitLossSol": None if profit is None else money.text(money.sol(profit)),
        "error": None if position.closed_at is not None else _error(closing),
    }


def _status(closing: Closing, position: Position) -> str:
    if position.closed_at is not None:
        return "closed"
    if closing.blocker is not None:
        return "pending"
    if closing.order is None:
        return "refused"
    if closing.order.state in OPEN_STATES:
        return "pending"
    return "partly_closed" if closing.order.state == State.FILLED else "refused"


def _error(closing: Closing) -> dict[str, Any] | None:
    if closing.refusal is not None:
        refusal = closing.refusal
        details = refusal.details if isinstance(refusal.details, dict) else None
        return {"code": refusal.code, "message": refusal.message, "details": details}
    order = closing.order
    if order is None or order.state in OPEN_STATES or order.state == State.FILLED:
        return None
    code = order.error_code or "EXECUTION_FAILED"
    return {
        "code": code,
        "message": f"The order was not filled: {code.replace('_', ' ').lower()}.",
        "details": order.error_detail,
    }
