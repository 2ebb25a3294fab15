"""What a fuzzed caller owns: an agent with funds, a position, a closed trade, signals, a key; and the server to ask."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from nexgent import clock
from nexgent.accounts import tokens
from nexgent.accounts.models import ApiKey, User, Workspace
from nexgent.money import SOL_MINT
from prices import services as prices
from prices.records import PriceTick
from signals.models import Signal
from tests.executing import beside, execute_planned
from tests.integration.api_client import Api, sign_up
from tests.openapi.fuzzing import World
from tests.servers import own_valkey, web_server
from tests.trader import new_mint
from trading.models import Order, Position, Side
from wallets.models import Entry, Wallet

PRICE_SECONDS = 3


@contextmanager
def unlimited_server() -> Iterator[str]:
    """The web server of `tests.openapi.server` on the test database; gives its base address."""
    with (
        own_valkey() as valkey,
        web_server(valkey.redis_url, program="tests.openapi.server", more={"LOG_LEVEL": "ERROR"}) as started,
    ):
        yield f"http://127.0.0.1:{started.port}"


def settle() -> None:
    """Execute what waits, as the workers do."""
    execute_planned(Side.SELL, Side.BUY)


@contextmanager
def workers(mints: list[str]) -> Iterator[None]:
    """A thread that executes orders and keeps prices fresh."""
    asked = 0.0

    def work() -> None:
        nonlocal asked
        if time.monotonic() - asked > PRICE_SECONDS:
            asked = time.monotonic()
            for mint in mints:
                price(mint, "0.01")
        settle()

    with beside(work):
        yield


def price(mint: str, sol: str) -> None:
    prices.write_prices("inline")
    now = clock.now()
    ticks = [
        PriceTick(SOL_MINT, Decimal(1), now, "test", price_usd=Decimal(200)),
        PriceTick(mint, Decimal(sol), now, "test", price_usd=Decimal(2), liquidity_usd=Decimal(100_000)),
    ]
    prices.publish(ticks)


def make(url: str) -> World:
    """An owner with one of everything, made through the API and the engine of this process."""
    user = sign_up("fuzz@example.com")

    def token() -> str:
        return tokens.open_session(user, remember_me=False, rotate=False).access

    api = Api(token())
    agents = [api.post("/api/v1/agents", {"name": name, "profile": "ideal"}).json()["id"] for name in ("Alpha", "Beta")]
    for agent in agents:
        deposit = {"agentId": agent, "transactionType": "DEPOSIT", "inputMint": SOL_MINT, "inputAmount": "1000"}
        assert api.post("/api/v1/agent-transactions", deposit).status_code == 201
    held, closed = new_mint(), new_mint()
    for mint in (held, closed):
        price(mint, "0.01")
        bought = api.post("/api/v1/trades/execute", _buy(agents[0], mint))
        assert bought.status_code == 200, bought.content
    from trading import services as trading

    position = Position.objects.get(token_id=closed)
    trading.position_close(position_id=position.id, percent=None, units=None, reason="manual", principal="fuzz")
    settle()
    for number in range(3):
        api.post("/api/v1/trading-signals", {"tokenAddress": held, "signalType": f"K{number}", "signalStrength": 3})
    api.post("/api/v1/api-keys", {"name": "bot", "scopes": ["signals"]})
    return World(url, token, _known(user, agents))


def _buy(agent: str, mint: str) -> dict[str, Any]:
    return {"agentId": agent, "tokenAddress": mint, "tokenSymbol": "TEST", "positionSize": "1"}


def _known(user: User, agents: list[str]) -> dict[str, list[Any]]:
    swaps = [str(row.id) for row in Position.objects.exclude(closed_at=None)]
    return {
        "agentId": agents,
        "signalId": list(Signal.objects.values_list("id", flat=True)),
        "positionId": [str(row.id) for row in Position.objects.all()],
        "orderId": [str(row.id) for row in Order.objects.all()],
        "transactionId": [str(row.id) for row in Entry.objects.all()],
        "swapId": swaps,
        "keyId": [str(row.id) for row in ApiKey.objects.all()],
        "walletAddress": list(Wallet.objects.values_list("address", flat=True)),
        "workspaceId": [str(row.id) for row in Workspace.objects.all()],
        "userId": [str(user.id)],
        "number": [1],
        "tokenAddress": list(Position.objects.values_list("token_id", flat=True)),
    }
