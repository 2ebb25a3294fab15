"""Nobody waits for somebody else: a hundred stops on a slow venue, beside one hanging call, beside a thousand entries,
beside entries that have used a provider's budget up.

Real worker processes and a venue on loopback. In the suite with small sizes and bounds for a machine that is busy with
other tests; `make independence` runs the same in full size against the goals (`tests/independence/scale.py`).
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings

from agents import services as agents
from agents.models import Agent
from nexgent import clock
from nexgent.accounts.models import User, Workspace
from prices import services as prices
from prices.budget import Budget
from prices.models import Token
from prices.records import Lane, PriceTick
from signals import fanout
from signals import services as signals
from signals.models import Signal
from tests.crash.venue import SLOW
from tests.fakes.jupiter import FakeJupiter
from tests.independence.processes import until, workers
from tests.independence.scale import SCALE, Figure, misses, note
from tests.servers import ROOT
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
VENUE_SECONDS = 0.5
ALONE: list["Crowd"] = []
"""What a hundred stops took without a hanging call, measured by the first case."""

pytestmark = pytest.mark.django_db(transaction=True)


def trader(queue: str, journal: Path, *, hanging: float = 0, controls: tuple[str, ...] = ()):
    """A worker whose venue writes its calls down and takes half a second for each, for the first one `hanging`."""
    venue = {
        "PRICE_FEEDS": "synthetic",
        "SLOW_VENUE_JOURNAL": str(journal),
        "SLOW_VENUE_SECONDS": str(VENUE_SECONDS),
        "SLOW_VENUE_HANGING_SECONDS": str(hanging),
    }
    return workers(queue, more=venue, controls=controls)


class Stage:
    """Positions of as many agents in one token, their exits to go to the slow venue."""

    def __init__(self, stops: int = STOPS) -> None:
        self.stops = stops
        self.mint = new_mint()
        Token.objects.create(mint=self.mint, decimals=9, symbol="TEST")
        self.workspace, self.user = self.people()
        for number in range(stops):
            self.agent(self.workspace, self.user, f"Agent {number}")
        prices.publish([PriceTick(self.mint, Decimal("0.001"), clock.now(), "test")])
        self.post(self.workspace, self.user, self.mint)
        fanout.drain()
        Position.objects.filter(token_id=self.mint).update(profile=SLOW)
        self.engine = Engine()
        self.engine.step()
        assert len(self.engine.book) == stops

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

    def fall(self) -> float:
        """The tick that makes every stop due; returns when it came (`time.time()`)."""
        at = time.time()
        self.engine.offer([PriceTick(self.mint, Decimal("0.0006"), clock.now(), "test")])
        assert self.engine.step() == self.stops
        return at

    def wait_until_sold(self, number: int, *, seconds: float) -> None:
        """Wait until so many of the positions are closed."""
        closed = Position.objects.filter(token_id=self.mint).exclude(closed_at=None)
        until(lambda: closed.count() >= number, seconds=seconds)


@dataclass
class Crowd:
    """Seconds from the tick to the last call begun and to the last fill booked; `calls` is one order per call."""

    begun: float
    booked: float
    calls: list[str]


def crowd(stage: Stage, journal: Path, at: float, *, has_hanging: bool = False) -> Crowd:
    """What all took; with `has_hanging` all but the first one that was called."""
    sales = Order.objects.filter(side=Side.SELL, token_id=stage.mint, state=State.FILLED)
    booked = {str(order_id): moment.timestamp() - at for order_id, moment in sales.values_list("id", "final_at")}
    lines = [line.split() for line in journal.read_text().splitlines()]
    calls = [(order, float(moment) - at) for order, moment in lines if order in booked]
    left_out = calls[0][0] if has_hanging else ""
    return Crowd(
        begun=max(moment for order, moment in calls if order != left_out),
        booked=max(moment for order, moment in booked.items() if order != left_out),
        calls=[order for order, _ in calls],
    )


def assert_each_was_sold_once(found: Crowd, stage: Stage) -> None:
    assert len(found.calls) == len(set(found.calls)) == stage.stops
    assert check().problems == ()


def measured_alone(journal: Path) -> Crowd:
    stage = Stage()
    with trader("exits", journal):
        at = stage.fall()
        stage.wait_until_sold(STOPS, seconds=PATIENCE_SECONDS)
    found = crowd(stage, journal, at)
    assert_each_was_sold_once(found, stage)
    return found


def measured_beside_a_hanging_call(stage: Stage, journal: Path, *, hanging: float, controls=()) -> Crowd:
    """The others' figures."""
    with trader("exits", journal, hanging=hanging, controls=controls):
        at = stage.fall()
        stage.wait_until_sold(stage.stops, seconds=hanging + PATIENCE_SECONDS)
    found = crowd(stage, journal, at, has_hanging=True)
    assert_each_was_sold_once(found, stage)
    return found


def beside(others: Crowd, *, hanging: float) -> list[Figure]:
    """What the others may take: a little more than a crowd alone, and never as long as the call hangs."""
    return [
        Figure("last of the others begun", others.begun, SCALE.begun_max + SCALE.beside_max),
        Figure("last of the others booked", others.booked, SCALE.booked_max + SCALE.beside_max),
        Figure("others booked while the call hangs", others.booked, hanging),
    ]


