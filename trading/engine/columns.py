"""The arrays behind the book: one index per open position, one per held mint, growing when they are full."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import numpy as np

from prices.records import PriceTick
from trading.rules import vector

CAPACITY = 1_024
ANSWERS_MAX = 64


def seconds(at: datetime) -> float:
    """Unix seconds of a time, as the columns hold it."""
    return at.timestamp()


def blocks(rows: vector.Rows) -> Iterator[vector.Rows]:
    """Rows in parts that NumPy works through without letting go of the interpreter."""
    for start in range(0, len(rows), vector.BLOCK_ROWS):
        yield rows[start : start + vector.BLOCK_ROWS]


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
        self.ticks: dict[str, PriceTick] = {}
        self.members: dict[str, set[int]] = defaultdict(set)
        self._arrays: dict[str, vector.Rows] = {}
        self._answers: dict[frozenset[str], vector.Rows] = {}

    def index_of(self, mint: str) -> int:
        """The column of a mint's price, made when there is none (a mint keeps it: few tokens are ever held)."""
        index = self.index.setdefault(mint, len(self.index))
        if index >= len(self.price):
            size = len(self.price)
            self.price = np.concatenate([self.price, np.full(size, np.nan)])
            self.at = np.concatenate([self.at, np.full(size, -np.inf)])
            self.exact = np.concatenate([self.exact, np.empty(size, object)])
        return index

    def put(self, ticks: Iterable[PriceTick]) -> list[str]:
        """Keep ticks, one per mint, unless a newer one is known; returns the mints of those that were kept."""
        known_of = self.ticks.get
        kept = []
        for tick in ticks:
            known = known_of(tick.mint)
            if known is None or tick.observed_at >= known.observed_at:
                kept.append(tick)
        mints = [tick.mint for tick in kept]
        try:
            places = [self.index[mint] for mint in mints]
        except KeyError:
            places = [self.index_of(mint) for mint in mints]
        self.ticks.update(zip(mints, kept, strict=True))
        for start in range(0, len(kept), vector.BLOCK_ROWS):
            part, at = kept[start : start + vector.BLOCK_ROWS], places[start : start + vector.BLOCK_ROWS]
            exact = np.empty(len(part), object)
            exact[:] = [tick.price_sol for tick in part]
            self.exact[at] = exact
            self.price[at] = exact.astype(np.float64)
            self.at[at] = [tick.observed_at.timestamp() for tick in part]
        return mints

    def held(self, ticks: Iterable[PriceTick]) -> list[PriceTick]:
        """Those whose mint some position holds."""
        members = self.members
        return [tick for tick in ticks if members.get(tick.mint)]

    def join(self, mint: str, row: int) -> None:
        self.members[mint].add(row)
        self._changed(mint)

    def leave(self, mint: str, row: int) -> None:
        self.members[mint].discard(row)
        self._changed(mint)

    def _changed(self, mint: str) -> None:
        self._arrays.pop(mint, None)
        self._answers.clear()

    def rows(self, mints: Iterable[str]) -> vector.Rows:
        """The rows of these mints. Feeds tell of the same mints again and again: the answer is kept."""
        asked = frozenset(mints)
        if asked not in self._answers:
            found = [self._rows_of(mint) for mint in asked if self.members.get(mint)]
            if len(self._answers) >= ANSWERS_MAX:
                self._answers.clear()
            self._answers[asked] = np.concatenate(found) if found else np.empty(0, np.intp)
        return self._answers[asked]

    def _rows_of(self, mint: str) -> vector.Rows:
        if mint not in self._arrays:
            self._arrays[mint] = np.array(sorted(self.members[mint]), np.intp)
        return self._arrays[mint]
