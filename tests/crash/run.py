"""One run: rounds of trading under a seeded schedule of kills; after each round everything must be final and true.

In a round some processes start armed (they die at their point when they get there, some in their next life again),
others are killed at random times, servers included. Then all run unharmed, and the proof looks.
"""

import random
import sys
import threading
import time
from collections import Counter
from decimal import Decimal
from typing import Any

import httpx
from django.db import connection

from tests.crash.control import POINTS as CONTROL_POINTS
from tests.crash.door import Door
from tests.crash.proof import Proof, Watchman
from tests.crash.system import System
from tests.crash.venue import PROFILE
from tests.crash.world import World, query
from trading.engine import recovery

_EXECUTION = (
    "order_claimed",
    "order_begun",
    "quoted",
    "submitted_committed",
    "venue_called",
    "resolved",
    "before_settle_commit",
    "settled",
)
POINTS = {
    "web": ("signal_committed", "sale_before_commit"),
    "entries": (
        "signal_claimed",
        "verdict_skips_written",
        "entry_before_commit",
        "entry_committed",
        "signal_answered",
        *_EXECUTION,
        "dca_held",
    ),
    "exits": (*_EXECUTION, "order_finished_at_once", "follow_planned", "again_planned"),
    "prices": ("exit_decided", "exit_planned", "watermark_saving", "book_loaded"),
}
STEP_SECONDS = 2.5
TOKENS_PER_ROUND = 4
HELD_TOKENS = 3
SERVER_EVERY = 4
"""Every so many rounds PostgreSQL or Valkey is killed too."""
READY_SECONDS = 90
FINDINGS_MAX = 20
LAST_SECONDS = 120
"""At the end orders whose transaction expires after a minute are waited for."""


class Deck:
    """The points of one kind of process, dealt in random order so that each comes up."""

    def __init__(self, points: tuple[str, ...], chance: random.Random) -> None:
        self._points, self._chance, self._left = points, chance, list[str]()

    def deal(self) -> str:
        if not self._left:
            self._left = list(self._points)
            self._chance.shuffle(self._left)
        point, times = self._left.pop(), self._chance.choice((1, 1, 1, 2))
        return point if ":" in point else f"{point}:{times}"


