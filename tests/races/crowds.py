"""Entries that race: many signals at one moment for one token, or for more tokens than there is money for."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import httpx

from nexgent import money
from tests.crash.world import query
from tests.races.arena import Arena, Ground, Shot, signal_body
from tests.races.findings import Findings, rows
from tests.trader import new_mint
from wallets import selectors as wallets
from wallets.models import Wallet

SOL = 10**9
THREADS = 12
BUYS = 5
RESERVE = SOL // 10
ONE_SOL: dict[str, Any] = {
    "positionCalculator": {"positionSizes": {name: {"min": 1, "max": 1} for name in ("small", "medium", "large")}},
    "purchaseLimits": {"minimumAgentBalance": 0.1},
}
_ANSWERS = """
SELECT v.reasons->>0, o.id IS NOT NULL, o.state = 3, p.id IS NOT NULL FROM signals_verdict v
LEFT JOIN trading_order o ON o.id = v.order_id
LEFT JOIN trading_position p ON p.opened_by_id = o.id WHERE v.agent_id = %(agent)s
"""


class Crowd:
    """Signals of distinct types for the tokens given, for one agent; each with its key, through all web processes."""

    lamports: int
    buys: int
    """So many they are; the other signals are refused for this reason."""
    reason: str
    twice: str
    """The column of a buy too many."""

    def __init__(self, arena: Arena, findings: Findings, name: str, profile: str, mints: Sequence[str]) -> None:
        self.arena, self.findings, self.name, self.profile = arena, findings, name, profile
        self.mints = list(mints)
        """One for each signal."""
        self.shots: list[Shot] = []
        self.answers: list[httpx.Response | None] = []
        self.ground: Ground

    def prepare(self) -> None:
        self.ground = self.arena.ground(self.name, self.profile, [ONE_SOL], lamports=self.lamports)

    def run(self) -> None:
        self.arena.know(self.mints)
        self.answers = self.arena.fire(self.ground, self.shots, threads=THREADS)

    def check(self) -> None:
        """What became of each request and each signal."""
        ids = self._accepted()
        found = query(lambda: rows(_ANSWERS, agent=self.ground.agents[0].id))
        self.findings.expect("unanswered", len(self.mints), len(found), f"{self.name}: verdicts")
        self.findings.expect("double_signals", len(self.mints), len(ids), f"{self.name}: signals")
        bought = sum(has_order for _, has_order, _, _ in found)
        if bought > self.buys:
            self.findings.add(self.twice, f"{self.name}: {bought} buys instead of {self.buys}")
        states = Counter((is_filled, is_held) for _, has_order, is_filled, is_held in found if has_order)
        self.findings.expect("unanswered", self.buys, states[True, True], f"{self.name}: filled entries")
        reasons = {reason for reason, has_order, _, _ in found if not has_order}
        self.findings.expect("unanswered", {self.reason}, reasons, f"{self.name}: reasons of the others")

    def _accepted(self) -> set[int]:
        """The ids that the web processes answered: of one key the same one."""
        ids: dict[str, set[int]] = {}
        for shot, answer in zip(self.shots, self.answers, strict=True):
            if answer is None or answer.status_code != 201:
                said = "nothing" if answer is None else answer.text
                self.findings.add("unanswered", f"{self.name}: a signal was answered by {said}")
            else:
                ids.setdefault(shot.key, set()).add(answer.json()["id"])
        for key, given in ids.items():
            if len(given) > 1:
                self.findings.add("double_signals", f"{self.name}: key {key} became {sorted(given)}")
        self.arena.accepted.update({key: min(given) for key, given in ids.items()})
        return set().union(*ids.values())

    def free(self) -> int:
        """Lamports that the agent may spend."""
        wallet_id = Wallet.objects.get(assignments__agent=self.ground.agents[0]).id
        return wallets.balances(wallet_id)[money.SOL_MINT].free


class OneToken(Crowd):
    """All for one token: one buy. Each signal goes to all web processes at once, with one key."""

    lamports, buys, reason, twice = 1_000 * SOL, 1, "position_exists", "double_buys"

    def __init__(self, arena: Arena, findings: Findings, profile: str, *, signals: int, number: int) -> None:
        super().__init__(arena, findings, f"one token {profile} {number}", profile, [new_mint()] * signals)
        for mint in self.mints:
            self.shots += arena.on_each_web("trading-signals", signal_body(mint))


class MoneyForFive(Crowd):
    """Each for a token of its own, with money for five: five buys, and the reserve stays."""

    lamports, buys, reason, twice = BUYS * SOL + RESERVE, BUYS, "below_minimum_threshold", "overspent"

    def __init__(self, arena: Arena, findings: Findings, profile: str, *, signals: int, number: int) -> None:
        mints = [new_mint() for _ in range(signals)]
        super().__init__(arena, findings, f"money for five {profile} {number}", profile, mints)
        self.shots = [Shot("trading-signals", signal_body(mint), at % 2) for at, mint in enumerate(mints)]

    def check(self) -> None:
        super().check()
        self.findings.expect("overspent", RESERVE, query(self.free), f"{self.name}: lamports that are left")
