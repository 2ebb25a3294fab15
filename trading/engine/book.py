"""The book: every open position in columns, as the pass over prices wants them, with its exact state beside.

The book follows the database, not messages: `follow` compares the versions of all open positions and their agents with
what is in memory and reads again what differs. A lost message costs at most the second until the next check.

Floats only propose. The peak that is kept is the tick's own Decimal; the exact stop follows from it when somebody asks,
because in every mode but `custom` the target rises with the peak (a custom row is brought up to date at once).
"""

import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
from django.db import connection

from nexgent import clock
from prices import selectors as prices
from prices.records import EXIT_MAX_AGE, PriceTick
from trading.engine import positions
from trading.engine.orders import OrderFacts
from trading.engine.points import reach
from trading.models import Order, Position, Purpose, Side
from trading.rules import vector
from trading.rules.decide import watch
from trading.rules.policy import Policy
from trading.rules.position import PositionState, Tick

_VERSIONS = """
SELECT p.id, p.version, a.policy_version FROM trading_position p JOIN agents_agent a ON a.id = p.agent_id
WHERE p.closed_at IS NULL
"""
_SAVE = """
UPDATE trading_watermark w SET peak = GREATEST(w.peak, u.peak), stop_percent = GREATEST(w.stop_percent, u.stop),
       low = LEAST(w.low, u.low), at = %s
FROM unnest(%s::uuid[], %s::int[], %s::numeric[], %s::numeric[], %s::numeric[]) u(id, generation, peak, stop, low)
WHERE w.position_id = u.id AND w.generation = u.generation
"""
SAVE_CHUNK = 1_000
SHARED_FROM = 100
CAPACITY = 1_024
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def _seconds(at: datetime) -> float:
    return (at - _EPOCH) / timedelta(seconds=1)


@dataclass(slots=True)
class Row:
    """One open position with what a decision on it needs. `state` lacks what was seen since it was read: see `Book`."""

    index: int
    position: Position
    state: PositionState
    policy: Policy
    policy_version: int
    entries_on: bool
    exits_on: bool
    ordinals: dict[Purpose, int] = field(default_factory=dict)
    is_live: bool = False
    has_sell: bool = False
    has_buy: bool = False
    has_waiting_sell: bool = False
    """A failed sale that waits to be tried again: a stop takes its place."""
    tick: Tick | None = None
    """The tick of the pass that proposed the row."""


class _Slots:
    """The arrays behind the rows, growing together; index i of each belongs to one position."""

    def __init__(self) -> None:
        self.columns = vector.Columns.empty(CAPACITY)
        self.opened = np.full(CAPACITY, np.inf)
        self.peak: Any = np.empty(CAPACITY, object)
        self.low: Any = np.empty(CAPACITY, object)
        self.unsaved = np.zeros(CAPACITY, np.bool_)
        self.rows: list[Row | None] = [None] * CAPACITY
        self.free = list(range(CAPACITY - 1, -1, -1))

    def take(self) -> int:
        """A free index, growing all arrays when there is none."""
        if not self.free:
            size = len(self.rows)
            self.columns = self.columns.grown(2 * size)
            self.opened = np.concatenate([self.opened, np.full(size, np.inf)])
            self.peak = np.concatenate([self.peak, np.empty(size, object)])
            self.low = np.concatenate([self.low, np.empty(size, object)])
            self.unsaved = np.concatenate([self.unsaved, np.zeros(size, np.bool_)])
            self.rows += [None] * size
            self.free = list(range(2 * size - 1, size - 1, -1))
        return self.free.pop()

    def give_back(self, index: int) -> None:
        self.columns.clear(index)
        self.opened[index] = np.inf
        self.peak[index] = self.low[index] = None
        self.unsaved[index] = False
        self.rows[index] = None
        self.free.append(index)


