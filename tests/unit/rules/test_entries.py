"""Sizes, validation, impact gate, signal filter and token gate."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from nexgent.errors import Refusal
from tests.unit.rules.samples import NOW, POLICY, SIZING, SOL
from trading.rules import eligibility, impact, sizing, token_gate
from trading.rules.eligibility import SignalFacts, TokenMetrics
from trading.rules.policy import Limits, SignalFilter, TokenGate
from trading.rules.token_gate import TokenFacts
from trading.rules.validation import EntryFacts, validate_entry

HALF = Decimal("0.5")
LIMITS = Limits(SOL // 2, 2 * SOL)


def code_of(function: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    with pytest.raises(Refusal) as refusal:
        function(*args, **kwargs)
    return refusal.value.code


def test_d26_a_balance_above_a_million_sol_is_taken_as_it_is() -> None:
    size = sizing.position_size(2_000_000 * SOL, SIZING, LIMITS, HALF)

    assert (size.lamports, size.category) == (1_750_000_000, "large")


def test_d37_the_draw_of_a_seed_is_always_the_same_and_below_one() -> None:
    draws = [sizing.draw(seed) for seed in range(200)]

    assert sizing.draw(7) == sizing.draw(7) != sizing.draw(8)
    assert sizing.draw(7, 1) != sizing.draw(7, 2)
    assert all(0 <= value < 1 for value in draws)
    assert 0 <= sizing.seed_of("order", 1) < 2**63


def test_exactly_one_hundredth_sol_is_allowed() -> None:
    assert sizing.position_size(510_000_000, SIZING, LIMITS, HALF).lamports == 10_000_000
    assert code_of(sizing.position_size, 509_999_999, SIZING, LIMITS, HALF) == "BELOW_MINIMUM_TRADE"


def test_d24_dca_is_cut_to_the_cap_the_reserve_and_the_exposure() -> None:
    assert sizing.dca_size(5 * SOL, LIMITS, free_lamports=10 * SOL) == 2 * SOL
    assert sizing.dca_size(SOL, LIMITS, free_lamports=SOL, fees_lamports=5_000) == 499_995_000
    capped = replace(LIMITS, max_exposure_lamports=3 * SOL, max_exposure_per_token_lamports=2 * SOL)
    cut = sizing.dca_size(5 * SOL, capped, free_lamports=10 * SOL, exposure_lamports=SOL, token_exposure_lamports=SOL)
    assert cut == SOL


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"free_lamports": SOL // 2}, "INSUFFICIENT_BALANCE_FOR_MINIMUM"),
        ({"free_lamports": 509_000_000}, "BELOW_MINIMUM_TRADE"),
        ({"free_lamports": 9 * SOL, "exposure_lamports": 3 * SOL}, "MAX_EXPOSURE_EXCEEDED"),
        ({"free_lamports": 9 * SOL, "token_exposure_lamports": 2 * SOL}, "MAX_TOKEN_EXPOSURE_EXCEEDED"),
    ],
)
def test_d24_dca_without_room_is_refused(facts: dict[str, int], code: str) -> None:
    limits = replace(LIMITS, max_exposure_lamports=3 * SOL, max_exposure_per_token_lamports=2 * SOL)

    assert code_of(sizing.dca_size, SOL, limits, **facts) == code


CHECKS = [
    ({"has_agent": False}, "AGENT_NOT_FOUND"),
    ({"has_config": False}, "CONFIG_ERROR"),
    ({"has_wallet": False}, "WALLET_NOT_FOUND"),
    ({"is_wallet_of_agent": False}, "WALLET_MISMATCH"),
    ({"is_wallet_loaded": False}, "WALLET_NOT_LOADED"),
    ({"is_wallet_of_mode": False}, "TRADING_MODE_MISMATCH"),
    ({"balance_lamports": 0}, "INSUFFICIENT_BALANCE"),
    ({"balance_lamports": SOL // 2 - 1}, "BELOW_MINIMUM_THRESHOLD"),
    ({"has_position": True}, "POSITION_EXISTS"),
    ({"open_positions": 25}, "MAX_POSITIONS_EXCEEDED"),
]


@pytest.mark.parametrize("first", range(len(CHECKS)))
def test_the_first_failing_check_names_the_code(first: int) -> None:
    # given facts that fail this check and every later one
    facts = EntryFacts(balance_lamports=5 * SOL)
    for changes, _ in reversed(CHECKS[first:]):
        facts = replace(facts, **changes)

    assert code_of(validate_entry, facts, POLICY, HALF) == CHECKS[first][1]


@pytest.mark.parametrize(
    ("lamports", "code"),
    [
        (0, "INVALID_POSITION_SIZE"),
        (5 * SOL + 1, "POSITION_SIZE_EXCEEDS_BALANCE"),
        (5 * SOL, "VIOLATES_MINIMUM_BALANCE"),
        (2 * SOL + 1, "EXCEEDS_MAX_PURCHASE"),
        (9_999_999, "BELOW_MINIMUM_TRADE"),
    ],
)
def test_a_requested_size_is_checked_in_order(lamports: int, code: str) -> None:
    facts = EntryFacts(balance_lamports=5 * SOL, requested_lamports=lamports)

    assert code_of(validate_entry, facts, POLICY, HALF) == code


def test_a_computed_size_that_fails_keeps_the_inner_code() -> None:
    policy = replace(POLICY, sizing=replace(SIZING, minimum_lamports=SOL))

    with pytest.raises(Refusal) as refusal:
        validate_entry(EntryFacts(balance_lamports=SOL // 2), policy, HALF)

    assert refusal.value.code == "POSITION_CALCULATION_ERROR"
    assert refusal.value.details == {"code": "BELOW_MINIMUM_THRESHOLD"}


def test_exposure_cuts_a_computed_size_and_refuses_a_requested_one() -> None:
    policy = replace(POLICY, limits=replace(LIMITS, max_exposure_lamports=SOL))
    facts = EntryFacts(balance_lamports=5 * SOL, exposure_lamports=SOL - 20_000_000)

    assert validate_entry(facts, policy, HALF) == 20_000_000
    asked = replace(facts, requested_lamports=SOL)
    assert code_of(validate_entry, asked, policy, HALF) == "MAX_EXPOSURE_EXCEEDED"


def test_d27_no_limit_lets_everything_pass_and_the_sign_does_not_matter() -> None:
    assert impact.passes(Decimal("-0.9"), None)
    assert impact.passes(Decimal("-0.0499"), Decimal("0.05"))
    assert not impact.passes(Decimal("-0.05"), Decimal("0.05"))


def test_exits_are_split_but_never_blocked() -> None:
    # given an exit of 1,000 units whose impact is always above the limit
    left, parts = 1_000, []
    while left:
        parts.append(impact.exit_part(1_000, left, Decimal("0.01"), lambda _: Decimal("0.5"), part=len(parts) + 1))
        left -= parts[-1]

    assert parts == [125] * 8


def test_an_exit_sells_the_largest_part_that_passes() -> None:
    quoted: list[int] = []

    def quote(units: int) -> Decimal:
        quoted.append(units)
        return Decimal(units) / 10_000

    assert impact.exit_part(1_000, 1_000, Decimal("0.03"), quote) == 250
    assert quoted == [1_000, 500, 250]
    assert impact.exit_part(1_000, 1_000, None, quote) == 1_000
    assert impact.exit_part(7, 3, Decimal("0.03"), lambda _: Decimal(1), part=8) == 3


def test_d22_a_sell_signal_is_never_a_reason_to_buy() -> None:
    signal = SignalFacts("Mint", "Velocity", 3, side="sell")

    assert eligibility.evaluate(signal, SignalFilter(), None) == ("sell_signal",)
    assert eligibility.evaluate(signal, SignalFilter(follow_sell=True), None, entries_on=False) == ()


def test_every_reason_is_named_in_check_order() -> None:
    wanted = SignalFilter(
        min_score=4,
        allowed_types=("A",),
        allowed_sources=("desk",),
        token_filter_mode="whitelist",
        token_list=("Other",),
        holder_count_min=0,
    )

    reasons = eligibility.evaluate(SignalFacts("Mint", "B", 3), wanted, TokenMetrics())

    assert reasons == (
        "strength_below_minimum",
        "signal_type_not_allowed",
        "signal_source_not_allowed",
        "token_not_whitelisted",
        "holder_count_unknown",
    )


def test_an_unknown_fact_does_not_pass_the_token_gate() -> None:
    gate = TokenGate(True, True, True, 60)

    unknown = token_gate.evaluate(gate, TokenFacts(), NOW)
    bad = token_gate.evaluate(gate, TokenFacts(False, False, True, NOW - timedelta(seconds=61)), NOW)
    good = token_gate.evaluate(gate, TokenFacts(True, True, False, NOW - timedelta(seconds=60)), NOW)

    assert unknown == (
        "token_facts_unknown",
        "mint_authority_unknown",
        "freeze_authority_unknown",
        "token_flag_unknown",
    )
    assert bad == ("token_facts_stale", "mint_authority_enabled", "freeze_authority_enabled", "token_flagged")
    assert good == ()
