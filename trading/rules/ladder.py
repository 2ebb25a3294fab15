"""The take-profit ladder: levels that sell a share of everything ever bought, and the moon bag that stays.

After a DCA fill the whole ladder is armed again from level `batch_start` on. Sales are whole units; several levels
reached in one jump are one sale.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from nexgent.money import exact, floor, value_lamports
from trading.rules.gain import HUNDRED, ZERO, gain_percent
from trading.rules.policy import LadderLevel, LadderPolicy, MoonBag
from trading.rules.position import PositionState

DUST_LAMPORTS = 10_000
"""A remainder worth less than this at the sale price is sold with the rest."""


class LadderReason(StrEnum):
    """Why the ladder acts or rests, in the order of the checks."""

    DISABLED = "disabled"
    EXHAUSTED = "all_levels_exhausted"
    BELOW = "below_next_level"
    NOTHING_SELLABLE = "nothing_sellable"
    TRIGGERED = "triggered"


@dataclass(frozen=True, slots=True)
class LadderResult:
    """`levels` count as hit; `sell_units` may be 0 (then they are consumed without a sale)."""

    reason: LadderReason
    levels: tuple[LadderLevel, ...] = ()
    sell_units: int = 0
    is_full: bool = False
    moon_bag_units: int | None = None
    """Set when this step sets the moon bag aside."""


_RESTS = {
    reason: LadderResult(reason) for reason in (LadderReason.DISABLED, LadderReason.EXHAUSTED, LadderReason.BELOW)
}


def reached(levels: Sequence[LadderLevel], first: int, gain: Decimal) -> tuple[LadderLevel, ...]:
    """The consecutive levels from index `first` on whose target the gain (percent) has reached."""
    last = first
    while last < len(levels) and gain >= levels[last].target_percent:
        last += 1
    return tuple(levels[first:last])


def sets_moon_bag(moon_bag: MoonBag, gain: Decimal, *, is_final: bool, is_active: bool) -> bool:
    """Whether the bag is set aside now: at its trigger, or with the last level, and once only."""
    return moon_bag.enabled and not is_active and (is_final or gain >= moon_bag.trigger_percent)


def allocation_percent(policy: LadderPolicy) -> Decimal:
    """What the levels sell and the moon bag keeps, together, in percent of everything bought."""
    kept = policy.moon_bag.retain_percent if policy.moon_bag.enabled else ZERO
    return sum((level.sell_percent for level in policy.levels), kept)


def check(policy: LadderPolicy, position: PositionState, price: Decimal, gain: Decimal) -> LadderResult:
    """`evaluate` for callers that already hold the exact context and the gain (percent)."""
    if not policy.enabled:
        return _RESTS[LadderReason.DISABLED]
    first = position.levels_hit - position.batch_start
    count = len(policy.levels)
    if first >= count:
        return _RESTS[LadderReason.EXHAUSTED]
    if gain < policy.levels[max(first, 0)].target_percent:
        return _RESTS[LadderReason.BELOW]
    levels = reached(policy.levels, max(first, 0), gain)
    return _step(policy, position, price, gain, levels)


def _step(
    policy: LadderPolicy, position: PositionState, price: Decimal, gain: Decimal, levels: tuple[LadderLevel, ...]
) -> LadderResult:
    bought, remaining = position.bought_units, position.remaining_units
    is_final = position.levels_hit - position.batch_start + len(levels) >= len(policy.levels)
    new_bag: int | None = None
    bag = (position.moon_bag_units or 0) if position.moon_bag_active else 0
    if sets_moon_bag(policy.moon_bag, gain, is_final=is_final, is_active=position.moon_bag_active):
        bag = new_bag = floor(bought * policy.moon_bag.retain_percent / HUNDRED)
    available = max(0, remaining - bag)
    units = min(floor(bought * sum((level.sell_percent for level in levels), ZERO) / HUNDRED), available)
    rest = available - units
    if units and bag == 0 and value_lamports(rest, price, position.decimals) < DUST_LAMPORTS:
        units = available
    if is_final and _is_rounding(policy, rest, bag):
        units = available
    if units <= 0:
        return LadderResult(LadderReason.NOTHING_SELLABLE, levels, 0, False, new_bag)
    is_full = units == remaining
    return LadderResult(LadderReason.TRIGGERED, levels, units, is_full, None if is_full else new_bag)


def _is_rounding(policy: LadderPolicy, rest: int, bag: int) -> bool:
    """Whether a 100 % ladder leaves `rest` over at its last level only because its sales were whole units."""
    return allocation_percent(policy) >= HUNDRED and (bag == 0 or rest <= len(policy.levels) + 1)


@exact
def evaluate(policy: LadderPolicy, position: PositionState, price: Decimal) -> LadderResult:
    """What the ladder does at this price. A level reached with nothing sellable is consumed, the bag set aside."""
    return check(policy, position, price, gain_percent(position.average, price))
