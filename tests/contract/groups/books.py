"""Versions compared and restored, verdicts of an agent, tokens and candles, the ledger: ours."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from prices.models import Candle
from signals import fanout
from tests.contract.cases import ABSENT, Case
from tests.contract.world import MINT, World, value

DIFF = "GET /agents/:agentId/config/versions/:number/diff"
RESTORE = "POST /agents/:agentId/config/versions/:number/restore"
VERDICTS = "GET /agents/:agentId/verdicts"
TOKEN, CANDLES = "GET /tokens/:tokenAddress", "GET /tokens/:tokenAddress/candles"
UNKNOWN = "EKpQGSJtjMFqKZ9KQanSqYXRcF8fBopzLHYxdM65zcjm"
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
SPAN = {"from": "2026-05-01T12:00:00Z", "to": "2026-05-01T13:00:00Z"}
KEYED = {"Idempotency-Key": "one"}


@value("changed")
def _changed(world: World) -> int:
    """A second version of the agent's configuration."""
    change = {"config": {"stopLoss": {"mode": "fixed", "defaultPercentage": -10}}}
    answer = world.owner.put(f"/api/v1/agents/{world['agentId']}/config", change)
    assert answer.status_code == 200, answer.content
    return int(answer.json()["version"])


@value("skipped")
def _skipped(world: World) -> int:
    """A signal that the agent passed over: it has no money."""
    assert world["agentId"]
    signal = int(world["signalId"])
    world.tick()
    fanout.drain()
    return signal


@value("candle")
def _candle(world: World) -> str:
    """A minute of the token that somebody watched."""
    world.tick()
    prices = {"open": "1", "high": "3", "low": "0.5", "close": "2"}
    values = {name: Decimal(text) for name, text in prices.items()}
    Candle.objects.create(mint=MINT, start=NOON, ticks=4, **values)
    return MINT


FIRST: dict[str, Any] = {"path": {"number": 1}}
SECOND: dict[str, Any] = {"path": {"number": 2}, "uses": ("changed",)}
OF_TOKEN: dict[str, Any] = {"path": {"tokenAddress": MINT}, "uses": ("candle",)}
OF_WALLET = {"walletAddress": "{walletAddress}"}

CASES = [
    Case(DIFF, 200, **SECOND),
    Case(DIFF, 200, "against itself", query={"against": 2}, **SECOND),
    Case(DIFF, 400, query={"against": 0}, fields=("against",), **FIRST),
    Case(DIFF, 404, path={"number": 9}, code="CONFIG_VERSION_NOT_FOUND"),
    Case(DIFF, 404, "absent agent", path={"agentId": ABSENT, "number": 1}, code="AGENT_NOT_FOUND"),
    Case(RESTORE, 201, body={"baseVersion": 2}, uses=("changed",), **FIRST),
    Case(RESTORE, 400, body={"baseVersion": 0}, fields=("baseVersion",), **FIRST),
    Case(RESTORE, 404, path={"number": 9}, body={}, code="CONFIG_VERSION_NOT_FOUND"),
    Case(RESTORE, 409, body={"baseVersion": 1}, uses=("changed",), code="CONFIG_VERSION_CONFLICT", **FIRST),
    Case(
        RESTORE,
        422,
        "the key of another body",
        body={"baseVersion": 1},
        headers=KEYED,
        first=(Case(RESTORE, 201, body={}, headers=KEYED, **FIRST),),
        code="IDEMPOTENCY_KEY_REUSED",
        **FIRST,
    ),
    Case(VERDICTS, 200, uses=("skipped",)),
    Case(VERDICTS, 200, "traded", query={"traded": "true"}),
    Case(VERDICTS, 400, query={"traded": "maybe"}, fields=("traded",)),
    Case(VERDICTS, 404, path={"agentId": ABSENT}, code="AGENT_NOT_FOUND"),
    Case("GET /tokens", 200, query={"q": MINT}, uses=("candle",)),
    Case("GET /tokens", 400, query={"sort": "luck"}, fields=("sort",)),
    Case(TOKEN, 200, **OF_TOKEN),
    Case(TOKEN, 400, path={"tokenAddress": "nonsense"}, fields=("tokenAddress",)),
    Case(TOKEN, 404, path={"tokenAddress": UNKNOWN}, code="TOKEN_NOT_FOUND"),
    Case(CANDLES, 200, query=SPAN, **OF_TOKEN),
    Case(CANDLES, 400, query={"interval": "2m"}, fields=("interval",), **OF_TOKEN),
    Case(CANDLES, 404, path={"tokenAddress": UNKNOWN}, code="TOKEN_NOT_FOUND"),
    *(
        case
        for name in ("entries", "balances")
        for case in (
            Case(f"GET /ledger/{name}", 200, query=OF_WALLET, uses=("transactionId",)),
            Case(f"GET /ledger/{name}", 400, "no wallet", fields=("walletAddress",)),
            Case(f"GET /ledger/{name}", 403, "by a viewer", query=OF_WALLET, who="viewer", code="AUTHORIZATION_ERROR"),
            Case(f"GET /ledger/{name}", 404, query={"walletAddress": "sim_x"}, code="WALLET_NOT_FOUND"),
        )
    ),
]
