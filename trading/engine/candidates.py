"""The agents of a set of entries as they stand under their locks: wallet, free SOL, exposure, pauses.

Locks and facts go to the database in one pipeline, the locks first: each later statement sees what was committed before
it ran. What a set plans is taken off the candidate at once, so that its next order sees the one before it as the next
transaction would.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from nexgent import rows
from nexgent.money import SOL_MINT
from trading.engine import locks


@dataclass(slots=True)
class Holding:
    """What an agent has at risk in one token, open positions at cost and open buy orders; lamports."""

    lamports: int = 0
    has_token: bool = False


@dataclass(slots=True)
class Candidate:
    """One agent that may enter. Entry orders count as positions."""

    agent_id: UUID
    workspace_id: UUID
    mode: str
    profile: str
    config_id: UUID
    wallet_id: UUID | None
    wallet_kind: str | None
    epoch: int
    entries_on: bool
    """The switch of the agent's mode, as it is under the lock: an agent paused since its verdict buys nothing."""
    free_lamports: int
    open_positions: int = 0
    exposure_lamports: int = 0
    tokens: dict[str, Holding] = field(default_factory=dict)
    pauses: dict[str, str] = field(default_factory=dict)
    """Reasons of the pauses by mint; "" is every mint."""

    def holding(self, mint: str) -> Holding:
        return self.tokens.setdefault(mint, Holding())

    def pause(self, mint: str) -> str | None:
        """Why entries into the token are paused, or None."""
        return self.pauses.get(mint) or self.pauses.get("")

    def take(self, mint: str, *, lamports: int, paid_lamports: int) -> None:
        """Count an order that was planned or filled just now: `lamports` at risk, `paid_lamports` gone or held."""
        holding = self.holding(mint)
        holding.lamports += lamports
        holding.has_token = True
        self.exposure_lamports += lamports
        self.open_positions += 1
        self.free_lamports -= paid_lamports


_CANDIDATES = """
SELECT a.id, a.workspace_id, a.mode, a.profile, a.config_id, w.id, w.kind, coalesce(w.epoch, 1),
       CASE WHEN a.mode = 'live' THEN a.entries_live ELSE a.entries_simulation END, coalesce(c.balance - c.held, 0)
FROM agents_agent a
LEFT JOIN agents_assignment s ON s.agent_id = a.id AND s.mode = a.mode AND s.ended_at IS NULL
LEFT JOIN wallets_wallet w ON w.id = s.wallet_id
LEFT JOIN wallets_account c ON c.wallet_id = w.id AND c.asset = %b AND c.kind = 'own'
WHERE a.id = ANY(%b::uuid[]) AND a.archived_at IS NULL ORDER BY a.id
"""
_EXPOSURES = """
SELECT agent_id, CASE WHEN mint = ANY(%b::varchar[]) THEN mint END, sum(opens)::int, sum(lamports)
FROM (
    SELECT agent_id, mint, cost_lamports AS lamports, 1 AS opens FROM trading_position
    WHERE agent_id = ANY(%b::uuid[]) AND closed_at IS NULL
    UNION ALL
    SELECT agent_id, mint, amount, CASE WHEN position_id IS NULL THEN 1 ELSE 0 END FROM trading_order
    WHERE agent_id = ANY(%b::uuid[]) AND side = 0 AND state < 3
) AS open
GROUP BY 1, 2
"""
_PAUSES = """
SELECT agent_id, mint, protection, reason FROM trading_protectionlock
WHERE agent_id = ANY(%b::uuid[]) AND starts_at <= %b AND ends_at > %b AND lifted_at IS NULL
  AND (mint = '' OR mint = ANY(%b::varchar[]))
ORDER BY starts_at DESC
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """Answers that arrive with the end of the pipeline."""

    agents: Any
    exposures: Any
    pauses: Any

    def candidates(self) -> dict[UUID, Candidate]:
        """The agents in id order; archived ones are absent."""
        found = {row[0]: Candidate(*row[:-1], int(row[-1])) for row in _all(self.agents)}
        for agent_id, mint, opens, lamports in _all(self.exposures):
            candidate = found.get(agent_id)
            if candidate is None:
                continue
            candidate.open_positions += opens
            candidate.exposure_lamports += int(lamports)
            if mint is not None:
                candidate.tokens[mint] = Holding(int(lamports), opens > 0)
        for agent_id, mint, protection, reason in _all(self.pauses):
            if agent_id in found:
                found[agent_id].pauses[mint] = f"{protection}: {reason}"
        return found


def ask(agent_ids: Sequence[UUID], mints: Sequence[str], *, now: datetime) -> Asked:
    """Lock the agents and their wallets, then ask what is known of them; inside a pipeline and a transaction."""
    ids, tokens = list(agent_ids), list(mints)
    locks.agents_and_wallets(ids)
    return Asked(
        agents=rows.execute(_CANDIDATES, [SOL_MINT, ids]),
        exposures=rows.execute(_EXPOSURES, [tokens, ids, ids]),
        pauses=rows.execute(_PAUSES, [ids, now, now, tokens]),
    )


def _all(cursor: Any) -> list[Any]:
    with cursor:
        found: list[Any] = cursor.fetchall()
        return found
