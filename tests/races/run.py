"""One run: rounds in which every race begins at about the same moment, on a fleet that shares all of them.

Order, tokens, moves and delays of a round come from the seed; who is first is the machine's business.
"""

import os
import random
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from django.db import connection

from prices import services as prices
from tests.crash.system import System
from tests.crash.venue import PROFILE
from tests.crash.world import query
from tests.races import control
from tests.races.arena import Arena
from tests.races.clash import Clash
from tests.races.crowds import MoneyForFive, OneToken
from tests.races.findings import Findings, rows
from tests.races.settling import Settling
from tests.races.takeover import TakeOver
from trading.engine import recovery
from trading.models import Purpose, State

PROFILES = ("ideal", PROFILE)
READY_SECONDS = 90
BEGIN_SECONDS = 1.0
"""The races of a round begin within this time."""
TAKEOVERS = 2
"""In a whole run."""
NEWS_MAX = 20
CONTROL_COLUMNS = ("double_buys", "overspent", "sold_twice")
_ORDERS = "SELECT purpose, state, count(*) FROM trading_order GROUP BY 1, 2"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much a round is: signals for one token, tokens for one purse, kinds of agents that clash."""

    one_token: int
    money_for_five: int
    kinds: int


FULL, QUICK = Sizes(50, 200, 4), Sizes(20, 40, 2)


class Race(Protocol):
    """Something that happens all at once, and what must be true of it afterwards."""

    @property
    def mints(self) -> Sequence[str]: ...

    def prepare(self) -> None: ...

    def run(self) -> None: ...

    def check(self) -> None: ...


class Run:
    """`rounds` rounds from one seed; a control ends when it has found enough."""

    def __init__(self, system: System, *, rounds: int, seed: int, sizes: Sizes) -> None:
        self.system, self.rounds, self.seed, self.sizes = system, rounds, seed, sizes
        self.chance = random.Random(seed)
        self.arena = Arena(system, random.Random(seed + 1), ())
        self.findings = Findings(is_control=system.is_control)
        self.settling = Settling(self.arena, self.findings)
        self.takeovers: list[float] = []
        self.done = 0

    def go(self) -> int:
        begun = time.monotonic()
        prices.write_prices("inline")
        self.arena.open()
        if self.system.is_control:
            control.take_constraints_away()
        self.system.start()
        self._wait_ready()
        for number in range(1, self.rounds + 1):
            self._round(number)
            if self.system.is_control and self._is_enough():
                break
        return self._report(time.monotonic() - begun)

    def _is_enough(self) -> bool:
        """Whether a control has found what it is there for: by each guard that is gone; a quick one anything."""
        if self.sizes == QUICK:
            return not self.findings.is_clean
        return all(self.findings.found[column] for column in CONTROL_COLUMNS)

    def _round(self, number: int) -> None:
        begun = time.monotonic()
        races = self._races(number)
        for race in races:
            race.prepare()
        self._together(races)
        fired = time.monotonic() - begun
        self.settling.final()
        for race in races:
            race.check()
        self.takeovers += [race.seconds for race in races if isinstance(race, TakeOver) and race.seconds is not None]
        self.settling.sold([mint for race in races for mint in race.mints])
        self.findings.check(dict(self.system.venue.executed))
        self._wait_ready()
        self.done = number
        _say(
            f"round {number}: {len(self.arena.accepted)} signals, {self.findings.figures},"
            f" races {fired:.1f} s, round {time.monotonic() - begun:.1f} s"
        )
        for finding in self.findings.news()[:NEWS_MAX]:
            _say(finding)

    def _races(self, number: int) -> list[Race]:
        arena, findings, sizes = self.arena, self.findings, self.sizes
        races: list[Race] = []
        for profile in PROFILES:
            races.append(OneToken(arena, findings, profile, signals=sizes.one_token, number=number))
            races.append(MoneyForFive(arena, findings, profile, signals=sizes.money_for_five, number=number))
            races.append(Clash(arena, findings, profile, self.chance, kinds=sizes.kinds, number=number))
        if not self.system.is_control and number in self._takeover_rounds():
            races.append(TakeOver(self.system, findings, after_seconds=self.chance.uniform(1, 4)))
        self.chance.shuffle(races)
        return races

    def _takeover_rounds(self) -> set[int]:
        """Evenly spread, the last round among them."""
        return {self.rounds - at * self.rounds // TAKEOVERS for at in range(TAKEOVERS)}

    def _together(self, races: list[Race]) -> None:
        """Run all, each in a thread of its own that begins when the seed says."""
        failed: list[BaseException] = []

        def run(race: Race, after_seconds: float) -> None:
            time.sleep(after_seconds)
            try:
                race.run()
            except BaseException as problem:  # told to the main thread, which raises it
                failed.append(problem)
            finally:
                connection.close()

        delays = [self.chance.uniform(0, BEGIN_SECONDS) for _ in races]
        threads = [threading.Thread(target=run, args=one) for one in zip(races, delays, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]

    def _wait_ready(self) -> None:
        """Wait until every process is up and an engine watches; a second prices process stands by then."""
        end = time.monotonic() + READY_SECONDS
        while self.system.not_up() or not query(recovery.is_recovered):
            if time.monotonic() > end:
                self.findings.add("unanswered", f"not ready within {READY_SECONDS} s: {self.system.not_up()}")
                return
            time.sleep(0.1)

    def _report(self, seconds: float) -> int:
        orders = {(Purpose(purpose), State(state)): number for purpose, state, number in query(lambda: rows(_ORDERS))}
        told = sorted(f"{purpose.label} {state.label} {number}" for (purpose, state), number in orders.items())
        _say(f"orders: {', '.join(told)}")
        _say(f"closes by people: {', '.join(f'{code} {number}' for code, number in self.arena.closes.most_common())}")
        for surprise in self.system.surprises:
            _say(f"surprise: {surprise}")
        _say(
            f"seed={self.seed} takeovers={len(self.takeovers)} swaps={len(self.system.venue.executed)}"
            f" slowest_settle_s={self.settling.slowest_seconds:.1f} seconds={seconds:.0f} load={os.getloadavg()[0]:.1f}"
        )
        buys = orders.get((Purpose.ENTRY, State.FILLED), 0)
        _say(
            f"races: rounds={self.done} signals={len(self.arena.accepted)} buys={buys} {self.findings.figures}"
            f" takeover_s_max={max(self.takeovers, default=0):.1f}"
        )
        return 0 if self.findings.is_clean and not self.system.surprises else 1


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
