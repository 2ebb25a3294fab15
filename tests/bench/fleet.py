"""Who trades in the benchmarks: a user with a key, agents with funded wallets, tokens with prices, and open positions
by the ten thousand, which are written as rows and not bought.
"""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from agents import services as agent_services
from agents.models import Agent, Assignment
from nexgent import clock
from nexgent.accounts.models import Membership, User, Workspace
from nexgent.accounts.services import api_key_create
from nexgent.ids import key_uuid, uuid7
from nexgent.money import SOL_MINT
from prices import services as prices
from prices.models import Token
from prices.records import PriceTick
from tests.trader import new_mint
from trading.engine.positions import PINNED as PINNED_KEY
from trading.models import Order, Position, Purpose, Side, State, Watermark
from wallets import services as wallets

PRICE = Decimal("0.001")
DECIMALS = 9
SIZES = {name: {"min": 0.02, "max": 0.04} for name in ("small", "medium", "large")}
PLAIN: dict[str, Any] = {
    "positionCalculator": {"positionSizes": SIZES},
    "limits": {"maxOpenPositions": 1_000},
}
LADDER = [{"targetPercent": 60, "sellPercent": 40}, {"targetPercent": 900, "sellPercent": 20}]
LEVELS = [
    {"change": 100, "stopLoss": 50},
    {"change": 50, "stopLoss": 20},
    {"change": 25, "stopLoss": 8},
    {"change": 10, "stopLoss": 2},
]
FIXED, EXPONENTIAL, ZONES = ({"mode": mode, "defaultPercentage": -40} for mode in ("fixed", "exponential", "zones"))
CUSTOM = {"mode": "custom", "defaultPercentage": -40, "trailingLevels": LEVELS}
WITH_LADDER = {"takeProfit": {"enabled": True, "mode": "custom", "levels": LADDER, "moonBag": {"enabled": False}}}
WITH_DCA = {"dca": {"enabled": True, "mode": "aggressive"}}
KINDS: tuple[dict[str, Any], ...] = (
    {"stopLoss": FIXED},
    {"stopLoss": EXPONENTIAL},
    {"stopLoss": ZONES},
    {"stopLoss": CUSTOM},
    {"stopLoss": FIXED} | WITH_DCA,
    {"stopLoss": EXPONENTIAL} | WITH_LADDER,
    {"stopLoss": ZONES} | WITH_LADDER | WITH_DCA,
    {"stopLoss": CUSTOM} | WITH_LADDER,
)
"""All four modes of the stop, ladders and DCA, as agents of a real installation mix them. Stale closes are on, as they
are in every new configuration.
"""
PINNED_EVERY, PINNED = 21, Decimal(-30)
"""One of so many positions has its stop pinned by a person."""
AGES: tuple[tuple[timedelta, Decimal], ...] = (
    (timedelta(minutes=5), Decimal(0)),
    (timedelta(hours=2), Decimal(-5)),
    (timedelta(minutes=5), Decimal(0)),
    (timedelta(hours=2), Decimal(15)),
    (timedelta(minutes=5), Decimal(0)),
)
"""Age and gain in percent, in turns: of five positions two are past the hour from which the stale close looks at them,
and stand below or above the gains that it closes at.
"""


@dataclass(frozen=True, slots=True)
class Owner:
    """A user with a workspace and a key that may post signals."""

    user: User
    workspace: Workspace
    key: str


def owner() -> Owner:
    user = User.objects.create_user(f"{uuid4().hex}@example.org")
    workspace = Workspace.objects.create(name="Bench")
    Membership.objects.create(workspace=workspace, user=user, role="owner")
    key = api_key_create(user_id=user.id, workspace_id=workspace.id, name="bot", scopes=["signals"]).raw
    return Owner(user, workspace, key)


