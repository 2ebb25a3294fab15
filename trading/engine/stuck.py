"""The end of alarms about orders and positions: what was stuck is done by now, by whichever process, or was mended."""

from datetime import datetime

from django.db import Error, connection

from nexgent.events import alarms
from prices import selectors as prices
from prices.records import EXIT_MAX_AGE
from trading.engine import positions
from trading.models import Position
from trading.rules import decide as rules
from trading.rules.decision import Hold
from trading.rules.position import Tick

# An order that is final, a position that is closed: nothing waits for a person any more.
_ENDED_ORDERS = """
SELECT a.subject FROM events_alarm a JOIN trading_order o ON o.id = a.subject::uuid
WHERE a.code = 'ORDER_STUCK' AND a.cleared_at IS NULL AND o.state >= 3
"""
_POSITIONS = """
SELECT p.id FROM events_alarm a JOIN trading_position p ON p.id = a.subject::uuid
WHERE a.code = 'POSITION_STUCK' AND a.cleared_at IS NULL
"""


def clear_ended(*, at: datetime) -> None:
    """End the alarms of orders that came to their end and of positions that were closed or can be decided on again."""
    for subject in _subjects(_ENDED_ORDERS):
        alarms.clear("ORDER_STUCK", subject=subject, at=at)
    told = Position.objects.filter(id__in=_subjects(_POSITIONS))
    for position in told.select_related("watermark", "agent", "wallet"):
        if position.closed_at is not None or _is_mended(position, at=at):
            alarms.clear("POSITION_STUCK", subject=str(position.id), at=at)


def _is_mended(position: Position, *, at: datetime) -> bool:
    """Whether the rules of an open position can be read, and say of the price it has now that nothing is due.

    What is due shows by an order that comes; until then the engine may still stumble over it. Without a price that may
    be decided on the engine leaves the position alone, and reading is all there is to try.
    """
    try:
        policy, state = positions.policy_of(position), positions.state_of(position)
        tick = prices.latest([position.token_id]).get(position.token_id)
        if tick is None or tick.observed_at <= position.opened_at or at - tick.observed_at > EXIT_MAX_AGE:
            return True
        entries_on, exits_on = positions.switches(position)
        decision = rules.decide(
            state,
            Tick(tick.price_sol, tick.observed_at, tick.source),
            policy,
            at,
            entries_on=entries_on,
            exits_on=exits_on,
        )
    except Error:
        raise  # the database is away: nothing is known of the position
    except Exception:  # told when it was found; the alarm stays
        return False
    return isinstance(decision.command, Hold)


def _subjects(sql: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return [row[0] for row in cursor.fetchall()]
