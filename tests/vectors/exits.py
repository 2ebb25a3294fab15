"""Vector families of the rules on open positions: stop_loss, take_profit, stale_trade, dca."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from agents import templates
from nexgent.errors import Refusal
from nexgent.money import quantise
from tests.vectors.figures import FINE_DECIMALS, TOKEN_DECIMALS, amount, exact_number, whole
from trading.rules import dca, gain, ladder, pnl, stale, stop
from trading.rules.apply import apply, open_position
from trading.rules.policy import (
    DcaLevel,
    DcaPolicy,
    LadderLevel,
    LadderPolicy,
    MoonBag,
    StalePolicy,
    StopMode,
    StopPolicy,
    TrailingLevel,
)
from trading.rules.position import Bought, PositionState, Sold

NOW = datetime(2024, 1, 1, tzinfo=UTC)
DEFAULT_STOP = Decimal(-32)
ONE_SOL = 10**9


def position(
    *, average: Any, bought: Any, remaining: Any = None, bag_active: bool = False, bag: Any = None
) -> PositionState:
    """A position of `bought` tokens (9 decimals) that has cost one SOL."""
    units = whole(bought)
    opened = open_position(
        fill_lamports=ONE_SOL,
        units=units,
        fee_lamports=0,
        rent_lamports=0,
        decimals=TOKEN_DECIMALS,
        at=NOW,
        default_stop_percent=DEFAULT_STOP,
        ladder_length=0,
    )
    price = exact_number(average)
    return replace(
        opened,
        average=price,
        peak=price,
        low=price,
        remaining_units=units if remaining is None else whole(remaining),
        moon_bag_active=bag_active,
        moon_bag_units=None if bag is None else whole(bag),
    )


def _stop_policy(given: dict[str, Any]) -> StopPolicy | None:
    """None for an unknown mode: then the default holds. A missing mode is fixed."""
    levels = tuple(
        TrailingLevel(exact_number(level["change"]), exact_number(level["stop_loss"]))
        for level in given["trailing_levels"]
    )
    mode = given["mode"] or "fixed"
    if mode not in list(StopMode):
        return None
    return StopPolicy(given.get("enabled", True), StopMode(mode), exact_number(given["default_percentage"]), levels)


def stop_loss_percentage(given: dict[str, Any]) -> dict[str, Any]:
    policy = _stop_policy(given)
    if policy is None:
        return {"stop_loss_percentage": given["default_percentage"]}
    return {"stop_loss_percentage": stop.target_percent(policy, exact_number(given["price_change_percent"]))}


def evaluate_stop_loss(given: dict[str, Any]) -> dict[str, Any]:
    held, policy = given["position"], _stop_policy(given["config"])
    average, price = exact_number(held["purchase_price_sol"]), exact_number(given["current_price_sol"])
    stored_peak, stored_stop = held["peak_price_sol"], held["stored_stop_loss_percentage"]
    default = exact_number(given["config"]["default_percentage"])
    result = policy and stop.evaluate(
        policy,
        average=average,
        peak=average if stored_peak is None else exact_number(stored_peak),
        stop_percent=default if stored_stop is None else exact_number(stored_stop),
        price=price,
    )
    if result is None:
        return {
            "should_trigger": False,
            "stop_loss_percentage": default if stored_stop is None else stored_stop,
            "stop_price_sol": None,
            "position_written": False,
            "stored_stop_loss_percentage_after": stored_stop,
            "stored_peak_price_sol_after": stored_peak,
        }
    is_written = (
        stored_peak is None
        or stored_stop is None
        or result.peak != exact_number(stored_peak)
        or result.stop_percent != exact_number(stored_stop)
    )
    return {
        "should_trigger": result.is_triggered,
        "stop_loss_percentage": result.stop_percent,
        "stop_price_sol": result.stop_price,
        "position_written": is_written,
        "stored_stop_loss_percentage_after": result.stop_percent,
        "stored_peak_price_sol_after": result.peak,
    }


def _ladder_levels(levels: list[dict[str, Any]]) -> tuple[LadderLevel, ...]:
    return tuple(
        LadderLevel(exact_number(level["target_percent"]), exact_number(level["sell_percent"])) for level in levels
    )


def _moon_bag(given: dict[str, Any]) -> MoonBag:
    return MoonBag(given["enabled"], exact_number(given["trigger_percent"]), exact_number(given["retain_percent"]))


def _ladder_policy(given: dict[str, Any]) -> LadderPolicy:
    preset = templates.LADDERS.get(given["mode"])
    if preset is not None:
        bag = MoonBag(True, preset.bag_trigger_percent, preset.bag_retain_percent)
        return LadderPolicy(given["enabled"], preset.levels, bag)
    return LadderPolicy(given["enabled"], _ladder_levels(given["levels"]), _moon_bag(given["moon_bag"]))


def take_profit_template(given: dict[str, Any]) -> dict[str, Any]:
    preset = templates.LADDERS.get(given["mode"], templates.LADDERS["moderate"])
    levels = () if given["mode"] == templates.CUSTOM else preset.levels
    return {
        "levels": [{"target_percent": level.target_percent, "sell_percent": level.sell_percent} for level in levels],
        "moon_bag": {
            "enabled": True,
            "trigger_percent": preset.bag_trigger_percent,
            "retain_percent": preset.bag_retain_percent,
        },
    }


def gain_percent(given: dict[str, Any]) -> dict[str, Any]:
    average, price = exact_number(given["purchase_price_sol"]), exact_number(given["current_price_sol"])
    return {"gain_percent": gain.gain_percent(average, price)}


def triggered_levels(given: dict[str, Any]) -> dict[str, Any]:
    levels = _ladder_levels(given["levels"])
    hit = ladder.reached(levels, given["levels_already_hit"], exact_number(given["gain_percent"]))
    return {"triggered_target_percents": [level.target_percent for level in hit]}


def should_activate_moon_bag(given: dict[str, Any]) -> dict[str, Any]:
    activates = ladder.sets_moon_bag(
        _moon_bag(given["moon_bag"]),
        exact_number(given["gain_percent"]),
        is_final=given["final_level_in_this_batch"],
        is_active=given["already_activated"],
    )
    return {"activate": activates}


def take_profit_allocation(given: dict[str, Any]) -> dict[str, Any]:
    policy = LadderPolicy(True, _ladder_levels(given["levels"]), _moon_bag(given["moon_bag"]))
    total = ladder.allocation_percent(policy)
    kept = policy.moon_bag.retain_percent if policy.moon_bag.enabled else Decimal(0)
    return {
        "valid": total <= 100,
        "total_sell_percent": total - kept,
        "moon_bag_percent": kept,
        "total_allocation_percent": total,
    }


def evaluate_take_profit(given: dict[str, Any]) -> dict[str, Any]:
    held = replace(
        position(
            average=given["purchase_price_sol"],
            bought=given["position_total_tokens"],
            remaining=given["remaining_tokens"],
            bag_active=given["moon_bag_activated"],
            bag=given["moon_bag_tokens"],
        ),
        levels_hit=given["levels_hit"],
        batch_start=given["batch_start_level"],
        total_levels=given["stored_total_levels"],
    )
    step = ladder.evaluate(_ladder_policy(given["config"]), held, exact_number(given["current_price_sol"]))
    return {
        "should_execute": step.sell_units > 0,
        "levels_executed": len(step.levels),
        "executed_target_percents": [level.target_percent for level in step.levels],
        "sell_tokens": amount(step.sell_units),
        "activate_moon_bag": step.moon_bag_units is not None,
        "moon_bag_tokens": amount(step.moon_bag_units or 0),
        "new_remaining_tokens": amount(held.remaining_units - step.sell_units),
        "reason_code": step.reason.value,
    }


def apply_take_profit_to_position(given: dict[str, Any]) -> dict[str, Any]:
    before, sale = given["before"], given["sale"]
    left = whole(sale["new_remaining_tokens"])
    held_units = 2 * left + 1 if before["remaining_tokens"] is None else whole(before["remaining_tokens"])
    held = replace(
        position(average=1, bought=amount(held_units)),
        levels_hit=before["levels_hit"],
        realised_lamports=whole(before["realized_profit_sol"]),
    )
    sold = held_units - left
    cost = held.cost_lamports * sold // held_units
    event = Sold(
        units=sold,
        lamports=whole(sale["profit_loss_sol"]) + cost,
        at=NOW,
        levels=sale["levels_executed"],
        moon_bag_units=whole(sale["moon_bag_tokens"]) if sale["activate_moon_bag"] else None,
    )
    after = apply(held, event)
    return {
        "levels_hit": after.levels_hit,
        "remaining_tokens": amount(after.remaining_units),
        "realized_profit_sol": amount(after.realised_lamports),
        "moon_bag_activated": after.moon_bag_active,
        "moon_bag_tokens": None if after.moon_bag_units is None else amount(after.moon_bag_units),
    }


def is_only_moon_bag(given: dict[str, Any]) -> dict[str, Any]:
    held = position(
        average=1,
        bought=given["purchase_tokens"],
        remaining=given["remaining_tokens"],
        bag_active=given["moon_bag_activated"],
        bag=given["moon_bag_tokens"],
    )
    return {"only_moon_bag": dca.is_only_moon_bag(held)}


def take_profit_full_exit_sequence(given: dict[str, Any]) -> dict[str, Any]:
    """Level by level, each at a price that reaches exactly that level, until the ladder is used up."""
    policy = LadderPolicy(
        True, _ladder_levels(given["levels"]), MoonBag(given["moon_bag_enabled"], Decimal(300), Decimal(10))
    )
    held = position(average=1, bought=given["position_total_tokens"])
    sells, remainders = [], []
    for level in policy.levels:
        step = ladder.evaluate(policy, held, 1 + level.target_percent / 100)
        sold = Sold(step.sell_units, 1, NOW, len(step.levels), step.moon_bag_units)
        held = apply(held, sold)
        sells.append(amount(step.sell_units))
        remainders.append(amount(held.remaining_units))
    return {
        "sell_tokens_per_level": sells,
        "remaining_tokens_per_level": remainders,
        "position_closed_at_end": held.is_closed,
    }


def stale_trade_check(given: dict[str, Any]) -> dict[str, Any]:
    config = given["config"]
    policy = StalePolicy(
        config["enabled"],
        exact_number(config["min_hold_time_minutes"]),
        exact_number(config["min_profit_percent"]),
        exact_number(config["max_profit_percent"]),
    )
    age = timedelta(microseconds=whole(exact_number(given["position_age_minutes"]) * 60, 6))
    closes = stale.evaluate(
        policy,
        opened_at=NOW - age,
        average=exact_number(given["average_price_sol"]),
        price=exact_number(given["current_price_sol"]),
        now=NOW,
    )
    return {"close": closes}


def _dca_levels(given: dict[str, Any]) -> tuple[DcaLevel, ...]:
    if given["mode"] != templates.CUSTOM:
        return templates.DCA.get(given["mode"], templates.DCA["moderate"])
    return dca.ordered(
        DcaLevel(exact_number(level["drop_percent"]), exact_number(level["buy_percent"]))
        for level in given.get("levels", ())
    )


def dca_template(given: dict[str, Any]) -> dict[str, Any]:
    levels = _dca_levels(given)
    return {"levels": [{"drop_percent": level.drop_percent, "buy_percent": level.buy_percent} for level in levels]}


def evaluate_dca(given: dict[str, Any]) -> dict[str, Any]:
    config, given_position = given["config"], given["position"]
    policy = DcaPolicy(
        config["enabled"], _dca_levels(config), config["max_dca_count"], whole(config["cooldown_seconds"], 0)
    )
    since = given_position["seconds_since_last_dca"]
    held = replace(
        position(
            average=given_position["average_price_sol"],
            bought=given_position["total_tokens"],
            remaining=given_position["remaining_tokens"],
            bag_active=given_position["moon_bag_activated"],
            bag=given_position["moon_bag_tokens"],
        ),
        dca_count=given_position["dca_count"],
        last_dca_at=None if since is None else NOW - timedelta(microseconds=whole(since, 6)),
    )
    result = dca.evaluate(policy, held, exact_number(given["current_price_sol"]), NOW)
    level = result.level
    return {
        "should_trigger": result.is_triggered,
        "drop_percent_level": level and level.drop_percent,
        "buy_percent_level": level and level.buy_percent,
        "buy_amount_sol": amount(result.lamports) if level else None,
        "reason_code": result.reason.value,
    }


def dca_new_average(given: dict[str, Any]) -> dict[str, Any]:
    invested = whole(given["existing_invested_sol"]) + whole(given["new_sol_spent"])
    units = whole(given["existing_tokens"]) + whole(given["new_tokens"])
    fine = (
        whole(given["existing_invested_sol"], FINE_DECIMALS) + whole(given["new_sol_spent"], FINE_DECIMALS),
        whole(given["existing_tokens"], FINE_DECIMALS) + whole(given["new_tokens"], FINE_DECIMALS),
    )
    try:
        average = pnl.average_price(*fine, TOKEN_DECIMALS)  # a ratio: both in billionths of the unit
    except Refusal as refusal:
        return {"error": refusal.code.lower()}
    return {
        "new_average_price_sol": average,
        "new_total_tokens": amount(units),
        "new_total_invested_sol": amount(invested),
    }


def apply_dca_to_position(given: dict[str, Any]) -> dict[str, Any]:
    before, buy = given["before"], given["buy"]
    held = replace(
        position(
            average=before["average_price_sol"], bought=before["total_tokens"], remaining=before["remaining_tokens"]
        ),
        invested_lamports=whole(before["total_invested_sol"]),
        cost_lamports=whole(before["total_invested_sol"]),
        dca_count=before["dca_count"],
        levels_hit=before["take_profit_levels_hit"],
        batch_start=before["batch_start_level"],
        total_levels=before["stored_total_levels"],
        stop_percent=exact_number(before["stored_stop_loss_percentage"]),
        peak=exact_number(before["peak_price_sol"]),
        low=quantise(exact_number(before["lowest_price_sol"])),
    )
    after = apply(
        held,
        Bought(
            lamports=whole(buy["sol_debited"]),
            units=whole(buy["tokens_acquired"]),
            fee_lamports=0,
            rent_lamports=0,
            at=NOW,
            default_stop_percent=DEFAULT_STOP,
            ladder_length=given["configured_take_profit_level_count"],
        ),
    )
    is_default = after.stop_percent == DEFAULT_STOP and after.generation == held.generation + 1
    return {
        "average_price_sol": after.average,
        "total_tokens": amount(after.bought_units),
        "total_invested_sol": amount(after.invested_lamports),
        "dca_count": after.dca_count,
        "remaining_tokens": None if before["remaining_tokens"] is None else amount(after.remaining_units),
        "batch_start_level": after.batch_start,
        "stored_total_levels": after.total_levels,
        "stored_stop_loss_percentage": "__default__" if is_default else after.stop_percent,
        "peak_price_sol": after.peak,
        "lowest_price_sol": after.low,
        "last_dca_time_set_to_now": after.last_dca_at == NOW,
    }


_FUNCTIONS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    function.__name__: function
    for function in (
        stop_loss_percentage,
        evaluate_stop_loss,
        take_profit_template,
        gain_percent,
        triggered_levels,
        should_activate_moon_bag,
        take_profit_allocation,
        evaluate_take_profit,
        apply_take_profit_to_position,
        is_only_moon_bag,
        take_profit_full_exit_sequence,
        stale_trade_check,
        dca_template,
        evaluate_dca,
        dca_new_average,
        apply_dca_to_position,
    )
}


def run(vector: dict[str, Any]) -> dict[str, Any]:
    given = vector["input"]
    return _FUNCTIONS[given["function"]](given)


FAMILIES = {"stop_loss": run, "take_profit": run, "stale_trade": run, "dca": run}
