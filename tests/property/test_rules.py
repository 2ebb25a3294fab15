"""What holds for the rules whatever happens: units, costs, the ratchet, determinism, an end to every tick."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from nexgent.money import units_for, value_lamports
from tests.property.strategies import START, ladders, moments, policies, positions, prices, stops
from trading.rules import ladder, stop
from trading.rules.apply import apply, open_position
from trading.rules.decide import decide
from trading.rules.decision import Buy, Command, Consume, Hold, Sell
from trading.rules.policy import LadderPolicy, Policy, StopPolicy
from trading.rules.position import Bought, LevelsConsumed, PositionState, Sold, StopPinned, Tick

COMMANDS_PER_TICK_MAX = 12
"""A jump sells once or consumes once, then at most one stale close and one DCA level follow; DCA re-arms the ladder."""


def filled(position: PositionState, command: Command, tick: Tick, policy: Policy) -> PositionState:
    match command:
        case Sell():
            proceeds = value_lamports(command.units, tick.price, position.decimals)
            sold = Sold(command.units, max(0, proceeds - 5000), tick.at, command.levels, command.moon_bag_units)
            return apply(position, sold)
        case Consume():
            return apply(position, LevelsConsumed(command.levels, command.moon_bag_units))
        case Buy():
            return apply(
                position,
                Bought(
                    lamports=command.lamports,
                    units=max(1, units_for(command.lamports, tick.price, position.decimals)),
                    fee_lamports=5000,
                    rent_lamports=0,
                    at=tick.at,
                    default_stop_percent=policy.stop.default_percent,
                    ladder_length=len(policy.ladder.levels),
                ),
            )
        case _:
            return position


@given(data=st.data(), policy=policies())
def test_books_of_a_position_over_random_ticks(data: st.DataObject, policy: Policy) -> None:
    # given a position and random ticks
    position = data.draw(positions(policy))
    offset, sold_units, received, costs = timedelta(0), 0, 0, 0
    for _ in range(10):
        offset += data.draw(moments())
        tick = Tick(data.draw(prices(position, policy)), START + offset)
        for round_ in range(COMMANDS_PER_TICK_MAX + 1):
            # when every command is filled at once
            decision = decide(position, tick, policy, tick.at)
            assert decision == decide(position, tick, policy, tick.at)
            before = decision.position
            position = filled(before, decision.command, tick, policy)
            if isinstance(decision.command, Hold):
                break
            assert round_ < COMMANDS_PER_TICK_MAX, "the tick does not end"
            # then nothing is sold twice, and money is neither made nor lost
            if isinstance(decision.command, Sell):
                sold_units += decision.command.units
                received += position.received_lamports - before.received_lamports
                costs += before.cost_lamports - position.cost_lamports
                assert decision.command.is_full == position.is_closed
            assert position.remaining_units == position.bought_units - sold_units >= 0
            assert position.cost_lamports == position.invested_lamports - costs >= 0
            assert position.realised_lamports == received - costs
            assert position.received_lamports == received
        if position.is_closed:
            assert costs == position.invested_lamports
            assert position.cost_lamports == 0
            assert position.realised_lamports == received - position.invested_lamports
            return


@given(data=st.data(), policy=policies())
def test_the_stop_never_falls_within_a_generation(data: st.DataObject, policy: Policy) -> None:
    position = data.draw(positions(policy))
    policy = replace(policy, stop=replace(policy.stop, enabled=True))
    for _ in range(10):
        tick = Tick(data.draw(prices(position, policy)), START)
        after = decide(position, tick, policy, START, exits_on=False, entries_on=False).position
        assert after.stop_percent >= position.stop_percent
        assert after.peak == max(position.peak, tick.price)
        assert after.low == min(position.low, tick.price)
        assert after.generation == position.generation
        position = after


@given(policy=ladders(enabled=True, total=100), units=st.integers(1, 10**15), decimals=st.sampled_from((0, 6, 9)))
def test_d16_a_full_ladder_closes_the_position(policy: LadderPolicy, units: int, decimals: int) -> None:
    # given a ladder of exactly 100 % and no moon bag
    position = open_position(
        fill_lamports=10**9,
        units=units,
        fee_lamports=0,
        rent_lamports=0,
        decimals=decimals,
        at=START,
        default_stop_percent=Decimal(-32),
        ladder_length=len(policy.levels),
    )

    # when the price climbs level by level
    for level in policy.levels:
        step = ladder.evaluate(policy, position, position.average * (101 + level.target_percent) / 100)
        if step.sell_units:
            position = apply(position, Sold(step.sell_units, 1, START, len(step.levels), step.moon_bag_units))
        else:
            position = apply(position, LevelsConsumed(len(step.levels), step.moon_bag_units))
        if position.is_closed:
            break

    # then nothing is left
    assert position.remaining_units == 0


@given(policy=stops(enabled=st.just(True)), gain=st.integers(-99, 2_000_000).map(lambda n: Decimal(n) / 100))
def test_the_target_of_preset_modes_stays_below_the_peak(policy: StopPolicy, gain: Decimal) -> None:
    target = stop.target_percent(policy, gain)

    assert target == stop.target_percent(policy, gain)
    assert target == policy.default_percent or 0 < target <= max(gain, Decimal(0))


@given(data=st.data(), policy=policies())
def test_a_pinned_stop_starts_a_generation(data: st.DataObject, policy: Policy) -> None:
    position = data.draw(positions(policy))

    pinned = apply(position, StopPinned(Decimal("-5.5"), position.average))

    assert (pinned.stop_percent, pinned.peak, pinned.generation) == (Decimal("-5.5"), position.average, 2)
