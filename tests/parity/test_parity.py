"""The rules loop and the engine decide alike, and as the committed fingerprints say: every decision, every trade, every
lamport; the books balance after each.
"""

from collections import Counter

import pytest

from tests.parity import fingerprints, matrix

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


def test_each_configuration_decides_on_the_small_tape_as_it_always_did():
    runs = matrix.small_runs()
    reports = matrix.replay(runs, through="rules")
    assert len(reports) == 12
    assert matrix.held(runs, reports) == []


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


def test_the_fingerprints_see_a_decision_that_changed_and_a_run_that_nobody_knows():
    report = {"decision_hash": "a", "decisions": 1, "equity_lamports": 5, "through": "rules"}
    known = {"tape one": fingerprints.of(report)}
    assert fingerprints.drift([("tape one", report)], known) == []
    for key in ("decision_hash", "decisions", "equity_lamports"):
        assert len(fingerprints.drift([("tape one", report | {key: 2})], known)) == 1
    assert fingerprints.drift([("tape two", report)], known) == ["tape two: no fingerprint is known"]


def test_every_run_has_a_fingerprint_and_every_fingerprint_a_run():
    names = {str(run) for run in [*matrix.engine_runs(is_full=True), *matrix.rules_runs()]}
    known = set(fingerprints.expected())
    if not matrix.market_tapes():  # their runs are known all the same
        known = {name for name in known if name.startswith(("synthetic", "small_5m"))}
    assert names == known


@pytest.mark.skipif(not matrix.market_tapes(), reason="no market data beside the checkout")
def test_a_real_tape_replays_through_the_rules_as_it_always_did():
    runs = [matrix.Run(matrix.market_tapes()[0], matrix.PAIR[0])]
    reports = matrix.replay(runs, through="rules")
    assert reports[0]["ticks"] > 20_000
    assert reports[0]["books"]["balanced"] is True
    assert matrix.held(runs, reports) == []
