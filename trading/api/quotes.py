"""`/agents/:id/quote`: what a buy or a sale would do now: price, impact, fees, and what stands against it."""

from typing import Any, Literal

from pydantic import Field
from pydantic.alias_generators import to_camel
from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.agents import owned
from agents.api.wallets import wallet_of
from agents.models import Agent
from nexgent import clock, money
from nexgent.accounts.endpoints import Endpoint
from nexgent.api.bodies import Body, DecimalValue, Trimmed, UuidValue, read
from nexgent.api.openapi import describe
from nexgent.api.throttling import ORDERS
from nexgent.api.wire import stamp, text_or_none
from nexgent.errors import InvalidInput, NotFound
from prices import services as prices
from trading.api import preview
from trading.api.positions import owned_position, price_state
from trading.api.trades import AMOUNT_MAX, units_of
from trading.engine import sales
from trading.models import Position
from trading.order_shapes import QuoteShape


class QuoteBody(Body):
    side: Literal["buy", "sell"]
    token_address: Trimmed | None = Field(default=None, min_length=1, max_length=255)
    """Of a buy; of a sale it names the open position in this token."""
    position_id: UuidValue | None = None
    wallet_address: str | None = Field(default=None, max_length=44)
    position_size: DecimalValue | None = Field(default=None, gt=0, le=AMOUNT_MAX)
    """SOL of a buy; without it the rules choose."""
    percent: DecimalValue | None = Field(default=None, gt=0, le=100)
    amount: DecimalValue | None = Field(default=None, gt=0)
    """Tokens of a sale."""


class Quote(Endpoint):
    """A question: no order, no hold, no event. A token nobody asked for before is made known to the feeds."""

    scopes = {"POST": "trade"}
    throttles = {"POST": (ORDERS,)}

    @describe(
        "quote",
        "What a buy or a sale would do now",
        tag="Trading",
        description="Nothing is kept. All refusals are told, in the order of the checks.",
        body=QuoteBody,
        answer=QuoteShape,
        refusals=("INVALID_TOKEN", "AGENT_NOT_FOUND", "POSITION_NOT_FOUND", "WALLET_NOT_FOUND"),
        example={
            "side": "buy",
            "tokenAddress": "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263",
            "positionSize": "0.5",
        },
    )
    def post(self, request: Request, agent_id: str) -> Response:
        body = read(QuoteBody, request.data)
        agent = owned(request.principal, agent_id)
        if body.side == "buy":
            return Response(self._buy(agent, body))
        return Response(self._sale(request, agent, body))

    def _buy(self, agent: Agent, body: QuoteBody) -> dict[str, Any]:
        if body.token_address is None:
            raise InvalidInput({"tokenAddress": "is required"})
        _refuse_given(body, "is for sales", "position_id", "percent", "amount")
        wallet = wallet_of(agent, body.wallet_address) if body.wallet_address else None
        prices.ensure_token(body.token_address)
        lamports = None if body.position_size is None else money.lamports(body.position_size)
        found = preview.of_buy(agent, body.token_address, lamports=lamports, wallet=wallet)
        return quote_wire(agent, found, side="buy", mint=body.token_address)

    def _sale(self, request: Request, agent: Agent, body: QuoteBody) -> dict[str, Any]:
        if body.percent is not None and body.amount is not None:
            raise InvalidInput({"amount": "cannot be given together with percent"})
        _refuse_given(body, "is for buys", "position_size", "wallet_address")
        position = _position(request, agent, body)
        units = None if body.amount is None else units_of(body.amount, position)
        found = preview.of_sale(position, sales.Wanted(body.percent, units))
        return quote_wire(agent, found, side="sell", mint=position.token_id)


def _refuse_given(body: QuoteBody, text: str, *names: str) -> None:
    """What has no meaning on this side is a mistake, and an answer would hide it."""
    wrong = {to_camel(name): text for name in names if getattr(body, name) is not None}
    if wrong:
        raise InvalidInput(wrong)


def _position(request: Request, agent: Agent, body: QuoteBody) -> Position:
    if body.position_id is not None:
        wanted = owned_position(request.principal, str(agent.id), str(body.position_id)).id
        rows = Position.objects.filter(id=wanted)
    elif body.token_address is not None:
        rows = Position.objects.filter(agent=agent, token_id=body.token_address)
    else:
        raise InvalidInput({"positionId": "or tokenAddress is required"})
    position = rows.filter(closed_at=None).select_related("wallet", "watermark").order_by("-id").first()
    if position is None:
        raise NotFound("position")
    return position


def quote_wire(agent: Agent, found: preview.Preview, *, side: str, mint: str) -> dict[str, Any]:
    """Amounts as decimal text: SOL goes into a buy and comes out of a sale."""
    quote, tick = found.quote, found.tick
    given, taken = (money.SOL_DECIMALS, found.decimals) if side == "buy" else (found.decimals, money.SOL_DECIMALS)
    return {
        "agentId": agent.id,
        "side": side,
        "tokenAddress": mint,
        "walletAddress": found.wallet.address if found.wallet else None,
        "positionId": found.position.id if found.position else None,
        "allowed": not found.refusals and quote is not None,
        "refusals": [
            {
                "code": refusal.code,
                "message": refusal.message,
                "details": refusal.details if isinstance(refusal.details, dict) else None,
            }
            for refusal in found.refusals
        ],
        "price": None if tick is None else money.text(tick.price_sol),
        "priceTime": None if tick is None else stamp(tick.observed_at),
        "priceSource": None if tick is None else tick.source,
        "priceState": price_state(tick, clock.now()),
        "requestedAmount": _amount(found.wanted, given),
        "inputAmount": _amount(quote and quote.amount_in, given),
        "outputAmount": _amount(quote and quote.amount_out, taken),
        "priceImpact": None if quote is None else money.text(quote.price_impact),
        "priceImpactLimit": text_or_none(found.limit),
        "protocolFeeSol": _amount(quote and quote.protocol_fee_lamports, money.SOL_DECIMALS),
        "networkFeeSol": _amount(quote and quote.network_fee_lamports, money.SOL_DECIMALS),
        "rentSol": _amount(quote and quote.rent_lamports, money.SOL_DECIMALS),
        "solUsd": text_or_none(found.sol_usd),
        "isRandomised": found.is_randomised,
        "profile": found.profile,
    }


def _amount(units: int | None, decimals: int) -> str | None:
    return None if units is None else money.text(money.tokens(units, decimals))