class Run:
    """`kills` deaths by kill -9, at least, from one seed."""

    def __init__(self, system: System, *, kills: int, seed: int) -> None:
        self.system, self.kills, self.seed = system, kills, seed
        self.chance = random.Random(seed)
        self.proof = Proof()
        profiles = ("ideal", PROFILE) if system.is_quick else ("ideal", "realistic", PROFILE)
        if system.is_control:
            profiles = (PROFILE,)
        self.tokens = 2 if system.is_quick else TOKENS_PER_ROUND
        self.held = 1 if system.is_quick else HELD_TOKENS
        self.world = World(system, random.Random(seed + 1), profiles)
        points = CONTROL_POINTS[system.control] if system.is_control else POINTS
        self.decks = {kind: Deck(names, self.chance) for kind, names in points.items()}
        self.rounds = 0
        self._told: set[str] = set()

    def go(self) -> int:
        begun = time.monotonic()
        self.world.populate()
        self.system.start()
        self._wait_ready()
        watchman = Watchman(self.system, self.proof)
        watchman.start()
        self.door = Door(self.system)
        self.door.start()
        held = [self.world.token() for _ in range(self.held)]
        for mint in held:
            self.world.signal(mint)
        while self.system.kills < self.kills and (self.proof.is_clean or not self.system.is_control):
            self._round(held)
        self._last(held)
        watchman.stop()
        self.door.stop()
        return self._report(time.monotonic() - begun, watchman)

    def _round(self, held: list[str]) -> None:
        self.rounds += 1
        self._arm()
        for number, mint in enumerate(held):
            self.world.price(mint, Decimal("0.001") * (1 + Decimal(self.rounds % 40 + number) / 1000))
        failed: list[BaseException] = []
        trade = threading.Thread(target=self._trade, args=(failed,), name="clients")
        trade.start()
        self._kill_at_random(trade)
        trade.join()
        if failed:
            raise failed[0]
        self._disarm()
        since = self._wait_ready()
        self.proof.settle(self.world, since=since)
        self.proof.check(self.world, self.system)
        self._tell()

    def _new_findings(self) -> list[str]:
        found = [
            f"{name}: {finding}"
            for name in ("lost", "doubled", "non_terminal", "unwatched")
            for finding in sorted(getattr(self.proof, name))
        ]
        new = [finding for finding in found if finding not in self._told]
        self._told.update(new)
        return new

    def _arm(self) -> None:
        for process in self.system.processes.values():
            deck = self.decks.get(process.kind)
            if deck is None or self.chance.random() > (0.95 if self.system.is_control else 0.85):
                continue
            self.system.exchange(process.name, deck.deal())
        self._wait_up()
        for process in self.system.processes.values():
            if process.point and self.chance.random() < 0.5:
                process.next_point = self.decks[process.kind].deal()

    def _trade(self, failed: list[BaseException]) -> None:
        try:
            mints = [self.world.token() for _ in range(self.tokens)]
            self.world.trade(mints, step_seconds=STEP_SECONDS)
            time.sleep(STEP_SECONDS)
        except BaseException as problem:  # told to the main thread, which raises it
            failed.append(problem)
        finally:
            connection.close()

    def _kill_at_random(self, trade: threading.Thread) -> None:
        victims = [self.chance.choice(list(self.system.processes)) for _ in range(self.chance.randint(2, 4))]
        if self.rounds % SERVER_EVERY == 0:
            victims.append(self.chance.choice(("postgres", "valkey")))
        if self.system.is_control:
            victims = []
        for victim in victims:
            trade.join(self.chance.uniform(0.5, 5))
            if victim in self.system.processes:
                self.system.kill(victim)
            else:
                self.system.kill_server(victim)

    def _disarm(self) -> None:
        """Processes that have not got to their point are killed too, and come back unarmed."""
        for process in self.system.processes.values():
            process.next_point = ""
        for process in self.system.processes.values():
            if process.point:
                self.system.exchange(process.name, "")

    def _wait_ready(self) -> float:
        """Wait until all run again; returns when the last of them was started."""
        self._wait_up()
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            since = max(p.started_at for p in self.system.processes.values())
            if all(_is_up(url) for url in self.system.urls) and query(recovery.is_recovered):
                return since
            time.sleep(0.1)
        self.proof.non_terminal.add(f"round {self.rounds}: not ready within {READY_SECONDS} s")
        return since

    def _wait_up(self) -> None:
        """Wait until no process is on its way up."""
        time.sleep(1)
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            if not self.system.not_up():
                return
            time.sleep(0.1)
        self.proof.non_terminal.add(f"round {self.rounds}: not up within {READY_SECONDS} s: {self.system.not_up()}")

    def _last(self, held: list[str]) -> None:
        """The held positions fall at last; then nothing may be open anywhere."""
        for price in ("0.00085", "0.00062", "0.0005"):
            for mint in held:
                self.world.price(mint, price)
            time.sleep(STEP_SECONDS)
        self.world.ended.update(held)
        self.proof.settle(self.world, since=time.monotonic())
        end = time.monotonic() + LAST_SECONDS
        while time.monotonic() < end and query(_open_orders):
            time.sleep(1)
        self.proof.settle(self.world, since=time.monotonic())
        if left := query(_open_orders):
            self.proof.non_terminal.add(f"{left} orders open at the end")
        self.proof.check(self.world, self.system)

    def _tell(self) -> None:
        proof = self.proof
        _say(
            f"round {self.rounds}: {self.system.kills} kills, {len(self.world.accepted)} signals,"
            f" lost {len(proof.lost)} doubled {len(proof.doubled)} non-terminal {len(proof.non_terminal)}"
            f" unwatched {len(proof.unwatched)}, slowest settle {proof.slowest_settle:.1f} s"
        )
        for finding in self._new_findings()[:FINDINGS_MAX]:
            _say(finding)

    def _report(self, seconds: float, watchman: Watchman) -> int:
        system, proof = self.system, self.proof
        for finding in self._new_findings()[:FINDINGS_MAX]:
            _say(finding)
        for surprise in system.surprises:
            _say(f"surprise: {surprise}")
        points = Counter(death.point.partition(":")[0] for death in system.deaths if death.point)
        counted = [death for death in system.deaths if death.is_counted]
        outside = Counter(death.process.rstrip("12") for death in counted if not death.point)
        _say(f"points: {', '.join(f'{name} {count}' for name, count in sorted(points.items()))}")
        _say(f"at any time: {', '.join(f'{name} {count}' for name, count in sorted(outside.items()))}")
        _say(f"readiness over HTTP: {self.door.report()}")
        filled, positions = query(_volume)
        _say(
            f"seed={self.seed} kills={system.kills} exchanges={len(system.deaths) - system.kills}"
            f" rounds={self.rounds} signals={len(self.world.accepted)}"
            f" fills={filled} positions={positions} readiness_samples={watchman.samples} green={watchman.greens}"
            f" slowest_settle_s={proof.slowest_settle:.1f} seconds={seconds:.0f}"
        )
        _say(
            f"lost={len(proof.lost)} doubled={len(proof.doubled)} non_terminal={len(proof.non_terminal)}"
            f" unwatched={len(proof.unwatched)} points={len(points)}"
        )
        return 0 if proof.is_clean and not self.door.is_wrong else 1


def _is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def _open_orders() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM trading_order WHERE state < 3")
        return int(cursor.fetchone()[0])


def _volume() -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SELECT (SELECT count(*) FROM trading_fill), (SELECT count(*) FROM trading_position)")
        return cursor.fetchone()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
