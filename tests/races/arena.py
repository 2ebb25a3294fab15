"""Where races are run: agents in workspaces of their own, clients at every web process, and an ear on the market."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx

from agents.models import Agent
from nexgent import clock
from nexgent.accounts import services as accounts
from nexgent.accounts.models import Membership, Workspace
from prices import services as prices
from prices.models import Token
from prices.records import PriceTick
from tests.crash.world import BASE, START, World
from tests.fakes.jupiter import FakeJupiter
from tests.fakes.loopback import Query

TIMEOUT_SECONDS = 20
PATIENCE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Ground:
    """One workspace with its agents and a client's key: what happens in another does not concern it."""

    workspace: Workspace
    key: str
    agents: list[Agent]


@dataclass(frozen=True, slots=True)
class Shot:
    """One request: to which web process, how long after the start."""

    path: str
    body: dict[str, Any]
    web: int
    key: str = field(default_factory=lambda: uuid4().hex)
    """Idempotency-Key."""
    after_seconds: float = 0.0


class Arena(World):
    """The market and the agents of the crash proof, with clients at every web process."""

    def open(self) -> None:
        """A user, and a client of each web process."""
        self.populate()
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
        self.clients = [httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS, limits=limits) for url in self.system.urls]
        self.ticks = Ticks(self.system.market)
        self.closes: Counter[object] = Counter()
        """What people's closes were answered."""

    def ground(self, name: str, profile: str, configs: Sequence[dict[str, Any]], *, lamports: int) -> Ground:
        """A workspace with one agent for each configuration (on top of the common one)."""
        workspace = Workspace.objects.create(name=name)
        Membership.objects.create(workspace=workspace, user=self.user)
        key = accounts.api_key_create(
            user_id=self.user.id, workspace_id=workspace.id, name="bot", scopes=["signals", "trade"]
        )
        made = [
            self.agent(f"{name} {number}", profile, BASE | config, workspace=workspace, lamports=lamports)
            for number, config in enumerate(configs)
        ]
        return Ground(workspace, key.raw, made)

    def know(self, mints: Iterable[str]) -> None:
        """Tokens of which signals speak are mostly known by then, and have a price of a moment ago."""
        now, wanted = clock.now(), sorted(set(mints))
        for mint in wanted:
            self.price(mint, START)
        Token.objects.bulk_create(
            (Token(mint=mint, decimals=9, symbol="RACE", facts_at=now) for mint in wanted), ignore_conflicts=True
        )
        prices.publish([PriceTick(mint, START, now, "jupiter") for mint in wanted])

    def on_each_web(self, path: str, body: dict[str, Any], *, after_seconds: float = 0.0) -> list[Shot]:
        """The same request with the same key to all web processes at once."""
        key = uuid4().hex
        return [Shot(path, body, web, key, after_seconds) for web in range(len(self.clients))]

    def fire(self, ground: Ground, shots: Sequence[Shot], *, threads: int) -> list[httpx.Response | None]:
        """Send all, each by a thread of its web process; answers in order, None where there was none."""
        begun = time.monotonic()

        def send(shot: Shot) -> httpx.Response | None:
            time.sleep(max(0.0, begun + shot.after_seconds - time.monotonic()))
            return self._sent(shot, {"X-API-Key": ground.key, "Idempotency-Key": shot.key})

        pools = [ThreadPoolExecutor(threads) for _ in self.clients]
        try:
            waiting: list[Future[httpx.Response | None]] = [pools[shot.web].submit(send, shot) for shot in shots]
            return [future.result() for future in waiting]
        finally:
            for pool in pools:
                pool.shutdown()

    def _sent(self, shot: Shot, headers: dict[str, str]) -> httpx.Response | None:
        """One request; while the other web process has the same one in hand, again. No other answer is asked twice."""
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                answer = self.clients[shot.web].post(shot.path, json=shot.body, headers=headers)
            except httpx.HTTPError:
                return None
            if answer.status_code != 409 or "IDEMPOTENCY_IN_PROGRESS" not in answer.text or time.monotonic() > end:
                return answer
            time.sleep(0.05)


def signal_body(mint: str, **more: Any) -> dict[str, Any]:
    """A signal of a type that no other has: neither the limiter nor the rule of duplicates is what is tested."""
    kind = f"T{uuid4().hex[:12]}"
    return {"tokenAddress": mint, "symbol": "RACE", "signalType": kind, "signalStrength": 5} | more


class Ticks:
    """Says when the market has told a price that somebody waits for: the engine gets it in that moment."""

    def __init__(self, market: FakeJupiter) -> None:
        self._answer: Callable[[str, Query, dict[str, str]], Any] = market.answer
        self._expected: dict[str, threading.Event] = {}
        market.answer = self._heard  # type: ignore[method-assign]

    def expect(self, mint: str) -> threading.Event:
        """Set with the next answer that is asked for this token."""
        return self._expected.setdefault(mint, threading.Event())

    def _heard(self, path: str, query: Query, headers: dict[str, str]) -> Any:
        answer = self._answer(path, query, headers)
        if path == "/price/v3":
            for mint in query.get("ids", [""])[0].split(","):
                if event := self._expected.pop(mint, None):
                    event.set()
        return answer