class _Market:
    """The newest tick of each mint that has a position, and which rows hold it."""

    def __init__(self) -> None:
        self.index: dict[str, int] = {}
        self.price = np.full(CAPACITY, np.nan)
        self.at = np.full(CAPACITY, -np.inf)
        self.exact: Any = np.empty(CAPACITY, object)
        self.ticks: dict[str, Tick] = {}
        self.members: dict[str, set[int]] = defaultdict(set)
        self._arrays: dict[str, vector.Rows] = {}

    def index_of(self, mint: str) -> int:
        """The column of a mint's price, made when there is none (a mint keeps it: few tokens are ever held)."""
        index = self.index.setdefault(mint, len(self.index))
        if index >= len(self.price):
            size = len(self.price)
            self.price = np.concatenate([self.price, np.full(size, np.nan)])
            self.at = np.concatenate([self.at, np.full(size, -np.inf)])
            self.exact = np.concatenate([self.exact, np.empty(size, object)])
        return index

    def put(self, mint: str, tick: Tick) -> bool:
        """Keep a tick unless a newer one is known."""
        known = self.ticks.get(mint)
        if known is not None and tick.at < known.at:
            return False
        index = self.index_of(mint)
        self.ticks[mint] = tick
        self.price[index], self.at[index], self.exact[index] = float(tick.price), _seconds(tick.at), tick.price
        return True

    def join(self, mint: str, row: int) -> None:
        self.members[mint].add(row)
        self._arrays.pop(mint, None)

    def leave(self, mint: str, row: int) -> None:
        self.members[mint].discard(row)
        self._arrays.pop(mint, None)

    def rows(self, mints: Iterable[str]) -> vector.Rows:
        """The rows of these mints."""
        found = [self._rows_of(mint) for mint in mints if self.members.get(mint)]
        return np.concatenate(found) if found else np.empty(0, np.intp)

    def _rows_of(self, mint: str) -> vector.Rows:
        if mint not in self._arrays:
            self._arrays[mint] = np.array(sorted(self.members[mint]), np.intp)
        return self._arrays[mint]