def agents(
    who: Owner, count: int, *, profile: str = "ideal", sol: int = 1_000_000, kinds: tuple[dict[str, Any], ...] = ({},)
) -> list[Agent]:
    """Agents with funded simulation wallets, in id order; their configurations take turns."""
    made = []
    for number in range(count):
        config = PLAIN | kinds[number % len(kinds)]
        agent = agent_services.agent_create(
            workspace_id=who.workspace.id, user_id=who.user.id, name=f"Agent {number}", profile=profile, config=config
        )
        wallet_id = Assignment.objects.values_list("wallet_id", flat=True).get(agent=agent)
        wallets.deposit(
            wallet_id=wallet_id, lamports=sol * 10**9, author="bench", at=clock.now() - timedelta(seconds=1)
        )
        made.append(agent)
    return sorted(made, key=lambda agent: agent.id)


def tokens(count: int) -> list[str]:
    """New tokens whose facts are known (nobody has to ask for them)."""
    mints, now = [new_mint() for _ in range(count)], clock.now()
    Token.objects.bulk_create(
        [
            Token(mint=mint, decimals=DECIMALS, symbol="BENCH", facts={"poolLamports": 10**15}, facts_at=now)
            for mint in mints
        ]
    )
    return mints


def tick(mint: str, price: Decimal = PRICE) -> PriceTick:
    return PriceTick(mint, price, clock.now(), "bench", price_usd=price * 150)


def publish(mints: list[str], price: Decimal = PRICE) -> None:
    """Make a price the latest of these tokens, and SOL's own known in USD."""
    sol = PriceTick(SOL_MINT, Decimal(1), clock.now(), "bench", price_usd=Decimal(150))
    prices.publish([sol, *(tick(mint, price) for mint in mints)])
    prices.flush()


def open_positions(owned: list[Agent], mints: list[str], *, holders: int, seed: int = 1) -> int:
    """Give each token `holders` positions of different agents, with the filled orders that opened them; how many."""
    chance, now = random.Random(seed), clock.now()
    wallet_of = dict(Assignment.objects.filter(ended_at=None).values_list("agent_id", "wallet_id"))
    orders, positions, marks = [], [], []
    for number, mint in enumerate(mints):
        for place in range(holders):
            agent = owned[(number * holders + place) % len(owned)]
            order, position, mark = _position(
                agent, wallet_of[agent.id], mint, now, chance, turn=number + place, nth=number * holders + place
            )
            orders.append(order)
            positions.append(position)
            marks.append(mark)
    Position.objects.bulk_create(positions, batch_size=1000)
    Order.objects.bulk_create(orders, batch_size=1000)
    Watermark.objects.bulk_create(marks, batch_size=1000)
    return len(positions)


def _position(
    agent: Agent, wallet_id: Any, mint: str, now: datetime, chance: random.Random, *, turn: int, nth: int
) -> tuple[Order, Position, Watermark]:
    age, gain = AGES[turn % len(AGES)]
    at, average = now - age, (PRICE * 100 / (100 + gain)).quantize(Decimal("1e-15"))
    pinned = PINNED if nth % PINNED_EVERY == PINNED_EVERY - 1 else None
    lamports, position_id, key = chance.randint(20_000_000, 900_000_000), uuid7(), uuid4().hex
    units = int(lamports / average)
    owned = {"workspace_id": agent.workspace_id, "agent_id": agent.id, "wallet_id": wallet_id, "token_id": mint}
    order = Order(
        **owned,
        key=key_uuid(key),
        key_text=key,
        config_id=agent.config_id,
        position_id=position_id,
        side=Side.BUY,
        purpose=Purpose.ENTRY,
        state=State.FILLED,
        amount=lamports,
        plan={"reason": "signal"},
        price=average,
        price_at=at,
        price_source="bench",
        profile=agent.profile,
        created_at=at,
        final_at=at,
    )
    position = Position(
        **owned,
        id=position_id,
        config_id=agent.config_id,
        symbol="BENCH",
        decimals=DECIMALS,
        profile=agent.profile,
        opened_by_id=order.id,
        average=average,
        bought_units=units,
        remaining_units=units,
        invested_lamports=lamports,
        cost_lamports=lamports,
        override=None if pinned is None else {PINNED_KEY: str(pinned)},
        opened_at=at,
        updated_at=at,
    )
    mark = Watermark(
        position_id=position_id,
        generation=1,
        peak=max(PRICE, average),
        stop_percent=Decimal(-40) if pinned is None else pinned,
        low=min(PRICE, average),
        at=at,
    )
    return order, position, mark
