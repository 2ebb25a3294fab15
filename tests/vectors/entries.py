"""Vector families of entries: position_sizing, trade_validation, price_impact, eligibility."""

import copy
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

from nexgent.errors import Refusal
from nexgent.money import SOL_MINT
from tests.vectors.figures import amount, exact_number, optional, whole
from trading.rules import eligibility, impact, sizing
from trading.rules.policy import (
    DcaPolicy,
    LadderPolicy,
    Limits,
    MoonBag,
    Policy,
    SignalFilter,
    SizeRange,
    SizingPolicy,
    StalePolicy,
    StopMode,
    StopPolicy,
)
from trading.rules.validation import EntryFacts, validate_entry

MINT = "TokenMint1111111111111111111111111111111111"
DEFAULTS: dict[str, Any] = {
    "purchase_limits": {"minimum_agent_balance": 0.5, "max_purchase_per_token": 2},
    "position_calculator": {
        "sol_balance_thresholds": {"minimum": 0.2, "medium": 5, "large": 10},
        "position_sizes": {
            "small": {"min": 0.1, "max": 0.1},
            "medium": {"min": 0.5, "max": 1},
            "large": {"min": 1.5, "max": 2},
        },
        "randomization": {"enabled": True},
    },
}


def _range(given: dict[str, Any]) -> SizeRange:
    return SizeRange(whole(given["min"]), whole(given["max"]))


def _sizing(thresholds: dict[str, Any], sizes: dict[str, Any], randomise: bool) -> SizingPolicy:
    return SizingPolicy(
        minimum_lamports=whole(thresholds["minimum"]),
        medium_lamports=whole(thresholds["medium"]),
        large_lamports=whole(thresholds["large"]),
        small_size=_range(sizes["small"]),
        medium_size=_range(sizes["medium"]),
        large_size=_range(sizes["large"]),
        randomise=randomise,
    )


def position_size(given: dict[str, Any]) -> dict[str, Any]:
    wanted = _sizing(given["sol_balance_thresholds"], given["position_sizes_sol"], given["randomise"])
    limits = Limits(whole(given["minimum_agent_balance_sol"]), whole(given["max_purchase_per_token_sol"]))
    try:
        size = sizing.position_size(
            whole(given["sol_balance"]), wanted, limits, exact_number(given["uniform_random_0_to_1"] or 0)
        )
    except Refusal as refusal:
        return {"error_code": refusal.code}
    return {"size_sol": amount(size.lamports), "category": size.category.value, "randomised": size.is_randomised}


def sol_balance_from_text(given: dict[str, Any]) -> dict[str, Any]:
    """Our balances are whole lamports of the ledger: no guessing of units, and nothing negative."""
    if given["token_address"] != given["sol_mint"] or given["sol_mint"] != SOL_MINT:
        return {"sol_balance": 0}
    try:
        balance = Decimal(str(given["balance_text"]))
    except InvalidOperation:
        return {"error": "invalid_balance"}
    if not balance.is_finite():
        return {"error": "invalid_balance"}
    return {"sol_balance": balance} if balance >= 0 else {"error": "insufficient_balance"}


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = copy.deepcopy(base)
    for key, value in changes.items():
        merged[key] = _merged(merged[key], value) if isinstance(value, dict) and key in merged else value
    return merged


def _policy(overrides: dict[str, Any]) -> Policy:
    config = _merged(DEFAULTS, overrides)
    calculator, purchase = config["position_calculator"], config["purchase_limits"]
    return Policy(
        stop=StopPolicy(True, StopMode.FIXED, Decimal(-32)),
        ladder=LadderPolicy(False, (), MoonBag(False, Decimal(300), Decimal(10))),
        dca=DcaPolicy(False, (), 3, 30),
        stale=StalePolicy(True, Decimal(60), Decimal(1), Decimal(10)),
        sizing=_sizing(
            calculator["sol_balance_thresholds"], calculator["position_sizes"], calculator["randomization"]["enabled"]
        ),
        limits=Limits(whole(purchase["minimum_agent_balance"]), whole(purchase["max_purchase_per_token"])),
    )


