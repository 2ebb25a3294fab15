"""How events change a position: the only way its state moves, apart from the watermarks that `decide` raises."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import assert_never

from nexgent.errors import Refusal
from nexgent.money import exact, price_of
from trading.rules.position import (
    Bought,
    DcaPostponed,
    Event,
    LevelsConsumed,
    PositionState,
    Sold,
    StopPinned,
)


@exact
def open_position(
    *,
    fill_lamports: int,
    units: int,
    fee_lamports: int,
    rent_lamports: int,
    decimals: int,
    at: datetime,
    default_stop_percent: Decimal,
    ladder_length: int,
) -> PositionState:
    """The position that an entry's fill opens: average price without fees, cost with them, rent as a deposit.

    Raises Refusal ZERO_TOKENS when nothing was bought.
    """
    if units <= 0:
        raise Refusal("ZERO_TOKENS", "The fill bought no tokens.")
    price = price_of(fill_lamports, units, decimals)
    paid = fill_lamports + fee_lamports
    return PositionState(
        decimals=decimals,
        opened_at=at,
        average=price,
        bought_units=units,
        remaining_units=units,
        invested_lamports=paid,
        cost_lamports=paid,
        peak=price,
        stop_percent=default_stop_percent,
        low=price,
        rent_lamports=rent_lamports,
        total_levels=ladder_length,
    )


@exact
def apply(position: PositionState, event: Event) -> PositionState:
    """The position after an event. Raises Refusal OVERSOLD or ZERO_TOKENS for fills that cannot be."""
    match event:
        case Sold():
            return _sold(position, event)
        case Bought():
            return _bought(position, event)
        case LevelsConsumed():
            return _consumed(position, event)
        case StopPinned():
            return replace(
                position, stop_percent=event.stop_percent, peak=event.peak, generation=position.generation + 1
            )
        case DcaPostponed():
            return replace(position, dca_not_before=event.until)
        case _:
            assert_never(event)


def cost_of(cost_lamports: int, sold_units: int, remaining_units: int) -> int:
    """floor(remaining cost x units sold / remaining units); the last sale takes the rest."""
    return cost_lamports if sold_units == remaining_units else cost_lamports * sold_units // remaining_units


def _bought(position: PositionState, fill: Bought) -> PositionState:
    """Average over everything ever bought, fees included; peak and stop start again, the whole ladder re-arms."""
    if fill.units <= 0:
        raise Refusal("ZERO_TOKENS", "The fill bought no tokens.")
    paid = fill.lamports + fill.fee_lamports
    invested = position.invested_lamports + paid
    bought = position.bought_units + fill.units
    average = price_of(invested, bought, position.decimals)
    return replace(
        position,
        average=average,
        bought_units=bought,
        remaining_units=position.remaining_units + fill.units,
        invested_lamports=invested,
        cost_lamports=position.cost_lamports + paid,
        rent_lamports=position.rent_lamports + fill.rent_lamports,
        peak=max(price_of(fill.lamports, fill.units, position.decimals), average),
        stop_percent=fill.default_stop_percent,
        generation=position.generation + 1,
        dca_count=position.dca_count + 1,
        last_dca_at=fill.at,
        dca_not_before=None,
        batch_start=position.levels_hit,
        total_levels=position.levels_hit + fill.ladder_length,
    )


def _sold(position: PositionState, fill: Sold) -> PositionState:
    if fill.units <= 0:
        raise Refusal("ZERO_TOKENS", "The fill sold no tokens.")
    if fill.units > position.remaining_units:
        raise Refusal(
            "OVERSOLD",
            "More was sold than the position holds.",
            details={"units": fill.units, "remaining": position.remaining_units},
        )
    cost = cost_of(position.cost_lamports, fill.units, position.remaining_units)
    sets_bag = fill.moon_bag_units is not None
    return replace(
        position,
        remaining_units=position.remaining_units - fill.units,
        cost_lamports=position.cost_lamports - cost,
        received_lamports=position.received_lamports + fill.lamports,
        realised_lamports=position.realised_lamports + fill.lamports - cost,
        levels_hit=position.levels_hit + fill.levels,
        moon_bag_active=position.moon_bag_active or sets_bag,
        moon_bag_units=fill.moon_bag_units if sets_bag else position.moon_bag_units,
    )


def _consumed(position: PositionState, event: LevelsConsumed) -> PositionState:
    sets_bag = event.moon_bag_units is not None
    return replace(
        position,
        levels_hit=position.levels_hit + event.levels,
        moon_bag_active=position.moon_bag_active or sets_bag,
        moon_bag_units=event.moon_bag_units if sets_bag else position.moon_bag_units,
    )
