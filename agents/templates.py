"""The named presets of DCA and take profit: the mode decides; stored levels count in mode custom only."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trading.rules.policy import DcaLevel, LadderLevel

CUSTOM: Final = "custom"
MODES: Final = ("aggressive", "moderate", "conservative", CUSTOM)


@dataclass(frozen=True, slots=True)
class LadderPreset:
    """A ladder with its moon bag: gains and shares in percent."""

    levels: tuple[LadderLevel, ...]
    bag_trigger_percent: Decimal
    bag_retain_percent: Decimal


def _ladder(*levels: tuple[int, int], bag: tuple[int, int]) -> LadderPreset:
    steps = tuple(LadderLevel(Decimal(target), Decimal(sell)) for target, sell in levels)
    return LadderPreset(steps, Decimal(bag[0]), Decimal(bag[1]))


def _dca(*levels: tuple[int, int]) -> tuple[DcaLevel, ...]:
    return tuple(DcaLevel(Decimal(drop), Decimal(buy)) for drop, buy in levels)


LADDERS: Final = {
    "aggressive": _ladder((25, 25), (50, 25), (100, 25), (150, 15), bag=(100, 10)),
    "moderate": _ladder((50, 25), (150, 25), (300, 25), (400, 15), bag=(300, 10)),
    "conservative": _ladder((100, 20), (200, 20), (400, 25), (600, 20), bag=(400, 15)),
}
DCA: Final = {
    "aggressive": _dca((-10, 100), (-10, 100), (-10, 100)),
    "moderate": _dca((-20, 75), (-20, 75)),
    "conservative": _dca((-20, 100)),
}
