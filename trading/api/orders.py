"""`/orders/:id`: one intent with its decision and what came of it; and the way a request waits for one."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from nexgent import money
from nexgent.accounts.endpoints import Endpoint, one
from nexgent.api import idempotency
from nexgent.api.errors import body_of
from nexgent.api.openapi import describe
from nexgent.api.wire import stamp, stamp_or_none, text_or_none
from nexgent.errors import status_of
from nexgent.ids import key_uuid
from trading import live, services
from trading.api.explanation import decision_wire, explanation
from trading.models import OPEN_STATES, Attempt, Fill, Order, Position, Purpose, Side, State
from trading.order_shapes import OrderDetailShape
from wallets.models import Entry

WAIT_SECONDS = {"simulation": 10, "live": 45}
MILLISECOND = timedelta(milliseconds=1)


def order_wire(order: Order, fill: Fill | None, entry_id: UUID | None) -> dict[str, Any]:
    """The order with amounts as decimal text: SOL of a buy, tokens of a sale."""
    decimals = order.token.decimals
    is_buy = order.side == Side.BUY
    given, taken = (money.SOL_DECIMALS, decimals) if is_buy else (decimals, money.SOL_DECIMALS)
    return {
        "id": order.id,
        "agentId": order.agent_id,
        "walletAddress": order.wallet.address,
        "tokenAddress": order.token_id,
        "positionId": order.position_id or (opened_by(order) if fill is not None else None),
        "signalId": order.signal_id,
        "side": Side(order.side).label,
        "purpose": Purpose(order.purpose).label,
        "reason": order.plan.get("reason"),
        "state": State(order.state).label,
        "amount": money.text(money.tokens(order.amount, given)),
        "price": text_or_none(order.price),
        "priceTime": stamp_or_none(order.price_at),
        "priceSource": order.price_source or None,
        "configVersion": order.config.number,
        "error": {"code": order.error_code, "detail": order.error_detail} if order.error_code else None,
        "fill": None if fill is None else _fill_wire(fill, given, taken),
        "transactionId": entry_id,
        "stages": live.stages_wire(order.stages),
        "createdAt": stamp(order.created_at),
        "finalAt": stamp_or_none(order.final_at),
    }


def _fill_wire(fill: Fill, given: int, taken: int) -> dict[str, Any]:
    return {
        "inputAmount": money.text(money.tokens(fill.amount_in, given)),
        "outputAmount": money.text(money.tokens(fill.amount_out, taken)),
        "price": money.text(fill.price),
        "priceImpact": text_or_none(fill.price_impact),
        "protocolFeeSol": money.text(money.sol(fill.protocol_fee_lamports)),
        "networkFeeSol": money.text(money.sol(fill.network_fee_lamports)),
        "rentSol": money.text(money.sol(fill.rent_lamports)),
        "realizedProfitSol": money.text(money.sol(fill.realised_lamports)),
        "solUsd": text_or_none(fill.sol_usd),
        "time": stamp(fill.at),
    }


def opened_by(order: Order) -> UUID | None:
    """The position that an entry order opened."""
    rows = Position.objects.filter(agent_id=order.agent_id, opened_by_id=order.id)
    return rows.values_list("id", flat=True).first()


def entry_id_of(order_id: UUID) -> UUID | None:
    """The ledger entry of an order's fill."""
    return Entry.objects.filter(order_id=order_id).values_list("id", flat=True).first()


def _in_full(order: Order, fill: Fill | None) -> dict[str, Any]:
    """What one order shows beyond its row in the list: why, how long each stage took, what was signed."""
    attempts = Attempt.objects.filter(order_id=order.id).order_by("created_at", "id")
    return {
        "decision": decision_wire(order),
        "attempts": [
            {
                "id": attempt.id,
                "signature": attempt.signature,
                "state": Attempt.State(attempt.state).label,
                "lastValidBlockHeight": attempt.last_valid_block_height,
                "createdAt": stamp(attempt.created_at),
            }
            for attempt in attempts
        ],
        "latencyMs": latencies(order.stages),
        "explanation": explanation(order, fill),
    }


def latencies(stages: Mapping[str, str]) -> dict[str, int]:
    """Milliseconds from the first stamp of an order to each of its stages."""
    times = live.stage_times(stages)
    first = min(times.values(), default=None)
    return {} if first is None else {name: (at - first) // MILLISECOND for name, at in times.items()}


class OneOrder(Endpoint):
    scopes = {"GET": "transactions"}

    @describe("getOrder", "An order with its decision and what came of it", tag="Trading", answer=OrderDetailShape)
    def get(self, request: Request, order_id: str) -> Response:
        rows = Order.objects.select_related("token", "wallet", "config")
        order = one(rows, request.principal, order_id, what="order")
        fill = Fill.objects.filter(order_id=order.id).first()
        return Response({**order_wire(order, fill, entry_id_of(order.id)), **_in_full(order, fill)})


def answered(
    request: Request,
    *,
    plan: Callable[[str | None], UUID],
    wait: Callable[[UUID], Order],
    body: Callable[[Order], dict[str, Any]],
) -> Response:
    """Plan an order, wait for it, answer with what it became: 200, 202 while not final, or its refusal.

    With an `Idempotency-Key` the answer is kept once the order is final; before that a repeat waits for the same
    order, which carries the key itself.
    """
    given = idempotency.key_of(request)
    claimed = idempotency.claim(request, given) if given else None
    if isinstance(claimed, Response):
        return claimed
    # The route is part of the key: the same key of the same person elsewhere is another order.
    key = str(key_uuid(f"{request.method} {request.path_info}|{given}")) if given else None
    order_id = None
    try:
        order_id = _planned(request, key) or plan(key)
        response = _answer(request, wait(order_id), body)
    except Exception:
        if claimed is not None:
            idempotency.release(claimed, forget=order_id is None)
        raise
    if claimed is not None:
        if response.status_code == 202:
            idempotency.release(claimed, forget=False)
        else:
            idempotency.settle(claimed, response)
    return response


def _planned(request: Request, key: str | None) -> UUID | None:
    """The order that an earlier try with the same key planned."""
    if key is None:
        return None
    wanted = key_uuid(services.manual_key(request.principal.name_in_workspace, key))
    return Order.objects.filter(key=wanted).values_list("id", flat=True).first()


def _answer(request: Request, order: Order, body: Callable[[Order], dict[str, Any]]) -> Response:
    if order.state in OPEN_STATES:
        return Response({"orderId": order.id, "state": State(order.state).label}, status=202)
    if order.state == State.FILLED:
        return Response(body(order))
    code = order.error_code or "EXECUTION_FAILED"
    details = {"orderId": order.id, "state": State(order.state).label, "detail": order.error_detail}
    text = f"The order was not filled: {code.replace('_', ' ').lower()}."
    return Response(body_of(code, text, details, request.request_id), status=status_of(code))
