"""The pass proposes everything on which the exact rule acts, and every extreme that it would store."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.property.strategies import START, moments, percents, policies, positions, prices, stops
from trading.rules import vector
from trading.rules.apply import apply
from trading.rules.decide import decide, watch
from trading.rules.decision import Buy, Consume, Hold, Sell
from trading.rules.policy import Policy, StopMode, StopPolicy
from trading.rules.position import Bought, LevelsConsumed, PositionState, Sold, Tick
from trading.rules.vector import Columns, Proposal, fill, moving, propose

EPOCH = START.fromtimestamp(0, START.tzinfo)


def passed(columns: Columns, price: Decimal, seconds: float) -> Proposal:
    """The pass as the engine makes it: only what moves is looked at."""
    prices = np.array([float(price)])
    return propose(columns, moving(columns, np.array([0]), prices, seconds), prices, seconds)


def advanced(columns: Columns, price: Decimal, seconds: float) -> None:
    vector.advance(columns, np.array([0]), np.array([float(price)]), seconds)


@st.composite
def watched(draw: st.DrawFn) -> Policy:
    """Policies as agents have them, and some whose stop a person pinned: a custom one without levels."""
    policy = draw(policies())
    pinned = StopPolicy(True, StopMode.CUSTOM, draw(percents(-99, 60)))
    return replace(policy, stop=pinned) if draw(st.booleans()) else policy


@st.composite
def leveled(draw: st.DrawFn) -> Policy:
    """Nothing but a custom stop of several levels, so that prices meet little else."""
    policy, own = draw(policies()), draw(stops(enabled=st.just(True)))
    return replace(
        policy,
        stop=replace(own, mode=StopMode.CUSTOM),
        ladder=replace(policy.ladder, enabled=False, levels=policy.ladder.levels[:1]),
        dca=replace(policy.dca, enabled=False, levels=policy.dca.levels[:1]),
    )


def seconds_at(after: timedelta) -> float:
    return (START + after - EPOCH).total_seconds()


def after(position: PositionState, command: Sell | Buy | Consume, tick: Tick, policy: Policy) -> PositionState:
    """The position once its command has been filled at the tick's price."""
    match command:
        case Sell():
            return apply(position, Sold(command.units, 1, tick.at, command.levels, command.moon_bag_units))
        case Consume():
            return apply(position, LevelsConsumed(command.levels, command.moon_bag_units))
        case Buy():
            return apply(
                position,
                Bought(
                    lamports=command.lamports,
                    units=max(1, position.remaining_units // 2),
                    fee_lamports=5000,
                    rent_lamports=0,
                    at=tick.at,
                    default_stop_percent=policy.stop.default_percent,
                    ladder_length=len(policy.ladder.levels),
                ),
            )


@given(data=st.data(), policy=watched())
def test_no_trigger_and_no_extreme_is_missed(data: st.DataObject, policy: Policy) -> None:
    # given a position, followed by the float pass over ticks in rising time
    position = data.draw(positions(policy))
    columns = Columns.empty(1)
    offset = timedelta(0)
    for _ in range(8):
        fill(columns, 0, position, policy, price_index=0)
        offset += data.draw(moments())
        tick = Tick(data.draw(prices(position, policy)), START + offset)

        # when both look at the same tick
        proposal = passed(columns, tick.price, seconds_at(offset))
        decision = decide(position, tick, policy, tick.at)

        # then the pass has proposed whatever the rule does
        assert isinstance(decision.command, Hold) or list(proposal.candidates) == [0]
        assert decision.position.peak == position.peak or list(proposal.peaks) == [0]
        if decision.position.peak > position.peak and float(decision.position.stop_percent) > columns.stop[0]:
            assert list(proposal.stops) == [0]
        position = decision.position
        if not isinstance(decision.command, Hold):
            position = after(position, decision.command, tick, policy)
        if position.is_closed:
            return


@given(data=st.data(), policy=watched())
def test_no_trigger_is_missed_when_only_floats_advance(data: st.DataObject, policy: Policy) -> None:
    position = data.draw(positions(policy))
    columns = Columns.empty(1)
    fill(columns, 0, position, policy, price_index=0)
    offset = timedelta(0)
    for _ in range(8):
        offset += data.draw(moments())
        tick = Tick(data.draw(prices(position, policy)), START + offset)

        proposal = passed(columns, tick.price, seconds_at(offset))
        decision = decide(position, tick, policy, tick.at)
        advanced(columns, tick.price, seconds_at(offset))

        assert isinstance(decision.command, Hold) or list(proposal.candidates) == [0]
        assert columns.peak[0] == float(decision.position.peak)
        assert columns.low[0] == float(decision.position.low)
        position = decision.position


@given(data=st.data(), policy=st.one_of(watched(), leveled()))
def test_a_row_filled_anew_only_when_asked_knows_the_exact_state_at_each_tick(
    data: st.DataObject, policy: Policy
) -> None:
    # given a position that the exact rule sees at every tick, and one of which only extremes are kept, as in the book
    position = kept = data.draw(positions(policy))
    peak, low = kept.peak, kept.low
    columns = Columns.empty(1)
    fill(columns, 0, kept, policy, price_index=0)
    offset = timedelta(0)
    for _ in range(12):
        offset += data.draw(moments())
        tick = Tick(data.draw(prices(position, policy)), START + offset)

        # when a tick comes, after which the row moves only if the pass looks at it, and a level fills it anew
        rows = moving(columns, np.array([0]), np.array([float(tick.price)]), seconds_at(offset))
        proposal = passed(columns, tick.price, seconds_at(offset))
        peak = max(peak, tick.price) if len(proposal.peaks) else peak
        low = min(low, tick.price) if len(proposal.lows) else low
        vector.advance(columns, rows, np.array([float(tick.price)]), seconds_at(offset))
        seen = watch(replace(kept, low=low), peak, policy)
        if len(proposal.stops) and columns.mode[0] == vector.MODE_CUSTOM:
            kept = seen
            fill(columns, 0, kept, policy, price_index=0)

        # then both know the same, and whatever is due was proposed
        decision = decide(position, tick, policy, tick.at)
        assert (seen.peak, seen.stop_percent) == (decision.position.peak, decision.position.stop_percent)
        assert float(seen.low) == float(decision.position.low)
        assert isinstance(decision.command, Hold) or list(proposal.candidates) == [0]
        position = decision.position
        if not isinstance(decision.command, Hold) and data.draw(st.booleans()):
            position = kept = after(position, decision.command, tick, policy)
            if position.is_closed:
                return
            peak, low = kept.peak, kept.low
            fill(columns, 0, kept, policy, price_index=0)


def test_blocks_cover_every_row_once() -> None:
    # given 1,100 rows whose price rose, in an order of their own
    columns = Columns.empty(1_100)
    columns.peak[:] = 1.0
    columns.average[:] = 1.0
    rows = np.arange(1_100)[::-1].copy()

    proposal = propose(columns, rows, np.array([2.0]), 0.0)

    assert list(proposal.peaks) == list(rows)
    assert list(proposal.candidates) == []


def test_a_row_between_its_bounds_does_not_move() -> None:
    columns = Columns.empty(1_100)
    columns.floor[:], columns.ceiling[:], columns.wakes_at[:] = 1.0, 2.0, np.inf
    columns.price_index[500], columns.wakes_at[1_000] = 1, 60.0
    rows = np.arange(1_100)

    assert list(moving(columns, rows, np.array([1.5, 1.5]), 59.0)) == []
    assert list(moving(columns, rows, np.array([1.5, 2.0]), 59.0)) == [500]
    assert list(moving(columns, rows, np.array([1.5, 1.0]), 60.0)) == [500, 1_000]


def test_a_cleared_row_and_a_missing_price_propose_nothing() -> None:
    columns = Columns.empty(2)
    columns.peak[1] = columns.average[1] = 1.0
    columns.stop_price[1] = 5.0
    columns.sells[1] = True

    cleared = propose(columns, np.array([0]), np.array([1.0]), 1e12)
    missing = propose(columns, np.array([1]), np.array([np.nan]), 1e12)
    columns.clear(1)
    gone = propose(columns, np.array([1]), np.array([1.0]), 1e12)

    assert list(moving(columns, np.array([0, 1]), np.array([1.0]), 1e12)) == []
    for proposal in (cleared, missing, gone):
        assert [len(part) for part in (proposal.candidates, proposal.peaks, proposal.stops, proposal.lows)] == [0] * 4


def test_growing_keeps_the_rows() -> None:
    columns = Columns.empty(1)
    columns.peak[0], columns.price_index[0], columns.sells[0] = 3.0, 7, True

    larger = columns.grown(3)

    assert (larger.peak[0], larger.price_index[0], larger.sells[0]) == (3.0, 7, True)
    assert np.isnan(larger.peak[1:]).all()
