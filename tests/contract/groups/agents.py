"""Agents, their configuration, performance and balance history (reference 2.3)."""

from tests.contract.cases import ABSENT, Case
from tests.contract.world import World
from wallets.models import Wallet

NEW = {"name": "Second", "tradingMode": "simulation"}
NAME = {"name": "Renamed", "automatedTradingSimulation": False}
CONFIG = {"config": {"stopLoss": {"defaultPercentage": -25}, "signals": {"minScore": 3}}}
READS = ("config", "config/versions", "positions", "performance")


def _reads() -> list[Case]:
    cases = []
    for tail in READS:
        route = f"GET /agents/:agentId/{tail}"
        cases.append(Case(route, 200))
        cases.append(Case(route, 400, "no UUID", path={"agentId": "first"}, fields=("agentId",)))
        cases.append(Case(route, 404, path={"agentId": ABSENT}, code="AGENT_NOT_FOUND"))
    return cases


def _writes(method: str) -> list[Case]:
    route, config = f"{method} /agents/:agentId", f"{method} /agents/:agentId/config"
    return [
        Case(route, 200, body=NAME),
        Case(route, 200, "exits too", body={"exitsEnabledSimulation": False, "tradingMode": "live"}),
        Case(route, 400, "nothing to change", body={}, fields=("",)),
        Case(route, 400, "short name", body={"name": "ab"}, fields=("name",)),
        Case(route, 400, "no such mode", body={"tradingMode": "paper"}, fields=("tradingMode",)),
        Case(route, 400, "no switch", body={"automatedTradingLive": "yes"}, fields=("automatedTradingLive",)),
        Case(route, 403, "by a trader", body=NAME, who="trader", code="AUTHORIZATION_ERROR"),
        Case(route, 404, path={"agentId": ABSENT}, body=NAME, code="AGENT_NOT_FOUND"),
        Case(config, 200, body=CONFIG),
        Case(config, 200, "back to the defaults", body={"config": None}),
        Case(config, 200, "of a key", body=CONFIG, who="key:config", golden=False),
        Case(config, 400, "no config", body={}, code="INVALID_CONFIG"),
        Case(config, 400, "a bound", body={"config": {"purchaseLimits": {"minimumAgentBalance": 0.05}}}),
        Case(config, 400, "an unknown key", body={"config": {"moon": True}}, code="INVALID_CONFIG"),
        Case(config, 403, "by a viewer", body=CONFIG, who="viewer", code="AUTHORIZATION_ERROR"),
        Case(config, 404, path={"agentId": ABSENT}, body=CONFIG, code="AGENT_NOT_FOUND"),
        Case(
            config,
            409,
            "made from an older version",
            body={**CONFIG, "baseVersion": 1},
            first=(Case(config, 200, body=CONFIG),),
            code="CONFIG_VERSION_CONFLICT",
        ),
        Case(
            config,
            409,
            "If-Match of an older version",
            body=CONFIG,
            headers={"If-Match": '"7"'},
            code="CONFIG_VERSION_CONFLICT",
        ),
    ]


def holds_live(world: World) -> None:
    """The bought position lies in a live wallet."""
    Wallet.objects.filter(address=world["walletAddress"]).update(kind="live")


DELETE = "DELETE /agents/:agentId"
VERSION = "GET /agents/:agentId/config/versions/:number"
HISTORY = "GET /agents/:agentId/balance-history"
WALLET = {"walletAddress": "{walletAddress}"}
CASES = [
    Case("POST /agents", 201, body={"name": "  Momentum "}),
    Case("POST /agents", 201, "live", body={"name": "Momentum", "tradingMode": "live"}),
    Case("POST /agents", 400, "no name", body={}, fields=("name",)),
    Case("POST /agents", 400, "long name", body={"name": "x" * 51}, fields=("name",)),
    Case("POST /agents", 400, "no such mode", body={"name": "Momentum", "tradingMode": "x"}, fields=("tradingMode",)),
    Case("POST /agents", 403, "by a trader", body=NEW, who="trader", code="AUTHORIZATION_ERROR"),
    Case(
        "POST /agents",
        422,
        "the key of another body",
        body=NEW,
        headers={"Idempotency-Key": "one"},
        first=(Case("POST /agents", 201, body={"name": "First"}, headers={"Idempotency-Key": "one"}),),
        code="IDEMPOTENCY_KEY_REUSED",
    ),
    Case("GET /agents", 200, uses=("agentId",)),
    Case("GET /agents", 200, "with the UI's userId", query={"userId": "x"}),
    Case("GET /agents/:agentId", 200),
    Case("GET /agents/:agentId", 200, "of a key", who="key:agents", golden=False),
    Case("GET /agents/:agentId", 400, path={"agentId": "first"}, fields=("agentId",)),
    Case("GET /agents/:agentId", 404, path={"agentId": ABSENT}, code="AGENT_NOT_FOUND"),
    *_writes("PUT"),
    *_writes("PATCH"),
    *_reads(),
    Case(DELETE, 200),
    Case(DELETE, 400, path={"agentId": "first"}, fields=("agentId",)),
    Case(DELETE, 403, "by a trader", who="trader", code="AUTHORIZATION_ERROR"),
    Case(DELETE, 404, path={"agentId": ABSENT}, code="AGENT_NOT_FOUND"),
    Case(DELETE, 404, "deleted before", first=(Case(DELETE, 200),), code="AGENT_NOT_FOUND"),
    Case(DELETE, 409, uses=("trade",), given=holds_live, code="OPEN_POSITIONS"),
    Case("GET /agents/:agentId", 404, "after it was deleted", first=(Case(DELETE, 200),), code="AGENT_NOT_FOUND"),
    Case("PUT /agents/:agentId", 400, "no UUID", path={"agentId": "first"}, body=NAME),
    Case("GET /agents/:agentId/config/versions", 400, "limit", query={"limit": 0}, fields=("limit",)),
    Case(VERSION, 200, path={"number": 1}),
    Case(VERSION, 400, "no UUID", path={"agentId": "first", "number": 1}),
    Case(VERSION, 404, "no such version", path={"number": 9}, code="CONFIG_VERSION_NOT_FOUND"),
    Case("GET /agents/:agentId/performance", 200, "with a trade", uses=("trade",)),
    Case("GET /agents/:agentId/performance", 200, "of a day", query={"timeframe": "24h", **WALLET}),
    Case("GET /agents/:agentId/performance", 400, "timeframe", query={"timeframe": "1y"}, fields=("timeframe",)),
    Case("GET /agents/:agentId/performance", 404, "another wallet", query={"walletAddress": "sim_x"}),
    Case(HISTORY, 200, query=WALLET),
    Case(HISTORY, 200, "of all time", query={**WALLET, "timeframe": "all"}),
    Case(HISTORY, 400, "no wallet", fields=("walletAddress",)),
    Case(HISTORY, 400, "timeframe", query={**WALLET, "timeframe": "1y"}, fields=("timeframe",)),
    Case(HISTORY, 404, "another wallet", query={"walletAddress": "sim_x"}, code="WALLET_NOT_FOUND"),
]
