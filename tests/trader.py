"""A trader for tests: one agent, one token, the real engine in this process, and a clock that the test moves.

Prices go through `prices.publish`, orders through the executor: only the worker processes are left out.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.conf import settings

from agents import services as agents
from agents.models import Agent
from nexgent import clock, money
from nexgent.accounts.models import User, Workspace
from nexgent.ids import uuid7
from prices import services as prices
from prices.models import Token
from prices.records import PriceTick
from signals import fanout
from signals import services as signals
from signals.models import Signal
from trading import services as trading
from trading.engine import leases
from trading.engine.executor import execute
from trading.engine.watch import Engine
from trading.models import Order, Position, Side
from wallets import services as wallets
from wallets.models import Wallet

START = datetime(2026, 1, 5, 12, tzinfo=UTC)
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def new_mint() -> str:
    """A random address: base58 of 32 bytes."""
    number, text = int.from_bytes(uuid7().bytes + uuid4().bytes), ""
    while number:
        number, rest = divmod(number, 58)
        text = _ALPHABET[rest] + text
    return text


@contextmanager
def tape_clock(at: datetime = START) -> Iterator[clock.TapeClock]:
    """Run with a clock that moves only when told; prices are stored in the caller's thread."""
    before = clock.clock
    with tempfile.TemporaryDirectory() as folder:
        tape = clock.TapeClock(Path(folder) / "clock")
        tape.set(at)
        clock.clock = tape
        prices.write_prices("inline")
        try:
            yield tape
        finally:
            clock.clock = before
            prices.write_prices(settings.PRICES_WRITER)


class Trader:
    """One agent with a funded simulation wallet, one token, and the engine around them."""

    def __init__(
        self,
        tape: clock.TapeClock,
        *,
        config: dict[str, Any] | None = None,
        sol: str = "10",
        profile: str = "ideal",
        decimals: int = 9,
    ) -> None:
        self.tape = tape
        self.mint = new_mint()
        self.user = User.objects.create_user(f"{uuid4()}@example.com", "correct horse battery")
        self.workspace = Workspace.objects.create(name="Tests")
        self.agent: Agent = agents.agent_create(
            workspace_id=self.workspace.id, user_id=self.user.id, name="Alpha", profile="ideal", config=config
        )
        Agent.objects.filter(id=self.agent.id).update(profile=profile)  # a venue that a test registered counts too
        self.wallet = Wallet.objects.get(assignments__agent=self.agent)
        Token.objects.create(mint=self.mint, decimals=decimals, symbol="TEST")
        self.fund(sol)
        self.engine = Engine()
        self.engine.step()

    @classmethod
    def with_position(cls, tape: clock.TapeClock, **options: Any) -> "Trader":
        """One that bought for 1 SOL at 0.001, a second ago."""
        trader = cls(tape, **options)
        trader.price("0.001")
        trader.buy("1")
        trader.wait(1)
        return trader

    def fund(self, sol: str) -> None:
        if amount := money.lamports(Decimal(sol)):
            wallets.deposit(wallet_id=self.wallet.id, lamports=amount, author="test", at=clock.now())

    def wait(self, seconds: float) -> None:
        self.tape.set(clock.now() + timedelta(seconds=seconds))

    def price(self, price: str | Decimal, *, age: float = 0, source: str = "test") -> None:
        """One tick of the token: stored, seen by the engine, every order it leads to executed."""
        tick = PriceTick(self.mint, Decimal(price), clock.now() - timedelta(seconds=age), source)
        prices.publish([tick])
        self.engine.offer([tick])
        self.engine.step()
        self.settle()

    def settle(self) -> int:
        """Execute what waits until nothing does, then let the engine follow; returns how many orders."""
        done = 0
        while ran := self.execute(Side.SELL) + self.execute(Side.BUY):
            done += ran
        self.engine.check()
        self.engine.step()
        return done

    def execute(self, side: Side) -> int:
        claimed = leases.claim(side, most=100, at=clock.now())
        for order_id in claimed:
            execute(order_id, leases.OWNER)
        return len(claimed)

    def signal(self, **data: Any) -> Signal:
        """Post a signal for the token and let every agent answer it."""
        signal = signals.accept(
            workspace_id=self.workspace.id,
            user_id=self.user.id,
            received_at=clock.now(),
            data={"tokenAddress": self.mint, "signalType": f"T{uuid4().hex[:8]}", "signalStrength": 5} | data,
        )
        fanout.drain()
        self.settle()
        return signal

    def buy(self, sol: str) -> Order:
        """A person's entry of an exact size."""
        order_id = trading.manual_buy(
            agent_id=self.agent.id, mint=self.mint, principal="test", lamports=money.lamports(Decimal(sol))
        )
        self.settle()
        return Order.objects.get(id=order_id)

    def configure(self, partial: dict[str, Any]) -> None:
        agents.config_update(agent_id=self.agent.id, partial=partial, author="test")

    def switch(self, **changes: Any) -> None:
        agents.agent_update(agent_id=self.agent.id, changes=changes)

    @property
    def position(self) -> Position:
        return Position.objects.select_related("watermark").filter(agent=self.agent).latest("id")

    def orders(self, **where: Any) -> list[Order]:
        return list(Order.objects.filter(agent=self.agent, **where).order_by("id"))
