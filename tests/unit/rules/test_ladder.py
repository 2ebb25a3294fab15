"""The take-profit ladder: levels, moon bag, dust, re-arming after DCA."""

from dataclasses import replace
from decimal import Decimal

from tests.unit.rules.samples import LADDER, NO_BAG, NOW, POLICY, bought, tick
from trading.rules import ladder
from trading.rules.apply import apply
from trading.rules.decide import decide
from trading.rules.decision import Consume, Hold, Rule, Sell
from trading.rules.ladder import LadderReason
from trading.rules.policy import LadderLevel, LadderPolicy
from trading.rules.position import LevelsConsumed, Sold

ON = replace(POLICY, ladder=LADDER, stop=replace(POLICY.stop, enabled=False))


def custom(*levels: tuple[str, str]) -> LadderPolicy:
    return LadderPolicy(True, tuple(LadderLevel(Decimal(target), Decimal(sell)) for target, sell in levels), NO_BAG)


def test_d20_exactly_50_percent_reaches_the_level() -> None:
    assert ladder.evaluate(LADDER, bought(), Decimal("0.0015")).sell_units == 250_000_000
    below = ladder.evaluate(LADDER, bought(), Decimal("0.001499999999999999999999"))
    assert below.reason is LadderReason.BELOW


def test_a_jump_over_all_levels_is_one_sale_and_keeps_the_bag() -> None:
    decision = decide(bought(), tick("0.005"), ON, NOW)

    assert decision.command == Sell(Rule.TAKE_PROFIT, "level_reached", 900_000_000, False, 4, 100_000_000)


def test_the_bag_is_set_aside_at_its_trigger_before_the_last_level() -> None:
    step = ladder.evaluate(LADDER, bought(), Decimal("0.004"))

    assert (step.sell_units, step.moon_bag_units, step.is_full) == (750_000_000, 100_000_000, False)


def test_d16_the_last_sale_of_a_full_ladder_takes_the_rounding_along() -> None:
    # given 10 units of a token without decimals, worth a lot each
    position = bought(decimals=0, bought_units=10, remaining_units=10, average=Decimal("0.1"))
    policy = custom(("10", "33.33"), ("20", "33.33"), ("30", "33.34"))
    sold = []

    # when the price climbs level by level
    for price in ("0.11", "0.12", "0.13"):
        step = ladder.evaluate(policy, position, Decimal(price))
        sold.append(step.sell_units)
        position = apply(position, Sold(step.sell_units, 1, NOW, len(step.levels)))

    # then the position is closed
    assert sold == [3, 3, 4]
    assert position.is_closed


def test_dust_is_sold_with_the_rest() -> None:
    # at 0.001 SOL per token with 6 decimals a unit is a lamport
    position = bought(bought_units=40_000, remaining_units=19_999, average=Decimal("0.0005"))

    step = ladder.evaluate(custom(("100", "25"), ("500", "25")), position, Decimal("0.001"))

    assert (step.sell_units, step.is_full) == (19_999, True)


def test_ten_thousand_lamports_are_no_dust() -> None:
    position = bought(bought_units=40_000, remaining_units=20_000, average=Decimal("0.0005"))

    step = ladder.evaluate(custom(("100", "25"), ("500", "25")), position, Decimal("0.001"))

    assert (step.sell_units, step.is_full) == (10_000, False)


def test_the_moon_bag_is_no_dust() -> None:
    position = bought(bought_units=10_000, remaining_units=10_000, average=Decimal("0.0001"))

    step = ladder.evaluate(LADDER, position, Decimal("0.0005"))

    assert (step.sell_units, step.moon_bag_units, step.is_full) == (9_000, 1_000, False)


def test_a_level_with_nothing_sellable_is_consumed_and_the_bag_set_aside() -> None:
    # given less left than the bag that the last level sets aside
    position = bought(levels_hit=3, remaining_units=50_000_000)

    decision = decide(position, tick("0.005"), ON, NOW)

    assert decision.command == Consume(Rule.TAKE_PROFIT, "nothing_sellable", 1, 100_000_000)
    after = apply(position, LevelsConsumed(1, 100_000_000))
    assert (after.levels_hit, after.moon_bag_active, after.moon_bag_units) == (4, True, 100_000_000)
    assert decide(after, tick("0.005"), ON, NOW).command == Hold()


def test_after_a_dca_fill_the_whole_ladder_is_armed_again() -> None:
    position = bought(levels_hit=2, batch_start=2, total_levels=6, bought_units=2_000_000_000)

    step = ladder.evaluate(LADDER, position, Decimal("0.0015"))

    assert [level.target_percent for level in step.levels] == [50]
    assert step.sell_units == 500_000_000


def test_the_count_follows_the_positions_own_ladder() -> None:
    # given three levels hit and a ladder pinned since that has only three
    position = bought(levels_hit=3, total_levels=4)

    step = ladder.evaluate(replace(LADDER, levels=LADDER.levels[:3]), position, Decimal("0.01"))

    assert step.reason is LadderReason.EXHAUSTED
