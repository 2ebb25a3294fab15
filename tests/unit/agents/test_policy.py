"""Configurations compiled for the rules, and the overrides of single positions."""

from decimal import Decimal

import pytest

from agents import config, templates
from agents.policy import check_override, compile_policy, with_override
from trading.rules.policy import Cooldown, DailyLoss, DcaLevel, LadderLevel, MoonBag, StopMode, TrailingLevel


def ladder(*levels: tuple[int, int]) -> tuple[LadderLevel, ...]:
    return tuple(LadderLevel(Decimal(target), Decimal(sell)) for target, sell in levels)


def test_the_defaults_compile_to_exact_amounts():
    policy = compile_policy({})

    assert policy.stop.default_percent == Decimal(-32)
    assert policy.limits.minimum_balance_lamports == 500_000_000
    assert policy.limits.max_purchase_lamports == 2_000_000_000
    assert policy.limits.max_price_impact == Decimal("0.05")
    assert policy.limits.max_open_positions == 25
    assert policy.sizing.small_size.max_lamports == 100_000_000
    assert policy.protections.cooldown is None


def test_fractions_are_the_decimals_that_were_written():
    policy = compile_policy({"purchaseLimits": {"maxPriceImpact": 0.1, "maxPurchasePerToken": 0.3}})

    assert policy.limits.max_price_impact == Decimal("0.1")
    assert policy.limits.max_purchase_lamports == 300_000_000


@pytest.mark.parametrize(
    ("mode", "levels", "bag"),
    [
        ("aggressive", ((25, 25), (50, 25), (100, 25), (150, 15)), (100, 10)),
        ("moderate", ((50, 25), (150, 25), (300, 25), (400, 15)), (300, 10)),
        ("conservative", ((100, 20), (200, 20), (400, 25), (600, 20)), (400, 15)),
    ],
)
def test_d3_a_preset_uses_its_own_levels_and_moon_bag(mode, levels, bag):
    stored = {"enabled": True, "mode": mode, "levels": [{"targetPercent": 7, "sellPercent": 7}]}

    policy = compile_policy({"takeProfit": {**stored, "moonBag": {"enabled": False, "triggerPercent": 7}}})

    assert policy.ladder.levels == ladder(*levels)
    assert policy.ladder.moon_bag == MoonBag(True, Decimal(bag[0]), Decimal(bag[1]))


def test_d3_stored_levels_count_in_mode_custom():
    stored = {"mode": "custom", "levels": [{"targetPercent": 7, "sellPercent": 9}], "moonBag": {"enabled": False}}

    policy = compile_policy({"takeProfit": stored})

    assert policy.ladder.levels == ladder((7, 9))
    assert policy.ladder.moon_bag.enabled is False


def test_d3_a_preset_with_an_empty_stored_list_still_sells():
    policy = compile_policy({"takeProfit": {"enabled": True, "mode": "aggressive", "levels": []}})

    assert len(policy.ladder.levels) == 4


def test_dca_presets_and_custom_levels_sorted_from_the_shallowest():
    custom = [{"dropPercent": -30, "buyPercent": 1}, {"dropPercent": -10, "buyPercent": 2}]

    assert compile_policy({"dca": {"mode": "aggressive"}}).dca.levels == templates.DCA["aggressive"]
    assert len(templates.DCA["aggressive"]) == 3
    assert compile_policy({"dca": {"mode": "custom", "levels": custom}}).dca.levels == (
        DcaLevel(Decimal(-10), Decimal(2)),
        DcaLevel(Decimal(-30), Decimal(1)),
    )


def test_a_cooldown_with_a_fraction_waits_for_the_whole_second():
    assert compile_policy({"dca": {"cooldownSeconds": 30.2}}).dca.cooldown_seconds == 31


def test_trailing_levels_count_in_mode_custom_only():
    levels = [{"change": 50, "stopLoss": 30}]

    assert compile_policy({"stopLoss": {"mode": "zones", "trailingLevels": levels}}).stop.levels == ()
    assert compile_policy({"stopLoss": {"mode": "custom", "trailingLevels": levels}}).stop.levels == (
        TrailingLevel(Decimal(50), Decimal(30)),
    )


