"""Vector families of the rules on open positions: stop_loss, stale_trade, dca."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from agents import templates
from nexgent.errors import Refusal
from nexgent.money import quantise
from tests.vectors.figures import FINE_DECIMALS, TOKEN_DECIMALS, amount, exact_number, whole
from trading.rules import dca, pnl, stale, stop
from trading.rules.apply import apply, open_position
from trading.rules.policy import (
    DcaLevel,
    DcaPolicy,
    StalePolicy,
    StopMode,
    StopPolicy,
    TrailingLevel,
)
from trading.rules.position import Bought, PositionState

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


FAMILIES = {"stop_loss": run, "stale_trade": run, "dca": run}
