"""Orders that a person gives: buy now, close now. Both answer when the order is final, or 202 with its id."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.agents import owned
from agents.api.wallets import wallet_of
from agents.models import Mode
from nexgent import money
from nexgent.accounts.endpoints import Endpoint
from nexgent.accounts.principals import Principal
from nexgent.api import idempotency
from nexgent.api.bodies import Body, DecimalValue, Trimmed, UuidValue, read
from nexgent.api.openapi import Link, describe
from nexgent.api.throttling import ORDERS
from nexgent.api.wire import number, sol_number
from nexgent.errors import InvalidInput, NotFound
from trading import services
from trading.api.orders import WAIT_SECONDS, answered, entry_id_of
from trading.api.positions import PERCENT_PLACES, USD_PLACES, owned_position
from trading.models import Fill, Order, Position, State, Watermark
from trading.rules import pnl
from trading.rules.gain import gain_percent
from trading.shapes import BoughtShape, PendingOrderShape, SoldShape, WrittenOffShape

AMOUNT_MAX = Decimal(10**12)
_VENUE = ("PRICE_UNKNOWN", "PRICE_STALE", "BELOW_MINIMUM_TRADE", "EXECUTION_FAILED", "VENUE_TIMEOUT")
BUY_REFUSALS = (
    "INSUFFICIENT_BALANCE",
    "BELOW_MINIMUM_THRESHOLD",
    "POSITION_SIZE_EXCEEDS_BALANCE",
    "VIOLATES_MINIMUM_BALANCE",
    "EXCEEDS_MAX_PURCHASE",
    "MAX_POSITIONS_EXCEEDED",
    "MAX_EXPOSURE_EXCEEDED",
    "PRICE_IMPACT_TOO_HIGH",
    "LIQUIDITY_UNKNOWN",
    "PROTECTION_ACTIVE",
    "TOKEN_REFUSED",
    "AGENT_NOT_FOUND",
    "WALLET_NOT_FOUND",
    "SIGNAL_NOT_FOUND",
    "POSITION_EXISTS",
    *_VENUE,
)
CLOSE_REFUSALS = ("POSITION_NOT_FOUND", "INVALID_SELL_AMOUNT", "SALE_IN_PROGRESS", *_VENUE)


class BuyBody(Body):
    agent_id: UuidValue
    token_address: Trimmed = Field(min_length=1, max_length=255)
    wallet_address: str | None = Field(default=None, max_length=44)
    token_symbol: Trimmed | None = Field(default=None, max_length=50)
    signal_id: int | None = Field(default=None, ge=0, le=2**63 - 1)
    position_size: DecimalValue | None = Field(default=None, gt=0, le=AMOUNT_MAX)


class WriteOffBody(Body):
    reason: Trimmed = Field(min_length=1, max_length=1000)


class CloseBody(Body):
    reason: str | None = Field(default=None, max_length=20, json_schema_extra={"enum": ["manual", "stop_loss", None]})
    percent: DecimalValue | None = Field(default=None, gt=0, le=100)
    amount: DecimalValue | None = Field(default=None, gt=0)


class Execute(Endpoint):
    scopes = {"POST": "trade"}
    throttles = {"POST": (ORDERS,)}
    signal_exists: ClassVar[Callable[[UUID, int], bool] | None] = None
    """Whether a workspace has a signal; given by the layer that knows signals."""

    @describe(
        "buy",
        "Buy a token now",
        tag="Trading",
        description="Without a size the rules choose it. Waits for the order at most 10 s (live 45 s), then 202.",
        body=BuyBody,
        answer=BoughtShape,
        also={202: PendingOrderShape},
        idempotent=True,
        refusals=BUY_REFUSALS,
        example={
            "agentId": "0190a6a0-0000-7000-8000-000000000001",
            "tokenAddress": "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263",
            "positionSize": "0.5",
        },
        links={"Order": Link("getOrder", {"orderId": "$response.body#/orderId"})},
    )
    def post(self, request: Request) -> Response:
        body, principal = read(BuyBody, request.data), request.principal
        agent = owned(principal, str(body.agent_id))
        wallet = wallet_of(agent, body.wallet_address) if body.wallet_address else None
        if body.signal_id is not None:
            self._check_signal(principal, body.signal_id)

        def plan(key: str | None) -> UUID:
            return services.manual_buy(
                agent_id=agent.id,
                wallet_id=wallet.id if wallet else None,
                mint=body.token_address,
                symbol=body.token_symbol or "",
                lamports=None if body.position_size is None else money.lamports(body.position_size),
                principal=principal.name_in_workspace,
                idempotency_key=key,
                signal_id=body.signal_id,
            )

        return answered(request, plan=plan, wait=_waiting(agent.mode), body=_bought)

    def _check_signal(self, principal: Principal, signal_id: int) -> None:
        known: Any = self.signal_exists
        if known is not None and not known(principal.workspace_id, signal_id):
            raise NotFound("signal")


class Close(Endpoint):
    """Never limited by a throttle. What the caller names as reason is not believed: a manual close is manual."""

    scopes = {"POST": "trade"}
    is_unlimited = True

    @describe(
        "closePosition",
        "Close a position, or a part of it",
        tag="Trading",
        description="All of it, or `percent`, or an `amount` of tokens. Never limited.",
        body=CloseBody,
        body_required=False,
        answer=SoldShape,
        also={202: PendingOrderShape},
        idempotent=True,
        refusals=CLOSE_REFUSALS,
        example={"percent": 50},
        links={"Order": Link("getOrder", {"orderId": "$response.body#/orderId"})},
    )
    def post(self, request: Request, agent_id: str, position_id: str) -> Response:
        body = read(CloseBody, request.data)
        position = owned_position(request.principal, agent_id, position_id)
        if body.reason not in (None, "manual", "stop_loss"):
            raise InvalidInput({"reason": "must be manual or stop_loss"})
        if body.percent is not None and body.amount is not None:
            raise InvalidInput({"amount": "cannot be given together with percent"})

        def plan(key: str | None) -> UUID:
            if position.closed_at is not None:
                raise NotFound("position")
            units = None if body.amount is None else units_of(body.amount, position)
            return services.position_close(
                position_id=position.id,
                percent=body.percent,
                units=units,
                reason="manual",
                principal=request.principal.name_in_workspace,
                idempotency_key=key,
            )

        return answered(request, plan=plan, wait=_waiting(position.wallet.kind), body=_sold)


class WriteOff(Endpoint):
    """Gives up a position that cannot be traded: a loss in the books, with its reason and author."""

    @describe(
        "writeOffPosition",
        "Give up an untradable position",
        tag="Trading",
        description="A loss in the books, with reason and author.",
        body=WriteOffBody,
        example={"reason": "The pool was drained"},
        answer=WrittenOffShape,
        refusals=("NOT_UNTRADABLE", "REASON_REQUIRED", "POSITION_NOT_FOUND", "ORDER_IN_PROGRESS"),
        idempotent=True,
    )
    def post(self, request: Request, agent_id: str, position_id: str) -> Response:
        body = read(WriteOffBody, request.data)
        position = owned_position(request.principal, agent_id, position_id)
        author = request.principal.user.email[:80]

        def give_up() -> Response:
            closed = services.write_off(position_id=position.id, reason=body.reason, author=author)
            profit = sol_number(closed.realised_lamports)
            return Response(
                {"success": True, "positionId": closed.id, "historicalSwapId": closed.id, "profitLossSol": profit}
            )

        return idempotency.once(request, give_up)


def _waiting(mode: str) -> Callable[[UUID], Order]:
    seconds = WAIT_SECONDS[Mode.LIVE if mode == Mode.LIVE else Mode.SIMULATION]
    return lambda order_id: services.wait_final(order_id, timeout_s=seconds)


def units_of(amount: Decimal, position: Position) -> int:
    """Base units of an amount of tokens; more than is held is refused, never cut."""
    held = money.tokens(position.remaining_units, position.decimals)
    if amount > held:
        raise InvalidInput({"amount": f"is more than the position holds ({money.text(held)})"})
    units = money.floor(amount.scaleb(position.decimals, context=money.EXACT))
    if units <= 0:
        raise InvalidInput({"amount": "is less than the smallest unit of the token"})
    return units


def _bought(order: Order) -> dict[str, Any]:
    fill = Fill.objects.get(order_id=order.id)
    position = Position.objects.get(agent_id=order.agent_id, opened_by_id=order.id)
    stop = Watermark.objects.filter(position_id=position.id).values_list("stop_percent", flat=True).first()
    body: dict[str, Any] = {
        "success": True,
        "transactionId": entry_id_of(order.id),
        "positionId": position.id,
        "inputAmount": sol_number(fill.amount_in),
        "outputAmount": number(money.tokens(fill.amount_out, position.decimals)),
        "purchasePrice": number(fill.price),
        "transactionHash": None,
        "stopLossInitialized": stop is not None,
        "orderId": order.id,
        "state": State(order.state).label,
    }
    if stop is not None:
        body["stopLossPercentage"] = number(stop)
    if order.signal_id is not None:
        body["signalId"] = order.signal_id
    return body


@money.exact
def _sold(order: Order) -> dict[str, Any]:
    fill = Fill.objects.get(order_id=order.id)
    position = Position.objects.get(id=order.position_id)
    profit, usd, change = _profit(fill, position)
    is_closed = position.closed_at is not None
    return {
        "success": True,
        "transactionId": entry_id_of(order.id),
        "historicalSwapId": position.id if is_closed else None,
        "positionId": position.id,
        "inputAmount": number(money.tokens(fill.amount_in, position.decimals)),
        "outputAmount": sol_number(fill.amount_out),
        "salePrice": number(fill.price),
        "profitLossSol": sol_number(profit),
        "profitLossUsd": number(usd or Decimal(0), places=USD_PLACES),
        "changePercent": number(change, places=PERCENT_PLACES),
        "transactionHash": None,
        "orderId": order.id,
        "state": State(order.state).label,
        "positionClosed": is_closed,
        "remainingAmount": number(money.tokens(position.remaining_units, position.decimals)),
    }


def _profit(fill: Fill, position: Position) -> tuple[int, Decimal | None, Decimal]:
    """Lamports, USD, percent: of the whole position once it is closed, else of this part."""
    if position.closed_at is None:
        change = gain_percent(position.average, fill.price)
        return fill.realised_lamports, pnl.usd_of(fill.realised_lamports, fill.sol_usd), change
    sale = pnl.full_sale(
        invested_lamports=position.invested_lamports,
        received_lamports=position.received_lamports,
        basis_lamports=pnl.basis(position.bought_units, position.average, position.decimals),
        sol_usd=position.sol_usd_at_close,
    )
    return sale.profit_lamports, sale.usd, sale.change_percent
