"""The book: every open position in columns, as the pass over prices wants them, with its exact state beside.

The book follows the database, not messages: `differing` compares the versions of all open positions and their agents
with what is in memory and reads again what differs. A lost message costs at most the second until the next check.

Floats only propose. The peak that is kept is the tick's own Decimal; the exact stop follows from it when somebody
asks, because in every mode but `custom` the target rises with the peak (a custom row is brought up to date at each
level that its peak may have reached).
"""

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import numpy as np
from django.db import OperationalError, connection, transaction

from nexgent import clock
from nexgent.rows import execute
from prices import selectors as prices
from prices.records import EXIT_MAX_AGE, PriceTick
from trading.engine import positions
from trading.engine.columns import Slots, TickColumns, blocks, seconds
from trading.engine.orders import OrderFacts
from trading.engine.points import reach
from trading.engine.threads import Precedence
from trading.models import Order, Position, Purpose, Side
from trading.rules import vector
from trading.rules.decide import watch
from trading.rules.policy import Policy, StopMode
from trading.rules.position import PositionState, Tick

_VERSIONS = """
SELECT p.id, p.version, a.policy_version FROM trading_position p JOIN agents_agent a ON a.id = p.agent_id
WHERE p.closed_at IS NULL
"""
_LOCK = "SELECT position_id FROM trading_watermark WHERE position_id = ANY(%b) ORDER BY position_id FOR NO KEY UPDATE"
_SAVE = """
UPDATE trading_watermark w SET peak = GREATEST(w.peak, u.peak), stop_percent = GREATEST(w.stop_percent, u.stop),
       low = LEAST(w.low, u.low), at = %b
FROM unnest(%b::uuid[], %b::int[], %b::numeric[], %b::numeric[], %b::numeric[]) u(id, generation, peak, stop, low)
WHERE w.position_id = u.id AND w.generation = u.generation
"""
SAVE_CHUNK = 500
"""Watermarks of one statement."""
SAVE_STEP = 25
"""Watermarks between two looks whether a pass wants the interpreter."""
VERSIONS_PART = 500
WAIT_SECONDS_MAX = 0.25
"""So long a saving of peaks, or a check of the book, waits for passes in all."""
SHARED_FROM = 100


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


