"""DCA: when the price has fallen far enough below the average, buy more. What is wanted, before limits and reserve."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from nexgent.money import LAMPORTS_PER_SOL, exact, floor
from trading.rules.gain import HUNDRED, gain_percent
from trading.rules.policy import DcaLevel, DcaPolicy
from trading.rules.position import PositionState

_MICROSECOND = timedelta(microseconds=1)


class DcaReason(StrEnum):
    """Why DCA acts or rests, in the order of the checks."""

    DISABLED = "disabled"
    ONLY_MOON_BAG = "only_moon_bag_left"
    MAX_COUNT = "max_count_reached"
    COOLDOWN = "cooldown"
    POSTPONED = "postponed"
    NO_LEVELS = "no_levels"
    EXHAUSTED = "levels_exhausted"
    NOT_REACHED = "not_reached"
    NOTHING_LEFT = "nothing_left"
    TRIGGERED = "triggered"


@dataclass(frozen=True, slots=True)
class DcaResult:
    """`lamports` is 0 unless `reason` is TRIGGERED."""

    reason: DcaReason
    level: DcaLevel | None = None
    lamports: int = 0

    @property
    def is_triggered(self) -> bool:
        return self.reason is DcaReason.TRIGGERED


_RESTS = {reason: DcaResult(reason) for reason in DcaReason if reason is not DcaReason.TRIGGERED}


def ordered(levels: Iterable[DcaLevel]) -> tuple[DcaLevel, ...]:
    """DCA levels in the order in which they are used: the smallest fall first, equal ones as given."""
    return tuple(sorted(levels, key=lambda level: -level.drop_percent))


def is_only_moon_bag(position: PositionState) -> bool:
    """Whether nothing but the moon bag is left."""
    return (
        position.moon_bag_active
        and position.moon_bag_units is not None
        and 0 < position.remaining_units <= position.moon_bag_units
    )


def check(policy: DcaPolicy, position: PositionState, price: Decimal, gain: Decimal, now: datetime) -> DcaResult:
    """`evaluate` for callers that already hold the exact context and the gain (percent)."""
    if not policy.enabled:
        return _RESTS[DcaReason.DISABLED]
    count = position.dca_count
    if is_only_moon_bag(position):
        return _RESTS[DcaReason.ONLY_MOON_BAG]
    if count >= policy.max_count:
        return _RESTS[DcaReason.MAX_COUNT]
    last = position.last_dca_at
    if last is not None and (now - last) // _MICROSECOND < policy.cooldown_seconds * 1_000_000:
        return _RESTS[DcaReason.COOLDOWN]
    if position.dca_not_before is not None and now < position.dca_not_before:
        return _RESTS[DcaReason.POSTPONED]
    if not policy.levels:
        return _RESTS[DcaReason.NO_LEVELS]
    if count >= len(policy.levels):
        return _RESTS[DcaReason.EXHAUSTED]
    level = policy.levels[count]
    if gain > level.drop_percent:
        return _RESTS[DcaReason.NOT_REACHED]
    wanted = Decimal(position.remaining_units).scaleb(-position.decimals) * price * level.buy_percent / HUNDRED
    lamports = floor(wanted * LAMPORTS_PER_SOL)
    if lamports <= 0:
        return _RESTS[DcaReason.NOTHING_LEFT]
    return DcaResult(DcaReason.TRIGGERED, level, lamports)


@exact
def evaluate(policy: DcaPolicy, position: PositionState, price: Decimal, now: datetime) -> DcaResult:
    """What DCA wants at this price: level index = DCA count, amount = value of the remainder x buy percent.

    The levels of `policy` are in the order of `ordered`.
    """
    return check(policy, position, price, gain_percent(position.average, price), now)
