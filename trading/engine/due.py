"""Whether a claimed order is still what should be done: decided again under its locks, on the tick it rests on."""

from collections.abc import Sequence
from uuid import UUID

from nexgent import clock, rows
from trading.engine import booking, orders, succession
from trading.engine.dca import size_dca
from trading.engine.market import MarketFacts
from trading.engine.settlement import Aftermath
from trading.engine.work import state_at
from trading.models import Order, Position, Purpose, State
from trading.rules.decision import Hold, Sell
from wallets import services as wallets


def is_due(order: Order, position: Position, market: MarketFacts, aftermath: Aftermath) -> bool:
    """Decide again on the stored tick; brings the amount up to date, or ends the order and gathers what is true now.

    Raises Refusal with the limit that leaves nothing of a DCA.
    """
    if position.closed_at is not None:
        orders.end(order, State.CANCELLED, code="POSITION_CLOSED", at=clock.now())
        wallets.release([order.id])
        return False
    if order.purpose == Purpose.DCA:
        return size_dca(order, position, state_at(order, position), market)
    if order.purpose in succession.BY_PERSON or order.plan["part"] > 1:
        _sell_what_is_left(order, position)
        return True
    return _is_true(order, position, aftermath)


_PAUSED = """
SELECT o.id FROM trading_order o JOIN agents_agent a ON a.id = o.agent_id JOIN wallets_wallet w ON w.id = o.wallet_id
WHERE o.id = ANY(%b::uuid[]) AND NOT CASE WHEN w.kind = 'live' THEN a.entries_live ELSE a.entries_simulation END
"""


def paused(entries: Sequence[Order]) -> set[UUID]:
    """Of locked entry orders, those of signals whose agent was paused before anything was submitted. A person's own
    order is not stopped by the switch; what may have been submitted is resolved.
    """
    asked = [order.id for order in entries if order.signal_id is not None and order.state != State.SUBMITTED]
    if not asked:
        return set()
    with rows.execute(_PAUSED, [asked]) as cursor:
        return {row[0] for row in cursor.fetchall()}


def _sell_what_is_left(order: Order, position: Position) -> None:
    order.amount = position.remaining_units if order.plan["isFull"] else min(order.amount, position.remaining_units)
    order.plan["isFull"] = order.amount == position.remaining_units
    if order.plan["part"] == 1:
        order.plan["exitUnits"] = order.amount


def _is_true(order: Order, position: Position, aftermath: Aftermath) -> bool:
    state = state_at(order, position)
    command = succession.decide_on(position, state, order).command
    if isinstance(command, Sell) and orders.PURPOSE_OF_RULE[command.rule] == order.purpose:
        order.amount = command.units
        order.plan = orders.plan_of(
            orders.Intent(position, state, command, Purpose(order.purpose), orders.tick_of(order), order.ordinal)
        )
        return True
    orders.end(order, State.CANCELLED, code="NO_LONGER_TRUE", at=clock.now())
    if not isinstance(command, Hold):
        _, intent = succession.follow(position, state, order, at=clock.now())
        aftermath.intents += [intent] if intent is not None else []
    booking.touch(position.id)
    return False
