"""Partial configurations over stored ones."""

from decimal import Decimal

from agents import config
from agents.config import DEFAULTS


def test_objects_merge_and_lists_replace():
    merged = config.merge(DEFAULTS, {"takeProfit": {"enabled": True, "levels": [{"targetPercent": 10}]}})

    assert merged["takeProfit"]["enabled"] is True
    assert merged["takeProfit"]["levels"] == [{"targetPercent": 10}]
    assert merged["takeProfit"]["moonBag"] == DEFAULTS["takeProfit"]["moonBag"]


def test_the_inputs_are_never_changed():
    stored = config.with_defaults(None)
    partial = {"signals": {"tokenList": []}}

    merged = config.merge(stored, partial)
    merged["signals"]["tokenList"].append("x")
    merged["takeProfit"]["levels"].clear()

    assert partial == {"signals": {"tokenList": []}}
    assert stored == config.with_defaults(None)
    assert len(DEFAULTS["takeProfit"]["levels"]) == 4


def test_null_removes_a_token_bound_and_is_kept_elsewhere():
    stored = config.merge(DEFAULTS, {"signals": {"marketCapMax": 500}, "protections": {"cooldown": {"minutes": 5}}})

    merged = config.merge(
        stored,
        {
            "signals": {"marketCapMax": None},
            "purchaseLimits": {"maxPriceImpact": None},
            "protections": {"cooldown": None},
        },
    )

    assert "marketCapMax" not in merged["signals"]
    assert merged["purchaseLimits"]["maxPriceImpact"] is None
    assert merged["protections"]["cooldown"] is None
    assert config.validate(merged) == []


def test_a_null_section_and_a_null_update_restore_defaults():
    stored = config.merge(DEFAULTS, {"dca": {"enabled": True}, "stopLoss": {"mode": "zones"}})

    assert config.merge(stored, {"dca": None})["dca"] == DEFAULTS["dca"]
    assert config.merge(stored, {"dca": None})["stopLoss"]["mode"] == "zones"
    assert config.merge(stored, None) == config.with_defaults(None)


def test_an_object_takes_the_place_of_null():
    merged = config.merge(DEFAULTS, {"protections": {"dailyLoss": {"sol": 2}}})

    assert merged["protections"]["dailyLoss"] == {"sol": 2}


def test_an_empty_stop_mode_of_old_clients_means_fixed_when_loaded_but_not_when_saved():
    assert config.with_defaults({"stopLoss": {"mode": ""}})["stopLoss"]["mode"] == "fixed"
    assert [p.path for p in config.validate(config.merge(DEFAULTS, {"stopLoss": {"mode": ""}}))] == ["stopLoss.mode"]


def test_the_stored_form_has_json_numbers_of_the_same_decimal_value():
    stored = config.canonical({"a": Decimal("0.10"), "b": 2.0, "c": [1e-9, 3], "d": True, "e": None, "f": "0.1"})

    assert stored == {"a": 0.1, "b": 2, "c": [1e-9, 3], "d": True, "e": None, "f": "0.1"}
    assert isinstance(stored["b"], int)
    assert stored["d"] is True
