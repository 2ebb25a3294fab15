"""Nobody waits for somebody else: a hundred stops on a slow venue, beside one hanging call, beside a thousand entries.

Real worker processes and a venue on loopback. What is asserted is correctness with generous bounds; the figures that
are printed belong to an idle machine (`docs/proofs.md`).
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import connection

from agents import services as agents
from agents.models import Agent
from nexgent import clock
from nexgent.accounts.models import User, Workspace
from prices import services as prices
from prices.models import Token
from prices.records import PriceTick
from signals import fanout
from signals import services as signals
from signals.models import Signal
from tests.crash.venue import SLOW
from tests.integration.test_takeover import ROOT, until
from tests.trader import new_mint
from trading.books import check
from trading.engine.watch import Engine
from trading.models import Order, Position, Side, State
from wallets import services as wallets
from wallets.models import Wallet

STOPS = 100
SIZES = {name: {"min": 0.2, "max": 0.2} for name in ("small", "medium", "large")}
CONFIG = {"positionCalculator": {"positionSizes": SIZES}, "stopLoss": {"defaultPercentage": -20}}
PATIENCE_SECONDS = 40
BEGUN_SECONDS_MAX, BOOKED_SECONDS_MAX = 10.0, 11.5
"""Bounds for a machine that is busy with other tests, below what the hanging call takes; the goals are 0.3 and 1.0."""

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def worker(queue, journal, *, hanging_seconds=0):
    url = settings.DATABASE_URL
    environment = os.environ | {
        "NEXGENT_ENV": "development",
        "DATABASE_URL": url.replace(f"/{url.split('/')[3].split('?')[0]}?", f"/{connection.settings_dict['NAME']}?"),
        "REDIS_URL": settings.REDIS_URL,
        "PRICE_FEEDS": "synthetic",
        "NEXGENT_PROCESS": queue,
        "SLOW_VENUE_JOURNAL": str(journal),
        "SLOW_VENUE_SECONDS": "0.5",
        "SLOW_VENUE_HANGING_SECONDS": str(hanging_seconds),
    }
    words = [
        "-A",
        "nexgent",
        "worker",
        "-Q",
        queue,
        "-P",
        "threads",
        "-c",
        "4",
        "-n",
        f"{queue}-{uuid4().hex[:6]}@test",
    ]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.worker", *words], cwd=ROOT, env=environment, stderr=said
        )
        until(lambda: b" ready." in os.pread(said.fileno(), 1 << 20, 0), seconds=PATIENCE_SECONDS)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


class Stage:
    """A hundred positions of as many agents in one token, their exits to go to the slow venue."""

    def __init__(self):
        self.mint = new_mint()
        Token.objects.create(mint=self.mint, decimals=9, symbol="TEST")
        self.workspace, self.user = self.people()
        for number in range(STOPS):
            self.agent(self.workspace, self.user, f"Agent {number}")
        prices.publish([PriceTick(self.mint, Decimal("0.001"), clock.now(), "test")])
        self.post(self.workspace, self.user, self.mint)
        fanout.drain()
        Position.objects.update(profile=SLOW)
        self.engine = Engine()
        self.engine.step()
        assert len(self.engine.book) == STOPS

    def people(self):
        user = User.objects.create_user(f"{uuid4()}@example.com", "correct horse battery")
        return Workspace.objects.create(name="Tests"), user

    def agent(self, workspace, user, name):
        agent = agents.agent_create(
            workspace_id=workspace.id, user_id=user.id, name=name, profile="ideal", config=CONFIG
        )
        wallets.deposit(wallet_id=Wallet.objects.get(assignments__agent=agent).id, lamports=10**10, author="test")
        return agent

    def post(self, workspace, user, mint):
        signals.accept(
            workspace_id=workspace.id,
            user_id=user.id,
            received_at=clock.now(),
            data={"tokenAddress": mint, "signalType": uuid4().hex[:20], "signalStrength": 5},
        )

    def fall(self):
        """The tick that makes every stop due; returns when it came (`time.time()`)."""
        at = time.time()
        self.engine.offer([PriceTick(self.mint, Decimal("0.0006"), clock.now(), "test")])
        assert self.engine.step() == STOPS
        return at


@dataclass
class Figures:
    """Seconds from the tick to the last call begun and to the last fill booked; `calls` is one line per call."""

    begun: float
    booked: float
    calls: list[str]


def figures(journal, at, *, still_hanging=0) -> Figures:
    sales = Order.objects.filter(side=Side.SELL)
    stops = set(map(str, sales.values_list("id", flat=True)))
    calls = [line.split() for line in journal.read_text().splitlines() if line.split()[0] in stops]
    booked = [moment.timestamp() - at for moment in sales.filter(state=State.FILLED).values_list("final_at", flat=True)]
    assert len(booked) == STOPS - still_hanging
    return Figures(max(float(moment) for _, moment in calls) - at, max(booked), [order for order, _ in calls])


def sold():
    return Position.objects.exclude(closed_at=None).count()


def test_a_hundred_stops_on_a_slow_venue_begin_together(tmp_path):
    stage, journal = Stage(), tmp_path / "calls"
    with worker("exits", journal):
        at = stage.fall()
        until(lambda: sold() == STOPS, seconds=PATIENCE_SECONDS)
    found = figures(journal, at)
    print(
        f"independence: {STOPS} stops, venue 500 ms: last begun {found.begun:.3f} s, last booked {found.booked:.3f} s"
    )
    assert len(found.calls) == len(set(found.calls)) == STOPS
    assert found.begun < BEGUN_SECONDS_MAX
    assert found.booked < BOOKED_SECONDS_MAX
    assert check().problems == ()


def test_one_hanging_call_delays_no_other_exit(tmp_path):
    hanging_seconds = float(os.environ.get("HANGING_SECONDS", "12"))
    stage, journal = Stage(), tmp_path / "calls"
    with worker("exits", journal, hanging_seconds=hanging_seconds):
        at = stage.fall()
        until(lambda: sold() >= STOPS - 1, seconds=PATIENCE_SECONDS)
        found = figures(journal, at, still_hanging=1)
        until(lambda: sold() == STOPS, seconds=hanging_seconds + PATIENCE_SECONDS)
    print(
        f"independence: beside a call that hangs {hanging_seconds:g} s: last of the other {STOPS - 1}"
        f" begun {found.begun:.3f} s, booked {found.booked:.3f} s"
    )
    assert found.booked < BOOKED_SECONDS_MAX
    assert len(found.calls) == len(set(found.calls)) == STOPS
    assert check().problems == ()


def test_a_thousand_waiting_entry_signals_delay_no_exit(tmp_path):
    waiting = int(os.environ.get("WAITING_SIGNALS", "200"))
    stage, journal = Stage(), tmp_path / "calls"
    workspace, user = stage.people()
    for number in range(5):
        agent = stage.agent(workspace, user, f"Buyer {number}")
        Agent.objects.filter(id=agent.id).update(profile=SLOW)
    mints = [new_mint() for _ in range(waiting)]
    Token.objects.bulk_create(Token(mint=mint, decimals=9, symbol="TEST") for mint in mints)
    prices.publish([PriceTick(mint, Decimal("0.001"), clock.now(), "test") for mint in mints])
    with worker("exits", journal):
        for mint in mints:
            stage.post(workspace, user, mint)
        with worker("entries", journal):
            left = Signal.objects.filter(drained_at=None).count()
            at = stage.fall()
            until(lambda: sold() == STOPS, seconds=PATIENCE_SECONDS)
            still = Signal.objects.filter(drained_at=None).count()
    found = figures(journal, at)
    print(
        f"independence: with {left} entry signals waiting ({still} at the end): last begun {found.begun:.3f} s,"
        f" last booked {found.booked:.3f} s"
    )
    assert left > 0
    assert len(found.calls) == len(set(found.calls)) == STOPS
    assert found.begun < BEGUN_SECONDS_MAX
    assert found.booked < BOOKED_SECONDS_MAX