def validate_purchase(given: dict[str, Any]) -> dict[str, Any]:
    balance = given["sol_balance"]
    requested = given.get("requested_size_sol")
    facts = EntryFacts(
        balance_lamports=0 if balance is None else whole(balance),
        has_agent=not given.get("unknown_agent", False),
        has_config=not given.get("config_unreadable", False),
        has_wallet=not given.get("unknown_wallet", False),
        is_wallet_of_mode=not given.get("wallet_type_differs", False),
        has_position=given.get("has_position_in_token", False),
        open_positions=given.get("open_positions", 0),
        requested_lamports=None if requested is None else whole(requested),
    )
    facts = replace(facts, is_wallet_loaded=not given.get("wallet_not_loaded", False))
    try:
        lamports = validate_entry(
            facts, _policy(given["config_overrides"]), exact_number(given["uniform_random_0_to_1"])
        )
    except Refusal as refusal:
        inner = refusal.details["code"] if isinstance(refusal.details, dict) and "code" in refusal.details else None
        return {"ok": False, "error_code": refusal.code, "inner_error_code": inner}
    return {"ok": True, "position_size_sol": amount(lamports), "sol_balance": exact_number(balance)}


def purchase_price_impact_gate(given: dict[str, Any]) -> dict[str, Any]:
    quoted: list[int] = []
    impacts = iter(given["quoted_price_impact_fraction_sequence"])

    def quote(lamports: int) -> Decimal:
        quoted.append(lamports)
        return exact_number(next(impacts))

    try:
        executed = impact.gate(whole(given["requested_size_sol"]), optional(given["max_price_impact_fraction"]), quote)
    except Refusal as refusal:
        return {"ok": False, "error_code": refusal.code, "quote_input_lamports": quoted}
    return {"ok": True, "executed_input_lamports": executed, "quote_input_lamports": quoted}


def agent_eligibility(given: dict[str, Any]) -> dict[str, Any]:
    signal, config, metrics = given["signal"], given["config"], given["token_metrics"]
    is_live = given.get("trading_mode", "simulation") == "live"
    reasons = eligibility.evaluate(
        eligibility.SignalFacts(
            token=signal["token_address"],
            type=signal["signal_type"],
            strength=signal["signal_strength"],
            side="sell" if signal["signal_type"].upper() == "SELL" else "buy",
        ),
        SignalFilter(
            min_score=config["min_score"],
            allowed_types=tuple(config["allowed_signal_types"]),
            token_filter_mode=config["token_filter_mode"],
            token_list=tuple(config["token_list"]),
            market_cap_min=optional(config.get("market_cap_min")),
            market_cap_max=optional(config.get("market_cap_max")),
            liquidity_min=optional(config.get("liquidity_min")),
            liquidity_max=optional(config.get("liquidity_max")),
            holder_count_min=config.get("holder_count_min"),
            holder_count_max=config.get("holder_count_max"),
        ),
        metrics
        and eligibility.TokenMetrics(
            optional(metrics["market_cap_usd"]), optional(metrics["liquidity_usd"]), metrics["holder_count"]
        ),
        has_owner=signal["owner"] == "same",
        entries_on=given.get("automated_live" if is_live else "automated_simulation", True),
    )
    return {"eligible": not reasons, "failing_criteria_codes": list(reasons)}


_FUNCTIONS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    function.__name__: function
    for function in (
        position_size,
        sol_balance_from_text,
        validate_purchase,
        purchase_price_impact_gate,
        agent_eligibility,
    )
}


def run(vector: dict[str, Any]) -> dict[str, Any]:
    given = vector["input"]
    return _FUNCTIONS[given["function"]](given)


FAMILIES = {"position_sizing": run, "trade_validation": run, "price_impact": run, "eligibility": run}
