"""The book: every open position as the rules see it, in memory, by mint.

The book follows the database, not messages: `follow` compares the versions of all open positions and their agents with
what is in memory and reads again what differs. A lost message costs at most the second until the next check.
"""

import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import connection

from prices import selectors as prices
from prices.records import EXIT_MAX_AGE, PriceTick
from trading.engine import positions
from trading.models import Order, Position, Purpose, Side
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


@dataclass(slots=True)
class Row:
    """One open position with what a decision on it needs."""

    position: Position
    state: PositionState
    policy: Policy
    policy_version: int
    entries_on: bool
    exits_on: bool
    ordinals: dict[Purpose, int] = field(default_factory=dict)
    has_sell: bool = False
    has_buy: bool = False
    tick: Tick | None = None


class Book:
    """All open positions. One thread passes and changes; the watermark thread only takes what changed."""

    def __init__(self) -> None:
        self._rows: dict[UUID, Row] = {}
        self._by_mint: dict[str, set[UUID]] = defaultdict(set)
        self._unsaved: set[UUID] = set()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._rows)

    def states(self) -> dict[UUID, PositionState]:
        """The exact state of every open position, extremes included."""
        with self._lock:
            return {position_id: row.state for position_id, row in self._rows.items()}

    def mints(self) -> list[str]:
        """Mints of open positions: what the feeds ask for first."""
        return [mint for mint, rows in list(self._by_mint.items()) if rows]

    def mints_of(self, position_ids: Iterable[UUID]) -> list[str]:
        return [self._rows[i].position.token_id for i in position_ids if i in self._rows]

    def follow(self) -> None:
        """Make the book equal to the database: read what is new or changed, drop what is closed."""
        with connection.cursor() as cursor:
            cursor.execute(_VERSIONS)
            versions = {row[0]: (row[1], row[2]) for row in cursor.fetchall()}
        for gone in self._rows.keys() - versions.keys():
            self._drop(gone)
        rows = self._rows
        self.reload(
            [
                i
                for i, version in versions.items()
                if i not in rows or (rows[i].position.version, rows[i].policy_version) != version
            ]
        )

    def reload(self, position_ids: Iterable[UUID]) -> None:
        """Read these positions again; closed ones are dropped. What was seen since the last save is kept."""
        wanted = list(position_ids)
        if not wanted:
            return
        found = {
            position.id: position
            for position in Position.objects.filter(id__in=wanted, closed_at=None).select_related(
                "watermark", "agent", "wallet"
            )
        }
        for gone in set(wanted) - found.keys():
            self._drop(gone)
        orders: dict[UUID, list[tuple[int, int, int]]] = defaultdict(list)
        for position_id, purpose, side, state in Order.objects.filter(position_id__in=list(found)).values_list(
            "position_id", "purpose", "side", "state"
        ):
            orders[position_id].append((purpose, side, state))
        latest = prices.latest([p.token_id for p in found.values() if p.id not in self._rows])
        for position in found.values():
            self._put(position, orders[position.id], latest.get(position.token_id))

    def _put(self, position: Position, orders: Sequence[tuple[int, int, int]], latest: PriceTick | None) -> None:
        known = self._rows.get(position.id)
        mark = position.watermark
        state = positions.state_of(position, peak=mark.peak, stop_percent=mark.stop_percent, low=mark.low)
        if known is not None and known.state.generation == state.generation:
            state = positions.with_extremes(state, known.state)
        is_live = position.wallet.kind == "live"
        agent = position.agent
        ordinals: dict[Purpose, int] = {}
        for purpose, _, _ in orders:
            ordinals[Purpose(purpose)] = ordinals.get(Purpose(purpose), 0) + 1
        tick = known.tick if known is not None else None
        if tick is None and latest is not None and latest.observed_at > position.opened_at:
            tick = Tick(latest.price_sol, latest.observed_at, latest.source)
        row = Row(
            position=position,
            state=state,
            policy=positions.policy_of(position),
            policy_version=agent.policy_version,
            entries_on=agent.entries_live if is_live else agent.entries_simulation,
            exits_on=agent.exits_live if is_live else agent.exits_simulation,
            ordinals=ordinals,
            has_sell=any(side == Side.SELL and state < 3 for _, side, state in orders),
            has_buy=any(side == Side.BUY and state < 3 for _, side, state in orders),
            tick=tick,
        )
        with self._lock:
            self._rows[position.id] = row
            self._by_mint[position.token_id].add(position.id)

    def _drop(self, position_id: UUID) -> None:
        with self._lock:
            row = self._rows.pop(position_id, None)
            if row is not None:
                self._by_mint[row.position.token_id].discard(position_id)
            self._unsaved.discard(position_id)

    def take_prices(self, ticks: Iterable[PriceTick]) -> None:
        """Give the rows of each mint its newest tick and raise what it raises: peak, stop, low."""
        for price in ticks:
            tick = Tick(price.price_sol, price.observed_at, price.source)
            for position_id in self._by_mint.get(price.mint, ()):
                row = self._rows[position_id]
                if tick.at <= row.position.opened_at or (row.tick is not None and tick.at < row.tick.at):
                    continue
                row.tick = tick
                seen = watch(row.state, tick.price, row.policy)
                if seen is not row.state:
                    row.state = seen
                    self._unsaved.add(position_id)

    def propose(self, mints: Sequence[str] | None, *, now: datetime) -> list[Row]:
        """Rows that the exact rule should look at: those of `mints`, or all; none on a stale price."""
        ids = self._rows if mints is None else {i for mint in mints for i in self._by_mint.get(mint, ())}
        rows = [self._rows[i] for i in ids]
        return [row for row in rows if row.tick is not None and now - row.tick.at <= EXIT_MAX_AGE]

    def state_of(self, row: Row) -> PositionState:
        """The exact state of a row, extremes included."""
        return row.state

    def mark_ordered(self, position_id: UUID, *, is_sell: bool) -> None:
        """An order was planned: no second proposal before the row is read again."""
        if (row := self._rows.get(position_id)) is not None:
            row.has_sell, row.has_buy = row.has_sell or is_sell, row.has_buy or not is_sell

    def save_watermarks(self, *, at: datetime) -> int:
        """Save what rose or fell since the last time, in chunks sorted by id; returns how many rows."""
        with self._lock:
            ids, self._unsaved = sorted(self._unsaved), set()
            states = [(i, self._rows[i].state) for i in ids if i in self._rows]
        for start in range(0, len(states), SAVE_CHUNK):
            chunk = states[start : start + SAVE_CHUNK]
            with connection.cursor() as cursor:
                cursor.execute(
                    _SAVE,
                    [
                        at,
                        [i for i, _ in chunk],
                        [s.generation for _, s in chunk],
                        [s.peak for _, s in chunk],
                        [s.stop_percent for _, s in chunk],
                        [s.low for _, s in chunk],
                    ],
                )
        return len(states)
