"""Which agents get which prices when. No I/O here.

Of every mint only the newest price counts. The first change reaches an agent at once, then at most one frame goes out
per 200 ms, with all mints that changed meanwhile.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from nexgent import clock
from nexgent.events import limits

_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,30})(\.[0-9]{1,40})?")


class PriceBoard:
    """The prices of held mints and what each agent has not been sent of them."""

    def __init__(self) -> None:
        self._mints: dict[UUID, frozenset[str]] = {}
        self._agents: dict[str, set[UUID]] = {}
        self._latest: dict[str, tuple[int, str, str | None]] = {}
        self._changed: dict[UUID, set[str]] = {}
        self._next_at: dict[UUID, float] = {}

    def hold(self, agent_id: UUID, mints: Iterable[str]) -> None:
        """From now on the agent gets the prices of exactly these mints."""
        new, old = frozenset(mints), self._mints.get(agent_id, frozenset())
        for mint in old - new:
            self._agents[mint].discard(agent_id)
            if not self._agents[mint]:
                del self._agents[mint]
                self._latest.pop(mint, None)
        for mint in new - old:
            self._agents.setdefault(mint, set()).add(agent_id)
        self._mints[agent_id] = new
        if agent_id in self._changed:
            self._changed[agent_id] &= new

    def forget(self, agent_id: UUID) -> None:
        """Nobody follows the agent any more."""
        self.hold(agent_id, ())
        for table in (self._mints, self._changed, self._next_at):
            table.pop(agent_id, None)

    def take(self, at_ms: int, rows: Sequence[Any]) -> None:
        """Note a batch of [mint, SOL text, USD text or None]; an older or malformed price is dropped."""
        for mint, sol, usd in rows:
            agents = self._agents.get(mint)
            if not agents or not _DECIMAL.fullmatch(sol) or (usd is not None and not _DECIMAL.fullmatch(usd)):
                continue
            known = self._latest.get(mint)
            if known is not None and (at_ms < known[0] or known[1:] == (sol, usd)):
                continue
            self._latest[mint] = (at_ms, sol, usd)
            for agent_id in agents:
                self._changed.setdefault(agent_id, set()).add(mint)

    def due(self, now: float) -> list[tuple[UUID, datetime, list[tuple[str, str, str | None]]]]:
        """The frames to send at loop time `now`: agent, time of the newest price, (mint, SOL, USD) in mint order."""
        frames = []
        for agent_id in [agent_id for agent_id in self._changed if self._next_at.get(agent_id, 0.0) <= now]:
            mints = sorted(self._changed.pop(agent_id))
            if mints:
                self._next_at[agent_id] = now + limits.PRICE_SECONDS
                rows = [(mint, *self._latest[mint][1:]) for mint in mints]
                frames.append((agent_id, clock.from_ms(max(self._latest[mint][0] for mint in mints)), rows))
        return frames

    def wait_seconds(self, now: float) -> float | None:
        """How long until the next frame is due; None when nothing changed."""
        waits = [self._next_at.get(agent_id, 0.0) - now for agent_id in self._changed]
        return max(0.0, min(waits)) if waits else None