def test_our_own_keys_compile():
    policy = compile_policy(
        {
            "limits": {"maxExposureSol": 7.5},
            "protections": {"cooldown": {"minutes": 5}, "dailyLoss": {"sol": 0.25}},
            "tokenGate": {"refuseFlagged": True, "maxAgeSeconds": 60},
            "signals": {"followSell": True, "allowedSources": ["bot"], "holderCountMin": 0, "marketCapMax": 1e6},
        }
    )

    assert policy.limits.max_exposure_lamports == 7_500_000_000
    assert policy.protections.cooldown == Cooldown(5)
    assert policy.protections.daily_loss == DailyLoss(250_000_000)
    assert (policy.token_gate.refuse_flagged, policy.token_gate.max_age_seconds) == (True, 60)
    assert (policy.signals.follow_sell, policy.signals.allowed_sources) == (True, ("bot",))
    assert (policy.signals.holder_count_min, policy.signals.market_cap_max) == (0, Decimal(1_000_000))


def test_a_configuration_of_the_wrong_types_does_not_compile():
    with pytest.raises(config.InvalidConfig) as caught:
        compile_policy({"stopLoss": {"defaultPercentage": "-32"}})

    assert caught.value.details == ["stopLoss.defaultPercentage: Must be a number"]


def test_no_override_leaves_the_policy_as_it_is():
    policy = compile_policy({})

    assert with_override(policy, None) is policy
    assert with_override(policy, {}) is policy


def test_an_overridden_stop_is_partial_over_the_policys_own():
    policy = compile_policy({"stopLoss": {"mode": "zones", "defaultPercentage": -20}})

    pinned = with_override(policy, {"stopLoss": {"defaultPercentage": -5.5}})

    assert (pinned.stop.mode, pinned.stop.default_percent) == (StopMode.ZONES, Decimal("-5.5"))
    assert pinned.ladder == policy.ladder


def test_overridden_ladder_levels_keep_the_policys_bag():
    policy = compile_policy({"takeProfit": {"enabled": True, "mode": "conservative"}})

    pinned = with_override(policy, {"takeProfit": {"levels": [{"targetPercent": 20, "sellPercent": 50}]}})

    assert pinned.ladder.levels == ladder((20, 50))
    assert pinned.ladder.moon_bag == MoonBag(True, Decimal(400), Decimal(15))
    assert pinned.stop == policy.stop


def test_an_overridden_bag_keeps_the_presets_levels():
    policy = compile_policy({"takeProfit": {"enabled": True, "mode": "aggressive"}})

    pinned = with_override(policy, {"takeProfit": {"moonBag": {"enabled": False}}})

    assert pinned.ladder.levels == policy.ladder.levels
    assert pinned.ladder.moon_bag.enabled is False


def test_an_override_may_name_a_preset():
    pinned = with_override(compile_policy({}), {"takeProfit": {"enabled": True, "mode": "aggressive"}})

    assert pinned.ladder.levels == templates.LADDERS["aggressive"].levels


def test_an_override_of_anything_else_is_refused():
    with pytest.raises(config.InvalidConfig):
        with_override(compile_policy({}), {"dca": {"enabled": True}})


@pytest.mark.parametrize(
    ("override", "path"),
    [
        ({"stopLoss": {"defaultPercentage": 0}}, "stopLoss.defaultPercentage"),
        ({"takeProfit": {"levels": [{"targetPercent": 20, "sellPercent": 95}]}}, "takeProfit.levels"),
        ({"takeProfit": {"enabled": True, "step": 1}}, "takeProfit.step"),
        ({"stopLoss": 5}, "stopLoss"),
    ],
)
def test_an_override_is_held_to_the_rules_of_a_configuration(override, path):
    with pytest.raises(config.InvalidConfig) as caught:
        check_override(compile_policy({}), override)

    assert path in [problem.path for problem in caught.value.problems]


def test_a_sound_override_is_accepted():
    check_override(compile_policy({}), {"stopLoss": {"defaultPercentage": -10}, "takeProfit": None})

    policy = with_override(compile_policy({}), {"stopLoss": {"defaultPercentage": -10}, "takeProfit": None})
    assert policy.stop.default_percent == Decimal(-10)
