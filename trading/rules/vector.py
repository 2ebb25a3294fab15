"""The pass over all open positions: float columns that propose, with a safety margin, what the exact rule may do.

Every threshold of a position is kept as a price, computed exactly when its row is filled and then widened by the
margin; the pass only compares. What it does not propose, `decide` holds (`tests/property/test_vector.py`). It works in
blocks of 480 rows, because NumPy lets go of the GIL above 500 elements and then waits for busy threads.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from nexgent.money import exact
from trading.rules import dca, stop
from trading.rules.gain import HUNDRED, gain_percent
from trading.rules.policy import Policy, StopMode, StopPolicy
from trading.rules.position import PositionState

BLOCK_ROWS = 480
CUSTOM_LEVELS_MAX = 10
MARGIN = 1e-9
"""Relative widening of every threshold; floats of these prices are off by 1e-15 at most."""
SECONDS_MARGIN = 0.001

_MODES = {None: 0, StopMode.FIXED: 1, StopMode.EXPONENTIAL: 2, StopMode.ZONES: 3, StopMode.CUSTOM: 4}
_OFF, _FIXED, _EXPONENTIAL, _ZONES, _CUSTOM = range(5)
MODE_CUSTOM = _CUSTOM
"""Value of `Columns.mode` of a row whose stop depends on the way its peak came."""
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_SMALLEST = 1e-300
_NEVER = -1e300

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
Mask = NDArray[np.bool_]


@dataclass(slots=True)
class Columns:
    """One entry per row: prices in SOL per token, percentages of the average price, times in unix seconds.

    A row that was never filled, or was cleared, is never proposed. `sells` and `buys` say which commands may be
    proposed now (switches, open orders); the extremes are followed in any case.
    """

    price_index: Rows
    sells: Mask
    buys: Mask
    average: Floats
    peak: Floats
    low: Floats
    stop: Floats
    default_stop: Floats
    mode: NDArray[np.int8]
    level_change: Floats
    level_stop: Floats
    stop_price: Floats
    arms_price: Floats
    """From here on a new peak may raise the stop: the next level of a custom stop, any price in the other modes."""
    ladder_price: Floats
    dca_price: Floats
    dca_from: Floats
    stale_low: Floats
    stale_high: Floats
    stale_from: Floats
    floor: Floats
    ceiling: Floats
    wakes_at: Floats
    """Between floor and ceiling, before `wakes_at`, nothing happens to the row: no extreme, no command."""

    @classmethod
    def empty(cls, capacity: int) -> "Columns":
        """Columns of `capacity` cleared rows."""
        columns = cls(
            price_index=np.zeros(capacity, np.intp),
            sells=np.zeros(capacity, np.bool_),
            buys=np.zeros(capacity, np.bool_),
            mode=np.zeros(capacity, np.int8),
            level_change=np.full((capacity, CUSTOM_LEVELS_MAX), np.inf),
            level_stop=np.zeros((capacity, CUSTOM_LEVELS_MAX)),
            **{name: np.full(capacity, np.nan) for name in _FLOATS},
        )
        return columns

    def grown(self, capacity: int) -> "Columns":
        """The same rows with room for `capacity`."""
        larger = Columns.empty(capacity)
        for field in fields(Columns):
            mine = getattr(self, field.name)
            getattr(larger, field.name)[: len(mine)] = mine
        return larger

    def clear(self, row: int) -> None:
        """Take a row out of every pass."""
        self.sells[row] = self.buys[row] = False
        for name in _FLOATS:
            getattr(self, name)[row] = np.nan


_FLOATS = (
    "average",
    "peak",
    "low",
    "stop",
    "default_stop",
    "stop_price",
    "arms_price",
    "ladder_price",
    "dca_price",
    "dca_from",
    "stale_low",
    "stale_high",
    "stale_from",
    "floor",
    "ceiling",
    "wakes_at",
)


@dataclass(frozen=True, slots=True)
class Proposal:
    """Rows in rising order of the input. `candidates`: the exact rule may act.

    `peaks` and `lows`: the price may be a new extreme (an equal float counts for a peak); `stops`: the peak is one that
    may raise the stop.
    """

    candidates: Rows
    peaks: Rows
    stops: Rows
    lows: Rows


@exact
def fill(
    columns: Columns,
    row: int,
    position: PositionState,
    policy: Policy,
    *,
    price_index: int,
    sells: bool = True,
    buys: bool = True,
) -> None:
    """Set a row from the exact state of a position. Call it again after every change of either."""
    average = position.average
    columns.price_index[row] = price_index
    columns.sells[row], columns.buys[row] = sells, buys
    columns.average[row] = average
    columns.peak[row], columns.low[row] = position.peak, position.low
    _fill_stop(columns, row, position, policy)
    first = max(position.levels_hit - position.batch_start, 0)
    has_level = policy.ladder.enabled and first < len(policy.ladder.levels)
    columns.ladder_price[row] = (
        _at(average, policy.ladder.levels[first].target_percent, -MARGIN) if has_level else np.inf
    )
    _fill_dca(columns, row, position, policy)
    stale = policy.stale
    columns.stale_low[row] = _at(average, stale.min_profit_percent, -MARGIN) if stale.enabled else np.inf
    columns.stale_high[row] = _at(average, stale.max_profit_percent, MARGIN) if stale.enabled else -np.inf
    columns.stale_from[row] = _seconds(position.opened_at) + float(stale.min_hold_minutes) * 60 - SECONDS_MARGIN
    one = np.array([row], np.intp)
    columns.floor[one], columns.ceiling[one] = _band(columns, one)
    columns.wakes_at[row] = columns.stale_from[row] if stale.enabled else np.inf


def _band(columns: Columns, rows: Rows) -> tuple[Floats, Floats]:
    """Floor and ceiling of the prices at which nothing happens to these rows, the stale close left out."""
    floor = np.fmax(np.fmax(columns.stop_price[rows], columns.dca_price[rows]), columns.low[rows])
    return floor, np.fmin(columns.peak[rows], columns.ladder_price[rows])


def _bound(columns: Columns, rows: Rows, price: Floats, now_seconds: float) -> None:
    """Set the band of rows that were looked at now, at these prices, none of them NaN.

    Once a row is old enough, the prices of its stale close bound it on the side where they lie; among them it stays
    awake. Of a row that may not be sold nothing is asked, so they do not bound it.
    """
    floor, ceiling = _band(columns, rows)
    low, high = columns.stale_low[rows], columns.stale_high[rows]
    is_due_later = now_seconds < columns.stale_from[rows]
    is_open = ~is_due_later & columns.sells[rows] & (low <= high)
    is_above, is_below = is_open & (price > high), is_open & (price < low)
    columns.floor[rows] = np.where(is_above, np.fmax(floor, high), floor)
    columns.ceiling[rows] = np.where(is_below, np.fmin(ceiling, low), ceiling)
    is_awake = is_due_later | (is_open & ~is_above & ~is_below)
    columns.wakes_at[rows] = np.where(is_awake & (low <= high), columns.stale_from[rows], np.inf)


def moving(columns: Columns, rows: Rows, prices: Floats, now_seconds: float) -> Rows:
    """Those of `rows` to which anything may happen at these prices: the others need no further look."""
    found = [_moving_block(columns, block, prices, now_seconds) for block in _blocks(rows)]
    return np.concatenate(found) if found else rows


def _moving_block(columns: Columns, rows: Rows, prices: Floats, now_seconds: float) -> Rows:
    price = prices[columns.price_index[rows]]
    return rows[
        (price <= columns.floor[rows]) | (price >= columns.ceiling[rows]) | (columns.wakes_at[rows] <= now_seconds)
    ]


def _fill_stop(columns: Columns, row: int, position: PositionState, policy: Policy) -> None:
    average, rule = position.average, policy.stop
    is_on = rule.enabled and average >= stop.SMALLEST_AVERAGE
    stop_percent = position.stop_percent
    if is_on:
        stop_percent = max(stop_percent, stop.target(rule, gain_percent(average, position.peak)))
    columns.mode[row] = _MODES[rule.mode if is_on else None]
    columns.stop[row], columns.default_stop[row] = stop_percent, rule.default_percent
    columns.stop_price[row] = _at(average, stop_percent, MARGIN) if is_on else -np.inf
    columns.arms_price[row] = _arms_price(position, rule) if is_on else np.inf
    columns.level_change[row] = np.inf
    levels = sorted(rule.levels, key=lambda level: -level.change_percent)
    for index, level in enumerate(levels[:CUSTOM_LEVELS_MAX]):
        columns.level_change[row, index] = level.change_percent
        columns.level_stop[row, index] = level.stop_percent


def _arms_price(position: PositionState, rule: StopPolicy) -> float:
    if rule.mode is not StopMode.CUSTOM:
        return -np.inf
    gain = gain_percent(position.average, position.peak)
    beyond = [level.change_percent for level in rule.levels if level.change_percent > gain]
    return _at(position.average, min(beyond), -MARGIN) if beyond else np.inf


def _fill_dca(columns: Columns, row: int, position: PositionState, policy: Policy) -> None:
    rule, count = policy.dca, position.dca_count
    is_open = (
        rule.enabled and count < rule.max_count and count < len(rule.levels) and not dca.is_only_moon_bag(position)
    )
    columns.dca_price[row] = _at(position.average, rule.levels[count].drop_percent, MARGIN) if is_open else -np.inf
    due = -np.inf
    if position.last_dca_at is not None:
        due = _seconds(position.last_dca_at) + rule.cooldown_seconds
    if position.dca_not_before is not None:
        due = max(due, _seconds(position.dca_not_before))
    columns.dca_from[row] = due - SECONDS_MARGIN


def _at(average: Decimal, percent: Decimal, margin: float) -> float:
    """The price at a gain, computed exactly, then moved by the margin."""
    return float(average * (HUNDRED + percent) / HUNDRED) * (1 + margin)


def _seconds(at: datetime) -> float:
    return (at - _EPOCH) / timedelta(seconds=1)


def propose(columns: Columns, rows: Rows, prices: Floats, now_seconds: float) -> Proposal:
    """Compare `rows` with the prices of their tokens (`prices[columns.price_index]`, NaN where there is none)."""
    found: list[tuple[Rows, Rows, Rows, Rows]] = [
        _propose_block(columns, block, prices, now_seconds) for block in _blocks(rows)
    ]
    if not found:
        none = np.empty(0, np.intp)
        return Proposal(none, none, none, none)
    candidates, peaks, stops, lows = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Proposal(candidates, peaks, stops, lows)


def _blocks(rows: Rows) -> Iterator[Rows]:
    for start in range(0, len(rows), BLOCK_ROWS):
        yield rows[start : start + BLOCK_ROWS]


def _propose_block(columns: Columns, rows: Rows, prices: Floats, now_seconds: float) -> tuple[Rows, Rows, Rows, Rows]:
    price = prices[columns.price_index[rows]]
    rises = price >= columns.peak[rows]
    sells = (price <= columns.stop_price[rows]) | (price >= columns.ladder_price[rows])
    sells |= (
        (now_seconds >= columns.stale_from[rows])
        & (price >= columns.stale_low[rows])
        & (price <= columns.stale_high[rows])
    )
    buys = (price <= columns.dca_price[rows]) & (now_seconds >= columns.dca_from[rows])
    peaks = rows[rises]
    stops = peaks
    if len(peaks):
        target = _target_upper(columns, peaks, price[rises])
        stops = peaks[(target > columns.stop[peaks]) & (price[rises] >= columns.arms_price[peaks])]
        # A custom stop may stand above the gain that arms it: then the peak itself triggers.
        level = columns.average[peaks] * (1 + target / 100) * (1 + MARGIN)
        sells[rises] |= (price[rises] <= level) & (columns.mode[peaks] != _OFF)
    candidates = rows[(sells & columns.sells[rows]) | (buys & columns.buys[rows])]
    return candidates, peaks, stops, rows[price < columns.low[rows]]


def advance(columns: Columns, rows: Rows, prices: Floats, now_seconds: float) -> None:
    """Move peak, low and stop of `rows` to their prices, in floats, and their band with them.

    For an engine that keeps only the exact peak of a rising row and lets `decide` compute the exact stop from it later.
    That is exact for every mode whose target rises with the gain; fill the row anew for a custom one (`stops`).
    """
    for block in _blocks(rows):
        price = prices[columns.price_index[block]]
        block, price = block[~np.isnan(price)], price[~np.isnan(price)]
        columns.low[block] = np.fmin(columns.low[block], price)
        rises = price > columns.peak[block]
        if rises.any():
            _raise(columns, block[rises], price[rises])
        _bound(columns, block, price, now_seconds)


def _raise(columns: Columns, rows: Rows, price: Floats) -> None:
    columns.peak[rows] = price
    columns.stop[rows] = np.fmax(columns.stop[rows], _target_upper(columns, rows, price))
    level = columns.average[rows] * (1 + columns.stop[rows] / 100) * (1 + MARGIN)
    raised = np.fmax(columns.stop_price[rows], level)
    columns.stop_price[rows] = np.where(columns.mode[rows] == _OFF, -np.inf, raised)


def _target_upper(columns: Columns, rows: Rows, peak: Floats) -> Floats:
    """An upper bound of the stop's target at these peaks: the larger one at both ends of the margin."""
    gain = (peak / np.maximum(columns.average[rows], _SMALLEST) - 1) * 100
    spread = MARGIN * (np.abs(gain) + 100)
    upper = np.maximum(_target(columns, rows, gain - spread), _target(columns, rows, gain + spread))
    return upper + MARGIN * (np.abs(upper) + 1)


