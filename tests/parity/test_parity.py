"""The rules loop and the engine decide alike: every decision, every trade, every lamport; the books balance after
each.
"""

from collections import Counter

import pytest

from tests.parity import matrix

RULES = {"entry", "stop_loss", "take_profit", "stale_trade", "dca", "tape_end"}
CLOSE_REASONS = {"stop_loss", "take_profit", "stale_trade", "tape_end"}


def test_the_configurations_cover_every_mode_and_preset():
    configurations = matrix.configurations().values()
    assert len(configurations) == 12
    assert {c["stopLoss"]["mode"] for c in configurations if c["stopLoss"].get("enabled", True)} == {
        "fixed",
        "exponential",
        "zones",
        "custom",
    }
    presets = {"aggressive", "moderate", "conservative", "custom"}
    assert {c["takeProfit"]["mode"] for c in configurations if "takeProfit" in c} == presets
    assert {c["dca"]["mode"] for c in configurations if "dca" in c} == presets


def test_every_rule_and_close_reason_appears_on_the_synthetic_tape():
    runs = [matrix.Run(None, name) for name in matrix.configurations()]
    reports = matrix.replay(runs, through="rules")
    reasons = Counter(trade["close_reason"] for report in reports for trade in report["trades"])
    assert set(reasons) == CLOSE_REASONS
    assert sum(trade["dca_count"] for report in reports for trade in report["trades"]) > 0
    assert sum(trade["levels_hit"] for report in reports for trade in report["trades"]) > 0
    assert all(report["books"]["balanced"] for report in reports)


def test_both_loops_agree_on_the_synthetic_and_the_small_tape():
    runs = matrix.engine_runs(is_full=False)
    problems, figures = matrix.compare(runs)
    assert problems == []
    assert figures["runs"] == len(runs)
    assert figures["decisions"] > 500


def test_the_comparison_sees_a_difference():
    report = {"decision_hash": "a", "decisions": 1, "equity_lamports": 1, "trades": [], "books": {"balanced": True}}
    run = matrix.Run(None, "fixed-no-ladder")
    assert matrix.differences(run, report, report | {"decision_hash": "b"}) != []
    assert matrix.differences(run, report, report | {"books": {"balanced": False, "problems": ["x"]}}) != []


@pytest.mark.skipif(not matrix.market_tapes(), reason="no market data beside the checkout")
def test_real_tapes_replay_through_the_rules():
    tape = matrix.market_tapes()[0]
    report = matrix.replay([matrix.Run(tape, matrix.PAIR[0])], through="rules")[0]
    assert report["ticks"] > 20_000
    assert report["books"]["balanced"] is True
