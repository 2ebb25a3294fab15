"""Recovery: after a restart nothing is ready before an engine watches every open position again.

The active engine writes one row each second, after it has compared its book with the database. Orders need no recovery
of their own: the row is the queue, an expired lease is an orphan, and every drain claims orphans.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

SILENCE_SECONDS = 5

_BEAT = """
INSERT INTO trading_enginestate (id, owner, watched, loaded_at, beat_at) VALUES (1, %s, %s, now(), now())
ON CONFLICT (id) DO UPDATE SET watched = excluded.watched, beat_at = now(), owner = excluded.owner,
    loaded_at = CASE WHEN trading_enginestate.owner = excluded.owner THEN trading_enginestate.loaded_at ELSE now() END
"""
_STATE = f"""
SELECT watched, beat_at, beat_at > now() - interval '{SILENCE_SECONDS} seconds',
       (SELECT count(*) FROM trading_position WHERE closed_at IS NULL)
FROM trading_enginestate WHERE id = 1
"""  # noqa: S608


def beat(owner: UUID, *, watched: int) -> None:
    """The active engine's sign of life, after its book followed the database."""
    with connection.cursor() as cursor:
        cursor.execute(_BEAT, [owner, watched])


def is_recovered() -> bool:
    """Whether an engine is alive and has loaded its book: the readiness check `recovery`."""
    return bool(report()["isWatching"])


def report() -> dict[str, Any]:
    """The engine's part of the health answer: status, watched and open positions, last sign of life."""
    with connection.cursor() as cursor:
        cursor.execute(_STATE)
        row = cursor.fetchone()
    if row is None:
        return {"status": "degraded", "isWatching": False, "watched": 0}
    watched, at, is_alive, open_positions = row
    seen: datetime = at
    return {
        "status": "healthy" if is_alive else "degraded",
        "isWatching": bool(is_alive),
        "watched": watched,
        "openPositions": open_positions,
        "at": seen.isoformat(),
    }
