"""From proposals to planned orders: the exact rule decides; the order commits with the tick and extremes it rests
on.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db import OperationalError, transaction

from nexgent.errors import Refusal
from nexgent.events import services as events
from prices import selectors as prices
from trading import live
from trading.engine import booking, locks, orders, positions, sales, succession, way
from trading.engine.book import Book, Row
from trading.engine.points import reach
from trading.models import Position
from trading.rules import decide as rules
from trading.rules.decision import Buy, Consume, Hold, Rule, Sell
from trading.rules.position import PositionState


def act(book: Book, candidates: Sequence[Row], *, now: datetime) -> int:
    """Decide each proposed row exactly and plan what is due in one statement.

    Returns how many orders were planned and levels consumed.
    """
    intents: list[orders.Intent] = []
    consumed = 0
    for row in candidates:
        try:
            answer = _intent(book, row, now)
        except OperationalError:
            raise  # the database is away: for all of them
        except Exception as problem:
            positions.tell_stuck(row.position, problem, at=now)
            continue
        if isinstance(answer, orders.Intent):
            intents.append(answer)
        else:
            consumed += answer
    if not intents:
        return consumed
    reach("exit_decided")
    orders.plan(intents, at=now)
    reach("exit_planned")
    way.ask(sum(isinstance(intent.command, Sell) for intent in intents))
    for intent in intents:
        book.mark_ordered(intent.position.id, is_sell=isinstance(intent.command, Sell))
    return consumed + len(intents)


def _intent(book: Book, row: Row, now: datetime) -> orders.Intent | int:
    """The order that is due, or how many level bookings were made instead (0 or 1)."""
    if row.tick is None:
        return 0
    state = book.state_of(row)
    decision = rules.decide(state, row.tick, row.policy, now, entries_on=row.entries_on, exits_on=row.exits_on)
    command = decision.command
    if isinstance(command, Hold):
        return 0
    if isinstance(command, Consume):
        _consume(row.position.id, decision.position, row, sol_usd=prices.sol_usd(now))
        return 1
    if isinstance(command, Sell) and not _may_sell(row, command, now):
        return 0
    if isinstance(command, Buy) and row.has_buy:
        return 0
    purpose = orders.PURPOSE_OF_RULE[command.rule]
    intent = orders.Intent(
        position=row.position,
        state=decision.position,
        command=command,
        purpose=purpose,
        tick=row.tick,
        ordinal=row.ordinals.get(purpose, 0),
    )
    return _in_place_of_waiting(book, intent, now) if isinstance(command, Sell) and row.has_waiting_sell else intent


def _may_sell(row: Row, command: Sell, now: datetime) -> bool:
    """Whether a sale may be planned: none is open, and after a failed one only a stop does not wait."""
    if command.rule is Rule.STOP_LOSS:
        return not row.has_sell
    if row.has_sell or row.has_waiting_sell:
        return False
    return row.position.exit_not_before is None or now >= row.position.exit_not_before


def _in_place_of_waiting(book: Book, intent: orders.Intent, now: datetime) -> int:
    """Plan a stop in the place of a failed sale that waits to be tried again; 0 when that is under way by now."""
    try:
        _replace(intent, now)
    except Refusal:
        return 0
    book.mark_ordered(intent.position.id, is_sell=True)
    return 1


@locks.unit_of_work
@transaction.atomic
def _replace(intent: orders.Intent, now: datetime) -> None:
    """One transaction: a death between the end of one and the plan of the other would leave no sale at all."""
    position_id = intent.position.id
    locks.positions([position_id])
    sales.make_way(position_id, at=now)
    if not orders.plan([intent], at=now):
        raise Refusal("SALE_IN_PROGRESS", "A sale of this position is under way.")
    booking.touch(position_id)


@locks.unit_of_work
@transaction.atomic
def _consume(position_id: UUID, seen: PositionState, row: Row, *, sol_usd: Decimal | None) -> None:
    """Book ladder levels reached with nothing sellable, decided again under the position's lock."""
    if not locks.positions([position_id]):
        return
    position = Position.objects.select_related("watermark", "agent", "wallet").get(id=position_id)
    if position.closed_at is not None or position.version != row.position.version or row.tick is None:
        return
    state = replace(positions.state_of(position), peak=seen.peak, stop_percent=seen.stop_percent, low=seen.low)
    command = rules.decide(state, row.tick, row.policy, row.tick.at, exits_on=row.exits_on).command
    if not isinstance(command, Consume):
        return
    after = succession.consume(position, state, command, at=row.tick.at)
    known = live.Seen(row.tick.price, row.tick.at, sol_usd)
    events.append([live.position_event(position, after, kind="position_updated", at=row.tick.at, known=known)])
