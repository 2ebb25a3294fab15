"""Who trades in the crash proof: agents of every profile, a market that a script moves, signals and manual closes as
clients send them: again and again with the same Idempotency-Key until there is an answer.
"""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import Any, TypeVar
from uuid import uuid4

import httpx
from django.db import DatabaseError, connection

from agents import services as agents
from agents.models import Agent
from nexgent import clock
from nexgent.accounts import services as accounts
from nexgent.accounts import tokens
from nexgent.accounts.models import Workspace
from tests.crash.system import SOL_USD, System
from tests.crash.venue import PROFILE
from tests.fakes.loopback import Raw
from tests.trader import new_mint
from trading.models import Position
from wallets import services as wallets
from wallets.models import Wallet

_T = TypeVar("_T")
PATIENCE_SECONDS = 60
SIZES = {name: {"min": 0.2, "max": 0.4} for name in ("small", "medium", "large")}
LADDER = [{"targetPercent": 8, "sellPercent": 40}, {"targetPercent": 900, "sellPercent": 20}]
BASE: dict[str, Any] = {
    "positionCalculator": {"positionSizes": SIZES},
    "stopLoss": {"defaultPercentage": -15},
    "staleTrade": {"enabled": False},
    "limits": {"maxOpenPositions": 1000},
}
KINDS: list[dict[str, Any]] = [
    {},
    {"takeProfit": {"enabled": True, "mode": "custom", "levels": LADDER, "moonBag": {"enabled": False}}},
    {"dca": {"enabled": True, "mode": "aggressive", "cooldownSeconds": 10}},
    {
        "dca": {"enabled": True, "mode": "aggressive", "cooldownSeconds": 10},
        "takeProfit": {"enabled": True, "mode": "custom", "levels": LADDER, "moonBag": {"enabled": False}},
        "stopLoss": {"defaultPercentage": -15, "mode": "exponential"},
    },
]
SKIPPED: dict[str, Any] = {"signals": {"allowedSignalTypes": ["Never"]}}
START = Decimal("0.001")
PATH = ("0.00088", "0.0011", "0.00083", "0.00065")
"""After the entry: a DCA, a ladder level, most stops, every stop. Each step is below the 30 % that wait for proof."""


def query(ask: Callable[[], _T]) -> _T:
    """Ask the database, again while it is away."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return ask()
        except DatabaseError:
            connection.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


@dataclass
class World:
    """Agents, tokens and what clients were told."""

    system: System
    random: random.Random
    profiles: tuple[str, ...] = ("ideal", "realistic", PROFILE)
    accepted: dict[str, int] = field(default_factory=dict)
    """Signal type (unique) → id of the 201."""
    last: dict[str, Decimal] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    """Mints whose fall is over: every position in them was due."""
    tries: Iterator[int] = field(default_factory=count)
    """Requests go to one web process after the other, as through a balancer; a repeated one to the next."""

    def populate(self) -> None:
        user = accounts.user_create(email="crash@example.com", password="Correct-Horse-9-Battery", is_superuser=True)
        self.user = user
        self.workspace = Workspace.objects.get(memberships__user=user)
        self.key = accounts.api_key_create(
            user_id=user.id, workspace_id=self.workspace.id, name="bot", scopes=["signals"]
        ).raw
        for profile in self.profiles:
            for number, kind in enumerate([*KINDS, SKIPPED]):
                self.agent(f"{profile} {number}", profile, BASE | kind)

    def agent(
        self,
        name: str,
        profile: str,
        config: dict[str, Any],
        *,
        workspace: Workspace | None = None,
        lamports: int = 100_000 * 10**9,
    ) -> Agent:
        """An agent with so much SOL, in the clients' workspace unless another is given."""
        agent = agents.agent_create(
            workspace_id=(workspace or self.workspace).id,
            user_id=self.user.id,
            name=name,
            profile="ideal",
            config=config,
        )
        Agent.objects.filter(id=agent.id).update(profile=profile)
        wallets.deposit(
            wallet_id=Wallet.objects.get(assignments__agent=agent).id,
            lamports=lamports,
            author="crash",
            at=clock.now() - timedelta(seconds=1),
        )
        return agent

    def token(self) -> str:
        mint = new_mint()
        self.system.market.token(mint, decimals=9)
        self.price(mint, START)
        return mint

    def price(self, mint: str, sol: Decimal | str) -> None:
        """From the next poll on, the mint costs so much."""
        self.last[mint] = Decimal(sol)
        self.system.market.prices[mint] = {"usdPrice": Raw(format(Decimal(sol) * SOL_USD, "f")), "decimals": 9}

    def fall(self) -> None:
        """Every token whose way is over loses another quarter: whatever is still held in it is due."""
        for mint in self.ended:
            self.last[mint] *= Decimal("0.75")
            self.price(mint, self.last[mint])

    def signal(self, mint: str) -> None:
        """Post a signal as a client does: the same request until it is answered."""
        kind = f"T{uuid4().hex[:12]}"
        body = {"tokenAddress": mint, "symbol": "CRASH", "signalType": kind, "signalStrength": 5}
        headers = {"X-API-Key": self.key, "Idempotency-Key": kind}
        answer = self._until_answered("trading-signals", body, headers)
        if answer is None or answer.status_code != 201:
            raise AssertionError(f"signal not accepted: {answer.text if answer is not None else 'no answer'}")
        self.accepted[kind] = answer.json()["id"]

    def close_some(self, mint: str) -> None:
        """A person closes one of the positions in a token; what the engine sells at that moment may come first."""
        found = query(
            lambda: list(Position.objects.filter(token_id=mint, closed_at=None).values_list("id", "agent_id"))
        )
        if not found:
            return
        position_id, agent_id = self.random.choice(found)
        access = query(lambda: tokens.open_session(self.user, remember_me=False, rotate=False).access)
        headers = {"Authorization": f"Bearer {access}", "Idempotency-Key": uuid4().hex}
        # A close whose web process died answers IDEMPOTENCY_IN_PROGRESS for 75 s: a person looks, and goes on.
        self._until_answered(f"agent-positions/{agent_id}/{position_id}/close", {}, headers, patience_seconds=5)

    def _until_answered(
        self, path: str, body: dict[str, Any], headers: dict[str, str], *, patience_seconds: float = PATIENCE_SECONDS
    ) -> httpx.Response | None:
        """The answer to a request that is sent again until there is one; None when patience ended."""
        end = time.monotonic() + patience_seconds
        while True:
            url = self.system.urls[next(self.tries) % len(self.system.urls)]
            try:
                answer = httpx.post(f"{url}/{path}", json=body, headers=headers, timeout=15)
            except httpx.HTTPError:
                answer = None
            in_progress = answer is not None and answer.status_code == 409 and "IDEMPOTENCY_IN_PROGRESS" in answer.text
            if answer is not None and answer.status_code < 500 and not in_progress:
                return answer
            if time.monotonic() > end:
                return None
            time.sleep(0.25)

    def trade(self, mints: list[str], *, step_seconds: float) -> None:
        """Buy the tokens and lead their prices to where every stop is due."""
        for mint in mints:
            self.signal(mint)
        for number, price in enumerate(PATH):
            time.sleep(step_seconds)
            if number == 2:
                for mint in mints:
                    self.close_some(mint)
            for mint in mints:
                self.price(mint, price)
        self.ended.update(mints)
