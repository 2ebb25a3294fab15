"""Vector family take_profit: templates, levels, moon bag, evaluation, and ladders to their end."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from agents import templates
from tests.vectors.exits import NOW, position
from tests.vectors.figures import amount, exact_number, whole
from trading.rules import dca, gain, ladder
from trading.rules.apply import apply
from trading.rules.policy import LadderLevel, LadderPolicy, MoonBag
from trading.rules.position import Sold


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


_FUNCTIONS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    function.__name__: function
    for function in (
        take_profit_template,
        gain_percent,
        triggered_levels,
        should_activate_moon_bag,
        take_profit_allocation,
        evaluate_take_profit,
        apply_take_profit_to_position,
        is_only_moon_bag,
        take_profit_full_exit_sequence,
    )
}


def run(vector: dict[str, Any]) -> dict[str, Any]:
    given = vector["input"]
    return _FUNCTIONS[given["function"]](given)


FAMILIES = {"take_profit": run}
