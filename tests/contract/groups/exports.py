"""CSV of closed trades and of signals (reference 2.12)."""

from typing import Any

from tests.contract.cases import ABSENT, Case
from tests.contract.world import World, value

TRADES, SIGNALS = "GET /agent-historical-swaps/export", "GET /trading-signals/export"
AGENT = {"agentId": "{agentId}"}


@value("dangerousSignal")
def _dangerous(world: World) -> int:
    """Texts that a spreadsheet would run."""
    body = {
        "tokenAddress": world["mint"],
        "symbol": "=HYPERLINK(1)",
        "signalType": "@SUM(A1)",
        "activationReason": '-1+1, "quoted"\nand a second line',
        "signalStrength": 5,
        "source": "+desk",
    }
    return int(world.post("/trading-signals", body)["id"])


@value("followedSignal", committed=True)
def _followed(world: World) -> Any:
    """A trade on that signal, closed at a gain after SOL rose to 250 USD."""
    assert world["transactionId"]
    world.tick("0.001")
    body = {"agentId": world["agentId"], "tokenAddress": world["mint"], "tokenSymbol": "=BONK", "positionSize": "1"}
    trade = world.post("/trades/execute", {**body, "signalId": world["dangerousSignal"]}, status=200)
    world.tick("0.0015", usd="250")
    return world.post(f"/agent-positions/{world['agentId']}/{trade['positionId']}/close", {}, status=200)


def named(name: str):
    def check(_world: World, answer: Any) -> None:
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        disposition = answer.headers["Content-Disposition"]
        assert disposition.startswith(f'attachment; filename="{name}-20')
        assert disposition.endswith('.csv"')

    return check


CASES = [
    Case(TRADES, 200, query=AGENT, uses=("followedSignal",)),
    Case(TRADES, 200, "in SOL", query={**AGENT, "currency": "SOL", "solPrice": "999"}, uses=("followedSignal",)),
    Case(TRADES, 200, "of nothing", query={**AGENT, "timezone": "Europe/Berlin"}, check=named("agent-trades")),
    Case(TRADES, 400, "no agent", fields=("agentId",)),
    Case(TRADES, 400, "currency", query={**AGENT, "currency": "EUR"}, fields=("currency",)),
    Case(TRADES, 400, "timezone", query={**AGENT, "timezone": "Mars/Olympus"}, fields=("timezone",)),
    Case(TRADES, 400, "startSaleTime", query={**AGENT, "startSaleTime": "x"}, fields=("startSaleTime",)),
    Case(TRADES, 404, query={"agentId": ABSENT}, code="AGENT_NOT_FOUND"),
    Case(TRADES, 429, repeat=11, code="RATE_LIMITED"),
    Case(SIGNALS, 200, uses=("signalId", "dangerousSignal"), check=named("trading-signals")),
    Case(SIGNALS, 200, "filtered", query={"signalType": "Momentum"}, uses=("signalId", "dangerousSignal")),
    Case(SIGNALS, 400, "timezone", query={"timezone": "../etc/passwd"}, fields=("timezone",)),
    Case(SIGNALS, 400, "startDate", query={"startDate": "x"}, fields=("startDate",)),
    Case(SIGNALS, 429, query={"timezone": "x"}, repeat=11, code="RATE_LIMITED"),
]
