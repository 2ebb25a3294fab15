"""Positions, orders given by people, and orders as such (reference 2.7, 2.8)."""

from typing import Any

from agents.models import Agent
from nexgent import clock
from prices import cache
from prices.models import LatestPrice
from tests.contract.cases import ABSENT, Case
from tests.contract.world import MINT, World, value
from trading.api import orders
from trading.models import Order, Position, State

BUY = {"agentId": "{agentId}", "tokenAddress": "{mint}", "tokenSymbol": "BONK", "positionSize": "1"}
CLOSE = "POST /agent-positions/:agentId/:positionId/close"
EXECUTE = "POST /trades/execute"
WRITE_OFF = "POST /agents/:agentId/positions/:positionId/write-off"
ORDER = "GET /orders/:orderId"
SUMMARY = "GET /agent-positions/:agentId/take-profit-summary"


def funded(world: World) -> None:
    """10 SOL, and a fresh price."""
    assert world["transactionId"]
    world.tick()


@value("untradableId", committed=True)
def _untradable(world: World) -> str:
    position = world["positionId"]
    Position.objects.filter(id=position).update(untradable_at=clock.now())
    return str(position)


def no_waiting(world: World) -> None:
    """The request does not wait for the order."""
    world.patch.setitem(orders.WAIT_SECONDS, "simulation", 0)


def landing_later(world: World) -> None:
    """A venue where a transaction takes its time."""
    funded(world)
    no_waiting(world)
    Agent.objects.filter(id=world["agentId"]).update(profile="realistic")


def failed_at_the_venue(_world: World) -> None:
    at = clock.now()
    Order.objects.filter(state=State.PLANNED).update(state=State.FAILED, error_code="EXECUTION_FAILED", final_at=at)


def silent_venue(_world: World) -> None:
    at = clock.now()
    Order.objects.filter(state=State.PLANNED).update(state=State.FAILED, error_code="VENUE_TIMEOUT", final_at=at)


def unpriced(_world: World) -> None:
    """As if the token had never had a price."""
    LatestPrice.objects.filter(token=MINT).delete()
    cache.forget()


KEYED = {"Idempotency-Key": "close"}
CASES: list[Any] = [
    Case("GET /agent-positions/:agentId", 200, uses=("trade",)),
    Case("GET /agent-positions/:agentId", 200, "unpriced", uses=("trade",), given=unpriced),
    Case("GET /agent-positions/:agentId", 200, "of a wallet", query={"walletAddress": "{walletAddress}"}),
    Case("GET /agent-positions/:agentId", 400, path={"agentId": "x"}, fields=("agentId",)),
    Case("GET /agent-positions/:agentId", 404, path={"agentId": ABSENT}, code="AGENT_NOT_FOUND"),
    Case(SUMMARY, 200, query={"includePositions": "true"}, uses=("trade",)),
    Case(SUMMARY, 400, query={"includePositions": "maybe"}, fields=("includePositions",)),
    Case(SUMMARY, 404, path={"agentId": ABSENT}, code="AGENT_NOT_FOUND"),
    Case(CLOSE, 200, body={"reason": "manual"}, committed=True),
    Case(CLOSE, 200, "a part", body={"percent": 50}),
    Case(CLOSE, 400, "reason", body={"reason": "take_profit"}, fields=("reason",)),
    Case(CLOSE, 400, "too many percent", body={"percent": 101}, fields=("percent",)),
    Case(CLOSE, 400, "more than held", body={"amount": "1000000"}, fields=("amount",)),
    Case(CLOSE, 400, "no UUID", path={"positionId": "x"}, body={}),
    Case(CLOSE, 404, path={"positionId": ABSENT}, body={}, code="POSITION_NOT_FOUND"),
    Case(CLOSE, 404, "already closed", body={}, uses=("closed",), committed=True),
    Case(CLOSE, 202, "not sold yet", body={}, given=no_waiting, is_sold=False),
    Case(
        CLOSE,
        409,
        "while it is sold",
        body={},
        given=no_waiting,
        is_sold=False,
        first=(Case(CLOSE, 202, body={}),),
        code="SALE_IN_PROGRESS",
    ),
    Case(
        CLOSE,
        422,
        "the key of another body",
        body={"percent": 50},
        headers=KEYED,
        first=(Case(CLOSE, 200, body={"percent": 20}, headers=KEYED),),
        code="IDEMPOTENCY_KEY_REUSED",
    ),
    *(
        Case(
            CLOSE,
            status,
            body={},
            headers=KEYED,
            given=no_waiting,
            is_sold=False,
            first=(Case(CLOSE, 202, body={}, headers=KEYED),),
            between=venue,
            code=code,
        )
        for status, code, venue in (
            (502, "EXECUTION_FAILED", failed_at_the_venue),
            (504, "VENUE_TIMEOUT", silent_venue),
        )
    ),
    Case(EXECUTE, 202, "still on its way", body=BUY, given=landing_later, committed=True),
    Case(EXECUTE, 200, body=BUY, given=funded, committed=True),
    Case(EXECUTE, 200, "of a signal", body={**BUY, "signalId": "{signalId}"}, given=funded, committed=True),
    Case(EXECUTE, 400, "no agent", body={"tokenAddress": "{mint}"}, fields=("agentId",)),
    Case(EXECUTE, 400, "size", body={**BUY, "positionSize": 0}, fields=("positionSize",)),
    Case(EXECUTE, 400, "no price", body=BUY, uses=("transactionId",), committed=True),
    Case(EXECUTE, 404, "absent agent", body={**BUY, "agentId": ABSENT}, code="AGENT_NOT_FOUND"),
    Case(
        EXECUTE,
        404,
        "absent signal",
        body={**BUY, "signalId": 9},
        given=funded,
        committed=True,
        code="SIGNAL_NOT_FOUND",
    ),
    Case(EXECUTE, 409, "held already", body=BUY, uses=("trade",), code="POSITION_EXISTS"),
    Case(
        EXECUTE,
        422,
        "the key of another body",
        body=BUY,
        headers={"Idempotency-Key": "one"},
        given=funded,
        committed=True,
        first=(Case(EXECUTE, 200, body={**BUY, "positionSize": "0.5"}, headers={"Idempotency-Key": "one"}),),
        code="IDEMPOTENCY_KEY_REUSED",
    ),
    Case(WRITE_OFF, 200, path={"positionId": "{untradableId}"}, body={"reason": "the pool is gone"}),
    Case(WRITE_OFF, 400, "no reason", body={"reason": " "}, fields=("reason",)),
    Case(WRITE_OFF, 400, "it can be traded", body={"reason": "why not"}, code="NOT_UNTRADABLE"),
    Case(WRITE_OFF, 404, path={"positionId": ABSENT}, body={"reason": "gone"}, code="POSITION_NOT_FOUND"),
    Case(ORDER, 200),
    Case(ORDER, 400, path={"orderId": "x"}),
    Case(ORDER, 404, path={"orderId": ABSENT}, code="ORDER_NOT_FOUND"),
]
