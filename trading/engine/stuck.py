"""The end of alarms about orders and positions: what was stuck is done now, by whichever process."""

from datetime import datetime

from django.db import connection

from nexgent.events import alarms

# An order that is final, a position that is closed: nothing waits for a person any more.
_ENDED_ORDERS = """
SELECT a.subject FROM events_alarm a JOIN trading_order o ON o.id = a.subject::uuid
WHERE a.code = 'ORDER_STUCK' AND a.cleared_at IS NULL AND o.state >= 3
"""
_ENDED_POSITIONS = """
SELECT a.subject FROM events_alarm a JOIN trading_position p ON p.id = a.subject::uuid
WHERE a.code = 'POSITION_STUCK' AND a.cleared_at IS NULL AND p.closed_at IS NOT NULL
"""


def clear_ended(*, at: datetime) -> None:
    """End the alarms of orders that came to their end and of positions that were closed."""
    for subject in _subjects(_ENDED_ORDERS):
        alarms.clear("ORDER_STUCK", subject=subject, at=at)
    for subject in _subjects(_ENDED_POSITIONS):
        alarms.clear("POSITION_STUCK", subject=subject, at=at)


def _subjects(sql: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return [row[0] for row in cursor.fetchall()]
