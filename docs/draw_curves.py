"""Draws the pictures of `concepts.md` with the rules that trade: `python -m docs.draw_curves`.

Nothing here knows a formula. Each picture asks `trading.rules` what it would do, so that a picture cannot say
something else than the code; a test draws them again and compares.
"""

import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from agents.templates import DCA, LADDERS
from docs.svg_chart import AMBER, BLUE, GREEN, INK, QUIET, RED, VIOLET, Axis, Chart, Point
from nexgent.money import LAMPORTS_PER_SOL, exact, units_for
from trading.rules import apply, stale, stop
from trading.rules.decide import decide
from trading.rules.decision import Buy, Consume, Sell
from trading.rules.gain import gain_percent
from trading.rules.policy import (
    DcaPolicy,
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
from trading.rules.position import Bought, LevelsConsumed, PositionState, Sold, Tick

IMAGES = Path(__file__).parent / "images"
OPENED = datetime(2026, 1, 1, tzinfo=UTC)
ENTRY = Decimal("0.001")
DECIMALS = 6
DEFAULT_STOP = Decimal(-32)
CUSTOM_LEVELS = (
    TrailingLevel(Decimal(200), Decimal(140)),
    TrailingLevel(Decimal(100), Decimal(60)),
    TrailingLevel(Decimal(50), Decimal(20)),
)
COLORS = {
    StopMode.FIXED: BLUE,
    StopMode.ZONES: AMBER,
    StopMode.EXPONENTIAL: GREEN,
    StopMode.CUSTOM: VIOLET,
    "aggressive": BLUE,
    "moderate": AMBER,
    "conservative": GREEN,
}
_ONE_SIZE = SizeRange(LAMPORTS_PER_SOL, LAMPORTS_PER_SOL)

OFF = Policy(
    stop=StopPolicy(False, StopMode.FIXED, DEFAULT_STOP),
    ladder=LadderPolicy(False, (), MoonBag(False, Decimal(0), Decimal(0))),
    dca=DcaPolicy(False, (), 0, 30),
    stale=StalePolicy(False, Decimal(60), Decimal(1), Decimal(10)),
    sizing=SizingPolicy(1, 2, 3, _ONE_SIZE, _ONE_SIZE, _ONE_SIZE, randomise=False),
    limits=Limits(minimum_balance_lamports=0, max_purchase_lamports=10 * LAMPORTS_PER_SOL),
)
"""Nothing acts; each picture switches on what it shows."""


def policy(**parts: object) -> Policy:
    """`OFF` with some parts in place."""
    fields = {name: getattr(OFF, name) for name in Policy.__dataclass_fields__}
    return Policy(**(fields | parts))  # type: ignore[arg-type]


def stop_policy(mode: StopMode) -> StopPolicy:
    return StopPolicy(True, mode, DEFAULT_STOP, CUSTOM_LEVELS if mode is StopMode.CUSTOM else ())


def opened(wanted: Policy) -> PositionState:
    """One SOL of tokens bought at the entry price, without fees."""
    return apply.open_position(
        fill_lamports=LAMPORTS_PER_SOL,
        units=units_for(LAMPORTS_PER_SOL, ENTRY, DECIMALS),
        fee_lamports=0,
        rent_lamports=0,
        decimals=DECIMALS,
        at=OPENED,
        default_stop_percent=DEFAULT_STOP,
        ladder_length=len(wanted.ladder.levels),
    )


def walk(turns: Sequence[tuple[int, int]]) -> Iterator[tuple[int, Decimal]]:
    """Minute and price along straight lines between turns (minute, gain in percent of the entry price)."""
    for (start, low), (end, high) in itertools.pairwise(turns):
        for minute in range(start, end):
            yield minute, price_at(low + Decimal(high - low) * (minute - start) / (end - start))
    yield turns[-1][0], price_at(Decimal(turns[-1][1]))


def price_at(gain: Decimal) -> Decimal:
    return ENTRY * (100 + gain) / 100


def of_entry(price: Decimal) -> Decimal:
    """A price as gain of the entry price, in percent."""
    return gain_percent(ENTRY, price)


def follow(
    wanted: Policy, ticks: Iterator[tuple[int, Decimal]]
) -> Iterator[tuple[int, Decimal, PositionState, Buy | Sell | None]]:
    """The position after each tick, every order filled at the tick's price; ends with the position."""
    position = opened(wanted)
    for minute, price in ticks:
        tick = Tick(price, OPENED + timedelta(minutes=minute))
        while True:
            decision = decide(position, tick, wanted, tick.at)
            position, command = decision.position, decision.command
            if isinstance(command, Consume):
                position = apply.apply(position, LevelsConsumed(command.levels, command.moon_bag_units))
            elif isinstance(command, Sell):
                worth = int(Decimal(command.units) * price * 1000)
                position = apply.apply(
                    position, Sold(command.units, worth, tick.at, command.levels, command.moon_bag_units)
                )
                yield minute, price, position, command
            elif isinstance(command, Buy):
                units = units_for(command.lamports, price, DECIMALS)
                bought = Bought(command.lamports, units, 0, 0, tick.at, DEFAULT_STOP, len(wanted.ladder.levels))
                position = apply.apply(position, bought)
                yield minute, price, position, command
            else:
                break
            if position.is_closed:
                return
        yield minute, price, position, None


@exact
def stop_modes() -> Chart:
    """Where the stop stands for each peak gain."""
    chart = Chart(
        "Stop by peak gain, default stop \u221232 %",
        Axis("highest gain since the entry", Decimal(0), Decimal(240), Decimal(20), " %"),
        Axis("stop, of the average price", Decimal(-50), Decimal(250), Decimal(50), " %"),
    )
    chart.line([(0, 0), (240, 240)], QUIET, is_dashed=True, width="1.2")
    chart.text((212, 230), "the peak itself", QUIET, anchor="end")
    words = {StopMode.CUSTOM: "custom, here 20 from 50, 60 from 100, 140 from 200"}
    for number, mode in enumerate(StopMode):
        points = [(Decimal(g) / 2, stop.target_percent(stop_policy(mode), Decimal(g) / 2)) for g in range(481)]
        (chart.steps if mode is StopMode.CUSTOM else chart.line)(points, COLORS[mode])
        chart.text((0, 250), words.get(mode, str(mode)), COLORS[mode], dx=16, dy=24 + 20 * number)
    return chart


@exact
def ratchet() -> Chart:
    """A price that rises, falls, rises further and falls through its stop."""
    chart = Chart(
        "The ratchet: a stop in mode zones only rises",
        Axis("minutes since the entry", Decimal(0), Decimal(120), Decimal(20)),
        Axis("gain of the average price", Decimal(-40), Decimal(140), Decimal(20), " %"),
    )
    wanted = policy(stop=stop_policy(StopMode.ZONES))
    turns = ((0, 0), (15, -18), (40, 60), (52, 46), (82, 120), (120, 40))
    prices: list[Point] = []
    stops: list[Point] = []
    for minute, price, position, command in follow(wanted, walk(turns)):
        prices.append((minute, of_entry(price)))
        stops.append((minute, position.stop_percent))
        if command is not None:
            chart.dot(prices[-1], RED)
            chart.text(prices[-1], "price \u2264 stop: all is sold", RED, dx=10, dy=5)
    chart.line(prices, BLUE)
    chart.steps(stops, RED)
    chart.text((30, 28), "price", BLUE, dx=-10, anchor="end")
    chart.text((8, -32), "stop: the default", RED, dy=18)
    chart.text((46, 42), "stop: 0.7 \u00d7 the peak gain, above 100 % 0.8 \u00d7", RED, dy=22)
    return chart


@exact
def ladder() -> Chart:
    """What is left of a position while the price rises, for the three presets."""
    chart = Chart(
        "Take-profit ladders on a rising price: what is left of the tokens",
        Axis("gain of the average price", Decimal(0), Decimal(700), Decimal(100), " %"),
        Axis("left of everything bought", Decimal(0), Decimal(100), Decimal(20), " %"),
    )
    for name, preset in LADDERS.items():
        bag = MoonBag(True, preset.bag_trigger_percent, preset.bag_retain_percent)
        wanted = policy(ladder=LadderPolicy(True, preset.levels, bag))
        left: list[Point] = []
        for gain, _, position, _ in follow(wanted, ((g, price_at(Decimal(g))) for g in range(701))):
            left.append((gain, Decimal(position.remaining_units) * 100 / position.bought_units))
        chart.steps(left, COLORS[name])
    chart.text((150, 12), "aggressive: bag 10 %", BLUE, dx=6, dy=-4)
    chart.text((310, 27), "moderate: bag 10 %", AMBER, dx=4, dy=-6)
    chart.text((420, 37), "conservative: bag 15 %", GREEN, dx=4, dy=-6)
    return chart


@exact
def dca() -> Chart:
    """A falling price with the preset moderate: each buy lowers the average and starts stop and peak again."""
    chart = Chart(
        "DCA, preset moderate: two buys at \u221220 % of the average",
        Axis("minutes since the entry", Decimal(0), Decimal(120), Decimal(20)),
        Axis("price, of the entry price", Decimal(-60), Decimal(40), Decimal(20), " %"),
    )
    wanted = policy(stop=stop_policy(StopMode.ZONES), dca=DcaPolicy(True, DCA["moderate"], 3, 30))
    prices: list[Point] = []
    averages: list[Point] = []
    stops: list[Point] = []
    for minute, price, position, command in follow(wanted, walk(((0, 0), (20, -12), (32, -6), (70, -30), (120, 20)))):
        prices.append((minute, of_entry(price)))
        averages.append((minute, of_entry(position.average)))
        stops.append((minute, of_entry(position.average * (100 + position.stop_percent) / 100)))
        if isinstance(command, Buy):
            chart.dot(prices[-1], GREEN)
            chart.text(prices[-1], f"buy {position.dca_count}", GREEN, dx=-10, dy=16, anchor="end")
    chart.line(prices, BLUE)
    chart.steps(averages, INK)
    chart.steps(stops, RED)
    chart.text((106, 4), "price", BLUE, dx=-8, dy=-8, anchor="end")
    chart.text((6, 0), "average price", INK, dy=-8)
    chart.text((6, -32), "stop: the default below the average", RED, dy=18)
    return chart


@exact
def stale_window() -> Chart:
    """Age and gain at which a position counts as stale, asked minute by minute and percent by percent."""
    chart = Chart(
        "Stale close with the defaults: 60 minutes, +1 to +10 %",
        Axis("minutes since the entry", Decimal(0), Decimal(150), Decimal(30)),
        Axis("gain of the average price", Decimal(-10), Decimal(20), Decimal(5), " %"),
    )
    wanted = policy(stale=StalePolicy(True, Decimal(60), Decimal(1), Decimal(10)))
    due = [
        (minute, gain)
        for minute in range(151)
        for gain in range(-10, 21)
        if stale.evaluate(
            wanted.stale,
            opened_at=OPENED,
            average=ENTRY,
            price=price_at(Decimal(gain)),
            now=OPENED + timedelta(minutes=minute),
        )
    ]
    minutes, gains = [minute for minute, _ in due], [gain for _, gain in due]
    chart.area((min(minutes), min(gains)), (max(minutes), max(gains)), AMBER)
    chart.text((max(minutes), max(gains)), "sold here, bounds included", AMBER, dx=-8, dy=18, anchor="end")
    turns = ((0, 0), (30, 7), (50, 14), (80, 13), (105, 8), (150, 4))
    prices: list[Point] = []
    for minute, price, _, command in follow(wanted, walk(turns)):
        prices.append((minute, of_entry(price)))
        if command is not None:
            chart.dot(prices[-1], RED)
            chart.text(prices[-1], "old enough, and no longer above 10 %", RED, dx=8, dy=-8)
    chart.line(prices, BLUE)
    chart.text((30, 7), "price", BLUE, dx=-10, dy=-6, anchor="end")
    return chart


CURVES = {
    "stop-modes.svg": stop_modes,
    "ratchet.svg": ratchet,
    "ladder.svg": ladder,
    "dca.svg": dca,
    "stale.svg": stale_window,
}


def main() -> None:
    """Write all pictures."""
    IMAGES.mkdir(exist_ok=True)
    for name, draw in CURVES.items():
        (IMAGES / name).write_text(draw().svg())


if __name__ == "__main__":
    main()
