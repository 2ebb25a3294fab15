"""One position and one policy that the tests of the rules vary."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

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
)
from trading.rules.position import PositionState, Tick

NOW = datetime(2024, 1, 1, tzinfo=UTC)
SOL = 10**9
STOP = StopPolicy(True, StopMode.FIXED, Decimal(-32))
BAG = MoonBag(True, Decimal(300), Decimal(10))
NO_BAG = replace(BAG, enabled=False)
LADDER = LadderPolicy(
    True,
    tuple(LadderLevel(Decimal(target), Decimal(sell)) for target, sell in ((50, 25), (150, 25), (300, 25), (400, 15))),
    BAG,
)
DCA = DcaPolicy(True, (DcaLevel(Decimal(-20), Decimal(75)), DcaLevel(Decimal(-20), Decimal(75))), 3, 30)
SIZING = SizingPolicy(
    minimum_lamports=SOL // 5,
    medium_lamports=5 * SOL,
    large_lamports=10 * SOL,
    small_size=SizeRange(SOL // 10, SOL // 10),
    medium_size=SizeRange(SOL // 2, SOL),
    large_size=SizeRange(3 * SOL // 2, 2 * SOL),
    randomise=True,
)
POLICY = Policy(
    stop=STOP,
    ladder=replace(LADDER, enabled=False),
    dca=replace(DCA, enabled=False),
    stale=StalePolicy(False, Decimal(60), Decimal(1), Decimal(10)),
    sizing=SIZING,
    limits=Limits(SOL // 2, 2 * SOL),
)


def bought(**changes: Any) -> PositionState:
    """1,000 tokens (6 decimals) bought for 1 SOL at 0.001, with 5,000 lamports of fees and rent beside."""
    position = open_position(
        fill_lamports=SOL,
        units=1_000_000_000,
        fee_lamports=5_000,
        rent_lamports=2_039_280,
        decimals=6,
        at=NOW,
        default_stop_percent=Decimal(-32),
        ladder_length=4,
    )
    return replace(position, **changes)


def tick(price: str) -> Tick:
    return Tick(Decimal(price), NOW)
