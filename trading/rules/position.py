"""The state of a position that the rules see, and the events that change it (`apply` is the only way)."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class PositionState:
    """Amounts in token base units and lamports, prices in SOL per whole token, percentages of the average price."""

    decimals: int
    opened_at: datetime
    average: Decimal
    bought_units: int
    remaining_units: int
    invested_lamports: int
    """Everything paid, fees included, rent excluded."""
    cost_lamports: int
    """The part of `invested_lamports` that the remaining units cost."""
    peak: Decimal
    stop_percent: Decimal
    low: Decimal
    received_lamports: int = 0
    realised_lamports: int = 0
    rent_lamports: int = 0
    """Account deposits that come back at the full close."""
    generation: int = 1
    dca_count: int = 0
    last_dca_at: datetime | None = None
    dca_not_before: datetime | None = None
    levels_hit: int = 0
    batch_start: int = 0
    total_levels: int | None = None
    moon_bag_active: bool = False
    moon_bag_units: int | None = None

    @property
    def is_closed(self) -> bool:
        return self.remaining_units == 0


@dataclass(frozen=True, slots=True)
class Tick:
    """One price of the position's token."""

    price: Decimal
    at: datetime
    source: str = ""


@dataclass(frozen=True, slots=True)
class Bought:
    """A DCA fill. `lamports` were swapped for `units`; fees and rent were paid beside them.

    `default_stop_percent` and `ladder_length` are the policy's at that moment: the stop re-bases, the levels re-arm.
    """

    lamports: int
    units: int
    fee_lamports: int
    rent_lamports: int
    at: datetime
    default_stop_percent: Decimal
    ladder_length: int


@dataclass(frozen=True, slots=True)
class Sold:
    """A sale's fill. `lamports` arrived net of fees, rent that came back not included."""

    units: int
    lamports: int
    at: datetime
    levels: int = 0
    moon_bag_units: int | None = None
    """Set when this sale sets the moon bag aside."""


@dataclass(frozen=True, slots=True)
class LevelsConsumed:
    """Ladder levels reached with nothing sellable: consumed without a sale."""

    levels: int
    moon_bag_units: int | None = None


@dataclass(frozen=True, slots=True)
class StopPinned:
    """A person set this position's stop: it replaces the ratchet's value and starts a new generation."""

    stop_percent: Decimal
    peak: Decimal


@dataclass(frozen=True, slots=True)
class DcaPostponed:
    """A DCA was refused by limits: not again before `until`."""

    until: datetime


Event = Bought | Sold | LevelsConsumed | StopPinned | DcaPostponed
