"""Replay through the engine in lock step: signals, verdicts, orders, Celery workers, PostgreSQL and Valkey.

This process plays the prices process: it owns the clock and the engine thread's rounds. Two real workers, exits and
entries, execute the orders. The next tick comes when every order of this one is final.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import uuid4

import psycopg

from agents import services as agents
from agents.models import Agent
from nexgent import clock
from nexgent.accounts.models import User, Workspace
from nexgent.clock import TapeClock
from nexgent.errors import NexgentError
from nexgent.events import bell
from nexgent.held_session import open_session
from nexgent.ids import uuid7
from prices import services as prices
from prices.mints import mint_of
from prices.models import Token
from prices.records import PriceTick
from signals import services
from signals.models import Signal
from trading import books
from trading.engine import orders, role, sales
from trading.engine.watch import Engine
from trading.models import Order, Position, Purpose, Side, State
from trading.replay.plan import Plan
from trading.replay.report import START_LAMPORTS, Decision, ReplayTrade, Report, config_version
from wallets import selectors as wallet_selectors
from wallets import services as wallets
from wallets.models import Wallet

PATIENCE_SECONDS = 60
PAUSE_SECONDS = 0.001
RING_SECONDS = 0.5
WORKERS = ("exits", "entries")
BELLS = ((services.DRAIN, "entries"), orders.EXITS_DRAIN, orders.ENTRIES_DRAIN)


class Stuck(NexgentError):
    """The engine did not finish what a tick asked for in time."""


@contextmanager
def workers() -> Iterator[None]:
    """Real worker processes for the two sides, and the engine role held here, so that none of them takes it."""
    own: psycopg.Connection = open_session()
    own.execute("SELECT pg_advisory_lock(%s)", [role.LOCK_KEY])
    command = [
        sys.executable,
        "-m",
        "celery",
        "-q",
        "-A",
        "nexgent",
        "worker",
        "-P",
        "threads",
        "-c",
        "4",
        "-l",
        "WARNING",
    ]
    processes = [
        subprocess.Popen([*command, "-Q", queue, "-n", f"{queue}@replay"], stdout=sys.stderr)  # noqa: S603
        for queue in WORKERS
    ]
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(20)
        own.close()


class Lockstep:
    """One run: an agent of its own, the tape's token, and the engine's rounds."""

    def __init__(self, plan: Plan, tape: TapeClock) -> None:
        self.plan, self.tape = plan, tape
        self.mint = mint_of(uuid7().bytes + uuid4().bytes)
        self.free_at: datetime | None = None
        self.signals = 0
        self.retry_at: datetime | None = None
        self.position_id = None

    def open(self, at: datetime) -> None:
        """The agent with its configuration and 100 SOL."""
        self.tape.set(at)
        user = User.objects.create_user(f"{uuid4()}@replay.invalid", None)
        workspace = Workspace.objects.create(name="Replay")
        self.agent = agents.agent_create(
            workspace_id=workspace.id, user_id=user.id, name="Replay", profile="ideal", config=self.plan.config
        )
        Agent.objects.filter(id=self.agent.id).update(profile=self.plan.profile)
        self.wallet = Wallet.objects.get(assignments__agent=self.agent)
        facts = {"poolLamports": self.plan.depth_lamports}
        Token.objects.create(mint=self.mint, decimals=9, symbol="TAPE", facts=facts)
        wallets.deposit(wallet_id=self.wallet.id, lamports=START_LAMPORTS, author="replay", at=at)
        self.engine = Engine()
        self.engine.step()

    def on(self, tick: PriceTick) -> None:
        tick = PriceTick(self.mint, tick.price_sol, tick.observed_at, tick.source)
        self.tape.set(tick.observed_at)
        self.engine.offer([tick])
        acted = self.engine.step()
        is_due = self.retry_at is not None and tick.observed_at >= self.retry_at
        if acted or is_due:
            self._settle(tick)
        if self.position_id is None and (self.free_at is None or tick.observed_at >= self.free_at):
            self._enter(tick)

    def _enter(self, tick: PriceTick) -> None:
        self.free_at = tick.observed_at + timedelta(seconds=self.plan.reentry_seconds)
        self.signals += 1
        self._store(tick)
        signal = services.accept(
            workspace_id=self.agent.workspace_id,
            user_id=self.agent.user_id,
            received_at=clock.now(),
            data={"tokenAddress": self.mint, "signalType": f"TAPE {self.signals}", "signalStrength": 5},
        )
        self._wait("verdict", lambda: Signal.objects.filter(id=signal.id, drained_at=None).exists())
        self._settle(tick)

    def _store(self, tick: PriceTick) -> None:
        """Make the tick the newest known price for the workers; ticks that lead to nothing are not stored."""
        prices.write_prices("inline")
        prices.publish([tick])
        prices.write_prices("off")

    def _settle(self, tick: PriceTick) -> None:
        """Let the workers finish what this tick asked for, and the engine ask again, until nothing is left to do."""
        self._store(tick)
        while True:
            self._wait("orders", self._has_due_orders)
            self.engine.check()
            if not self.engine.step() and not self._has_due_orders():
                break
        waiting = self._open_orders().order_by("not_before").values_list("not_before", flat=True).first()
        self.retry_at = waiting
        held = Position.objects.filter(agent=self.agent).order_by("-id").values_list("id", "closed_at").first()
        was_open = self.position_id is not None
        self.position_id = held[0] if held is not None and held[1] is None else None
        if was_open and self.position_id is None:
            self.free_at = tick.observed_at + timedelta(seconds=self.plan.reentry_seconds)

    def _open_orders(self):  # type: ignore[no-untyped-def]
        return Order.objects.filter(agent=self.agent, state__lt=State.FILLED)

    def _has_due_orders(self) -> bool:
        now = clock.now()
        return any(at is None or at <= now for at in self._open_orders().values_list("not_before", flat=True))

    def _wait(self, what: str, is_pending) -> None:  # type: ignore[no-untyped-def]
        """Ring until nothing is pending: a ring before a worker was ready is lost."""
        end, rung_at = time.monotonic() + PATIENCE_SECONDS, 0.0
        while is_pending():
            if time.monotonic() - rung_at > RING_SECONDS:
                rung_at = time.monotonic()
                for name, queue in BELLS:
                    bell.task(name, queue=queue)
            if time.monotonic() > end:
                states = list(self._open_orders().values("id", "purpose", "state", "lease_until", "error_code"))
                raise Stuck(f"{what} not finished at {clock.now()}: {states}")
            time.sleep(PAUSE_SECONDS)

    def end(self, tick: PriceTick) -> None:
        """Close what is open at the last price, reason `tape_end`; retries run until it is."""
        if self.position_id is None:
            return
        position_id = self.position_id
        for order in self._open_orders():
            orders.end(order, State.CANCELLED, code="TAPE_END", at=clock.now())
        self._store(PriceTick(self.mint, tick.price_sol, tick.observed_at, tick.source))
        key = f"tape_end:{position_id}"
        sales.sell(position_id=position_id, wanted=sales.Wanted(), purpose=Purpose.TAPE_END, key_text=key)
        while self.position_id is not None:
            now = max(clock.now(), self.retry_at or clock.now())
            self.tape.set(now)
            self._settle(PriceTick(self.mint, tick.price_sol, now, tick.source))

    def report(self, *, ticks: int, seconds: float) -> Report:
        checked = books.check()
        return Report(
            tape=self.plan.name,
            config_version=config_version(self.plan.full_config()),
            profile=self.plan.profile,
            through="engine",
            ticks=ticks,
            seconds=seconds,
            trades=[_trade(position) for position in Position.objects.filter(agent=self.agent).order_by("opened_at")],
            decisions=_decisions(self.agent),
            equity_lamports=wallet_selectors.sol_balances([self.wallet.id])[self.wallet.id].units,
            books={"balanced": checked.balanced, "entries": checked.entries, "problems": list(checked.problems)},
        )


def _trade(position: Position) -> ReplayTrade:
    assert position.closed_at is not None
    return ReplayTrade(
        opened_at_ms=clock.to_ms(position.opened_at),
        closed_at_ms=clock.to_ms(position.closed_at),
        cost_lamports=position.invested_lamports,
        received_lamports=position.received_lamports,
        realised_lamports=position.realised_lamports,
        close_reason=position.close_reason,
        dca_count=position.dca_count,
        levels_hit=position.levels_hit,
    )


def _decisions(agent: Agent) -> list[Decision]:
    """Every order as it was decided; positions are numbered by their entry orders."""
    made = list(Order.objects.filter(agent=agent).order_by("created_at", "id"))
    entries = [order for order in made if order.purpose == Purpose.ENTRY]
    number_of_entry = {order.id: number for number, order in enumerate(entries, 1)}
    opened_by = dict(Position.objects.filter(agent=agent).values_list("id", "opened_by_id"))
    decisions = []
    for order in made:
        entry_id = opened_by[order.position_id] if order.position_id is not None else order.id
        is_sell = order.side == Side.SELL
        decided = order.plan.get("wantedLamports", order.amount)
        assert order.price_at is not None
        decisions.append(
            Decision(
                tick_ms=clock.to_ms(order.price_at),
                position=number_of_entry[entry_id],
                rule=Purpose(order.purpose).label,
                ordinal=order.ordinal,
                reason=order.plan["reason"],
                units=order.amount if is_sell else 0,
                lamports=0 if is_sell else decided,
            )
        )
    return decisions


def run(plan: Plan) -> Report:
    """Replay one tape through the engine; the workers run already, the clock is a tape's."""
    if not isinstance(clock.clock, TapeClock):
        raise Stuck("a replay through the engine runs in a scratch system with a tape's clock")
    prices.write_prices("off")
    lockstep, last, count = Lockstep(plan, clock.clock), None, 0
    started = time.monotonic()
    for last in plan.ticks():
        if count == 0:
            lockstep.open(last.observed_at)
        lockstep.on(last)
        count += 1
    if last is not None:
        lockstep.end(last)
    return lockstep.report(ticks=count, seconds=time.monotonic() - started)
