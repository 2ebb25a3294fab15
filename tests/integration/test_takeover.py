"""With the prices process dead, an exits process takes the engine role over and books a stop within five seconds.

Real worker processes, real kill -9, no beat and no supervisor: only the processes' own timers are left.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import connection

from agents import services as agents
from nexgent import clock
from nexgent.accounts.models import User, Workspace
from prices import services as prices
from prices.models import Token
from prices.records import PriceTick
from signals import fanout
from signals import services as signals
from tests.fakes.jupiter import FakeJupiter
from tests.fakes.loopback import Raw
from tests.trader import new_mint
from trading.books import check
from trading.engine import recovery
from trading.models import Position
from wallets import services as wallets
from wallets.models import Wallet

ROOT = Path(__file__).resolve().parents[2]
SOL_USD = 150
TAKEOVER_SECONDS = 5.0


@contextmanager
def worker(queue: str, market: FakeJupiter) -> Iterator[subprocess.Popen[bytes]]:
    url = settings.DATABASE_URL
    name = connection.settings_dict["NAME"]
    environment = os.environ | {
        "NEXGENT_ENV": "development",
        "DATABASE_URL": url.replace(f"/{url.split('/')[3].split('?')[0]}?", f"/{name}?"),
        "REDIS_URL": settings.REDIS_URL,
        "PRICE_FEEDS": "jupiter",
        "JUPITER_API_URL": market.url,
        "JUPITER_RATE": "600",
        "PYTH_API_URL": market.url,
        "DEXSCREENER_API_URL": market.url,
        "SOLANA_RPC_URL": market.url,
        "PRICES_WRITER": "thread",
    }
    command = [sys.executable, "-m", "celery", "-A", "nexgent", "worker", "-Q", queue, "-P", "threads", "-c", "2"]
    process = subprocess.Popen(
        [*command, "-n", f"{queue}-{uuid4().hex[:6]}@test", "-l", "WARNING"], cwd=ROOT, env=environment
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(what: Callable[[], bool], *, seconds: float) -> float:
    """Wait until `what` is true; returns how long it took."""
    begun = time.monotonic()
    while not what():
        assert time.monotonic() - begun < seconds, "not in time"
        time.sleep(0.02)
    return time.monotonic() - begun


def bought(mint: str) -> Position:
    user = User.objects.create_user(f"{uuid4()}@example.com", "correct horse battery")
    workspace = Workspace.objects.create(name="Tests")
    agent = agents.agent_create(
        workspace_id=workspace.id,
        user_id=user.id,
        name="Alpha",
        profile="ideal",
        config={"stopLoss": {"defaultPercentage": -20}},
    )
    wallets.deposit(wallet_id=Wallet.objects.get(assignments__agent=agent).id, lamports=10**10, author="test")
    Token.objects.create(mint=mint, decimals=9, symbol="TEST")
    prices.publish([PriceTick(mint, Decimal("0.001"), clock.now(), "jupiter")])
    signals.accept(
        workspace_id=workspace.id,
        user_id=user.id,
        received_at=clock.now(),
        data={"tokenAddress": mint, "signalType": "X", "signalStrength": 5},
    )
    fanout.drain()
    return Position.objects.get(token_id=mint)


@pytest.mark.django_db(transaction=True)
def test_an_exits_process_takes_over_and_books_a_stop_within_five_seconds():
    mint = new_mint()

    def quote(sol: str) -> Raw:
        return Raw(format(Decimal(sol) * SOL_USD, "f"))

    with FakeJupiter(sol_usd=SOL_USD) as market:
        market.prices[mint] = quote("0.001")
        position = bought(mint)
        with worker("prices", market) as first, worker("exits", market):
            until(recovery.is_recovered, seconds=40)
            until(lambda: bool(recovery.report()["watched"]), seconds=10)
            time.sleep(3)  # the exits process is up and stands by
            first.send_signal(signal.SIGKILL)
            market.prices[mint] = quote("0.00078")  # a fall of less than 30 % waits for no second source

            def is_booked() -> bool:
                position.refresh_from_db()
                return position.closed_at is not None

            took = until(is_booked, seconds=20)
    print(f"takeover: stop booked {took:.2f} s after the kill")
    assert position.close_reason == "stop_loss"
    assert took <= TAKEOVER_SECONDS
    assert check().problems == ()
