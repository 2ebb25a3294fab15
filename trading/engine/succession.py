"""What comes after an order: the next decision on the same tick, the next part of a split exit, the retry of a failed
one.

Always planned in the transaction that books or ends the order before it, so that no crash can come between: the
functions here say what to plan, the transaction plans all of it at its end.
"""

from collections.abc import Sequence
from datetime import datetime

from nexgent.money import exact
from trading.engine import booking, orders, positions
from trading.engine.points import reach
from trading.models import Order, Position, Purpose
from trading.rules import apply as apply_rules
from trading.rules import decide as rules
from trading.rules import retry
from trading.rules.decision import Buy, Consume, Decision, Rule, Sell
from trading.rules.position import LevelsConsumed, PositionState

BY_PERSON = frozenset({Purpose.MANUAL, Purpose.SIGNAL, Purpose.TAPE_END})
"""Orders that do not rest on a rule's tick (their price may be old): no rule is asked again on it."""
STEPS_MAX = 50
"""Decisions on one tick; the rules end long before (a limit on every loop)."""


def decide_on(position: Position, state: PositionState, order: Order) -> Decision:
    """Decide on the tick that an order rests on, at the time it was decided."""
    entries_on, exits_on = positions.switches(position)
    tick = orders.tick_of(order)
    return rules.decide(
        state, tick, positions.policy_of(position), order.created_at, entries_on=entries_on, exits_on=exits_on
    )


@exact
def follow(
    position: Position, state: PositionState, order: Order, *, at: datetime, sold: int = 0
) -> tuple[PositionState, orders.Intent | None]:
    """What the same tick asks for next, and the state after levels that were consumed without a sale.

    A sale that was split goes on with its next part; everything else is decided afresh.
    """
    rest = order.amount - sold
    if sold and rest > 0:
        return state, again(order, position, state, units=rest, part=order.plan["part"] + 1)
    if order.purpose in BY_PERSON:
        return state, None
    for _ in range(STEPS_MAX):
        command = decide_on(position, state, order).command
        if isinstance(command, Consume):
            state = consume(position, state, command, at=at)
            continue
        if isinstance(command, Sell | Buy):
            return state, _next(position, state, command, order)
        break
    return state, None


def consume(position: Position, state: PositionState, command: Consume, *, at: datetime) -> PositionState:
    """Book ladder levels that were reached with nothing sellable; the caller holds the position's lock."""
    after = apply_rules.apply(state, LevelsConsumed(command.levels, command.moon_bag_units))
    positions.take(position, after, at=at)
    position.save()
    booking.publish_changed(position.id)
    return after


def _next(position: Position, state: PositionState, command: Sell | Buy, order: Order) -> orders.Intent:
    purpose = orders.PURPOSE_OF_RULE[command.rule]
    return orders.Intent(
        position=position,
        state=state,
        command=command,
        purpose=purpose,
        tick=orders.tick_of(order),
        ordinal=orders.next_ordinal(position.id, purpose),
    )


def plan(intents: Sequence[orders.Intent], *, at: datetime) -> None:
    """Plan what comes next, for a set of orders at once; the orders before them are final or booked by now."""
    if not intents:
        return
    orders.plan(intents, at=at)
    if any(intent.part > 1 or intent.not_before is not None for intent in intents):
        reach("again_planned")
    else:
        reach("follow_planned")


def is_stubborn(order: Order) -> bool:
    """Whether a failed exit is planned again by itself."""
    return retry.is_stubborn(Purpose(order.purpose).label, order.plan["part"])


def late_sale(position: Position, state: PositionState) -> orders.Intent:
    """The sale of what a buy brought that landed after everything was sold: the next part of the same exit."""
    last = booking.last_sale(position.id)
    last.plan = last.plan | {"isFull": True}
    return again(last, position, state, units=state.remaining_units, part=last.plan["part"] + 1)


def again(
    order: Order,
    position: Position,
    state: PositionState,
    *,
    units: int,
    part: int | None = None,
    not_before: datetime | None = None,
) -> orders.Intent:
    """The same exit once more: the next part of a split one, or the retry of a failed one.

    Ladder levels count with the first part that is sold, so a later part carries none.
    """
    purpose, plan = Purpose(order.purpose), order.plan
    is_later_part = part is not None
    command = Sell(
        rule=Rule(purpose.label) if purpose in orders.PURPOSE_OF_RULE.values() else Rule.STOP_LOSS,
        reason=plan["reason"],
        units=units,
        is_full=plan["isFull"],
        levels=0 if is_later_part else plan.get("levels", 0),
        moon_bag_units=None if is_later_part else plan.get("moonBagUnits"),
    )
    return orders.Intent(
        position=position,
        state=state,
        command=command,
        purpose=purpose,
        tick=orders.tick_of(order),
        ordinal=orders.next_ordinal(position.id, purpose),
        signal_id=order.signal_id,
        part=part if part is not None else plan["part"],
        exit_units=plan["exitUnits"],
        not_before=not_before,
    )
