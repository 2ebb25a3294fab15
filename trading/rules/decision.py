"""What the rules answer: the next state of the position, and one command."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from trading.rules.position import PositionState


class Rule(StrEnum):
    """The rule that spoke; also the close reason of what it sells."""

    STOP_LOSS = "stop_loss"
    TAKE_PROFIT = "take_profit"
    STALE_TRADE = "stale_trade"
    DCA = "dca"


@dataclass(frozen=True, slots=True)
class Sell:
    """Sell `units`. `is_full` closes the position; `levels` ladder levels count as hit once it is filled."""

    rule: Rule
    reason: str
    units: int
    is_full: bool
    levels: int = 0
    moon_bag_units: int | None = None


@dataclass(frozen=True, slots=True)
class Buy:
    """Buy for `lamports`: what DCA wants, before caps, reserve and minimum."""

    rule: Rule
    reason: str
    lamports: int
    level: int
    drop_percent: Decimal


@dataclass(frozen=True, slots=True)
class Consume:
    """Ladder levels reached with nothing sellable: they count as hit, the bag is set aside, nothing is sold."""

    rule: Rule
    reason: str
    levels: int
    moon_bag_units: int | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """Nothing to do; `reason` names the rule that came closest or why none may act."""

    reason: str = "hold"


Command = Sell | Buy | Consume | Hold


@dataclass(frozen=True, slots=True)
class Decision:
    """`position` carries the new peak, stop and low even when the command is Hold."""

    position: PositionState
    command: Command
