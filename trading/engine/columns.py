"""The arrays behind the book: one index per open position, one per held mint, growing when they are full."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from trading.rules import vector
from trading.rules.position import Tick

CAPACITY = 1_024
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def seconds(at: datetime) -> float:
    """Unix seconds of a time, as the columns hold it."""
    return (at - _EPOCH) / timedelta(seconds=1)


class Slots:
    """The arrays behind the rows, growing together; index i of each belongs to one position."""

    def __init__(self) -> None:
        self.columns = vector.Columns.empty(CAPACITY)
        self.opened = np.full(CAPACITY, np.inf)
        self.peak: Any = np.empty(CAPACITY, object)
        self.low: Any = np.empty(CAPACITY, object)
        self.unsaved = np.zeros(CAPACITY, np.bool_)
        self.rows: list[Any] = [None] * CAPACITY
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


class TickColumns:
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
        self.price[index], self.at[index], self.exact[index] = tick.price, seconds(tick.at), tick.price
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
