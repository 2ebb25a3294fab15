"""Recovery: after a restart nothing is ready before an engine watches every open position again.

The active engine writes one row each second, after it has compared its book with the database, and holds an advisory
lock that names it for as long as it lives: a row that a dead engine wrote a moment ago proves nothing. Orders need no
recovery of their own: the row is the queue, an expired lease is an orphan, and every drain claims orphans.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from nexgent.api.wire import stamp

SILENCE_SECONDS = 5
LOCK_CLASS = 0x6E657867  # "nexg"; with the owner's last 28 bits the lock of one engine
_OWNER_BITS = 0xFFFFFFF

_BEAT = """
INSERT INTO trading_enginestate (id, owner, watched, loaded_at, beat_at) VALUES (1, %s, %s, now(), now())
ON CONFLICT (id) DO UPDATE SET watched = excluded.watched, beat_at = now(), owner = excluded.owner,
    loaded_at = CASE WHEN trading_enginestate.owner = excluded.owner THEN trading_enginestate.loaded_at ELSE now() END
"""
_STATE = f"""
SELECT watched, beat_at, beat_at > now() - interval '{SILENCE_SECONDS} seconds' AND EXISTS (
         SELECT 1 FROM pg_locks l JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
         WHERE l.locktype = 'advisory' AND l.granted AND l.classid = {LOCK_CLASS} AND l.objsubid = 2
           AND l.objid = ('x' || right(s.owner::text, 7))::bit(28)::int
       ), (SELECT count(*) FROM trading_position WHERE closed_at IS NULL)
FROM trading_enginestate s WHERE id = 1
"""  # noqa: S608


def beat(owner: UUID, *, watched: int) -> None:
    """The active engine's sign of life, after its book followed the database."""
    with connection.cursor() as cursor:
        cursor.execute(_BEAT, [owner, watched])


def lock_key(owner: UUID) -> tuple[int, int]:
    """The advisory lock of one engine, held by the session that holds its role."""
    return LOCK_CLASS, owner.int & _OWNER_BITS


def is_recovered() -> bool:
    """Whether the engine that wrote last is alive and has loaded its book: the readiness check `recovery`."""
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
        "at": stamp(seen),
    }
