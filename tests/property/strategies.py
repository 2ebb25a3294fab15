"""Random policies, positions and prices that people could have: thresholds are hit exactly as often as missed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import strategies as st

from nexgent.money import quantise
from trading.rules.apply import open_position
from trading.rules.policy import (
    DcaLevel,
    DcaPolicy,
    LadderLevel,
    LadderPolicy,
    Limits,
    MoonBag,
    Policy,
    SizeRange,
    SizingPolicy,
    StalePolicy,
    StopMode,
    StopPolicy,
    TrailingLevel,
)
from trading.rules.position import PositionState

START = datetime(2024, 1, 1, tzinfo=UTC)
SIZING = SizingPolicy(1, 2, 3, SizeRange(1, 2), SizeRange(1, 2), SizeRange(1, 2), True)


def percents(low: int, high: int, places: int = 2) -> st.SearchStrategy[Decimal]:
    scale = 10**places
    return st.integers(low * scale, high * scale).map(lambda number: Decimal(number) / scale)


@st.composite
def stops(draw: st.DrawFn, *, enabled: st.SearchStrategy[bool] | None = None) -> StopPolicy:
    changes = draw(st.lists(percents(1, 600), min_size=1, max_size=10, unique=True))
    levels = tuple(
        TrailingLevel(change, draw(percents(1, 100)) * change / 100) for change in sorted(changes, reverse=True)
    )
    return StopPolicy(
        draw(st.booleans() if enabled is None else enabled),
        draw(st.sampled_from(StopMode)),
        draw(percents(-99, -1)),
        levels,
    )


@st.composite
def ladders(draw: st.DrawFn, *, enabled: bool | None = None, total: int | None = None) -> LadderPolicy:
    targets = sorted(draw(st.lists(percents(1, 500), min_size=1, max_size=10, unique=True)))
    cuts = sorted(draw(st.lists(percents(1, 99), min_size=len(targets) - 1, max_size=len(targets) - 1, unique=True)))
    edges = [Decimal(0), *cuts, Decimal(100)]
    bag = MoonBag(draw(st.booleans()), draw(percents(1, 500)), draw(percents(1, 50)))
    if total is not None:
        bag = replace(bag, enabled=False)
    share = (100 - bag.retain_percent) / 100 if bag.enabled else Decimal(1)
    if total is None:
        share = share * draw(percents(10, 100)) / 100
    levels = tuple(LadderLevel(target, (edges[i + 1] - edges[i]) * share) for i, target in enumerate(targets))
    return LadderPolicy(draw(st.booleans()) if enabled is None else enabled, levels, bag)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    drops = sorted(draw(st.lists(percents(-99, -1), min_size=1, max_size=5)), reverse=True)
    low, high = sorted((draw(percents(-50, 100)), draw(percents(-50, 100))))
    return Policy(
        stop=draw(stops()),
        ladder=draw(ladders()),
        dca=DcaPolicy(
            draw(st.booleans()),
            tuple(DcaLevel(drop, draw(percents(1, 200))) for drop in drops),
            draw(st.integers(1, 10)),
            draw(st.integers(10, 3600)),
        ),
        stale=StalePolicy(draw(st.booleans()), draw(percents(1, 120, 0)), low, high),
        sizing=SIZING,
        limits=Limits(0, 10**12),
    )


@st.composite
def positions(draw: st.DrawFn, policy: Policy) -> PositionState:
    decimals = draw(st.sampled_from((0, 6, 9)))
    fresh = open_position(
        fill_lamports=draw(st.integers(10**7, 10**11)),
        units=draw(st.integers(1, 10**15)),
        fee_lamports=draw(st.integers(0, 10**6)),
        rent_lamports=2_039_280,
        decimals=decimals,
        at=START,
        default_stop_percent=policy.stop.default_percent,
        ladder_length=len(policy.ladder.levels),
    )
    return fresh


@st.composite
def prices(draw: st.DrawFn, position: PositionState, policy: Policy) -> Decimal:
    """A price at, just below, just above, or anywhere near one of the thresholds."""
    gains = [Decimal(0), Decimal(20), position.stop_percent, policy.stop.default_percent]
    gains += [policy.stale.min_profit_percent, policy.stale.max_profit_percent, policy.ladder.moon_bag.trigger_percent]
    gains += [level.target_percent for level in policy.ladder.levels]
    gains += [level.drop_percent for level in policy.dca.levels]
    gains += [change for level in policy.stop.levels for change in (level.change_percent, level.stop_percent)]
    gain = draw(st.one_of(st.sampled_from(gains), percents(-99, 900)))
    nudge = draw(st.sampled_from((0, 0, 1, -1, 10**6, -(10**6), 10**12, -(10**12))))
    price = position.average * (100 + gain) / 100 + nudge * Decimal("1e-24")
    return max(quantise(price), Decimal("1e-24"))


def moments() -> st.SearchStrategy[timedelta]:
    return st.integers(0, 4 * 3600 * 1000).map(lambda milliseconds: timedelta(milliseconds=milliseconds))
