"""Orders as a list, closing several positions, overrides, quotes, protections, statistics: ours."""

from datetime import timedelta
from typing import Any

from agents.models import Agent
from nexgent import clock
from tests.contract.cases import ABSENT, Case
from tests.contract.groups.trading import BUY, funded, no_waiting
from tests.contract.world import World, value
from trading.models import ProtectionLock


@value("lockId")
def _lock_id(world: World) -> str:
    """A pause of an hour that the cooldown called."""
    now = clock.now()
    lock = ProtectionLock.objects.create(
        agent=Agent.objects.get(id=world["agentId"]),
        protection="cooldown",
        reason="cooldown",
        starts_at=now,
        ends_at=now + timedelta(hours=1),
    )
    return str(lock.id)


@value("reference", committed=True)
def _reference(world: World) -> str:
    """The reference of the signal whose buy is open."""
    funded(world)
    body = {"tokenAddress": world["mint"], "signalType": "Named", "signalStrength": 3, "externalRef": "trade-17"}
    signal = world.post("/trading-signals", body)["id"]
    world.post(
        "/trades/execute",
        {**BUY, "agentId": world["agentId"], "tokenAddress": world["mint"], "signalId": signal},
        status=200,
    )
    return "trade-17"


ALL, BY_REFERENCE = "POST /agents/:agentId/positions/close-all", "POST /positions/close-by-ref"
OVERRIDE, QUOTE = "/agents/:agentId/positions/:positionId/override", "POST /agents/:agentId/quote"
LOCKS, LIFT = "GET /agents/:agentId/protections", "POST /agents/:agentId/protections/:lockId/lift"
ORDERS, STATISTICS = "GET /orders", "GET /agents/:agentId/statistics"
PIN = {"stopLoss": {"mode": "fixed", "defaultPercentage": -10}}
ABSENT_AGENT: dict[str, Any] = {"path": {"agentId": ABSENT}, "code": "AGENT_NOT_FOUND"}

CASES = [
    Case(ORDERS, 200, uses=("trade",)),
    Case(ORDERS, 200, "open", query={"state": "open", "agentId": "{agentId}"}),
    Case(ORDERS, 400, "state", query={"state": "lost"}, fields=("state",)),
    Case(ORDERS, 400, "agentId", query={"agentId": "x"}, fields=("agentId",)),
    Case(ORDERS, 404, query={"agentId": ABSENT}, code="AGENT_NOT_FOUND"),
    Case(ORDERS, 404, "agent of somebody else", query={"agentId": "{agentId}"}, who="stranger"),
    Case(ALL, 200, body={}, uses=("trade",)),
    Case(ALL, 200, "nothing", body={}),
    Case(ALL, 202, "not sold yet", body={}, uses=("trade",), given=no_waiting, is_sold=False),
    Case(ALL, 400, body={"percent": 0}, fields=("percent",)),
    Case(ALL, 404, body={}, **ABSENT_AGENT),
    Case(
        ALL,
        422,
        "the key of another body",
        body={"percent": 50},
        headers={"Idempotency-Key": "one"},
        first=(Case(ALL, 200, body={}, headers={"Idempotency-Key": "one"}),),
        code="IDEMPOTENCY_KEY_REUSED",
    ),
    Case(BY_REFERENCE, 200, body={"externalRef": "{reference}"}),
    Case(BY_REFERENCE, 202, "not sold yet", body={"externalRef": "{reference}"}, given=no_waiting, is_sold=False),
    Case(BY_REFERENCE, 400, body={}, fields=("externalRef",)),
    Case(BY_REFERENCE, 404, body={"externalRef": "nothing"}, code="POSITION_NOT_FOUND"),
    Case(
        BY_REFERENCE,
        422,
        "the key of another body",
        body={"externalRef": "trade-17", "percent": 10},
        headers={"Idempotency-Key": "one"},
        uses=("reference",),
        first=(Case(BY_REFERENCE, 200, body={"externalRef": "trade-17"}, headers={"Idempotency-Key": "one"}),),
        code="IDEMPOTENCY_KEY_REUSED",
    ),
    Case(f"GET {OVERRIDE}", 200),
    Case(f"PUT {OVERRIDE}", 200, body={**PIN, "stopPercent": -5}),
    Case(f"PUT {OVERRIDE}", 400, "nothing", body={}),
    Case(f"PUT {OVERRIDE}", 400, "no such mode", body={"stopLoss": {"mode": "magic"}}, code="INVALID_CONFIG"),
    Case(f"DELETE {OVERRIDE}", 200),
    *(
        case
        for method in ("GET", "PUT", "DELETE")
        for case in (
            Case(f"{method} {OVERRIDE}", 400, "no UUID", path={"positionId": "x"}, body=PIN),
            Case(f"{method} {OVERRIDE}", 404, path={"positionId": ABSENT}, body=PIN, code="POSITION_NOT_FOUND"),
        )
    ),
    Case(QUOTE, 200, body={"side": "buy", "tokenAddress": "{mint}", "positionSize": "1"}, given=funded, committed=True),
    Case(QUOTE, 200, "sell", body={"side": "sell", "positionId": "{positionId}", "percent": 50}),
    Case(QUOTE, 200, "refused", body={"side": "buy", "tokenAddress": "{mint}", "positionSize": "1"}, committed=True),
    Case(QUOTE, 400, body={"side": "hold"}, fields=("side",)),
    Case(QUOTE, 404, body={"side": "buy", "tokenAddress": "{mint}"}, **ABSENT_AGENT),
    Case(LOCKS, 200, uses=("lockId",)),
    Case(LOCKS, 400, query={"protection": "hope"}, fields=("protection",)),
    Case(LOCKS, 404, **ABSENT_AGENT),
    Case(LIFT, 200),
    Case(LIFT, 400, path={"lockId": "x"}, fields=("lockId",)),
    Case(LIFT, 404, path={"lockId": ABSENT}, code="PROTECTION_NOT_FOUND"),
    Case(STATISTICS, 200),
    Case(STATISTICS, 200, "with a closed trade", uses=("closed",)),
    Case(STATISTICS, 400, path={"agentId": "x"}, fields=("agentId",)),
    Case(STATISTICS, 404, "another wallet", query={"walletAddress": "sim_x"}, code="WALLET_NOT_FOUND"),
    Case(STATISTICS, 404, **ABSENT_AGENT),
]