def _target(columns: Columns, rows: Rows, gain: Floats) -> Floats:
    """`stop.target` in floats; very low where the stop is off."""
    mode, default = columns.mode[rows], columns.default_stop[rows]
    value = gain - 10
    is_exponential, is_zones, is_custom = mode == _EXPONENTIAL, mode == _ZONES, mode == _CUSTOM
    if is_exponential.any():
        value = np.where(is_exponential, _exponential(gain), value)
    if is_zones.any():
        share = np.select([gain <= 25, gain <= 50, gain <= 100, gain <= 200], [0.5, 0.6, 0.7, 0.8], 0.85)
        value = np.where(is_zones, gain * share, value)
    value = np.where(gain < 20, 0.0, value)
    if is_custom.any():
        reached = columns.level_change[rows] <= gain[:, None]
        level = columns.level_stop[rows, reached.argmax(axis=1)]
        value = np.where(is_custom, np.where(reached.any(axis=1), level, 0.0), value)
    return np.where(mode == _OFF, _NEVER, np.where(value > 0, value, default))


def _exponential(gain: Floats) -> Floats:
    x = np.maximum(gain - 20, 0)
    share = np.clip(1 - np.exp(-0.032 * x) - 0.12 * np.exp(-(((x - 55) / 8) ** 2) / 2), 0, 0.9)
    rise = np.minimum(0.9, share + 0.3 * (1 - np.exp(-(x - 65) / 80)))
    return gain * np.where(x > 65, rise, share)
