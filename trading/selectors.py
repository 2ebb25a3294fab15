"""Reads of orders and positions."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection


@dataclass(frozen=True, slots=True)
class Exposure:
    """What an agent has at risk: open positions at cost and open buy orders, lamports. Entry orders count as
    positions.
    """

    positions: int = 0
    total_lamports: int = 0
    token_lamports: int = 0
    has_token: bool = False


_EXPOSURES = """
SELECT agent_id, sum(opens)::int, sum(lamports), coalesce(sum(lamports) FILTER (WHERE mint = %(mint)s), 0),
       bool_or(mint = %(mint)s AND opens = 1)
FROM (
    SELECT agent_id, mint, cost_lamports AS lamports, 1 AS opens FROM trading_position
    WHERE agent_id = ANY(%(agents)s) AND closed_at IS NULL
    UNION ALL
    SELECT agent_id, mint, amount, CASE WHEN position_id IS NULL THEN 1 ELSE 0 END FROM trading_order
    WHERE agent_id = ANY(%(agents)s) AND side = 0 AND state < 3 AND id IS DISTINCT FROM %(without)s
) AS open
GROUP BY agent_id
"""


def exposures(agent_ids: Sequence[UUID], mint: str, *, without: UUID | None = None) -> dict[UUID, Exposure]:
    """Exposure of each agent, in total and in one token; `without` leaves one order out."""
    with connection.cursor() as cursor:
        cursor.execute(_EXPOSURES, {"agents": list(agent_ids), "mint": mint, "without": without})
        found = {row[0]: Exposure(row[1], int(row[2]), int(row[3]), bool(row[4])) for row in cursor.fetchall()}
    return {agent_id: found.get(agent_id, Exposure()) for agent_id in agent_ids}
