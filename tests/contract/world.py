"""What the cases are about: two workspaces, their people, and things that are made when a case first names them.

A group adds its own things with `@value("name")`; the function gets the world and may ask it for others.
"""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from nexgent import clock
from nexgent.accounts import services, tokens
from nexgent.accounts.models import Membership, Role, User
from nexgent.money import SOL_MINT
from prices import services as prices
from prices.records import PriceTick
from tests.contract.cases import ABSENT
from tests.integration.api_client import Api

MINT = "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263"
PASSWORD = "Correct-Horse-9-Battery"
EMAILS = {"owner": "owner@example.com", "stranger": "stranger@example.com", "admin": "admin@example.com"}


@dataclass(frozen=True, slots=True)
class Value:
    """How a thing is made, and whether that trades: real commits then, no transaction that is rolled back."""

    make: Callable[["World"], Any]
    committed: bool


VALUES: dict[str, Value] = {}


def value(name: str, *, committed: bool = False) -> Callable[[Callable[["World"], Any]], Callable[["World"], Any]]:
    """Declare `{name}` of cases."""

    def declare(make: Callable[["World"], Any]) -> Callable[["World"], Any]:
        assert name not in VALUES, f"{name} is declared twice"
        VALUES[name] = Value(make, committed)
        return make

    return declare


def needs_commits(names: Iterable[str]) -> bool:
    return any(VALUES[name].committed for name in names if name in VALUES)


class World:
    """`world["agentId"]` is the owner's agent; `world.client("stranger")` a client of somebody.

    `settings` and `patch` are put back after the case.
    """

    def __init__(self, settings: Any, patch: pytest.MonkeyPatch) -> None:
        self.settings, self.patch = settings, patch
        self.afterwards = ExitStack()
        """What ends when the case ends."""
        self._made: dict[str, Any] = {}
        self._clients: dict[str, Api] = {}
        self._users: dict[str, User] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = VALUES[name].make(self)
        return self._made[name]

    @property
    def owner(self) -> Api:
        return self.client("owner")

    def client(self, who: str) -> Api:
        """Owner, stranger, a member by role, nobody, or "key:scope scope"."""
        if who not in self._clients:
            self._clients[who] = self._client(who)
        return self._clients[who]

    def user(self, who: str) -> User:
        """The person behind `owner`, `stranger`, `admin`, or a role's name in the owner's workspace."""
        if who not in self._users:
            self._users[who] = self._user(who)
        return self._users[who]

    @property
    def workspace_id(self) -> Any:
        return Membership.objects.get(user=self.user("owner")).workspace_id

    def _client(self, who: str) -> Api:
        if who == "nobody":
            return Api()
        if who.startswith("key:"):
            scopes = who.removeprefix("key:").split()
            owner = self.user("owner")
            new = services.api_key_create(
                user_id=owner.id, workspace_id=self.workspace_id, name="Of a case", scopes=scopes
            )
            return Api(new.raw)
        return Api(tokens.open_session(self.user(who), remember_me=False, rotate=False).access)

    def _user(self, who: str) -> User:
        if who in EMAILS:
            return services.user_create(email=EMAILS[who], password=PASSWORD, is_superuser=who == "admin")
        user = User.objects.create_user(f"{who}@example.com", PASSWORD)
        Membership.objects.create(workspace_id=self.workspace_id, user=user, role=Role(who))
        return user

    def post(self, path: str, body: Any = None, *, status: int = 201) -> Any:
        """What the owner gets for a POST under /api/v1."""
        answer = self.owner.post(f"/api/v1{path}", body)
        assert answer.status_code == status, answer.content
        return answer.json()

    def tick(self, price: str = "0.001", *, usd: str = "200") -> None:
        """A fresh price of the token and of SOL, with enough liquidity to trade."""
        now = clock.now()
        prices.publish(
            [
                PriceTick(SOL_MINT, Decimal(1), now, "test", price_usd=Decimal(usd)),
                PriceTick(
                    MINT,
                    Decimal(price),
                    now,
                    "test",
                    price_usd=Decimal(price) * Decimal(usd),
                    liquidity_usd=Decimal(100_000),
                ),
            ]
        )


@value("absent")
def _absent(_world: World) -> str:
    return ABSENT


@value("mint")
def _mint(_world: World) -> str:
    return MINT


@value("solMint")
def _sol_mint(_world: World) -> str:
    return SOL_MINT


@value("email")
def _email(world: World) -> str:
    return str(world.user("owner").email)


@value("agentId")
def _agent_id(world: World) -> str:
    """An agent in simulation that fills exactly at the price."""
    return str(world.post("/agents", {"name": "Momentum", "profile": "ideal"})["id"])


@value("walletAddress")
def _wallet_address(world: World) -> str:
    answer = world.owner.get(f"/api/v1/wallets/agent/{world['agentId']}").json()
    return str(answer["agentWallets"][0]["walletAddress"])


@value("transactionId")
def _transaction_id(world: World) -> str:
    """A deposit of 10 SOL."""
    body = {
        "agentId": world["agentId"],
        "transactionType": "DEPOSIT",
        "transactionValueUsd": 0,
        "transactionTime": "2026-11-21T10:00:00.000Z",
        "inputMint": SOL_MINT,
        "inputAmount": "10",
    }
    return str(world.post("/agent-transactions", body)["id"])


@value("balanceId")
def _balance_id(world: World) -> str:
    assert world["transactionId"]
    rows = world.owner.get("/api/v1/agent-balances", {"agentId": world["agentId"]}).json()
    return str(next(row["id"] for row in rows if row["tokenAddress"] == SOL_MINT))


@value("signalId")
def _signal_id(world: World) -> int:
    body = {
        "tokenAddress": MINT,
        "symbol": "BONK",
        "signalType": "Momentum",
        "activationReason": "Volume up 300 %",
        "signalStrength": 4,
        "source": "desk",
    }
    return int(world.post("/trading-signals", body)["id"])


@value("trade", committed=True)
def _trade(world: World) -> Any:
    """A buy of 1 SOL at 0.001, after a deposit of 10 SOL: the answer of /trades/execute."""
    assert world["transactionId"]
    world.tick("0.001")
    body = {"agentId": world["agentId"], "tokenAddress": MINT, "tokenSymbol": "BONK", "positionSize": "1"}
    return world.post("/trades/execute", body, status=200)


@value("positionId", committed=True)
def _position_id(world: World) -> str:
    return str(world["trade"]["positionId"])


@value("orderId", committed=True)
def _order_id(world: World) -> str:
    return str(world["trade"]["orderId"])


@value("closed", committed=True)
def _closed(world: World) -> Any:
    """The position sold at 0.0015: the answer of the close."""
    position = world["positionId"]
    world.tick("0.0015")
    return world.post(f"/agent-positions/{world['agentId']}/{position}/close", {}, status=200)


@value("swapId", committed=True)
def _swap_id(world: World) -> str:
    return str(world["closed"]["historicalSwapId"])
