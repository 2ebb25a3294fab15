"""A market in SOL that tells a lie once, and what is held in it."""

from collections import Counter
from decimal import Decimal
from typing import Any
from uuid import uuid4

from agents import services as agents
from nexgent import clock
from nexgent.accounts.models import User, Workspace
from prices import services as prices
from prices.models import Token
from prices.records import PriceTick
from signals import fanout
from signals import services as signals
from tests.fakes.jupiter import FakeJupiter
from tests.fakes.loopback import Query, Raw
from tests.trader import new_mint
from trading.models import Position
from wallets import services as wallets
from wallets.models import Wallet

SOL_USD = 150
FAST = {"JUPITER_RATE": "600"}
"""For processes that poll at the pace of a paid key."""
CONFIG: dict[str, Any] = {
    "stopLoss": {"defaultPercentage": -20},
    "takeProfit": {
        "enabled": True,
        "mode": "custom",
        "levels": [{"targetPercent": 40, "sellPercent": 50}],
        "moonBag": {"enabled": False},
    },
    "staleTrade": {"enabled": True, "minHoldTimeMinutes": 60, "minProfitPercent": -10, "maxProfitPercent": 10},
}
"""Sells at -20 %, at +40 %, and after an hour within 10 %."""


def usd(sol: str | Decimal) -> Raw:
    return Raw(format(Decimal(sol) * SOL_USD, "f"))


class Market(FakeJupiter):
    """`lies` are told by the next answer about their mints, and by that one only; `told` counts answers per mint."""

    def __init__(self) -> None:
        super().__init__(sol_usd=SOL_USD)
        self.lies: dict[str, str] = {}
        self.told: Counter[str] = Counter()

    def set(self, mint: str, sol: str) -> None:
        """From the next answer on, the mint costs so many SOL."""
        self.prices[mint] = usd(sol)

    def answer(self, path: str, query: Query, headers: dict[str, str]) -> Any:
        value = super().answer(path, query, headers)
        if path == "/price/v3":
            for mint in set(value) & set(self.lies):
                value[mint]["usdPrice"] = usd(self.lies.pop(mint))
            self.told.update(value.keys())
        return value


def outside(market: Market, *, second: str = "") -> dict[str, str]:
    """Where a process of the product finds its feeds, without a key; `second` is where DexScreener answers."""
    nowhere = "http://127.0.0.1:9"
    return {
        "PRICE_FEEDS": "jupiter,dexscreener" if second else "jupiter",
        "JUPITER_API_URL": market.url,
        "JUPITER_API_KEY": "",
        "DEXSCREENER_API_URL": second or nowhere,
        "PYTH_API_URL": nowhere,
        "SOLANA_RPC_URL": nowhere,
        "PRICES_WRITER": "thread",
    }


def held(sol: str = "0.001") -> Position:
    """A position bought at this price."""
    mint = new_mint()
    user = User.objects.create_user(f"{uuid4()}@example.com", "correct horse battery")
    workspace = Workspace.objects.create(name="Tests")
    agent = agents.agent_create(
        workspace_id=workspace.id, user_id=user.id, name="Alpha", profile="ideal", config=CONFIG
    )
    wallets.deposit(wallet_id=Wallet.objects.get(assignments__agent=agent).id, lamports=10**10, author="test")
    Token.objects.create(mint=mint, decimals=9, symbol="TEST")
    prices.publish([PriceTick(mint, Decimal(sol), clock.now(), "jupiter")])
    signals.accept(
        workspace_id=workspace.id,
        user_id=user.id,
        received_at=clock.now(),
        data={"tokenAddress": mint, "signalType": "X", "signalStrength": 5},
    )
    fanout.drain()
    return Position.objects.get(token_id=mint)
