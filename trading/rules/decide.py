"""The decision on one tick: the next state of the position and one command.

Order: stop loss, ladder, stale close, DCA. After a fill the position is decided again on the same tick until `Hold`.
Live trading, simulation and replay differ only in who executes the command.
"""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from nexgent.money import exact
from trading.rules import dca, ladder, stale, stop
from trading.rules.decision import Buy, Command, Consume, Decision, Hold, Rule, Sell
from trading.rules.gain import gain as gain_of
from trading.rules.policy import Policy
from trading.rules.position import PositionState, Tick

HOLD = Hold()
CLOSED = Hold("closed")
EXITS_OFF = Hold("exits_off")
ENTRIES_OFF = Hold("entries_off")


@exact
def decide(
    position: PositionState,
    tick: Tick,
    policy: Policy,
    now: datetime,
    *,
    entries_on: bool = True,
    exits_on: bool = True,
) -> Decision:
    """Decide on one tick. `entries_on=False` stops DCA, `exits_on=False` stops every sale; peak and stop always move.

    A sale that is due while exits are off also keeps DCA from buying.
    """
    if position.remaining_units == 0:
        return Decision(position, CLOSED)
    price = tick.price
    position = _watched(position, price, policy)
    command = _exit(position, price, policy, now)
    if command is not None:
        return Decision(position, command if exits_on else EXITS_OFF)
    return Decision(position, _dca(position, price, policy, now, entries_on))


@exact
def watch(position: PositionState, price: Decimal, policy: Policy) -> PositionState:
    """The position with peak, stop and low moved by this price (the same object when nothing moved)."""
    return _watched(position, price, policy)


def _watched(position: PositionState, price: Decimal, policy: Policy) -> PositionState:
    peak = price if price > position.peak else position.peak
    low = price if price < position.low else position.low
    stop_percent = position.stop_percent
    if policy.stop.enabled and position.average >= stop.SMALLEST_AVERAGE:
        wanted = stop.target(policy.stop, gain_of(position.average, peak))
        if wanted > stop_percent:
            stop_percent = wanted
    if peak is position.peak and low is position.low and stop_percent is position.stop_percent:
        return position
    return replace(position, peak=peak, low=low, stop_percent=stop_percent)


def _exit(position: PositionState, price: Decimal, policy: Policy, now: datetime) -> Command | None:
    average = position.average
    if (
        policy.stop.enabled
        and average >= stop.SMALLEST_AVERAGE
        and stop.is_reached(average, position.stop_percent, price)
    ):
        return Sell(Rule.STOP_LOSS, "stop_reached", position.remaining_units, True)
    gain = gain_of(average, price)
    if policy.ladder.enabled:
        step = ladder.check(policy.ladder, position, price, gain)
        if step.reason is ladder.LadderReason.TRIGGERED:
            return Sell(
                Rule.TAKE_PROFIT, "level_reached", step.sell_units, step.is_full, len(step.levels), step.moon_bag_units
            )
        if step.reason is ladder.LadderReason.NOTHING_SELLABLE:
            return Consume(Rule.TAKE_PROFIT, step.reason.value, len(step.levels), step.moon_bag_units)
    if policy.stale.enabled and stale.is_due(policy.stale, position.opened_at, now, gain):
        return Sell(Rule.STALE_TRADE, "held_too_long", position.remaining_units, True)
    return None


def _dca(position: PositionState, price: Decimal, policy: Policy, now: datetime, entries_on: bool) -> Command:
    if not policy.dca.enabled:
        return HOLD
    result = dca.check(policy.dca, position, price, gain_of(position.average, price), now)
    if result.level is None:
        return HOLD
    if not entries_on:
        return ENTRIES_OFF
    return Buy(Rule.DCA, "drop_reached", result.lamports, position.dca_count, result.level.drop_percent)
