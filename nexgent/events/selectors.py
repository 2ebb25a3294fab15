"""Reads of the event tables: counters, what follows a number, and the opening of a connection."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from nexgent.events import limits, registry
from nexgent.events.records import Record

_AFTER = """
SELECT e.stream_id, e.seq, e.type, e.payload::text, e.at
FROM unnest(%s::uuid[], %s::bigint[]) AS wanted(stream_id, after)
CROSS JOIN LATERAL (
    SELECT * FROM events_event WHERE stream_id = wanted.stream_id AND seq > wanted.after ORDER BY seq LIMIT %s
) e
ORDER BY e.stream_id, e.seq
"""


@dataclass(frozen=True, slots=True)
class Opening:
    """Where a connection starts: the stream's number, and the events up to it or a snapshot that stands at it."""

    seq: int
    replay: tuple[Record, ...]
    snapshot: dict[str, Any] | None
    held: frozenset[str]


def seqs(stream_ids: Sequence[UUID]) -> dict[UUID, int]:
    """The newest number of each stream; 0 for one that has no event."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, seq FROM events_stream WHERE id = ANY(%s)", [list(stream_ids)])
        return dict.fromkeys(stream_ids, 0) | dict(cursor.fetchall())


def events_after(positions: Mapping[UUID, int], *, limit: int = limits.REPLAY_MAX) -> list[Record]:
    """The events of each stream behind its given number, in order, at most `limit` per stream."""
    if not positions:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_AFTER, [list(positions), list(positions.values()), limit])
        return [Record(*row) for row in cursor.fetchall()]


def opening(
    stream_id: UUID,
    *,
    since: int | None = None,
    snapshot: Callable[[UUID], dict[str, Any]] = registry.snapshot,
    has_prices: bool = True,
) -> Opening:
    """The start of a connection to a stream, seen at one moment.

    With `since`, the events behind it when all are kept and they are at most 1,000; else the snapshot. `has_prices`
    says whether the stream is an agent's whose held mints are wanted.
    """
    with one_moment():
        seq = seqs([stream_id])[stream_id]
        held = frozenset(registry.held_mints([stream_id])[stream_id]) if has_prices else frozenset()
        replay = None if since is None else kept_between(stream_id, since, seq)
        if replay is None:
            return Opening(seq, (), snapshot(stream_id), held)
        return Opening(seq, tuple(replay), None, held)


def kept_between(stream_id: UUID, since: int, seq: int) -> list[Record] | None:
    """The events since + 1 .. seq of a stream; None when they are too many or not all kept."""
    if not 0 <= since <= seq or seq - since > limits.REPLAY_MAX:
        return None
    records = [record for record in events_after({stream_id: since}) if record.seq <= seq]
    return records if len(records) == seq - since else None


@contextmanager
def one_moment() -> Iterator[None]:
    """Read-only work that sees the database as it is at one moment; outside of any transaction."""
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield
