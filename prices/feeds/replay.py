"""Tapes: candle and trade files as ticks.

A candle is four ticks at its quarters: open, low, high, close when it closed at or above its open, else open, high,
low, close. A trade is one tick. Which of the two a file holds is read from its header. Reading is lazy: a tape of any
length takes constant memory.
"""

import csv
import gzip
import hashlib
import io
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal, InvalidOperation
from itertools import chain, islice, pairwise
from pathlib import Path

from nexgent import clock
from nexgent.errors import NexgentError
from prices.mints import mint_of
from prices.records import PriceTick, storable

SOURCE = "replay"
DECIMALS = 9
TAPE_MINT = mint_of(hashlib.sha256(b"nexgent tape").digest())
_CANDLE = ("open", "high", "low", "close")
_LOOK_AHEAD = 200
"""Rows whose smallest step is the length of a candle."""


class BadTape(NexgentError):
    """A tape that cannot be read; the message names file, row and reason."""


def ticks(path: str | Path, limit: int | None = None, *, mint: str = TAPE_MINT) -> Iterator[PriceTick]:
    """The ticks of a candle or trade CSV (.gz or plain) in order; `limit` rows at most. Raises BadTape."""
    path = Path(path)
    with closing(_open(path)) as file:
        reader = csv.reader(file)
        header = [name.strip().lower() for name in next(reader, [])]
        rows = islice(reader, limit)
        if "price" in header:
            yield from _trades(path, header, rows, mint)
        elif all(name in header for name in _CANDLE):
            yield from _candles(path, header, rows, mint)
        else:
            raise BadTape(f"{path.name}: a tape has the columns time_ms and either price or open, high, low, close")


def _open(path: Path) -> io.TextIOBase:
    if path.suffix == ".gz":
        return io.TextIOWrapper(gzip.open(path, "rb"), encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _column(path: Path, header: list[str], *names: str) -> int:
    for name in names:
        if name in header:
            return header.index(name)
    raise BadTape(f"{path.name}: no column {names[0]}")


def _trades(path: Path, header: list[str], rows: Iterator[list[str]], mint: str) -> Iterator[PriceTick]:
    time_at, price_at = _column(path, header, "time_ms", "time"), _column(path, header, "price")
    for number, row in enumerate(rows, start=2):
        yield _tick(path, number, mint, _whole(path, number, row, time_at), _number(path, number, row, price_at))


def _candles(path: Path, header: list[str], rows: Iterator[list[str]], mint: str) -> Iterator[PriceTick]:
    time_at = _column(path, header, "time_ms", "time")
    columns = [_column(path, header, name) for name in _CANDLE]
    ahead = list(islice(rows, _LOOK_AHEAD))
    starts = [_whole(path, number, row, time_at) for number, row in enumerate(ahead, start=2)]
    steps = [later - earlier for earlier, later in pairwise(starts) if later > earlier]
    quarter = min(steps, default=60_000) // 4
    for number, row in enumerate(chain(ahead, rows), start=2):
        start = _whole(path, number, row, time_at)
        first, high, low, last = (_number(path, number, row, at) for at in columns)
        path_of_price = (first, low, high, last) if last >= first else (first, high, low, last)
        for part, price in enumerate(path_of_price):
            yield _tick(path, number, mint, start + part * quarter, price)


def _number(path: Path, number: int, row: list[str], at: int) -> Decimal:
    try:
        return Decimal(row[at])
    except (IndexError, InvalidOperation):
        raise BadTape(f"{path.name} row {number}: column {at + 1} is no number") from None


def _whole(path: Path, number: int, row: list[str], at: int) -> int:
    value = _number(path, number, row, at)
    if not value.is_finite() or value != int(value):
        raise BadTape(f"{path.name} row {number}: the time is no whole number of milliseconds")
    return int(value)


def _tick(path: Path, number: int, mint: str, milliseconds: int, price: Decimal) -> PriceTick:
    try:
        return PriceTick(mint, storable(price), clock.from_ms(milliseconds), SOURCE)
    except (ValueError, OverflowError) as problem:
        raise BadTape(f"{path.name} row {number}: {problem}") from None