def test_a_hundred_stops_on_a_slow_venue_begin_together(tmp_path):
    ALONE[:] = [measured_alone(tmp_path / f"calls {number}") for number in range(SCALE.crowds)]
    figures = [Figure("last call begun", found.begun, SCALE.begun_max) for found in ALONE]
    figures += [Figure("last fill booked", found.booked, SCALE.booked_max) for found in ALONE]
    note(f"{STOPS} stops at once, a venue that takes {VENUE_SECONDS} s", *figures)
    assert misses(figures) == []


def test_one_hanging_call_delays_no_other_exit(tmp_path):
    found = []
    for number in range(SCALE.crowds):
        stage, journal = Stage(), tmp_path / f"calls {number}"
        found.append(measured_beside_a_hanging_call(stage, journal, hanging=SCALE.hanging))
    alone = ALONE or [measured_alone(tmp_path / "alone")]
    later = [
        Figure(
            f"the best crowd of {len(found)} {step} later than alone",
            min(getattr(one, step) for one in found) - min(getattr(one, step) for one in alone),
            SCALE.beside_max,
        )
        for step in ("begun", "booked")
    ]
    figures = [figure for one in found for figure in beside(one, hanging=SCALE.hanging)] + later
    note(f"the other {STOPS - 1} beside a call that hangs {SCALE.hanging:g} s", *figures)
    assert misses(figures) == []


def test_control_with_room_for_one_call_the_others_wait_for_the_hanging_one(tmp_path):
    stage, hanging = Stage(6), 3.0

    found = measured_beside_a_hanging_call(stage, tmp_path / "calls", hanging=hanging, controls=("one_call_at_a_time",))

    missed = misses(beside(found, hanging=hanging))
    note("control, a venue with room for one call", words=f"finds: {'; '.join(missed)}")
    assert missed[-1:] == [f"others booked while the call hangs {found.booked:.3f} s (at most 3) MISSED"]


def test_a_thousand_waiting_entry_signals_delay_no_exit(tmp_path):
    stage, journal = Stage(), tmp_path / "calls"
    workspace, user = stage.people()
    for number in range(5):
        agent = stage.agent(workspace, user, f"Buyer {number}")
        Agent.objects.filter(id=agent.id).update(profile=SLOW)
    mints = [new_mint() for _ in range(SCALE.waiting_signals)]
    Token.objects.bulk_create(Token(mint=mint, decimals=9, symbol="TEST") for mint in mints)
    prices.publish([PriceTick(mint, Decimal("0.001"), clock.now(), "test") for mint in mints])
    with trader("exits", journal):
        for mint in mints:
            stage.post(workspace, user, mint)
        with trader("entries", journal):
            left = Signal.objects.filter(drained_at=None).count()
            at = stage.fall()
            stage.wait_until_sold(STOPS, seconds=PATIENCE_SECONDS)
            still = Signal.objects.filter(drained_at=None).count()
    found = crowd(stage, journal, at)
    figures = [
        Figure("last call begun", found.begun, SCALE.begun_max),
        Figure("last fill booked", found.booked, SCALE.waiting_booked_max),
    ]
    words = f"{left} waited at the tick, {still} at the end"
    note(f"{STOPS} stops with {len(mints)} entry signals posted", *figures, words=words)
    assert left > 0
    assert_each_was_sold_once(found, stage)
    assert misses(figures) == []


def spender(market: FakeJupiter, provider: str, lane: str, most: int) -> subprocess.Popen[str]:
    """A process that, once told to, calls the provider in a lane so often, or until its budget refuses."""
    words = [sys.executable, "-m", "tests.independence.spender", market.url, provider, lane, str(most)]
    environment = os.environ | {"NEXGENT_ENV": "test", "REDIS_URL": settings.REDIS_URL}
    pipe = subprocess.PIPE
    return subprocess.Popen(words, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, text=True)


def told_to_spend(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    """Of each the calls that were answered, and what ended them: `done`, or the refusal's code."""
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=PATIENCE_SECONDS)[0].split() for process in processes]
    return [(int(calls), end) for calls, end in said]


def test_a_budget_that_entries_have_used_up_lets_an_exits_calls_go():
    provider = f"test-{uuid4()}"
    with FakeJupiter() as market:
        processes = [spender(market, provider, lane, most) for lane, most in [("signals", 50), ("exits", 15)] * 2]
        entries = told_to_spend(processes[0::2])
        exits = told_to_spend(processes[1::2])
        is_granted = Budget(provider, 40).take(Lane.SIGNALS).is_granted
        asked = len(market.requests)
    spent = sum(calls for calls, _ in entries)
    note(
        "a provider's budget of 40 calls a minute, two processes of entries, then two of exits",
        words=f"entries refused after {spent} calls, then {sum(calls for calls, _ in exits)} of 30 calls of exits went",
    )
    assert {end for _, end in entries} == {"budget"}
    assert exits == [(15, "done"), (15, "done")]
    assert is_granted is False
    assert asked == spent + 30