class Book:
    """All open positions. One thread passes and changes; the watermark thread only takes what changed."""

    def __init__(self) -> None:
        self._slots = _Slots()
        self._market = _Market()
        self._by_id: dict[UUID, Row] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._by_id)

    def states(self) -> dict[UUID, PositionState]:
        """The exact state of every open position, extremes included."""
        with self._lock:
            return {position_id: self.state_of(row) for position_id, row in self._by_id.items()}

    def mints(self) -> list[str]:
        """Mints of open positions: what the feeds ask for first."""
        return [mint for mint, rows in list(self._market.members.items()) if rows]

    def live_mints(self) -> list[str]:
        """Mints held by live wallets: their prices are confirmed by the second source."""
        return sorted({row.position.token_id for row in list(self._by_id.values()) if row.is_live})

    def mints_of(self, position_ids: Iterable[UUID]) -> set[str]:
        return {self._by_id[i].position.token_id for i in position_ids if i in self._by_id}

    def follow(self) -> None:
        """Make the book equal to the database: read what is new or changed, drop what is closed."""
        with connection.cursor() as cursor:
            cursor.execute(_VERSIONS)
            versions = {row[0]: (row[1], row[2]) for row in cursor.fetchall()}
        for gone in self._by_id.keys() - versions.keys():
            self._drop(gone)
        self.reload([i for i, version in versions.items() if self._version_of(i) != version])

    def _version_of(self, position_id: UUID) -> tuple[int, int] | None:
        row = self._by_id.get(position_id)
        return None if row is None else (row.position.version, row.policy_version)

    def reload(self, position_ids: Iterable[UUID]) -> None:
        """Read these positions again; closed ones are dropped. What was seen since the last save is kept."""
        wanted = list(position_ids)
        if not wanted:
            return
        rows = Position.objects.filter(id__in=wanted, closed_at=None).select_related("watermark")
        is_many = len(wanted) >= SHARED_FROM  # then one object of each agent and wallet instead of one for each row
        rows = rows.prefetch_related("agent", "wallet") if is_many else rows.select_related("agent", "wallet")
        found = {position.id: position for position in rows}
        broken = {i for i, position in found.items() if not positions.is_readable(position, at=clock.now())}
        for gone in broken | (set(wanted) - found.keys()):
            self._drop(gone)
        orders: dict[UUID, list[OrderFacts]] = defaultdict(list)
        for position_id, *facts in Order.objects.filter(position_id__in=list(found)).values_list(
            "position_id", "purpose", "side", "state", "not_before", "lease_owner"
        ):
            orders[position_id].append(OrderFacts(*facts))
        unknown = {position.token_id for position in found.values()} - self._market.ticks.keys()
        for mint, tick in prices.latest(sorted(unknown)).items():
            self._market.put(mint, Tick(tick.price_sol, tick.observed_at, tick.source))
        with self._lock:
            for position in found.values():
                if position.id not in broken:
                    self._put(position, orders[position.id])

    def _put(self, position: Position, orders: Sequence[OrderFacts]) -> None:
        known = self._by_id.get(position.id)
        mark = position.watermark
        state = positions.state_of(position, peak=mark.peak, stop_percent=mark.stop_percent, low=mark.low)
        if known is not None and known.state.generation == state.generation:
            state = positions.with_extremes(state, self.state_of(known))
        ordinals: dict[Purpose, int] = defaultdict(int)
        for order in orders:
            ordinals[Purpose(order.purpose)] += 1
        is_live, agent = position.wallet.kind == "live", position.agent
        row = Row(
            index=known.index if known is not None else self._slots.take(),
            position=position,
            state=state,
            policy=positions.policy_of(position),
            policy_version=agent.policy_version,
            entries_on=agent.entries_live if is_live else agent.entries_simulation,
            exits_on=agent.exits_live if is_live else agent.exits_simulation,
            ordinals=ordinals,
            is_live=is_live,
            has_sell=any(o.side == Side.SELL and o.is_open and not o.gives_way for o in orders),
            has_buy=any(o.side == Side.BUY and o.is_open for o in orders),
            has_waiting_sell=any(o.gives_way for o in orders),
        )
        self._by_id[position.id] = row
        self._slots.rows[row.index] = row
        self._slots.opened[row.index] = _seconds(position.opened_at)
        if known is None:
            self._market.join(position.token_id, row.index)
        self._fill(row, state)

    def _fill(self, row: Row, state: PositionState) -> None:
        """Set a row's columns from its exact state."""
        row.state = state
        self._slots.peak[row.index], self._slots.low[row.index] = state.peak, state.low
        vector.fill(
            self._slots.columns,
            row.index,
            state,
            row.policy,
            price_index=self._market.index_of(row.position.token_id),
            sells=(row.exits_on and not row.has_sell),
            buys=(row.entries_on and not row.has_buy),
        )

    def _drop(self, position_id: UUID) -> None:
        with self._lock:
            row = self._by_id.pop(position_id, None)
            if row is not None:
                self._market.leave(row.position.token_id, row.index)
                self._slots.give_back(row.index)

    def take_prices(self, ticks: Iterable[PriceTick]) -> list[str]:
        """Keep the newest tick of each held mint; returns the mints that changed."""
        changed = []
        for price in ticks:
            if self._market.members.get(price.mint) and self._market.put(
                price.mint, Tick(price.price_sol, price.observed_at, price.source)
            ):
                changed.append(price.mint)
        return changed

    def propose(self, mints: Iterable[str] | None, *, now: datetime) -> list[Row]:
        """One pass over the rows of `mints` (None: all): moves their extremes, returns what the exact rule should see.

        Rows whose tick is older than the position or than the exit limit are left alone.
        """
        with self._lock:
            wanted = self._market.members if mints is None else set(mints)
            rows = self._current(self._market.rows(wanted), now)
            if not len(rows):
                return []
            columns, market = self._slots.columns, self._market
            found = vector.propose(columns, rows, market.price, _seconds(now))
            self._raise_peaks(found.peaks)
            self._lower_lows(found.lows)
            vector.advance(columns, rows, market.price)
            self._refill_custom(found.stops)
            candidates = [row for index in found.candidates.tolist() if (row := self._slots.rows[index]) is not None]
        for row in candidates:
            row.tick = market.ticks[row.position.token_id]
        return candidates

    def _current(self, rows: vector.Rows, now: datetime) -> vector.Rows:
        at = self._market.at[self._slots.columns.price_index[rows]]
        oldest = _seconds(now - EXIT_MAX_AGE)
        return rows[(at > self._slots.opened[rows]) & (at >= oldest)]

    def _raise_peaks(self, rows: vector.Rows) -> None:
        if len(rows):
            price = self._market.exact[self._slots.columns.price_index[rows]]
            rises = (price > self._slots.peak[rows]).astype(np.bool_)  # the pass proposes equal floats too
            self._slots.peak[rows[rises]] = price[rises]
            self._slots.unsaved[rows[rises]] = True

    def _lower_lows(self, rows: vector.Rows) -> None:
        if len(rows):
            price = self._market.exact[self._slots.columns.price_index[rows]]
            self._slots.low[rows] = np.minimum(self._slots.low[rows], price)
            self._slots.unsaved[rows] = True

    def _refill_custom(self, rows: vector.Rows) -> None:
        """Custom stops depend on the way: bring their exact state up to date at each new peak."""
        for index in rows[self._slots.columns.mode[rows] == vector.MODE_CUSTOM].tolist():
            row = self._slots.rows[index]
            if row is not None:
                self._fill(row, self.state_of(row))

    def state_of(self, row: Row) -> PositionState:
        """The exact state of a row, extremes included."""
        peak: Decimal = self._slots.peak[row.index]
        low: Decimal = self._slots.low[row.index]
        if peak == row.state.peak and low == row.state.low:
            return row.state
        return watch(replace(row.state, low=low), peak, row.policy)

    def mark_ordered(self, position_id: UUID, *, is_sell: bool) -> None:
        """An order was planned: no second proposal before the row is read again."""
        with self._lock:
            row = self._by_id.get(position_id)
            if row is None:
                return
            if is_sell:
                row.has_sell = True
                self._slots.columns.sells[row.index] = False
            else:
                row.has_buy = True
                self._slots.columns.buys[row.index] = False

    def save_watermarks(self, *, at: datetime) -> int:
        """Save what rose or fell since the last time, in chunks sorted by id; returns how many rows."""
        with self._lock:
            changed = np.flatnonzero(self._slots.unsaved).tolist()
            self._slots.unsaved[changed] = False
            rows = [row for index in changed if (row := self._slots.rows[index]) is not None]
        rows.sort(key=lambda row: row.position.id)
        for start in range(0, len(rows), SAVE_CHUNK):
            try:
                self._save(rows[start : start + SAVE_CHUNK], at)
            except Exception:
                self._unsave(rows[start:])
                raise
        return len(rows)

    def _unsave(self, rows: Sequence[Row]) -> None:
        """The database was away: what was not saved is saved the next time."""
        with self._lock:
            for row in rows:
                if self._now(row) is not None:
                    self._slots.unsaved[row.index] = True

    def _now(self, row: Row) -> Row | None:
        """The row as it is now: it may have been read again, its place may belong to another position."""
        now = self._slots.rows[row.index]
        return now if now is not None and now.position.id == row.position.id else None

    def _save(self, rows: Sequence[Row], at: datetime) -> None:
        # Without the lock: a pass must not wait for this, and a peak that rises meanwhile is saved next time.
        states = [(row.position.id, self.state_of(row)) for row in map(self._now, rows) if row is not None]
        reach("watermark_saving")
        with connection.cursor() as cursor:
            cursor.execute(
                _SAVE,
                [
                    at,
                    [position_id for position_id, _ in states],
                    [state.generation for _, state in states],
                    [state.peak for _, state in states],
                    [state.stop_percent for _, state in states],
                    [state.low for _, state in states],
                ],
            )