class Book:
    """All open positions. One thread passes and changes; the watermark thread only takes what changed."""

    def __init__(self) -> None:
        self._slots = Slots()
        self._market = TickColumns()
        self._by_id: dict[UUID, Row] = {}
        self._lock = threading.Lock()
        self.precedence = Precedence()
        """Of the thread that passes: savings and checks come second."""

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

    def differing(self) -> set[UUID]:
        """Positions of which book and database differ: new, changed, or closed; `reload` makes them equal.

        Safe from any thread. Read in parts, so that a pass never waits long for the interpreter.
        """
        seen: set[UUID] = set()
        different: set[UUID] = set()
        until = time.monotonic() + WAIT_SECONDS_MAX
        with connection.cursor() as cursor:
            cursor.execute(_VERSIONS)
            while part := cursor.fetchmany(VERSIONS_PART):
                for position_id, version, policy_version in part:
                    seen.add(position_id)
                    if self._version_of(position_id) != (version, policy_version):
                        different.add(position_id)
                self.precedence.wait(until)
        return different | (set(self._by_id) - seen)

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
        self._market.put(prices.latest(sorted(unknown)).values())
        self._put_all([position for i, position in found.items() if i not in broken], orders)

    def _put_all(self, found: Sequence[Position], orders: dict[UUID, list[OrderFacts]]) -> None:
        """Put rows into the book. One whose state cannot be read is left out and told; the others are watched."""
        failed: list[tuple[Position, Exception]] = []
        with self._lock:
            for position in found:
                try:
                    self._put(position, orders[position.id])
                except OperationalError:
                    raise  # the database is away: for all of them
                except Exception as problem:
                    failed.append((position, problem))
        for position, problem in failed:
            self._drop(position.id)
            positions.tell_stuck(position, problem, at=clock.now())

    def _put(self, position: Position, orders: Sequence[OrderFacts]) -> None:
        known = self._by_id.get(position.id)
        state = positions.state_of(position)
        if known is not None and known.state.generation == state.generation:
            state = positions.with_extremes(state, self.state_of(known))
        ordinals: dict[Purpose, int] = defaultdict(int)
        for order in orders:
            ordinals[Purpose(order.purpose)] += 1
        entries_on, exits_on = positions.switches(position)
        policy = positions.policy_of(position)
        if policy.stop.mode is StopMode.CUSTOM:  # a later peak may ask for less than this one does
            state = watch(state, state.peak, policy)
        row = Row(
            index=known.index if known is not None else self._slots.take(),
            position=position,
            state=state,
            policy=policy,
            policy_version=position.agent.policy_version,
            entries_on=entries_on,
            exits_on=exits_on,
            ordinals=ordinals,
            is_live=position.wallet.kind == "live",
            has_sell=any(o.side == Side.SELL and o.is_open and not o.gives_way for o in orders),
            has_buy=any(o.side == Side.BUY and o.is_open for o in orders),
            has_waiting_sell=any(o.gives_way for o in orders),
        )
        self._by_id[position.id] = row
        self._slots.rows[row.index] = row
        self._slots.opened[row.index] = seconds(position.opened_at)
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
        with self._lock:
            return self._market.put(self._market.held(ticks))

    def propose(self, mints: Iterable[str] | None, *, now: datetime) -> list[Row]:
        """One pass over the rows of `mints` (None: all): moves their extremes, returns what the exact rule should see.

        Rows whose tick is older than the position or than the exit limit are left alone. In blocks, so that it never
        waits for a busy thread in its midst.
        """
        candidates: list[Row] = []
        at = seconds(now)
        with self._lock:
            rows = self._market.rows(self._market.members if mints is None else mints)
            moving = vector.moving(self._slots.columns, rows, self._market.price, at)
            for block in blocks(moving):
                candidates += self._pass(self._current(block, now), at)
        for row in candidates:
            tick = self._market.ticks[row.position.token_id]
            row.tick = Tick(tick.price_sol, tick.observed_at, tick.source)
        return candidates

    def _current(self, block: vector.Rows, now: datetime) -> vector.Rows:
        at = self._market.at[self._slots.columns.price_index[block]]
        return block[(at > self._slots.opened[block]) & (at >= seconds(now - EXIT_MAX_AGE))]

    def _pass(self, block: vector.Rows, now: float) -> list[Row]:
        if not len(block):
            return []
        columns, market = self._slots.columns, self._market
        found = vector.propose(columns, block, market.price, now)
        self._raise_peaks(found.peaks)
        self._lower_lows(found.lows)
        vector.advance(columns, block, market.price, now)
        self._refill_custom(found.stops)
        return [row for index in found.candidates.tolist() if (row := self._slots.rows[index]) is not None]

    def _raise_peaks(self, rows: vector.Rows) -> None:
        """Keep the exact prices that are new peaks: floats tell, and of equal floats the numbers themselves."""
        if not len(rows):
            return
        slots, places = self._slots, self._slots.columns.price_index[rows]
        is_equal = self._market.price[places] == slots.columns.peak[rows]
        if is_equal.any():
            price = self._market.exact[places[is_equal]]
            is_equal[is_equal] = (price <= slots.peak[rows[is_equal]]).astype(np.bool_)
            rows, places = rows[~is_equal], places[~is_equal]
        slots.peak[rows] = self._market.exact[places]
        slots.unsaved[rows] = True

    def _lower_lows(self, rows: vector.Rows) -> None:
        """Keep the exact prices that are new lows: a float below another is a number below the other."""
        if len(rows):
            self._slots.low[rows] = self._market.exact[self._slots.columns.price_index[rows]]
            self._slots.unsaved[rows] = True

    def _refill_custom(self, rows: vector.Rows) -> None:
        """Custom stops depend on the way: bring their exact state up to date where a peak may have reached a level."""
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
            changed = np.flatnonzero(self._slots.unsaved)
            self._slots.unsaved[changed] = False
            rows = [row for index in changed.tolist() if (row := self._slots.rows[index]) is not None]
        rows.sort(key=lambda row: row.position.id.int)
        until = time.monotonic() + WAIT_SECONDS_MAX
        for start in range(0, len(rows), SAVE_CHUNK):
            try:
                self._save(rows[start : start + SAVE_CHUNK], at, until)
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

    def _save(self, rows: Sequence[Row], at: datetime, until: float) -> None:
        # A pass waits for a few rows at most; a peak that rises meanwhile is saved next time.
        states: list[PositionState] = []
        ids: list[UUID] = []
        for start in range(0, len(rows), SAVE_STEP):
            self.precedence.wait(until)
            with self._lock:
                for row in map(self._now, rows[start : start + SAVE_STEP]):
                    if row is not None:
                        ids.append(row.position.id)
                        states.append(self.state_of(row))
        reach("watermark_saving")
        self.precedence.wait(until)
        values = (
            [state.generation for state in states],
            [state.peak for state in states],
            [state.stop_percent for state in states],
            [state.low for state in states],
        )
        with transaction.atomic():  # whoever changes several locks them in order: no statement with a join does
            execute(_LOCK, [ids]).close()
            execute(_SAVE, [at, ids, *values]).close()
