"""Exits that race: stop, ladder and DCA by moves of the market, people's closes and a followed sell signal, at one
moment on the same positions, while orders of before are still on the wire.
"""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from django.db import connection

from tests.crash.world import KINDS, query
from tests.races.arena import Arena, Ground, Shot, signal_body
from tests.races.findings import Findings, rows
from tests.trader import new_mint

THREADS = 32
OPENED_SECONDS = 25
TICK_SECONDS = 15
"""The engine role may be on its way to another process meanwhile."""
TOGETHER_SECONDS = 0.35
SCRIPTS = (("0.0012", "0.00098"), ("0.00088", "0.00075"), ("0.00078", "0.0009"))
"""A ladder level, then a stop; a DCA, then a stop; stop and DCA at once, then back up."""
FOLLOWS: dict[str, Any] = {"signals": {"followSell": True}}
FIRST = {"SALE_IN_PROGRESS", "POSITION_NOT_FOUND", "POSITION_CLOSED", "BELOW_MINIMUM_TRADE"}
"""What a close is answered when somebody else was first."""
CLOSES = ("none", "two webs", "two webs", "one key", "part and all")
_HELD = "SELECT agent_id, mint, id FROM trading_position WHERE mint = ANY(%(mints)s)"

_AGAINST = """
SELECT v.reasons::text, count(*) FROM signals_verdict v JOIN signals_signal s ON s.id = v.signal_id
WHERE s.workspace_id = %(workspace)s AND v.order_id IS NULL GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class Move:
    """One token: where its price goes, when a sell signal comes (None: never), how each agent's position is closed."""

    mint: str
    first: str
    second: str
    sold_after: float | None
    closes: tuple[tuple[str, float, float], ...]


class Clash:
    """Agents of several kinds hold several tokens; then everything falls together."""

    def __init__(
        self, arena: Arena, findings: Findings, profile: str, chance: random.Random, *, kinds: int, number: int
    ) -> None:
        self.arena, self.findings, self.profile = arena, findings, profile
        self.name = f"clash {profile} {number}"
        self.kinds = [kind | (FOLLOWS if at % 2 else {}) for at, kind in enumerate(KINDS)][-kinds:]
        scripts = chance.sample(SCRIPTS, min(len(SCRIPTS), kinds))
        self.moves = [self._move(chance, *script) for script in scripts]
        self.mints = [move.mint for move in self.moves]
        self.ground: Ground

    def _move(self, chance: random.Random, first: str, second: str) -> Move:
        def soon() -> float:
            return chance.uniform(0, TOGETHER_SECONDS)

        sold_after = soon() if chance.random() < 0.5 else None
        closes = tuple((chance.choice(CLOSES), soon(), soon()) for _ in self.kinds)
        return Move(new_mint(), first, second, sold_after, closes)

    def prepare(self) -> None:
        self.ground = self.arena.ground(self.name, self.profile, self.kinds, lamports=1_000 * 10**9)

    def run(self) -> None:
        """Buy; when everything is held, move each price, and close in the moment in which the engine hears of it."""
        self.arena.know(self.mints)
        buys = [Shot("trading-signals", signal_body(mint), at % 2) for at, mint in enumerate(self.mints)]
        self._note(buys, self.arena.fire(self.ground, buys, threads=2))
        shots = [shot for move in self.moves for shot in self._together(move, self._held())]
        for move in self.moves:
            self.arena.price(move.mint, move.first)
        for move, event in [(move, self.arena.ticks.expect(move.mint)) for move in self.moves]:
            if not event.wait(TICK_SECONDS):
                self.findings.add("unanswered", f"{self.name}: no engine asked for {move.mint}")
        for move in self.moves:
            self.arena.price(move.mint, move.second)
        self._note(shots, self.arena.fire(self.ground, shots, threads=THREADS))

    def _held(self) -> dict[tuple[UUID, str], UUID]:
        """Positions by agent and token, when all are open."""
        wanted, end = len(self.kinds) * len(self.mints), time.monotonic() + OPENED_SECONDS
        try:
            while True:
                held = {(agent, mint): one for agent, mint, one in query(lambda: rows(_HELD, mints=self.mints))}
                if len(held) >= wanted or time.monotonic() > end:
                    against = query(lambda: rows(_AGAINST, workspace=self.ground.workspace.id))
                    self.findings.expect("unanswered", (wanted, []), (len(held), against), f"{self.name}: positions")
                    return held
                time.sleep(0.1)
        finally:
            connection.close()

    def _together(self, move: Move, held: dict[tuple[UUID, str], UUID]) -> list[Shot]:
        """Everything that clients send in the moment of a token's move."""
        shots: list[Shot] = []
        if move.sold_after is not None:
            body = signal_body(move.mint, side="sell")
            shots += self.arena.on_each_web("trading-signals", body, after_seconds=move.sold_after)
        for agent, (how, soon, sooner) in zip(self.ground.agents, move.closes, strict=True):
            position = held.get((agent.id, move.mint))
            if position is None or how == "none":
                continue
            path = f"agent-positions/{agent.id}/{position}/close"
            if how == "one key":
                shots += self.arena.on_each_web(path, {}, after_seconds=soon)
                continue
            shots.append(Shot(path, {"percent": 50} if how == "part and all" else {}, 0, after_seconds=soon))
            shots.append(Shot(path, {}, 1, after_seconds=sooner))
        return shots

    def _note(self, shots: Sequence[Shot], answers: Sequence[httpx.Response | None]) -> None:
        """Every signal is accepted; every close is done, on its way, or somebody was first."""
        for shot, answer in zip(shots, answers, strict=True):
            if answer is None:
                self.findings.add("unanswered", f"{self.name}: {shot.path} without an answer")
            elif answer.status_code == 201:
                self.arena.accepted[shot.key] = answer.json()["id"]
            else:
                code = answer.json().get("code")
                self.arena.closes[code or answer.status_code] += 1
                if answer.status_code not in (200, 202) and code not in FIRST:
                    self.findings.add("unanswered", f"{self.name}: {shot.path} answered by {answer.text}")

    def check(self) -> None:
        """Nothing of its own: what must hold of a position always holds (`findings.py`)."""
