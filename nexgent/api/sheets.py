"""Tables as CSV: cells that no spreadsheet runs, rows in batches, so that a long table is never in memory at once.

Text cells that a spreadsheet would take for a formula get an apostrophe in front; numbers keep their sign. Symbols of
tokens are chosen by strangers.
"""

import asyncio
import csv
import io
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db import connection
from django.http import StreamingHttpResponse

from nexgent.api import query
from nexgent.errors import InvalidInput

BATCH = 1_000
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r")
_ZONE_LENGTH_MAX = 64

Send = Callable[[dict[str, Any]], Awaitable[None]]
Batches = Iterator[Sequence[Sequence[str]]]


def text(value: str | None) -> str:
    """A text cell, harmless in a spreadsheet."""
    cell = value or ""
    return f"'{cell}" if cell.startswith(_DANGEROUS) else cell


def number(value: Decimal | None, *, places: int, is_signed: bool = False) -> str:
    """A number cell in plain notation, rounded half even; empty when unknown."""
    if value is None:
        return ""
    rounded = round(value, places) + 0  # no negative zero
    return f"{rounded:+.{places}f}" if is_signed and rounded else f"{rounded:.{places}f}"


def moment(at: datetime, zone: ZoneInfo) -> str:
    """A time cell in the reader's zone, to the second."""
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def zone_of(request: Any) -> ZoneInfo:
    """The IANA zone of `timezone`, UTC without one. Raises InvalidInput."""
    name = query.text(request, "timezone", length_max=_ZONE_LENGTH_MAX) or "UTC"
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as problem:
        raise InvalidInput({"timezone": "must be the name of a time zone, such as Europe/Berlin"}) from problem


class Sheet(StreamingHttpResponse):
    """The answer. The first batch is read at once, so that what is wrong is still an error and not a cut file."""

    def __init__(self, batches: Batches, *, header: Sequence[str], file_name: str) -> None:
        self._parts = _parts(batches, header, next(batches, ()))
        super().__init__(_Once(self._parts), content_type="text/csv; charset=utf-8")
        self["Content-Disposition"] = f'attachment; filename="{file_name}"'
        self["Cache-Control"] = "no-store"

    async def serve(self, _receive: Any, send: Send, *, headers: list[tuple[bytes, bytes]]) -> None:
        """Send batch by batch, each read in a thread when the one before it is out."""
        loop = asyncio.get_running_loop()
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        while (part := await loop.run_in_executor(None, self._next)) is not None:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _next(self) -> bytes | None:
        """The next part; the thread keeps no connection."""
        with closing(connection):
            part = next(self._parts, None)
        return None if part is None else part.encode()


class _Once:
    """The parts without their `close`: the request ends before they are read."""

    def __init__(self, parts: Iterator[str]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[str]:
        return self._parts


def _parts(batches: Batches, header: Sequence[str], first: Sequence[Sequence[str]]) -> Iterator[str]:
    yield _written([header, *first])
    for batch in batches:
        yield _written(batch)


def _written(rows: Sequence[Sequence[str]]) -> str:
    lines = io.StringIO()
    csv.writer(lines).writerows(rows)
    return lines.getvalue()
