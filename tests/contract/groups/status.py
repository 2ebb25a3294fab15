"""Prices of SOL, wallets of an agent, alarms, health and metrics (reference 2.10, 2.11)."""

from typing import Any

from django.db import OperationalError

from nexgent.runtime import health
from tests.contract.cases import ABSENT, Case
from tests.contract.world import World


def _is_text(_world: World, answer: Any) -> None:
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert b"# TYPE " in answer.content


def _true() -> bool:
    return True


def _engine_runs(world: World) -> None:
    world.settings.READY_CHECKS = {"recovery": f"{__name__}._true"}


def _no_database(world: World) -> None:
    """What the check meets when PostgreSQL is away; the real one cannot be stopped for one request."""

    def refused() -> bool:
        raise OperationalError("connection refused")

    world.patch.setattr(health, "_database", refused)


def _no_valkey(world: World) -> None:
    world.settings.REDIS_URL = "unix:///nowhere/socket"


def with_feeds(world: World) -> None:
    world.settings.PRICE_FEEDS = ("jupiter", "dexscreener")
    world.settings.PYTH_API_KEY = "key"


def in_production(world: World) -> None:
    world.settings.PRODUCTION = True


ECHO = "POST /webhooks/test"
WALLETS = "GET /wallets/agent/:agentId"
CASES = [
    Case("GET /price-feeds/sol-usd", 200, given=lambda world: world.tick()),
    Case("GET /price-feeds/sol-usd", 200, "never had one"),
    Case(WALLETS, 200),
    Case(WALLETS, 400, path={"agentId": "x"}, fields=("agentId",)),
    Case(WALLETS, 404, path={"agentId": ABSENT}, code="AGENT_NOT_FOUND"),
    Case("GET /data-sources/status", 200),
    Case("GET /data-sources/status", 200, "with feeds", given=with_feeds),
    Case("GET /data-sources/status", 429, repeat=31, code="RATE_LIMITED"),
    Case(ECHO, 200, body={"token": "nex_secret", "tokenAddress": "{mint}", "n": 1.5}, query={"a": 1}, who="nobody"),
    Case(ECHO, 200, "with secrets", body={}, headers={"X-API-Key": "nex_1", "Cookie": "sessionid=1"}, who="nobody"),
    Case(ECHO, 400, "no JSON", body=b"{", who="nobody", code="VALIDATION_ERROR"),
    Case(ECHO, 404, "in production", body={}, who="nobody", given=in_production, code="NOT_FOUND"),
    Case("GET /alarms", 200),
    Case("GET /alarms", 400, query={"active": "maybe"}, fields=("active",)),
    *(
        case
        for root in ("", "root:")
        for case in (
            Case(f"GET {root}/health", 200, who="nobody"),
            Case(f"GET {root}/health", 200, "of whose feeds nobody tells", who="nobody", given=with_feeds),
            Case(f"GET {root}/health/live", 200, who="nobody"),
            Case(f"GET {root}/health", 503, who="nobody", given=_no_database),
            Case(f"GET {root}/health/ready", 200, who="nobody", given=_engine_runs),
            Case(f"GET {root}/health/ready", 503, "no engine yet", who="nobody"),
            Case(f"GET {root}/health/ready", 503, "no Valkey", who="nobody", given=_no_valkey),
            Case(f"GET {root}/metrics", 200, who="admin", golden=False, check=_is_text),
            Case(f"GET {root}/metrics", 403, "by an owner"),
        )
    ),
]
