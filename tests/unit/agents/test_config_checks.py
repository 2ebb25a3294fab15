"""What the trading configuration accepts, refuses and warns about; paths in wire names."""

import copy
from decimal import Decimal
from typing import Any

import pytest

from agents import config
from agents.config import DEFAULTS

MINT = "So11111111111111111111111111111111111111112"


def changed(**changes: Any) -> dict[str, Any]:
    """The defaults with dotted paths (`stopLoss__mode`) replaced."""
    data = copy.deepcopy(dict(DEFAULTS))
    for path, value in changes.items():
        *parents, last = path.split("__")
        section = data
        for name in parents:
            section = section[name]
        section[last] = value
    return data


def paths(data: Any) -> list[str]:
    return sorted({problem.path for problem in config.validate(data)})


def warned(data: Any, **kwargs: Any) -> list[str]:
    return [problem.path for problem in config.warnings(data, **kwargs)]


def test_the_defaults_are_valid_complete_and_without_warnings():
    assert paths(DEFAULTS) == []
    assert warned(DEFAULTS) == []
    assert set(DEFAULTS) == {field.alias for field in config.TradingConfig.model_fields.values()}


def test_d7_an_agent_without_stop_and_take_profit_is_valid():
    data = changed(stopLoss__enabled=False, takeProfit__enabled=False, staleTrade__enabled=False)

    assert paths(data) == []


def test_d24_a_default_stop_of_zero_is_refused():
    assert paths(changed(stopLoss__defaultPercentage=0)) == ["stopLoss.defaultPercentage"]
    assert paths(changed(stopLoss__defaultPercentage=-0.01)) == []
    assert paths(changed(stopLoss__defaultPercentage=-100)) == []


def test_d24_a_custom_stop_above_the_gain_that_arms_it_is_refused():
    levels = [{"change": 100, "stopLoss": 100}, {"change": 50, "stopLoss": 50.01}]

    assert paths(changed(stopLoss__mode="custom", stopLoss__trailingLevels=levels)) == [
        "stopLoss.trailingLevels.1.stopLoss"
    ]
    assert paths(changed(stopLoss__mode="zones", stopLoss__trailingLevels=levels)) == []


def test_d24_a_dca_level_deeper_than_the_stop_is_saved_with_a_warning():
    levels = [{"dropPercent": -20, "buyPercent": 50}, {"dropPercent": -32, "buyPercent": 50}]
    data = changed(dca__enabled=True, dca__mode="custom", dca__levels=levels)

    assert paths(data) == []
    assert warned(data) == ["dca.levels.1"]


def test_a_dca_preset_deeper_than_the_stop_warns_at_the_mode():
    data = changed(dca__enabled=True, stopLoss__defaultPercentage=-15)

    assert warned(data) == ["dca.mode"]
    assert warned(changed(dca__enabled=True, stopLoss__defaultPercentage=-15, stopLoss__enabled=False)) == []


def test_an_empty_whitelist_and_a_reserve_above_the_thresholds_warn():
    assert warned(changed(signals__tokenFilterMode="whitelist")) == ["signals.tokenList"]
    assert warned(changed(signals__tokenFilterMode="whitelist", signals__tokenList=[MINT])) == []
    assert warned(changed(purchaseLimits__minimumAgentBalance=5)) == ["purchaseLimits.minimumAgentBalance"]
    assert warned(changed(purchaseLimits__minimumAgentBalance=4.99)) == []


def test_a_bag_switched_off_in_a_preset_warns():
    assert warned(changed(takeProfit__enabled=True, takeProfit__moonBag__enabled=False)) == [
        "takeProfit.moonBag.enabled"
    ]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("extra", 1),
        ("limits__maxOpenPosition", 3),
        ("stopLoss__trailing_levels", []),
        ("protections__cooldown", {"minutes": 5, "hours": 1}),
    ],
)
def test_d37_unknown_keys_are_refused(path, value):
    broken = changed(**{path: value})

    found = paths(broken)

    expected = path.replace("__", ".")
    assert found == [expected if not isinstance(value, dict) else "protections.cooldown.hours"]


@pytest.mark.parametrize("value", [float("inf"), float("nan"), float("-inf"), Decimal("Infinity"), "5", True, None])
def test_d37_only_finite_numbers_are_numbers(value):
    assert paths(changed(purchaseLimits__maxPurchasePerToken=value)) == ["purchaseLimits.maxPurchasePerToken"]


def test_a_number_with_more_digits_than_json_keeps_is_refused():
    data = changed(purchaseLimits__maxPurchasePerToken=Decimal("0.12345678901234567890123"))

    assert paths(data) == ["purchaseLimits.maxPurchasePerToken"]


def test_the_retired_key_is_accepted_with_a_warning_and_dropped():
    data = changed(stopLoss__continuousTrailing={"enabled": True})

    assert paths(data) == []
    assert warned(data) == ["stopLoss.continuousTrailing"]
    assert warned(DEFAULTS, partial={"stopLoss": {"continuousTrailing": None}}) == ["stopLoss.continuousTrailing"]
    assert "continuousTrailing" not in config.with_defaults(data)["stopLoss"]


