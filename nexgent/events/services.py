"""The transactional outbox: facts are written in the transaction that makes them true, numbered per stream.

`append` is the last write of a transaction. The stream's counter row is the last lock, so that numbers have no gaps and
follow the order of commits: a reader that has seen number n has seen everything before it. After the commit the pairs
(stream, newest number) go out on a Valkey channel; a lost message is healed by the readers, who compare the counters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from django.db import connection, transaction

from nexgent import rows
from nexgent.events import bell
from nexgent.events.channels import EVENTS

KEPT = timedelta(days=7)

# One statement: it creates missing streams, locks the rows in the order of their ids, raises each counter by its number
# of events and inserts the events with consecutive numbers. ON CONFLICT DO UPDATE works on the newest committed version
# of the row (after waiting for its writer) whatever the statement's snapshot, which is what makes the numbers exact.
_APPEND = """
WITH given AS (
    SELECT g.*, row_number() OVER (PARTITION BY stream_id ORDER BY ordinal) AS place
    FROM unnest(%b::uuid[], %b::text[], %b::text[], %b::timestamptz[]) WITH ORDINALITY
         AS g(stream_id, type, payload, at, ordinal)
), counted AS (
    SELECT stream_id, count(*) AS events FROM given GROUP BY stream_id
), raised AS (
    INSERT INTO events_stream AS s (id, seq) SELECT stream_id, events FROM counted ORDER BY stream_id
    ON CONFLICT (id) DO UPDATE SET seq = s.seq + excluded.seq
    RETURNING s.id, s.seq
), written AS (
    INSERT INTO events_event (stream_id, seq, type, payload, at)
    SELECT g.stream_id, r.seq - c.events + g.place, g.type, g.payload::jsonb, g.at
    FROM given g JOIN counted c USING (stream_id) JOIN raised r ON r.id = g.stream_id
)
SELECT id, seq FROM raised
"""

_SWEEP = """
DELETE FROM events_event WHERE (stream_id, seq) IN (SELECT stream_id, seq FROM events_event WHERE at < %s LIMIT %s)
"""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """A fact to be numbered; `payload` is the complete wire JSON of the message's `data`."""

    stream_id: UUID
    type: str
    payload: dict[str, Any]
    at: datetime


def append(events: Sequence[NewEvent]) -> None:
    """Number and store `events` in the given order, as the last write of the caller's transaction.

    One statement whatever the number of events and streams; it may stand in a psycopg pipeline. Call it once per
    transaction: a second call could take stream locks against the order.
    """
    if not events:
        return
    cursor = rows.execute(
        _APPEND,
        [
            [event.stream_id for event in events],
            [event.type for event in events],
            [orjson.dumps(event.payload).decode() for event in events],
            [event.at for event in events],
        ],
    )

    def announce() -> None:
        # Read here and not above: inside a pipeline the answer arrives with the commit.
        with cursor:
            pairs = [[str(stream_id), seq] for stream_id, seq in cursor.fetchall()]
        bell.publish(EVENTS, orjson.dumps(pairs))

    transaction.on_commit(announce, robust=True)


def sweep(*, now: datetime, batch: int = 5_000) -> int:
    """Delete events older than seven days, in batches of their own transactions; returns how many went."""
    removed = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_SWEEP, [now - KEPT, batch])
            count: int = cursor.rowcount
        removed += count
        if count < batch:
            return removed
