"""The stop loss: modes, ratchet, exact thresholds."""

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.unit.rules.samples import NOW, POLICY, STOP, bought, tick
from trading.rules import stop
from trading.rules.decide import decide, watch
from trading.rules.decision import Rule, Sell
from trading.rules.policy import StopMode, TrailingLevel


def test_d1_a_stop_of_a_thousand_percent_and_more_is_evaluated_and_sells() -> None:
    # given a position whose peak stood at +3,000 %
    position = bought(peak=Decimal("0.031"), stop_percent=Decimal(500))

    # when the price falls to the stop at +2,990 %
    decision = decide(position, tick("0.0309"), POLICY, NOW)

    # then it sells everything
    assert decision.position.stop_percent == 2990
    assert decision.command == Sell(Rule.STOP_LOSS, "stop_reached", 1_000_000_000, True)


@pytest.mark.parametrize(
    ("price", "sells"),
    [("0.00068", True), ("0.000680000000000000000001", False), ("0.000679999999999999999999", True)],
)
def test_d20_a_fall_of_exactly_32_percent_is_at_the_stop(price: str, sells: bool) -> None:
    assert isinstance(decide(bought(), tick(price), POLICY, NOW).command, Sell) is sells


def test_d20_a_rise_of_exactly_20_percent_arms_the_trailing_stop() -> None:
    assert decide(bought(), tick("0.0012"), POLICY, NOW).position.stop_percent == 10
    assert decide(bought(), tick("0.001199999999999999999999"), POLICY, NOW).position.stop_percent == -32


def test_d21_the_peak_of_a_cheap_token_is_kept_however_little_it_rose() -> None:
    position = bought(average=Decimal("1e-9"), peak=Decimal("1e-9"), low=Decimal("1e-9"))

    after = decide(position, tick("1.000000000000001e-9"), POLICY, NOW).position

    assert after.peak == Decimal("1.000000000000001e-9")


def test_d21_a_tick_that_changes_nothing_returns_the_same_state() -> None:
    position = decide(bought(), tick("0.00133333333"), POLICY, NOW).position

    after = decide(position, tick("0.0013"), POLICY, NOW).position

    assert after is position


def test_the_ratchet_holds_when_a_looser_policy_comes() -> None:
    position = decide(bought(), tick("0.0015"), POLICY, NOW).position
    looser = replace(POLICY, stop=replace(STOP, mode=StopMode.ZONES, default_percent=Decimal(-90)))

    after = decide(position, tick("0.0015"), looser, NOW).position

    assert (position.stop_percent, after.stop_percent) == (40, 40)


@pytest.mark.parametrize(
    ("gain", "expected"),
    [
        ("24.99", "12.495"),
        ("25", "12.5"),
        ("25.01", "15.006"),
        ("50", "30"),
        ("100", "70"),
        ("200", "160"),
        ("201", "170.85"),
    ],
)
def test_zones(gain: str, expected: str) -> None:
    assert stop.target_percent(replace(STOP, mode=StopMode.ZONES), Decimal(gain)) == Decimal(expected)


def test_custom_takes_the_highest_level_reached_whatever_their_order() -> None:
    levels = (TrailingLevel(Decimal(50), Decimal(20)), TrailingLevel(Decimal(100), Decimal(60)))
    policy = replace(STOP, mode=StopMode.CUSTOM, levels=levels)

    assert [stop.target_percent(policy, Decimal(gain)) for gain in (49, 50, 99, 100, 5000)] == [-32, 20, 20, 60, 60]


def test_exponential_is_the_same_to_the_last_stored_digit() -> None:
    policy = replace(STOP, mode=StopMode.EXPONENTIAL)

    # worked out apart with fractions and Taylor series
    assert stop.target_percent(policy, Decimal(50)) == Decimal("30.809901636578839247341312")
    assert stop.target_percent(policy, Decimal(20)) == -32


def test_an_average_below_the_smallest_price_rests() -> None:
    tiny = Decimal("1e-16")

    assert stop.evaluate(STOP, average=tiny, peak=tiny, stop_percent=Decimal(-32), price=Decimal("1e-18")) is None


def test_a_stop_that_is_off_never_sells() -> None:
    policy = replace(POLICY, stop=replace(STOP, enabled=False))

    decision = decide(bought(), tick("0.0000001"), policy, NOW)

    assert not isinstance(decision.command, Sell)
    assert decision.position.stop_percent == -32


def test_watching_is_exact_whatever_the_callers_context() -> None:
    # given a gain with more digits than the default context of 28 keeps
    position = bought(average=Decimal("0.00000300000000000007"))

    watched = watch(position, Decimal("30000.000000000000000000000001"), POLICY)

    assert watched == decide(position, tick("30000.000000000000000000000001"), POLICY, NOW).position