@pytest.mark.parametrize("section", ["dca", "takeProfit", "signals", "limits", "protections"])
def test_a_null_section_means_its_defaults(section):
    assert paths(changed(**{section: None})) == []


def test_an_impact_limit_is_cleared_by_null_and_never_zero():
    assert paths(changed(purchaseLimits__maxPriceImpact=None)) == []
    assert paths(changed(purchaseLimits__maxPriceImpact=0)) == ["purchaseLimits.maxPriceImpact"]
    assert paths(changed(purchaseLimits__maxPriceImpact=1)) == []


def test_counts_are_whole_numbers():
    assert paths(changed(dca__maxDCACount=2.5)) == ["dca.maxDCACount"]
    assert paths(changed(dca__maxDCACount=2.0)) == []
    assert paths(changed(signals__minScore=1.5)) == ["signals.minScore"]
    assert paths(changed(limits__maxOpenPositions=0.5)) == ["limits.maxOpenPositions"]


def test_an_empty_custom_ladder_is_accepted_only_while_disabled():
    assert paths(changed(takeProfit__mode="custom", takeProfit__levels=[])) == []
    assert paths(changed(takeProfit__mode="custom", takeProfit__levels=[], takeProfit__enabled=True)) == [
        "takeProfit.levels"
    ]


def test_more_than_ten_levels_are_refused_in_every_ladder():
    stops = [{"change": 100 - i, "stopLoss": 1} for i in range(11)]
    drops = [{"dropPercent": -10 - i, "buyPercent": 10} for i in range(11)]
    targets = [{"targetPercent": 10 + i, "sellPercent": 5} for i in range(11)]

    assert paths(changed(stopLoss__mode="custom", stopLoss__trailingLevels=stops)) == ["stopLoss.trailingLevels"]
    assert paths(changed(dca__mode="custom", dca__levels=drops)) == ["dca.levels"]
    assert paths(changed(takeProfit__levels=targets)) == ["takeProfit.levels"]


def test_in_a_preset_the_stored_ladder_is_checked_for_types_alone():
    odd = [{"targetPercent": 0.5, "sellPercent": 500}]

    assert paths(changed(takeProfit__mode="aggressive", takeProfit__levels=odd)) == []
    assert paths(changed(takeProfit__mode="aggressive", takeProfit__levels=[{"targetPercent": "1"}])) == [
        "takeProfit.levels.0.sellPercent",
        "takeProfit.levels.0.targetPercent",
    ]


def test_rules_between_fields_speak_although_a_value_is_out_of_bounds_but_not_when_one_is_missing():
    out_of_bounds = [{"targetPercent": 100, "sellPercent": 0}, {"targetPercent": 50, "sellPercent": 10}]
    missing = [{"targetPercent": 100}, {"targetPercent": 50, "sellPercent": 10}]
    bag = {"enabled": False, "triggerPercent": 300, "retainPercent": 10}

    assert paths(changed(takeProfit__mode="custom", takeProfit__levels=out_of_bounds, takeProfit__moonBag=bag)) == [
        "takeProfit.levels.0.sellPercent",
        "takeProfit.levels.1",
    ]
    assert paths(changed(takeProfit__mode="custom", takeProfit__levels=missing, takeProfit__moonBag=bag)) == [
        "takeProfit.levels.0.sellPercent"
    ]


def test_problems_of_all_sections_are_reported_at_once():
    data = changed(dca__mode="turbo", staleTrade__maxProfitPercent=0)

    assert paths(data) == ["dca.mode", "staleTrade.maxProfitPercent"]


def test_tokens_must_be_base58_of_32_bytes():
    data = changed(signals__tokenList=[MINT, "a" * 40, "0OIl" * 9, MINT + "x"])

    assert paths(data) == ["signals.tokenList.1", "signals.tokenList.2", "signals.tokenList.3"]


def test_protections_are_validated_like_the_rest():
    data = changed(
        protections={
            "cooldown": {"minutes": 0},
            "stopLossGuard": {"trades": 3, "lookbackMinutes": 60, "pauseMinutes": 30, "perToken": True},
            "maxDrawdown": {"percent": 101, "lookbackMinutes": 60, "pauseMinutes": 30},
            "lowProfitToken": {"percent": -1, "trades": 1.5, "lookbackMinutes": 60, "pauseMinutes": 30},
            "dailyLoss": {},
        }
    )

    assert paths(data) == [
        "protections.cooldown.minutes",
        "protections.dailyLoss.sol",
        "protections.lowProfitToken.trades",
        "protections.maxDrawdown.percent",
    ]


@pytest.mark.parametrize("root", [None, 5, [], "text"])
def test_what_is_no_object_is_refused_at_the_root(root):
    assert paths(root) == ["(root)"]


def test_a_refusal_lists_path_and_message():
    with pytest.raises(config.InvalidConfig) as caught:
        config.parse(changed(dca__cooldownSeconds=9))

    assert caught.value.code == "INVALID_CONFIG"
    assert caught.value.details == ["dca.cooldownSeconds: Must be between 10 and 3600"]
