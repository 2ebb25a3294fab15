"""One decision per tick: the order of the rules, the switches, stale close and DCA."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.unit.rules.samples import DCA, LADDER, NOW, POLICY, bought, tick
from trading.rules import dca
from trading.rules.decide import decide
from trading.rules.decision import Buy, Hold, Rule, Sell
from trading.rules.policy import DcaLevel, StalePolicy

STALE = replace(POLICY, stale=StalePolicy(True, Decimal(60), Decimal(1), Decimal(10)))
AVERAGING = replace(POLICY, dca=DCA)
HOUR = timedelta(hours=1)


def test_the_stop_comes_before_the_ladder() -> None:
    # given a stop that a person pinned above the price, and a level reached
    policy = replace(POLICY, ladder=LADDER)

    command = decide(bought(stop_percent=Decimal(60)), tick("0.00155"), policy, NOW).command

    assert isinstance(command, Sell)
    assert (command.rule, command.is_full) == (Rule.STOP_LOSS, True)


def test_the_ladder_comes_before_the_stale_close() -> None:
    policy = replace(STALE, ladder=replace(LADDER, levels=(replace(LADDER.levels[0], target_percent=Decimal(5)),)))

    command = decide(bought(), tick("0.00106"), policy, NOW + HOUR).command

    assert isinstance(command, Sell)
    assert command.rule is Rule.TAKE_PROFIT


@pytest.mark.parametrize(
    ("price", "age", "closes"),
    [
        ("0.00101", HOUR, True),
        ("0.0011", HOUR, True),
        ("0.00105", HOUR - timedelta(microseconds=1), False),
        ("0.001009999999999999999999", HOUR, False),
        ("0.001100000000000000000001", HOUR, False),
    ],
)
def test_stale_bounds_are_inside(price: str, age: timedelta, closes: bool) -> None:
    command = decide(bought(), tick(price), STALE, NOW + age).command

    assert (command == Sell(Rule.STALE_TRADE, "held_too_long", 1_000_000_000, True)) is closes


def test_dca_wants_a_share_of_what_the_remainder_is_worth() -> None:
    command = decide(bought(remaining_units=500_000_000), tick("0.0008"), AVERAGING, NOW).command

    assert command == Buy(Rule.DCA, "drop_reached", 300_000_000, 0, Decimal(-20))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"moon_bag_active": True, "moon_bag_units": 1_000_000_000}, "only_moon_bag_left"),
        ({"dca_count": 3}, "max_count_reached"),
        ({"last_dca_at": NOW - timedelta(seconds=29)}, "cooldown"),
        ({"last_dca_at": NOW - timedelta(seconds=30)}, "triggered"),
        ({"dca_not_before": NOW + timedelta(seconds=1)}, "postponed"),
        ({"dca_not_before": NOW}, "triggered"),
        ({"dca_count": 2}, "levels_exhausted"),
        ({"average": Decimal("0.0009")}, "not_reached"),
        ({"remaining_units": 0}, "nothing_left"),
    ],
)
def test_dca_reasons(changes: dict[str, object], reason: str) -> None:
    assert dca.evaluate(DCA, bought(**changes), Decimal("0.0008"), NOW).reason == reason


def test_d24_a_level_below_the_stop_never_buys() -> None:
    policy = replace(POLICY, dca=replace(DCA, levels=(DcaLevel(Decimal(-40), Decimal(100)),)))

    command = decide(bought(), tick("0.0005"), policy, NOW).command

    assert isinstance(command, Sell)


def test_entries_off_stops_dca_and_nothing_else() -> None:
    assert decide(bought(), tick("0.0008"), AVERAGING, NOW, entries_on=False).command == Hold("entries_off")
    assert isinstance(decide(bought(), tick("0.0006"), AVERAGING, NOW, entries_on=False).command, Sell)


def test_exits_off_sells_nothing_and_still_follows_the_peak() -> None:
    decision = decide(bought(), tick("0.0015"), POLICY, NOW, exits_on=False)
    fallen = decide(decision.position, tick("0.0005"), AVERAGING, NOW, exits_on=False)

    assert (decision.position.peak, decision.position.stop_percent) == (Decimal("0.0015"), 40)
    assert fallen.command == Hold("exits_off")
    assert fallen.position.low == Decimal("0.0005")


def test_a_closed_position_holds() -> None:
    assert decide(bought(remaining_units=0), tick("0.0001"), POLICY, NOW).command == Hold("closed")
